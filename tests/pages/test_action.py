"""One action: exactly what will be sent, who may decide, every button with the hash that was on the screen."""

import json
from datetime import timedelta

import pytest

from app.ui import words
from core.domains.users import service as users
from core.domains.users.models import User
from core.kit import clock
from core.kit import db as database
from core.kit.actor import Actor
from core.kit.db import STAFF
from core.runtime.actions import service
from core.runtime.actions.binding import binding
from core.runtime.actions.models import Action, ActionDecision, Decided
from tests import acts
from tests.pages.conftest import said


def button(at, name: str):
    """The button of the bar by the beginning of its key, which goes on with where, id, hash and state."""
    return next((b for b in at.button if b.key.startswith(f"{name}_")), None)


def field(at, kind: str, end: str):
    return next(f for f in at.get(kind) if f.key.endswith(end))


def put(make=acts.post, **over) -> int:
    with database.transaction(STAFF) as session:
        return make(session, **over).id


def role_of(who: str, role: str) -> None:
    with database.transaction(STAFF) as session:
        users.set_role(session, f"{who}@manageai.example", role)


def state(action_id: int) -> Action:
    with database.transaction(STAFF) as session:
        return session.get(Action, action_id)


def decisions(action_id: int) -> list[tuple[str, str, str | None]]:
    with database.transaction(STAFF) as session:
        found = session.query(ActionDecision).filter_by(action_id=action_id).order_by(ActionDecision.id)
        return [(d.decision, d.by, d.note) for d in found]


def person(session, name: str) -> Actor:
    return Actor(name, "user", session.query(User).filter_by(name=name).one().id)


def test_what_is_shown_is_read_from_the_final_bytes(open_page):
    wire = json.dumps({"channel": "#board", "text": "The *bytes* say this."}).encode()
    text = said(open_page("action", action=str(put(wire=wire))))
    assert "#board" in text
    assert "The <b>bytes</b> say this." in text
    assert "Twelve deals" not in text.split("What the policies said")[0].split("Exactly what will be sent")[1].split("To whom")[0]


def test_a_slack_post(open_page):
    action_id = put(provenance={"channel": {"origin": "trusted", "source": "the job's task"}}, reversible=True)
    text = said(open_page("action", action=str(action_id)))
    for part in ("#leadership", "Twelve deals are <b>open</b>.", "the job's task", "Executive AI asks", "It is Monday.",
                 "and nothing is sent.", "can be undone", "Rests on 2 facts", "Open deals", "Dry run."):  # fmt: skip
        assert part in text, part
    assert state(action_id).payload_sha256 in text
    assert "awaiting_approval" not in text


def test_a_mail_says_from_to_subject_and_what_goes_along(open_page):
    provenance = {"to": {"origin": "untrusted", "source": "web form #118"}}
    action_id = put(acts.mail, origin="untrusted", provenance=provenance)
    text = said(open_page("action", action=str(action_id)))
    for part in ("no-sender@invalid", "stands in: no mail account is connected", "dana@cornerstone.example", "Your report",
                 "1. It ran.", "List-Unsubscribe", "Message-ID", "from untrusted text", "untrusted text: web form #118",
                 "Not from our records.", "cannot be undone"):  # fmt: skip
        assert part in text, part
    assert "says something else" not in text  # its two parts say the same


def test_a_mail_whose_html_part_says_something_else_is_found_out(open_page):
    body = {"from": "a@ours.example", "to": ["b@c.example"], "subject": "Hi", "text": "Pay nothing.",
            "html": "<p>Pay <a href='https://evil.example'>here</a>.</p><img src='https://evil.example/pixel'>"}  # fmt: skip
    text = said(open_page("action", action=str(put(acts.mail, wire=json.dumps(body).encode()))))
    assert "Its HTML part says something else" in text
    assert "Pay here." in text
    assert "here → https://evil.example" in text
    assert "https://evil.example/pixel" in text


@pytest.mark.parametrize(
    "wire", [b"\xff\x00\x01", b"[1, 2]", b"{}", b'{"a": {"b": [1, {"c": null}]}, "d": true}', b'"x"', b"", b"{" * 5000]
)
def test_every_kind_has_a_preview(open_page, wire):
    for kind in ("unheard.of", "slack.post", "mail.send"):
        text = said(open_page("action", action=str(put(acts.put, kind=kind, wire=wire))))
        assert "Exactly what will be sent" in text


def test_facts_that_changed_show_both_values(open_page):
    changed = [{"key": "crm.pipeline_summary.value", "label": "Open value", "was": "$84,000", "now": "$61,000"}]
    text = said(open_page("action", action=str(put(stale={"checked_at": clock.now().isoformat(), "changed": changed}))))
    assert "Out of date." in text
    assert '<s>$84,000</s> → <b class="c-amber">$61,000</b>' in text


def test_opening_it_decides_nothing(open_page):
    action_id = put()
    for _ in range(2):
        open_page("action", action=str(action_id), approve="1", decision="approve")
    assert state(action_id).state == "awaiting_approval"
    assert decisions(action_id) == []


def test_approve(open_page):
    action_id = put()
    at = open_page("action", action=str(action_id))
    assert button(at, "approve").label == "Post to Slack"
    button(at, "approve").click().run()
    assert at.toast[0].value == words.md("Approved. It is on its way.")
    assert state(action_id).state == "approved"
    assert button(at, "approve") is None
    assert decisions(action_id) == [("approve", "Dave", None)]


def test_a_click_on_an_old_screen_reaches_nothing(open_page):
    action_id = put()
    at = open_page("action", action=str(action_id))
    with database.transaction(STAFF) as session:
        action = session.get(Action, action_id)
        action.version, action.target = 2, "#everybody"
        action.payload_sha256 = binding(action)
    seen = button(at, "approve").key
    button(at, "approve").click().run()
    assert state(action_id).state == "awaiting_approval"
    assert decisions(action_id) == []
    # another version has another button, also for a browser that draws late
    assert button(at, "approve").key != seen
    button(at, "approve").click().run()  # what is on the screen now
    assert state(action_id).state == "approved"


def test_the_loser_of_a_race_sees_who_won(open_page, monkeypatch):
    action_id = put()
    at = open_page("action", action=str(action_id))
    decide = service.decide

    def brian_is_faster(session, id_, decision, by, **how):
        monkeypatch.setattr(service, "decide", decide)
        with database.transaction(STAFF) as other:
            action = other.get(Action, id_)
            action.owner_role = "engineering"
            action.payload_sha256 = how["payload_sha256"]
            decide(other, id_, Decided.REJECT, person(other, "Brian"), payload_sha256=how["payload_sha256"], via="slack")
        return decide(session, id_, decision, by, **how)

    monkeypatch.setattr(service, "decide", brian_is_faster)
    button(at, "approve").click().run()
    assert "Brian was first" in at.toast[0].value
    assert "Brian rejected it" in said(at)
    assert state(action_id).state == "dismissed"


def test_reject_with_a_reason(open_page):
    action_id = put()
    at = open_page("action", action=str(action_id))
    button(at, "reject").click().run()
    field(at, "text_area", "awaiting_approval").set_value("Too early in the day.")
    button(at, "go_reject").click().run()
    assert (state(action_id).state, state(action_id).outcome) == ("dismissed", "rejected")
    assert decisions(action_id) == [("reject", "Dave", "Too early in the day.")]
    assert "Dave rejected it" in said(at)


def test_reply_leaves_it_waiting(open_page):
    action_id = put()
    at = open_page("action", action=str(action_id))
    button(at, "reply").click().run()
    button(at, "go_reply").click().run()
    assert "The reply is empty" in at.toast[0].value
    field(at, "text_area", "awaiting_approval").set_value("Leave out the value.")
    button(at, "go_reply").click().run()
    assert decisions(action_id) == [("reply", "Dave", "Leave out the value.")]
    assert state(action_id).state == "awaiting_approval"
    assert "Leave out the value." in said(at)


def test_edit_makes_a_version_that_needs_approval_of_its_own(open_page):
    action_id = put()
    before = state(action_id).payload_sha256
    at = open_page("action", action=str(action_id))
    button(at, "edit").click().run()
    field(at, "text_area", "_text").set_value("Eleven deals are **open**.")
    button(at, "go_edit").click().run()
    assert words.md("Saved as a new version.") in at.toast[0].value
    now = state(action_id)
    assert (now.state, now.version, now.payload["text"]) == ("awaiting_approval", 2, "Eleven deals are **open**.")
    assert now.payload_sha256 != before
    text = said(at)
    assert "Eleven deals are <b>open</b>." in text
    assert "<del>Twelve</del> <ins>Eleven</ins>" in text
    assert "Changed by Dave" in text
    button(at, "approve").click().run()
    assert state(action_id).state == "approved"


def test_a_form_that_was_opened_for_an_older_version_saves_nothing(open_page):
    action_id = put()
    at = open_page("action", action=str(action_id))
    button(at, "edit").click().run()
    field(at, "text_area", "_text").set_value("Mine.")
    with database.transaction(STAFF) as session:
        action = session.get(Action, action_id)
        action.version, action.title = 2, "Somebody else was faster"
        action.payload_sha256 = binding(action)
    button(at, "go_edit").click().run()
    assert state(action_id).payload["text"] == "Twelve deals are **open**."
    assert "Somebody else was faster" in said(at)
    assert button(at, "go_edit") is None  # what was typed for the old one is not offered for the new one


def test_delegate(open_page):
    action_id = put()
    at = open_page("action", action=str(action_id))
    button(at, "delegate").click().run()
    button(at, "go_delegate").click().run()
    assert "Nobody is chosen" in at.toast[0].value
    next(s for s in at.selectbox if s.key.startswith("who_")).select("Tony")
    button(at, "go_delegate").click().run()
    assert words.md("Tony decides now.") in at.toast[0].value
    at = open_page("action", who="tony", action=str(action_id))
    button(at, "approve").click().run()
    assert decisions(action_id)[-1][:2] == ("approve", "Tony")


def test_somebody_elses_decision_can_be_read_and_no_more(open_page):
    action_id = put(acts.mail)
    at = open_page("action", who="tony", action=str(action_id))
    assert "Exactly what will be sent" in said(at)
    assert "Delivery or an admin decides this. You can read it." in said(at)
    assert [b for b in at.button if "decide" in b.key or b.key.startswith(("approve_", "edit_", "reject_"))] == []


def test_a_role_that_is_lost_while_the_page_is_open_decides_nothing(open_page):
    action_id = put(acts.mail)
    at = open_page("action", who="dan", action=str(action_id))
    role_of("dan", "marketing")
    button(at, "approve").click().run()
    assert state(action_id).state == "awaiting_approval"
    assert decisions(action_id) == []


def test_nobody_approves_money_they_asked_for(open_page):
    with database.transaction(STAFF) as session:
        brian = person(session, "Brian")
    action_id = put(cost_minor=80_00, requested_by="Brian", requested_by_kind="user", requested_by_id=brian.id,
                    owner_role="engineering")  # fmt: skip
    at = open_page("action", who="brian", action=str(action_id))
    assert "You asked for this money yourself, so somebody else has to approve it." in said(at)
    assert button(at, "approve").disabled
    at = open_page("action", action=str(action_id))
    assert "$80" in said(at)
    button(at, "approve").click().run()
    assert state(action_id).state == "approved"


def test_two_people(open_page):
    action_id = put(cost_minor=250_00, approvals_needed=2, owner_role="engineering")
    at = open_page("action", who="brian", action=str(action_id))
    assert button(at, "approve").label == "Approve, 1 of 2"
    button(at, "approve").click().run()
    assert "1 of 2" in at.toast[0].value
    assert "You approved it. It needs 1 more." in said(at)
    assert button(at, "approve").disabled
    at = open_page("action", action=str(action_id))
    assert "1 of 2, Brian approved" in said(at)
    button(at, "approve").click().run()
    assert state(action_id).state == "approved"


def test_a_row_changed_behind_the_app_can_only_be_rejected(open_page):
    action_id = put()
    with database.transaction(STAFF) as session:
        session.get(Action, action_id).wire = b'{"channel": "#all", "text": "Swapped."}'
    at = open_page("action", action=str(action_id))
    assert "This is not what was proposed." in said(at)
    assert button(at, "approve").disabled
    assert not button(at, "reject").disabled


@pytest.mark.parametrize(("happened", "ends"), [(True, "done"), (False, "failed")])
def test_a_person_says_what_happened(open_page, happened, ends):
    with database.transaction(STAFF) as session:
        action = acts.mail(session, state="unknown", account="smtp:3", finished_at=clock.now())
        acts.effect(session, action, "unknown", {"what": "send", "outcome": "unclear"}, vendor="smtp")
        action_id = action.id
    at = open_page("action", action=str(action_id))
    text = said(at)
    assert "Did it happen?" in text
    assert "Sent, but no clear answer came (mail server)" in text
    button(at, "happened" if happened else "not_happened").click().run()
    assert state(action_id).state == ends


def test_undo_says_what_it_does_and_is_an_action_of_its_own(open_page):
    with database.transaction(STAFF) as session:
        action = acts.post(session, state="done", mode="live", finished_at=clock.now(), decided_by="Tony", decided_at=clock.now(),
                           external_url="https://slack.example/p1")  # fmt: skip
        acts.effect(session, action, "done", {"what": "send", "outcome": "applied"}, external_ref="1763.1",
                    receipt={"channel": "C0123456", "ts": "1763712000.000100"})  # fmt: skip
        action_id = action.id
    at = open_page("action", action=str(action_id))
    assert "What was sent" in said(at)
    assert 'href="https://slack.example/p1"' in said(at)
    button(at, "undo").click().run()
    assert "Delete from Slack: #leadership on Slack." in said(at)
    button(at, "go_undo").click().run()
    with database.transaction(STAFF) as session:
        undoing = session.query(Action).filter_by(undo_of=action_id).one()
    assert undoing.kind == "slack.delete"
    assert f'Undone by <a href="/action?action={undoing.id}">' in said(at)
    assert button(at, "undo") is None


def test_what_is_scheduled_can_be_dropped_by_whoever_decides(open_page):
    action_id = put(state="deferred", deferred_until=clock.now() + timedelta(hours=3), owner_role="sales")
    assert button(open_page("action", who="dan", action=str(action_id)), "withdraw") is None
    at = open_page("action", who="tony", action=str(action_id))
    assert "It goes out by itself" in said(at)
    button(at, "withdraw").click().run()
    role_of("tony", "marketing")
    button(at, "go_withdraw").click().run()
    assert "not yours to decide" in at.toast[0].value
    assert state(action_id).state == "deferred"
    role_of("tony", "sales")
    at = open_page("action", who="tony", action=str(action_id))
    button(at, "withdraw").click().run()
    button(at, "go_withdraw").click().run()
    assert (state(action_id).state, state(action_id).outcome) == ("dismissed", "withdrawn")
    assert "Tony withdrew it" in said(at)


@pytest.mark.parametrize(
    ("over", "parts"),
    [
        (
            {"state": "deferred", "error": {"message": "Quiet hours until 8:00 AM."}},
            ("Quiet hours until 8:00 AM.", "kill switch", "Exactly what will be sent"),
        ),
        (
            {"state": "denied", "error": {"message": "They opted out."}},
            ("Denied.", "They opted out.", "The policies denied it", ">Its content<"),
        ),
        ({"state": "dismissed", "outcome": "expired", "decided_by": "time"}, ("Nobody decided in time", ">Its content<")),
        (
            {"state": "done", "mode": "dry_run", "decided_by": "policy"},
            ("Dry run: nothing left the house", "by the policies", "What would have been sent"),
        ),
        (
            {"state": "failed", "error": {"message": "Slack has no such channel."}},
            ("Slack has no such channel.", ">Its content<"),
        ),
        ({"state": "executing"}, ("Under way", "It goes out now.", "Exactly what will be sent")),
        ({"state": "dismissed", "outcome": "rejected", "decided_by": "Tony"}, ("Tony rejected it", ">Its content<")),
        ({"state": "unknown"}, ("Did it happen?", "What may have been sent")),
        ({"state": "done", "mode": "live", "decided_by": "Tony"}, ("approved by Tony", "What was sent")),
        ({"state": "undone", "mode": "live"}, ("Undone", "What was sent")),
        ({"account": "inside"}, ("Our own records", "Exactly what will be done")),
        ({"account": "inside", "state": "done", "mode": "live"}, ("Our own records", "What was done")),
    ],
)
def test_how_it_ended_reads_as_words(open_page, over, parts):
    text = said(open_page("action", action=str(put(finished_at=clock.now(), decided_at=clock.now(), **over))))
    for part in parts:
        assert part in text
    for raw in ("deferred", "dry_run", "executing", "dismissed"):
        assert f">{raw}<" not in text


def test_made_up_addresses_say_so(open_page):
    for params in ({}, {"action": "7"}, {"action": "x"}, {"action": "9" * 40}):
        assert "This action can't be shown." in said(open_page("action", **params))
