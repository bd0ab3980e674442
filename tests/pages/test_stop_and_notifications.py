"""The kill switch and the bell in the frame, the notifications page, alerts on Today."""

import pytest
import streamlit as st
from sqlalchemy import select, text

from app.ui import live, stop, words
from core.domains.users import service as users
from core.domains.users.queries import CurrentUser
from core.kit import db as database
from core.kit.db import STAFF
from core.runtime.alerts import queries as alert_queries
from core.runtime.alerts import service as alerts
from core.runtime.alerts.models import Severity
from core.runtime.notifications import queries, service
from core.runtime.notifications.models import Channel, Notification, Pace
from core.runtime.orgs.models import AGENCY_ID
from core.runtime.switches import service as switches
from core.runtime.switches.models import Reach
from tests.cast import CORNERSTONE_ORG
from tests.pages.conftest import said


def person(name: str) -> CurrentUser:
    with database.transaction(STAFF) as session:
        found = session.execute(text("SELECT id, name, email, role FROM users WHERE name = :n"), {"n": name}).one()
    return CurrentUser(found.id, found.name, found.email, users.Role(found.role))


def shown(name: str) -> dict:
    stop.forget()
    return stop.shown(stop.now(), person(name))


def pull(who: str = "Dave", reach: Reach = Reach.EVERYTHING, **target) -> int:
    with database.transaction(STAFF) as session:
        return switches.pull(session, reach, "A client got the wrong mail.", person(who).actor, **target).id


def notify(key: str, who: str = "Dave", href: str = "/runs", title: str = "Resend fails") -> None:
    with database.transaction(STAFF) as session:
        told = {"kind": "alert", "title": title, "body": "5 calls <b>failed</b>.", "href": href}
        service.notify(session, users=[person(who).id], key=key, **told)


def test_who_gets_which_button(open_page):
    open_page("today")
    assert shown("Dave")["reaches"] == ["everything", "organisation", "agent"]
    assert shown("Brian")["reaches"] == ["agent"]
    assert shown("Brian")["orgs"] == []
    assert shown("Tony")["reaches"] == shown("Tony")["agents"] == []
    assert "--stop-row:0px" in stop.style(person("Tony"))
    assert "--stop-row:34px" in stop.style(person("Dave"))


def test_the_bar_says_who_when_why_and_who_may_resume_it(open_page):
    open_page("today")
    assert shown("Tony")["on"] == []
    number = pull()
    pull("Brian", Reach.AGENT, agent="Sales AI")
    for name, may in (("Dave", [True, True]), ("Brian", [False, True]), ("Tony", [False, False])):
        told = shown(name)
        assert told["everything"]
        assert [s["may"] for s in told["on"]] == may
        assert (told["on"][0]["by"], told["on"][0]["why"]) == ("Dave", "A client got the wrong mail.")
    assert "--stop-h:var(--bar)" in stop.style(person("Tony"))
    with database.transaction(STAFF) as session:
        switches.resume(session, number, person("Dave").actor)
    assert (shown("Dave")["on"][0]["asked"], shown("Dave")["on"][0]["mine"]) == ("Dave", True)


def test_the_environments_switch_shows_and_moves_the_live_pages(open_page, monkeypatch):
    open_page("today")
    before = live.now().version
    monkeypatch.setenv("OPS_KILL_SWITCH", "1")
    live.forget()
    assert live.now().version != before
    assert shown("Tony")["everything"]


def test_the_dialogs_answer_stops_and_resumes(open_page, monkeypatch):
    open_page("today")
    kept: dict = {}
    monkeypatch.setattr(st, "session_state", kept)  # a callback without a session
    for name, wanted, fine in (
        ("Tony", {"reach": "everything", "reason": "x"}, False),
        ("Brian", {"reach": "organisation", "org": str(CORNERSTONE_ORG), "reason": "x"}, False),
        ("Dave", {"reach": "organisation", "org": "nonsense", "reason": "x"}, False),
        ("Dave", {"reach": "everything", "reason": " "}, False),
        ("Dave", {}, False),
        # the fields of the other reaches come along with what stood in them
        ("Dave", {"reach": "organisation", "org": str(CORNERSTONE_ORG), "agent": "Sales AI", "reason": "x"}, True),
        ("Brian", {"reach": "agent", "org": None, "agent": "Sales AI", "reason": "x"}, True),
    ):
        monkeypatch.setattr(stop, "current_user", lambda name=name: person(name))
        assert stop.pull(wanted) is fine, (name, wanted)
        assert [icon for _, icon in kept.pop("_toasts")] == ["check" if fine else "error"]
    assert [s["what"] for s in shown("Dave")["on"]] == ["everything for Cornerstone", "Sales AI"]
    number = shown("Dave")["on"][0]["id"]
    assert not stop.resume({"id": number}), "Brian may not"
    assert "Only an admin can do that" in kept.pop("_toasts")[0][0]
    monkeypatch.setattr(stop, "current_user", lambda: person("Dave"))
    assert stop.resume({"id": number})
    assert kept.pop("_toasts")[0] == (words.md("Dave resumed everything for Cornerstone. Nothing was held."), "check")
    assert not stop.resume({"id": number}), "it is over"
    assert not stop.resume({})
    with database.transaction(STAFF) as session:
        assert switches.stops(session, CORNERSTONE_ORG, None) == ()
        assert len(switches.stops(session, AGENCY_ID, "Sales AI")) == 1


def test_the_bell_counts_each_persons_own(open_page):
    open_page("today")
    notify("a")
    notify("b")
    notify("c", "Brian")
    assert [shown(n)["unread"] for n in ("Dave", "Brian", "Tony")] == [2, 1, 0]


def test_the_page_lists_and_marks_read_on_click(open_page):
    at = open_page("notifications")
    assert "Nothing yet" in said(at)
    notify("a", title="First <script>")
    notify("b", "Brian", title="Brian’s own")
    notify("c", title="Second")
    at = open_page("notifications")
    page = said(at)
    assert "Second" in page
    assert "<script>" not in " ".join(h.proto.body for h in at.get("html"))
    assert "Brian’s own" not in page
    with database.transaction(STAFF) as session:
        line = session.execute(select(Notification.id).where(Notification.title == "Second")).scalar_one()
        theirs = session.execute(select(Notification.id).where(Notification.user_id == person("Brian").id)).scalar_one()
    open_page("notifications", open=str(theirs))
    open_page("notifications", open="0")
    open_page("notifications", open="x" * 40)
    at = open_page("notifications", open=str(line))
    with database.transaction(STAFF) as session:
        assert [n.read_at is None for n in queries.listed(session, person("Dave").id)] == [False, True]
        assert queries.unread(session, person("Brian").id) == 1


def test_mark_all_as_read_and_preferences(open_page):
    for n in range(3):
        open_page("today") if n == 0 else None
        notify(str(n))
    at = open_page("notifications")
    at.button(key="read_all").click().run()
    assert not at.exception
    with database.transaction(STAFF) as session:
        assert queries.unread(session, person("Dave").id) == 0
    at.radio(key="tell_pace").set_value(Pace.DAILY).run()
    at.selectbox(key="tell_hour").set_value(7).run()
    at.button(key="tell_save").click().run()
    with database.transaction(STAFF) as session:
        how = queries.preferences(session, [person("Dave").id])[person("Dave").id]
    assert (how.channel, how.pace, how.digest_hour, how.chosen) == (Channel.MAIL, Pace.DAILY, 7, True)
    assert Channel.SLACK not in at.radio(key="tell_channel").options


@pytest.mark.parametrize("who", ["dave", "tony"])
def test_today_shows_open_alerts_and_who_looks_after_them(open_page, who):
    open_page("today", who=who)
    with database.transaction(STAFF) as session:
        number = alerts.raise_alert(
            session, "provider:resend", "Resend fails", "5 calls failed.", severity=Severity.HIGH, href="/system"
        )
    at = open_page("today", who=who)
    assert "High: " in said(at)
    assert ('href="/system"' in said(at).split("Resend fails")[0][-80:]) == (who == "dave"), "no link to a page they may not open"
    at.button(key=f"ack_{number}").click().run()
    assert not at.exception
    with database.transaction(STAFF) as session:
        assert alert_queries.open_alerts(session)[0].acknowledged_by == who.capitalize()
    assert f"{who.capitalize()} looks after it" in said(open_page("today", who=who))
