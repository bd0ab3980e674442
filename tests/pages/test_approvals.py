"""The list of approvals: what waits and for how long, chips and filters in the address, several at once, the drawer."""

from datetime import timedelta

import pytest

from app.ui import action_batch, action_rows, words
from core.kit import clock
from core.kit import db as database
from core.kit.db import STAFF
from core.runtime.actions.binding import binding
from core.runtime.actions.models import Action, ActionDecision
from tests import acts
from tests.pages.conftest import mounted, said
from tests.tools.counting import queries


def rows(at) -> list[dict]:
    return mounted(at, "table_approvals")["rows"]


def titles(at) -> list[str]:
    return [r["c"][0]["t"] for r in rows(at)]


def test_an_empty_list_says_so(open_page):
    at = open_page("approvals")
    assert rows(at) == []
    assert mounted(at, "table_approvals")["empty"].startswith("Nothing waits for a yes or no.")
    assert "Needs a person <b>0</b>" in said(at)
    assert "Clear a filter" in mounted(open_page("approvals", q="nothing like it"), "table_approvals")["empty"]


def test_each_row_says_what_to_whom_who_asks_and_what_happens_by_itself(open_page):
    with database.transaction(STAFF) as session:
        acts.post(session, deadline_at=clock.now() + timedelta(minutes=20))
        acts.put(session, state="unknown", title="Post to #sales: three quiet deals")
        acts.put(
            session, title="Raise the budget", cost_minor=250_00, approvals_needed=2, deadline_at=clock.now() + timedelta(days=1)
        )
        acts.put(session, state="done", title="Done before")
    at = open_page("approvals")
    assert titles(at) == ["Post to #sales: three quiet deals", "Post to #leadership: Twelve deals are open.", "Raise the budget"]
    unknown, post, money = rows(at)
    assert unknown["tone"] == "amber"
    assert unknown["c"][4] == {"t": "no deadline", "sub": "stays open"}
    assert post["tone"] == "red"
    assert (post["c"][1]["t"], post["c"][2]) == ("Executive AI", "2 facts")
    assert post["c"][4]["sub"] == "then not sent"
    assert post["c"][5][1] == "Waiting for approval"
    assert money["c"][3] == "$250"
    text = said(at)
    for chip in ("Needs a person <b>3</b>", "Waiting <b>2</b>", "Outcome unknown <b>1</b>", "Done <b>1</b>", "Denied <b>0</b>"):
        assert chip in text
    assert "Failed" not in text  # only when there are some
    for raw in ("awaiting_approval", "outcome_unknown", "slack.post"):
        assert raw not in text


def test_filters_come_from_the_address_and_stay_in_links(open_page):
    with database.transaction(STAFF) as session:
        acts.post(session)
        acts.mail(session)
        acts.put(session, state="denied", kind="mail.send", agent="Delivery AI", title="Mail nobody wants")
    assert titles(open_page("approvals", kind="mail.send")) == ["Mail to dana@cornerstone.example: Your report"]
    at = open_page("approvals", state="denied", agent="Delivery AI")
    assert titles(at) == ["Mail nobody wants"]
    assert 'href="/approvals?agent=Delivery+AI"' in said(at)  # the chip that is on leads back
    assert titles(open_page("approvals", who="dan", mine="1")) == ["Mail to dana@cornerstone.example: Your report"]
    assert titles(open_page("approvals", who="tony", mine="1")) == []


@pytest.mark.parametrize("bad", [{"after": "x.y"}, {"state": "<b>"}, {"action": "1e9"}, {"action": "999999"}, {"kind": "\x00"}])
def test_an_address_made_up_by_hand_is_no_error(open_page, bad):
    with database.transaction(STAFF) as session:
        acts.post(session)
    open_page("approvals", **bad)


def test_text_of_an_action_is_text(open_page):
    hostile = "<img src=x onerror=alert(1)> look\u202ehere"
    with database.transaction(STAFF) as session:
        action = acts.put(session, title=hostile, target=hostile, reason=hostile, agent=hostile, payload={"<b>": hostile})
    at = open_page("approvals", action=str(action.id))
    assert "⟨U+202E⟩" in titles(at)[0]
    raw = " ".join(h.proto.body for h in at.get("html"))
    assert "<img src=x" not in raw
    assert "\u202e" not in raw
    assert "&lt;img src=x" in raw


def test_several_of_a_kind_are_approved_with_one_decision_each(open_page):
    with database.transaction(STAFF) as session:
        mails = [acts.mail(session, to=f"{n}@cornerstone.example") for n in ("kim", "lee", "max")]
        acts.mail(session, to="old@cornerstone.example", stale={"changed": [{"key": "x", "was": "1", "now": "2"}]})
        acts.mail(session, to="form@cornerstone.example", origin="untrusted")
        acts.put(session, kind="mail.send", cost_minor=5, title="Costs money")
        acts.post(session)
    at = open_page("approvals")
    table = mounted(at, "table_approvals")
    assert table["select"] == [
        ["approve:mail.send", "Approve {n} mails…", "Approve 1 mail…"],
        ["approve:slack.post", "Approve {n} Slack messages…", "Approve 1 Slack message…"],
    ]
    # what wants a second look, or costs money, is opened one by one
    assert [r["c"][0]["t"][:12] for r in table["rows"] if r.get("can") == ["approve:mail.send"]] == [
        "Mail to kim@", "Mail to lee@", "Mail to max@",
    ]  # fmt: skip
    ids = [r["id"] for r in table["rows"] if "approve:mail.send" in r.get("can", ())]
    with database.transaction(STAFF) as session:  # the last one is edited after it was chosen
        changed = session.get(Action, mails[2].id)
        changed.version = 2
        changed.payload_sha256 = binding(changed)
    at.session_state[action_batch._ASKED] = ("mail.send", action_rows.split(ids))
    at.run()
    assert "1 item changed or was decided since you chose" in said(at)
    assert "Mail to kim@cornerstone.example" in said(at)
    at.button(key="batch_go").click().run()
    assert "Approved 2 mails" in at.toast[0].value
    with database.transaction(STAFF) as session:
        assert [session.get(Action, m.id).state for m in mails] == ["approved", "approved", "awaiting_approval"]
        assert [d.by for d in session.query(ActionDecision)] == ["Dave", "Dave"]


def test_what_the_browser_sends_back_is_read_with_care():
    assert action_rows.split(["7.abc", "x.abc", "8", "9.", 3, "1٣.a"]) == [(7, "abc")]


def test_an_action_in_the_address_opens_its_drawer_and_can_be_decided_there(open_page):
    with database.transaction(STAFF) as session:
        action = acts.post(session)
    at = open_page("approvals", action=str(action.id))
    assert "Exactly what will be sent" in said(at)
    assert "Full page" in said(at)
    button(at, "approve").click().run()
    assert words.md("Approved. It is on its way.") in at.toast[0].value
    with database.transaction(STAFF) as session:
        assert session.get(Action, action.id).state == "approved"


def button(at, name: str):
    """The button of the bar by the beginning of its key, which goes on with where, id, hash and state."""
    return next(b for b in at.button if b.key.startswith(f"{name}_"))


def test_the_menu_and_the_palette_count_what_waits(open_page):
    with database.transaction(STAFF) as session:
        acts.post(session)
        acts.mail(session)
    data = mounted(open_page("approvals"), "ops_chrome")
    assert data["badges"] == {"/approvals": 2}
    assert [i["t"] for i in data["items"] if i["k"] == "Waits for you"] == [
        "Post to #leadership: Twelve deals are open.", "Mail to dana@cornerstone.example: Your report",
    ]  # fmt: skip
    assert mounted(open_page("approvals", who="dan"), "ops_chrome")["badges"] == {"/approvals": 1}
    assert mounted(open_page("approvals", who="tony"), "ops_chrome")["badges"] == {"/approvals": 0}


def test_queries_do_not_grow_with_rows(open_page):
    counted = []
    for more in (2, 60):
        with database.transaction(STAFF) as session:
            for _ in range(more):
                acts.put(session)
        at = open_page("approvals")
        with queries() as asked:
            at.run()
        counted.append(len(asked))
    assert counted[0] == counted[1] <= 11


def test_pages_follow_each_other(open_page):
    with database.transaction(STAFF) as session:
        for _ in range(45):
            acts.put(session)
    at = open_page("approvals")
    assert len(rows(at)) == 40
    ((label, address),) = mounted(at, "table_approvals")["more"]
    assert label == "More"
    at = open_page("approvals", after=address.split("after=")[1])
    assert len(rows(at)) == 5


def test_what_a_click_had_to_say_never_takes_the_place_of_an_open_drawer(open_page):
    """Streamlit counts the places of dialogs and of plain toasts together; the browser lost the drawer to a toast."""
    with database.transaction(STAFF) as session:
        action = acts.post(session)
    at = open_page("approvals", action=str(action.id))
    at.session_state["_toasts"] = [("Saved.", "check")]
    at.run()
    assert [t.value for t in at.toast] == ["Saved."]
    beside_dialogs = at._tree.children[2].children.values()
    assert [type(c).__name__ for c in beside_dialogs if getattr(c, "type", "") == "toast"] == []
