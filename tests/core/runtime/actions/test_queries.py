"""Read models of actions: what waits for whom, in what order, page by page, and with how many questions."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from core.errors import NotFound
from core.kit import clock
from core.kit import db as database
from core.kit.db import STAFF
from core.runtime.actions import queries
from core.runtime.actions.models import ActionState
from core.runtime.actions.queries import ActionFilter
from tests import acts
from tests.cast import CORNERSTONE_ORG, Cast
from tests.tools import plans
from tests.tools.counting import queries as counting


def ids(page: queries.ActionPage) -> list[int]:
    return [r.id for r in page.rows]


def test_every_state_belongs_to_a_group():
    grouped = {s for name, states in queries.GROUPS.items() if name != "needs" for s in states}
    assert grouped == set(ActionState)


def test_what_needs_a_person_comes_by_deadline_and_unknown_outcomes_first(cast):
    now = clock.now()
    with database.transaction(STAFF) as session:
        late = acts.put(session, deadline_at=now + timedelta(hours=9)).id
        soon = acts.put(session, deadline_at=now + timedelta(minutes=9)).id
        no_deadline = acts.put(session, deadline_at=None, expires_at=now + timedelta(hours=1)).id
        unknown = acts.put(session, state="unknown").id
        acts.put(session, state="done")
    with database.transaction(STAFF) as session:
        assert ids(queries.page(session, ActionFilter("needs"))) == [unknown, soon, no_deadline, late]
        assert ids(queries.page(session, ActionFilter("waiting"))) == [soon, no_deadline, late]
        assert queries.counts(session) == {
            "needs": 4, "waiting": 3, "unknown": 1, "scheduled": 0, "done": 1, "undone": 0, "failed": 0, "denied": 0,
            "dismissed": 0,
        }  # fmt: skip


@pytest.mark.parametrize("group", ["needs", "done", ""])
def test_pages_follow_each_other_without_gap_or_double(cast, group):
    now = clock.now()
    with database.transaction(STAFF) as session:
        for number in range(11):
            # several share a deadline: the id tells them apart
            state = {"done": "done"}.get(group, "unknown" if number % 4 == 0 else "awaiting_approval")
            acts.put(session, state=state, deadline_at=now + timedelta(hours=number % 3))
    seen: list[int] = []
    after: str | None = ""
    with database.transaction(STAFF) as session:
        whole = ids(queries.page(session, ActionFilter(group), 200))
        while after is not None:
            found = queries.page(session, ActionFilter(group, after=after), 4)
            seen += ids(found)
            after = found.after
    assert seen == whole
    assert len(set(seen)) == 11


@pytest.mark.parametrize("bad", ["x", "1", "1.2.3.4", "-1.2.3", "9" * 40, "1.٣.3"])
def test_a_cursor_made_up_by_hand_is_ignored(cast, bad):
    with database.transaction(STAFF) as session:
        acts.put(session)
        assert len(queries.page(session, ActionFilter("needs", after=bad)).rows) == 1


def test_filters(cast):
    with database.transaction(STAFF) as session:
        post = acts.put(session, kind="slack.post", agent="Sales AI", title="Post 100% to #sales", target="#sales").id
        mail = acts.put(session, kind="mail.send", org_id=CORNERSTONE_ORG, run_id=None).id
    with database.transaction(STAFF) as session:

        def found(**wanted) -> list[int]:
            return ids(queries.page(session, ActionFilter(**wanted)))

        assert found(kinds=("slack.post",)) == [post]
        assert found(agent="Sales AI") == [post]
        assert found(text="100%") == [post]
        assert found(text="1_0%") == []
        assert found(text=f"#{mail}") == [mail]
        assert found(text="executive") == [mail]
        assert queries.counts(session, ActionFilter("done", kinds=("mail.send",)))["waiting"] == 1
        assert {"mail.send", "slack.post"} <= set(queries.choices(session).kinds)
        assert {"Executive AI", "Sales AI"} <= set(queries.choices(session).agents)
        row = queries.page(session, ActionFilter(kinds=("mail.send",))).rows[0]
        assert (row.org_name, row.facts, row.stale) == ("Cornerstone", 2, 0)


def test_what_a_filter_offers_is_not_looked_for_in_all_actions(cast):
    many = text("""
        INSERT INTO actions (org_id, kind, state, title, target, payload, wire, payload_sha256, account, effect_key, origin,
            provenance, audience, agent, requested_by, requested_by_kind, expires_at)
        SELECT org_id, kind, CASE n WHEN 1 THEN 'unknown' ELSE 'done' END, title, target, payload, wire, payload_sha256, account,
            gen_random_uuid(), origin, provenance, audience, CASE WHEN n > 2 THEN agent ELSE 'Gone ' || n END, requested_by,
            requested_by_kind, expires_at FROM actions CROSS JOIN generate_series(1, 20000) n
    """)
    with database.transaction(STAFF) as session:
        acts.put(session, state="done")
        session.execute(many)
    plans.learn("actions")
    with database.transaction(STAFF) as session, plans.statements() as asked:
        offered = queries.choices(session).agents
        assert "Gone 1" in offered, "its outcome is still unknown"
        assert "Gone 2" not in offered, "done long ago"
        for plan in plans.plans(session, asked):
            assert "Seq Scan on actions" not in plan, plan


def test_waiting_counts_what_this_person_can_move(cast):
    dave, brian, tony = (cast.users[n] for n in ("Dave", "Brian", "Tony"))
    with database.transaction(STAFF) as session:
        acts.put(session)  # for admins
        acts.put(session, owner_role="engineering")
        acts.put(session, owner_role="sales", owner_user_id=brian)
        acts.put(session, state="unknown")
        acts.put(session, state="approved")
        money = acts.put(
            session,
            cost_minor=50_00,
            requested_by="Dave",
            requested_by_kind="user",
            requested_by_id=dave,
            owner_role="engineering",
        )
        edited = acts.put(session, cost_minor=50_00, owner_role="engineering", version=2)
        acts.decided(session, edited, "edit", "Dave", dave, version=1)
        two = acts.put(session, owner_role="engineering", approvals_needed=2, version=2)
        acts.decided(session, two, "approve", "Brian", brian)
        acts.decided(session, two, "approve", "Dave", dave, version=1)  # an older version: counts no more
    with database.transaction(STAFF) as session:
        # dave: not the money he asked for or edited himself
        assert queries.waiting(session, dave, "admin") == 5
        # brian: role, delegated, money of others; not what he approved already
        assert queries.waiting(session, brian, "engineering") == 4
        assert queries.waiting(session, tony, "sales") == 1
        assert queries.waiting(session, cast.users["Robert"], "marketing") == 0
        mine = queries.page(session, ActionFilter("waiting", mine=(tony, "sales")))
        assert [r.owner_user_id for r in mine.rows] == [brian]
        row = next(r for r in queries.page(session).rows if r.id == two.id)
        assert (row.approvals, row.approvals_needed) == (1, 2)
        assert money.id in [r.id for r in queries.next_waiting(session, brian, "engineering", 9)]
        first = queries.next_waiting(session, dave, "admin", 1)[0]
        assert first.state == "unknown"
        assert queries.next_waiting(session, dave, "admin", 1, besides=first.id)[0].id != first.id


def whole(session, cast: Cast) -> int:
    """An action with a long story."""
    dave, brian = cast.users["Dave"], cast.users["Brian"]
    stale = {
        "checked_at": clock.now().isoformat(),
        "changed": [{"key": "crm.pipeline_summary.value", "label": "Open value", "was": "$84,000", "now": "$61,000"}],
    }
    action = acts.put(session, kind="slack.post", state="done", version=2, stale=stale, finished_at=clock.now(), mode="live")
    acts.decided(session, action, "edit", "Brian", brian, version=1, before={"text": "old"}, note="text")
    acts.decided(session, action, "approve", "Dave", dave, via="slack")
    for stage in ("propose", "edit"):
        for policy in ("kill_switch", "rate_limit"):
            acts.judged(session, action, policy, "allow", f"{policy} at {stage}", stage)
    acts.judged(session, action, "rate_limit", "allow", "asked again", "edit")
    acts.effect(
        session,
        action,
        "done",
        {"what": "send", "outcome": "unclear", "detail": "No answer."},
        {"what": "look-up", "outcome": "found"},
    )
    acts.put(session, kind="slack.delete", undo_of=action.id)
    return action.id


def test_one_action_with_its_story(cast):
    with database.transaction(STAFF) as session:
        action_id = whole(session, cast)
        found = queries.get(session, action_id)
    assert [(f.key, f.now) for f in found.facts] == [
        ("crm.pipeline_summary.value", "$61,000"),
        ("crm.pipeline_summary.open", None),
    ]
    assert found.content.wire == b'{"text": "Twelve deals are open."}'
    assert [d.by for d in found.approved_by] == ["Dave"]
    assert [(v.stage, v.policy, v.reason) for v in found.verdicts] == [
        ("propose", "kill_switch", "kill_switch at propose"),
        ("propose", "rate_limit", "rate_limit at propose"),
        ("edit", "kill_switch", "kill_switch at edit"),
        ("edit", "rate_limit", "asked again"),
    ]
    assert [c.outcome for c in found.effect.calls] == ["unclear", "found"]
    assert found.undone_by.kind == "slack.delete"
    assert found.undoes is None
    assert [m.text for m in found.timeline] == [
        "Executive AI proposed it",
        "Brian edited",
        "Dave approved version 2 in Slack",
        "Sent, but no clear answer came (Slack)",
        "Looked it up: it is there (Slack)",
    ]


@pytest.mark.parametrize(
    ("column", "value"),
    [("wire", b"{}"), ("target", "#everybody"), ("recipients", ["a@b.example"]), ("cost_minor", 5), ("account", "slack:9")],
)
def test_a_row_that_was_changed_behind_the_service_is_no_longer_sealed(cast, column, value):
    with database.transaction(STAFF) as session:
        action = acts.put(session)
        assert queries.get(session, action.id).content.sealed
        setattr(action, column, value)
        session.flush()
        assert not queries.get(session, action.id).content.sealed
        assert not queries.contents(session, [action.id])[action.id][1].sealed


def test_one_action_asks_six_questions_at_most(cast):
    with database.transaction(STAFF) as session:
        long_story = whole(session, cast)
        short = acts.put(session).id
        acts.put(session)
    for action_id in (long_story, short):
        with database.transaction(STAFF) as session, counting() as asked:
            queries.get(session, action_id)
        assert len(asked) <= 6


def test_lists_ask_once_however_long_they_are(cast):
    for many in (2, 40):
        with database.transaction(STAFF) as session:
            for _ in range(many):
                acts.put(session)
        with database.transaction(STAFF) as session, counting() as asked:
            queries.page(session, ActionFilter("needs"))
            queries.counts(session)
            queries.waiting(session, cast.users["Dave"], "admin")
            queries.next_waiting(session, cast.users["Dave"], "admin")
            queries.contents(session, [1, 2])
            queries.of_run(session, 1)
        assert len(asked) == 6


def test_others_of_its_kind_that_wait(cast):
    with database.transaction(STAFF) as session:
        one, two = acts.put(session, kind="mail.send"), acts.put(session, kind="mail.send")
        acts.put(session, kind="slack.post")
        acts.put(session, kind="mail.send", state="done")
    with database.transaction(STAFF) as session:
        assert [s.id for s in queries.get(session, one.id).siblings] == [two.id]
        found = queries.contents(session, [two.id, one.id, 999])
        assert set(found) == {one.id, two.id}
        assert found[one.id][1].wire == one.wire


def test_no_such_action(cast):
    with database.transaction(STAFF) as session, pytest.raises(NotFound, match="There is no action 7"):
        queries.get(session, 7)
