"""Activity: the list, its filters, and what stands behind one event."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from app.ui import activity
from core.kit import db as database
from core.kit.actor import Actor
from core.kit.db import STAFF
from core.runtime.agents import specs
from core.runtime.events import service as events
from core.runtime.events.models import Priority
from core.runtime.orgs.models import AGENCY_ID
from core.runtime.policies import settings
from tests.pages.conftest import mounted, said
from tests.pages.deals import LINKS, SCRIPT, asked, raw, six_deals

ROOT = Path(__file__).resolve().parents[2]


def happen(type_, summary, by="Tony", **more):
    with database.transaction(STAFF) as session:
        return events.publish(session, type_, summary, actor=Actor(by), **more)


def summaries(at):
    return [row["c"][1] for row in mounted(at, "table_activity")["rows"]]


def test_nothing_happened(open_page):
    at = open_page("activity", q="no such thing")
    assert mounted(at, "table_activity")["rows"] == []
    assert "Widen the period" in mounted(at, "table_activity")["empty"]


def test_what_happened_newest_first(open_page):
    happen("ticket.created", "Brian submitted “Intake”.", by="Brian")
    happen("deal.won", "Tony won “Cornerstone”.", priority=Priority.HIGH)
    at = open_page("activity", who="dan")
    assert summaries(at)[:3] == ["Dan signed in by a one-time link.", "Tony won “Cornerstone”.", "Brian submitted “Intake”."]
    first, second = mounted(at, "table_activity")["rows"][:2]
    assert second["c"][2] == "Deal won"
    assert second["tone"] == "amber"
    assert first["c"][5] is None


def test_filters_stand_in_the_address(open_page):
    happen("ticket.created", "Brian submitted “Intake”.", by="Brian")
    happen("deal.won", "Tony won “Cornerstone”.")
    happen("deal.activity", "Tony called Northwind.")
    assert set(summaries(open_page("activity", kind="deals"))) == {"Tony won “Cornerstone”.", "Tony called Northwind."}
    assert summaries(open_page("activity", q="northw")) == ["Tony called Northwind."]
    at = open_page("activity", kind="deals")
    assert 'class="on" aria-current="true">Deals <b>2</b>' in said(at)


def test_a_person_who_did_nothing_lately_stays_chosen(open_page):
    at = open_page("activity", **{"kind": "deals"})
    at.query_params["who"] = "Robert"
    at.run()
    assert at.selectbox[0].value == "Robert"
    assert summaries(at) == []


def test_the_period_stands_in_the_address(open_page):
    old = happen("deal.won", "Long ago.")
    with database.transaction(STAFF) as session:
        session.execute(
            text("UPDATE events SET created_at = created_at - :age WHERE id = :id"), {"age": timedelta(days=20), "id": old}
        )
    assert "Long ago." not in summaries(open_page("activity"))
    assert "Long ago." in summaries(open_page("activity", period="30 d"))
    assert "Long ago." in summaries(open_page("activity", period="All"))
    assert "Long ago." not in summaries(open_page("activity", period="for ever"))


def test_older_and_newest(open_page):
    for n in range(130):
        happen("deal.activity", f"Call {n}.")
    at = open_page("activity", kind="deals")
    seen, pages = summaries(at), 1
    while older := dict(mounted(at, "table_activity").get("more") or []).get("Older events"):
        at = open_page("activity", kind="deals", before=older.rpartition("before=")[2])
        seen += summaries(at)
        pages += 1
        assert "Newest events" in dict(mounted(at, "table_activity")["more"])
    assert pages == 3
    assert seen == [f"Call {n}." for n in reversed(range(130))]


@pytest.mark.parametrize(
    "params",
    [{"before": "x"}, {"before": "-3"}, {"before": "9" * 50}, {"kind": "nonsense"}, {"q": "\x00%_\\" * 900}, {"event": "x"}],
)
def test_an_address_that_makes_no_sense_shows_the_page(open_page, params):
    assert "Activity" in said(open_page("activity", **params))


def test_an_event_with_its_cause_and_the_page_it_is_about(open_page):
    six_deals()
    cause = happen("deal.activity", "Tony called Cornerstone.", subject=("deal", 1))
    event = happen(
        "drafts.ready", "A note is ready for Tony.", by="Sales AI", cause_event_id=cause, subject=("deal", 1),
        payload={"notes": 3, "sent": False, "for": None, "deals": ["A", "B"], "rest": {"more": 2}},
    )  # fmt: skip
    text_ = said(open_page("activity", event=str(event)))
    assert "<h1>A note is ready for Tony.</h1><p>Drafts ready</p>" in text_
    assert f'<a href="/activity?event={cause}">Tony called Cornerstone.</a>' in text_
    assert '<a href="/deal?deal=1">Open the deal</a>' in text_
    assert "<dt>Sent</dt><dd>no</dd>" in text_
    assert "<dt>For</dt><dd>–</dd>" in text_
    assert "<dt>Deals</dt><dd>A, B</dd>" in text_
    assert "<dt>Rest</dt><dd>More: 2</dd>" in text_


def test_details_are_in_words(open_page):
    details = {
        "kind": "slack.post", "why": "opt_out", "mode": "dry_run", "changed": ["run_by_at", "cron"], "policy": "money_ceilings",
        "until": "2026-11-23T14:30:00+00:00", "due_on": "2026-12-01", "value_minor": 8400050, "currency": "USD",
        "named": "2026 plan", "ref": "20261121", "rows": [{"from_minor": 500, "currency": "EUR"}],
    }  # fmt: skip
    text_ = said(open_page("activity", event=str(happen("schedule.paused", "Tony paused it.", payload=details))))
    for label, value in (
        ("Kind", "Slack message"), ("Why", "Opted out"), ("Mode", "Dry run"), ("Changed", "Run by at, cron"),
        ("Policy", "Money ceilings"), ("Until", "Mon 23 Nov 2026, 8:30 AM CST"), ("Due on", "1 Dec 2026"),
        ("Value", "$84,000.50"), ("Named", "2026 plan"), ("Ref", "20261121"), ("Rows", "Currency: EUR, From: €5"),
    ):  # fmt: skip
        assert f"<dt>{label}</dt><dd>{value}</dd>" in text_, label


def test_what_a_policy_was_and_is_stands_in_its_sentence_alone(open_page):
    with database.transaction(STAFF) as session:
        dave = session.execute(text("SELECT id FROM users WHERE name = 'Dave'")).scalar_one()
        settings.change(session, "rate_limit", {"window_s": 1800}, Actor("Dave", "user", dave), 0, AGENCY_ID)
        event = session.execute(text("SELECT id FROM events WHERE type = 'policy.changed'")).scalar_one()
    text_ = said(open_page("activity", event=str(event)))
    assert "<dt>Policy</dt>" in text_
    assert "<dt>Before</dt>" not in text_
    assert "<dt>After</dt>" not in text_


def test_an_event_about_a_job_leads_to_the_job(open_page):
    with database.transaction(STAFF) as session:
        event = session.execute(
            text("SELECT id FROM events WHERE type = 'schedule.added' AND payload ->> 'name' = 'ceo-morning-brief'")
        ).scalar_one()
    assert '<a href="/job?name=ceo-morning-brief">Open the job</a>' in said(open_page("activity", event=str(event)))


def test_an_unknown_event_says_so(open_page):
    assert "There is no event 999999." in said(open_page("activity", event="999999"))


@pytest.mark.parametrize("hostile", [SCRIPT, LINKS, "W" * 10_000], ids=["tag", "markdown", "one word"])
def test_hostile_summaries_and_details_are_text(open_page, hostile):
    event = happen("deal.activity", hostile, payload={hostile[:60]: hostile})
    at = open_page("activity", event=str(event), q=hostile[:40])
    assert summaries(at)[0] == hostile
    assert "<img src=x" not in raw(at)
    assert "<b>bold</b>" not in raw(at)
    assert not [m for m in at.markdown if "evil" in m.value]


def test_the_number_of_statements_does_not_grow(open_page):
    for n in range(10):
        happen("deal.activity", f"Call {n}.")
    few = asked(open_page("activity"))
    with database.transaction(STAFF) as session:
        for n in range(500):
            events.publish(session, f"deal.kind{n % 30}", f"Call {n}.", actor=Actor(f"Person {n % 40}"))
    assert asked(open_page("activity")) == few


def test_every_event_type_in_the_code_belongs_to_a_chip(open_page):
    from core import registry

    registry.load()
    types = {spec.event_type for spec in specs.specs()}
    # a type is the first text of a call that publishes, mostly with a dot: "run.failed", f"deal.{word}"
    called = re.compile(r"(?:publish|_tell|_publish)\(\s*(?:self,\s*)?(?:session|s),\s*f?\"([a-z_]+(?:\.[a-z_{][\w.{}]*)?)\"")
    for path in (ROOT / "core").rglob("*.py"):
        types |= {found.split("{")[0] for found in called.findall(path.read_text()) if "." in found or "_" in found}
    types |= {"message.intended", "automation.error", "deal.created", "schedule.missed"}
    assert len(types) > 30
    assert {t for t in types if activity.family_of(t) is None} == set()
