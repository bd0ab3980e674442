"""Thirty ways to change an action after it was approved, for every way out: nothing of it may be sent."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.orm import Session

from benchmarks.authority.scene import Scene
from benchmarks.results import result, table
from core.kit import db as database
from core.kit.actor import Actor
from core.kit.db import STAFF
from core.runtime.actions.binding import binding
from core.runtime.actions.models import Action
from core.runtime.connections import service as connections
from core.runtime.runs.outcome import to_json
from tests.faults.cases import Case, cases
from tests.faults.stage import sql
from tests.gates import set_numbers

Change = Callable[[Session, int], object]
_ADMIN = Actor("The server's command line", "cli")


def _set(clause: str) -> Change:
    return lambda session, action_id: session.execute(text(f"UPDATE actions SET {clause} WHERE id = :id"), {"id": action_id})


def _decisions(clause: str) -> Change:
    return lambda session, action_id: session.execute(text(f"{clause} WHERE action_id = :id"), {"id": action_id})


def _payload(session: Session, action_id: int) -> None:
    """One more word in each text of the payload."""
    payload = session.execute(text("SELECT payload FROM actions WHERE id = :id"), {"id": action_id}).scalar_one()
    other = {k: f"{v}0" if isinstance(v, str) else v + 1 if isinstance(v, int) else v for k, v in payload.items()}
    session.execute(text("UPDATE actions SET payload = CAST(:p AS jsonb) WHERE id = :id"), {"p": to_json(other), "id": action_id})


def _new_hash(session: Session, action_id: int) -> None:
    """Other bytes, and both hashes to match: only what people signed still tells."""
    action = session.get(Action, action_id)
    assert action is not None
    action.wire += b" "
    action.payload_sha256 = action.approved_sha256 = binding(action)


def _other_account(session: Session, action_id: int) -> None:
    """The account was removed and entered anew: another one, although it is called the same."""
    account = session.execute(text("SELECT account FROM actions WHERE id = :id"), {"id": action_id}).scalar_one()
    if account == "inside":
        _set("account = 'elsewhere'")(session, action_id)
        return
    row = session.execute(text("SELECT * FROM connections WHERE id = :id"), {"id": int(account.split(":")[1])}).one()
    secret = connections.open_account(session, row.id, "a test").secret
    connections.remove(session, row.id, _ADMIN)
    connections.save(session, row.vendor, row.name, row.config, secret, _ADMIN, row.org_id)


def _switch(session: Session, _action_id: int) -> None:
    from core.runtime.switches import service

    service.pull(session, "everything", "A test.", _ADMIN)


CHANGES: Mapping[str, Change] = {
    "wire": _set("wire = wire || ' '::bytea"),
    "wire emptied": _set("wire = ''"),
    "payload": _payload,
    "title": _set("title = title || '!'"),
    "target": _set("target = 'somebody else'"),
    "recipients added": _set("recipients = recipients || ARRAY['eve@evil.example']"),
    "recipients replaced": _set("recipients = ARRAY['eve@evil.example', 'mallory@evil.example']"),
    "audience": _set("audience = CASE audience WHEN 'outside' THEN 'internal' ELSE 'outside' END"),
    "marketing": _set("marketing = NOT marketing"),
    "price": _set("cost_minor = cost_minor + 100"),
    "currency": _set("currency = 'EUR'"),
    "account": _set("account = 'slack:999'"),
    "no account": _set("account = CASE account WHEN 'inside' THEN 'none ' ELSE 'none' END"),
    "effect key": _set("effect_key = gen_random_uuid()"),
    "kind": _set("kind = CASE kind WHEN 'slack.post' THEN 'mail.send' ELSE 'slack.post' END"),
    "organisation": _set("org_id = (SELECT id FROM organisations WHERE id <> org_id ORDER BY id DESC LIMIT 1)"),
    "origin": _set("origin = 'untrusted'"),
    "provenance": _set("""provenance = '{"to": {"origin": "trusted", "source": "somewhere"}}'"""),
    "reversible": _set("reversible = NOT reversible"),
    "agent": _set("agent = 'Executive AI'"),
    "asker": _set("requested_by = 'Eve'"),
    "asker's kind": _set("requested_by_kind = 'api'"),
    "asker's id": _set("requested_by_id = 99"),
    "version": _set("version = version + 1"),
    "expired": _set("expires_at = now() - interval '1 second'"),
    "expiry moved": _set("expires_at = expires_at + interval '1 year'"),
    "reason": _set("reason = 'Because.'"),
    "facts": _set("""facts = '[{"key": "x", "label": "Open deals", "shown": "99"}]'"""),
    "demo": _set("demo = true"),
    "hash": _set("payload_sha256 = md5('x')"),
    "approval taken away": _set("approved_sha256 = NULL"),
    "bytes and both hashes": _new_hash,
    "nobody's decision": _decisions("DELETE FROM action_decisions"),
    "a decision about another version": _decisions("UPDATE action_decisions SET payload_sha256 = md5('y')"),
    "two needed": _set("approvals_needed = 2"),
    "the account itself": _other_account,
    "policy: dry run": lambda session, _id: set_numbers(session, "send_mode", mode="dry_run"),
    "policy: its agent may not": lambda session, _id: set_numbers(session, "agent_kinds", may={}),
    "policy: organisation off": lambda session, _id: set_numbers(session, "organisation_enabled", enabled=False),
    "kill switch": _switch,
}  # fmt: skip
"""What is changed, by name. Done between the approval and the sending."""
OF_THE_WORLD = ("policy: dry run", "policy: its agent may not", "policy: organisation off", "kill switch")
ONLY_OUTSIDE = ("policy: dry run",)
"""A dry run keeps things from leaving the house; what is done in our own database does not leave it."""
_RESTORE = "DELETE FROM kill_switches; DELETE FROM policy_settings"


@dataclass(frozen=True, slots=True)
class Cell:
    """One change of one way out: what became of the action, and how much was sent."""

    case: Case
    change: str
    state: str
    sent: int


def cells(scene: Scene, wanted: tuple[Case, ...], changes: Mapping[str, Change] = CHANGES) -> list[Cell]:
    """Approve, change, carry out; and once without a change, which must be sent, or the rest would prove nothing."""
    told = []
    for case in wanted:
        for name, change in {"nothing": lambda *_: None, **changes}.items():
            if case.endpoint is None and name in ONLY_OUTSIDE:
                continue
            undoes = scene.done(next(c for c in cases() if c.kind == case.undoes)) if case.undoes else None
            action_id = scene.approved(case, undoes)
            with database.transaction(STAFF) as session:
                settings = session.execute(text("SELECT org_id, policy, values FROM policy_settings")).all()
                change(session, action_id)
            before = scene.happened()
            state = scene.carry_out(action_id)
            told.append(Cell(case, name, state, scene.happened() - before))
            if name in OF_THE_WORLD:
                _restore(settings)
    return told


def _restore(settings: list) -> None:  # type: ignore[type-arg]
    with database.transaction(STAFF) as session:
        for statement in _RESTORE.split(";"):
            session.execute(text(statement))
        for row in settings:
            set_numbers(session, row.policy, org_id=row.org_id, **row.values)


def run(scene: Scene) -> int:
    """All changes of all ways out. Returns how many cells are wrong."""
    told = cells(scene, cases())
    sent = [c for c in told if c.change != "nothing" and c.sent]
    dead = [c for c in told if c.change == "nothing" and c.sent != 1]
    for cell in (*sent, *dead):
        print("WRONG", cell.case.name, "|", cell.change, "|", cell.state, cell.sent)
    table(
        "Changed after approval",
        ["Way out", "Changes", "Sent", "Unchanged: sent"],
        [
            [
                case.name, sum(c.case == case and c.change != "nothing" for c in told), sum(c.case == case for c in sent),
                sum(c.sent for c in told if c.case == case and c.change == "nothing"),
            ]
            for case in cases()
        ],
    )  # fmt: skip
    states = sorted({(c.state, sum(o.state == c.state for o in told)) for c in told})
    print(
        "They ended as: " + ", ".join(f"{n} {state}" for state, n in states), sql("SELECT count(*) FROM effects")[0][0], "effects"
    )
    result(
        "authority.mutations_sent",
        len(sent),
        "effects",
        f"{len(told) - len(cases())} changed approvals",
        0,
        not sent and not dead,
    )
    return len(sent) + len(dead)
