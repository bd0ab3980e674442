"""The kit's pure parts: words, chips, the document's head, the bundle of components, health."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from streamlit.testing.v1 import AppTest

from app.ui import assets, calendar, health, shell, words
from app.ui.nav import PAGES, PAGES_DIR
from core.runtime.runs.rules import Word

NOON = datetime(2026, 11, 20, 18, 0, tzinfo=UTC)  # Friday noon in Chicago


@pytest.mark.parametrize(
    ("at", "said"),
    [
        (NOON + timedelta(hours=3), "today 3:00 PM"),
        (NOON + timedelta(days=1), "tomorrow 12:00 PM"),
        (NOON + timedelta(days=3), "Mon 12:00 PM"),
        (NOON + timedelta(days=30), "Sun 20 Dec 12:00 PM"),
        (NOON - timedelta(days=1), "yesterday 12:00 PM"),
        (None, "–"),
    ],
)
def test_times_as_people_say_them(at, said):
    with time_machine.travel(NOON, tick=False):
        assert words.soon(at) == said


def test_lengths_money_and_ages():
    assert [words.duration(s) for s in (0.34, 4.2, 125, 3780, None)] == ["340 ms", "4.2 s", "2 min 5 s", "1 h 3 min", "–"]
    assert [words.cost(c) for c in (0, None, 4_200, 1_200_000)] == ["–", "–", "$0.0042", "$1.20"]
    with time_machine.travel(NOON, tick=False):
        assert [words.ago(NOON - timedelta(seconds=s)) for s in (2, 90, 7200)] == ["just now", "1 min ago", "2 h ago"]
        assert words.ago(NOON + timedelta(minutes=5)) == "in 5 min"
    assert words.from_iso("2026-11-20") == "20 Nov 2026"
    assert words.from_iso("not a date") == "not a date"


def test_every_word_of_a_run_has_a_colour_and_failed_is_red():
    for word in Word:
        assert words.state(word).word == word, word
    assert {words.state(w).tone for w in ("failed", "Failed", "FAILED", "timed_out", "Timed out", "quarantined")} == {"red"}
    assert words.state("something_new").word == "Something new"


def test_the_document_is_ours():
    index = (shell.Path(shell.st.__file__).parent / "static" / "index.html").read_bytes()
    made = shell.dress(index)
    assert b"<title>ManageAI Ops</title>" in made
    assert b"SourceSans" not in made
    assert b"mark.svg" in made
    assert assets.bundle()[0].encode() in made
    assert made.count(b"<title>") == 1
    assert b"/static/js/BidiComponent." in made
    assert shell.dress(b"<p>other</p>") == b"<p>other</p>"


def test_one_bundle_has_every_component():
    address, text = assets.bundle()
    assert address.startswith("/ui/kit.")
    for name in assets._MARKUP:
        assert f"{name}:[(()=>" in text


@pytest.mark.parametrize(
    ("ages", "oldest", "tone"),
    [
        ({"clock": 1, "watchdog": 2, "worker-agents-1": 1}, 0, "green"),
        ({"clock": 300, "watchdog": 2, "worker-agents-1": 1}, 0, "amber"),
        ({"clock": 1, "watchdog": 2, "worker-agents-1": 1}, 200, "amber"),
        ({}, 0, "red"),
    ],
)
def test_health(ages, oldest, tone):
    found = health.judge(ages, oldest)
    assert found.tone == tone
    assert bool(found.problems) == (tone != "green")


def test_a_week_with_a_clock_change_has_its_real_length():
    zone = words.zone()
    start, until = calendar.week_of(datetime(2026, 11, 1, 12, tzinfo=UTC), zone)
    assert (until.astimezone(UTC) - start.astimezone(UTC)) == timedelta(hours=169)


def test_each_page_has_its_file():
    assert [p.file for p in PAGES if not (PAGES_DIR / p.file).exists()] == []
    assert len({p.url for p in PAGES}) == len(PAGES)


def _left_in_the_same_moment():
    from app.ui import assets, page

    assert assets.sent("ops_chrome", "find") is None  # only looked for: no word about it
    assert assets.sent("ops_stop", "pull") is None
    page.toasts("here")


def test_a_callback_whose_page_was_just_left_says_so_and_breaks_nothing():
    at = AppTest.from_function(_left_in_the_same_moment)
    at.run(timeout=20)
    assert not at.exception
    assert [t.value for t in at.toast] == [
        "**That came just as the page changed, and nothing was done.** Please ask for it again."
    ]
