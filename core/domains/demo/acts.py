"""Actions of the demo agency in every state. None ever leaves: a demo action is a dry run, whatever is connected."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select

from core.domains.crm import follow_ups
from core.domains.crm import queries as crm
from core.domains.demo.history import PastRun
from core.domains.demo.world import Row, World
from core.kit.actor import Actor
from core.runtime.actions import kinds
from core.runtime.actions.kinds import Rendering
from core.runtime.actions.models import Action, ActionState, Decided, EffectState, Origin, Outcome
from core.runtime.actions.proposing import Proposal, apply
from core.runtime.agents import proposals, prose
from core.runtime.agents.facts import Fact, FactContext
from core.runtime.agents.proposals import MAIL, SLACK, Asking, Message, Target
from core.runtime.policies.models import Stage

POLICY = "policy"
_ENDED = (ActionState.DONE, ActionState.UNDONE, ActionState.FAILED, ActionState.DENIED, ActionState.DISMISSED)
_SENT = (ActionState.DONE, ActionState.UNDONE, ActionState.UNKNOWN, ActionState.FAILED)


@dataclass(frozen=True)
class Past:
    """What became of an action, and when it was proposed."""

    state: ActionState
    at: datetime
    by: str | None = None
    outcome: Outcome | None = None
    live: bool = False
    link: str | None = None
    error: tuple[str, str] | None = None
    more: Mapping[str, Any] = field(default_factory=dict)


def intents(world: World, run: PastRun, text: str, found: Mapping[str, Fact], sections: Mapping[str, str]) -> int:
    """The messages of a job's latest run: carried out by policy, the morning brief's with a link to Slack."""
    at = run.row["finished_at"]
    made = []
    for number, intent in enumerate(run.spec.intents, start=1):
        written = text if intent.text is None else intent.text
        said = proposals.filled(written, found)
        kind = MAIL if intent.channel == "email" else SLACK
        message = Message(
            kind, Target(intent.target, "job settings"), f"# {run.spec.title}\n{said}" if kind == SLACK else said,
            f"“{run.spec.title}” sends {'its report' if intent.text is None else 'a short notice'} to {intent.target}.",
            "template", run.spec.title, proposals.cited(written, found), sections,
        )  # fmt: skip
        key = f"demo:run:{run.id}:{number}"
        brief = run.spec.name == "ceo-morning-brief"
        past = Past(ActionState.DONE, at, POLICY, live=brief, link=_permalink(at) if brief else None)
        if kind == MAIL:
            past = Past(ActionState.AWAITING, world.now - timedelta(hours=3))
        made.append((_asked(run, message, key), past))
    return _put(world, made)


def _permalink(at: datetime) -> str:
    return f"https://manageai-demo.slack.com/archives/C0DEMO00001/p{int(at.timestamp() * 1_000_000)}"


def _asked(run: PastRun | None, message: Message, key: str, **more: Any) -> Proposal:
    agent = more.pop("agent", run.spec.agent if run else "Delivery AI")
    run_id = run.id if run else None
    return proposals.proposal(message, Asking(agent, run_id, key, demo=True, **more), Actor(agent, "run", run_id))


def report_mails(world: World, run: PastRun) -> int:
    """The mails of the monthly reports: those Dan approved have gone, the others wait for him."""
    reports, clients = world.table("client_reports"), world.table("clients")
    found = world.session.execute(
        select(reports.c.id, reports.c.org_id, reports.c.email_subject, reports.c.email_body, reports.c.content,
               reports.c.status, reports.c.created_by, clients.c.contact_email)
        .join(clients, clients.c.id == reports.c.client_id)
        .where(reports.c.demo).order_by(reports.c.id)
    ).all()  # fmt: skip
    made = []
    for r in found:
        message = Message(
            MAIL, Target(r.contact_email, "the client's contact in our records"),
            f"{r.email_body}\n\n{prose.unescaped(r.content)}",
            f"{r.created_by} wrote the monthly report for Dan to review.", "template", r.email_subject,
        )  # fmt: skip
        at = max(run.row["finished_at"], world.now - timedelta(hours=30))
        past = Past(ActionState.AWAITING, at) if r.status == "pending_review" else Past(
            ActionState.DONE, run.row["finished_at"], "Dan"
        )  # fmt: skip
        made.append((_asked(run, message, f"report:{r.id}:demo", org_id=r.org_id, owner_role="delivery"), past))
    return _put(world, made)


def follow_up_mails(world: World, run: PastRun, when: FactContext) -> int:
    """Mails of the notes to quiet deals, waiting for Tony; one he rejected, and one nobody decided on in time."""
    drafts = world.table("drafts")
    rows = world.session.execute(
        select(drafts.c.id, drafts.c.subject_id, drafts.c.title, drafts.c.body)
        .where(drafts.c.demo, drafts.c.kind == "follow_up").order_by(drafts.c.id)
    ).all()  # fmt: skip
    made = []
    for place, draft in enumerate(rows):
        detail = crm.deal_detail(world.session, draft.subject_id, now=when.now)
        facts = follow_ups.note(detail, when.zone).facts
        host = "".join(c for c in (detail.deal.account or "client").lower() if c.isalnum())
        message = Message(
            MAIL, Target(f"office@{host}.example", "from the demo's CRM", Origin.UNTRUSTED), prose.unescaped(draft.body),
            f"“{detail.deal.title}” fell quiet, and {run.spec.agent} wrote a follow-up for Tony to send.", "template",
            draft.title, facts, {f.key: f"crm.deal:{detail.deal.id}" for f in facts},
        )  # fmt: skip
        at = max(run.row["finished_at"], world.now - timedelta(hours=20))
        past = Past(ActionState.AWAITING, at)
        if place == 1:
            past = Past(ActionState.DISMISSED, run.row["finished_at"], "Tony", Outcome.REJECTED)
        if place == 2:
            past = Past(ActionState.DISMISSED, world.now - timedelta(days=6), "time", Outcome.EXPIRED)
        made.append((_asked(run, message, f"draft:{draft.id}:demo", owner_role="sales"), past))
    return _put(world, made)


def odd_ones(world: World) -> int:
    """One each of what does not go smoothly: unknown, deferred, denied, failed, undone, and a mail for Brian to look at."""
    client, other = world.clients[-1], world.clients[0]
    host, near = ("".join(c for c in n.lower() if c.isalnum()) for n in (client.name, other.name))
    now = world.now

    def mail(to: str, subject: str, text: str, why: str) -> Message:
        return Message(MAIL, Target(to, "the client's contact in our records"), text, why, "template", subject)

    def slack(to: str, text: str, why: str) -> Message:
        return Message(SLACK, Target(to, "job settings"), text, why, "template")

    repaired = mail(
        f"office@{host}.example", "Your deployment is being repaired",
        f"Hello,\n\nthe last deployment for {client.name} did not go through. We are on it and tell you once it works.\n\nBrian",
        "A deployment failed twice, and nobody has told the client yet.",
    )  # fmt: skip
    lost = mail(
        f"office@{near}.example",
        "Minutes of our call",
        "Hello,\n\nhere is what we agreed on.\n\nDan",
        "Dan asked for it after the call.",
    )
    refused = mail(
        "press@elsewhere.example", "Your story", "Hello,\n\nwould you like to write about us?", "A post about a build did well."
    )
    made = [
        (_asked(None, repaired, "demo:brian", agent="Engineering AI", owner_role="engineering"),
         Past(ActionState.AWAITING, now - timedelta(hours=2))),
        (_asked(None, lost, "demo:unknown", owner_role="delivery"),
         Past(ActionState.UNKNOWN, now - timedelta(hours=5), "Dan", live=True,
              error=("The mail server took the mail and gave no answer.", "Look whether it arrived, then say what happened."))),
        (_asked(None, slack("#builds", "Three builds are waiting for a review.", "The reviews wait for more than two days."),
                "demo:deferred", agent="Engineering AI"),
         Past(ActionState.DEFERRED, now - timedelta(minutes=20), POLICY, more={"deferred_until": now + timedelta(minutes=40)},
              error=("As many Slack messages as are allowed were sent in the last hour.", "It goes on by itself."))),
        (_asked(None, refused, "demo:denied", agent="Marketing AI"),
         Past(ActionState.DENIED, now - timedelta(days=1), error=(
             "Nothing may be sent to press@elsewhere.example, since they asked not to be written to.",
             "Change what stands against it, then propose it again."))),
        (_asked(None, slack("#old-channel", "The queue is empty.", "The job's channel was renamed."), "demo:failed",
                agent="Engineering AI"),
         Past(ActionState.FAILED, now - timedelta(days=3), POLICY, live=True,
              error=("Slack knows no channel of that name.", "Correct the channel in the job's settings."))),
        (_asked(None, slack("#sales", "The forecast of this week is in.", "Posted to the wrong channel."), "demo:undone",
                agent="Sales AI"),
         Past(ActionState.UNDONE, now - timedelta(days=2), POLICY, live=True)),
    ]  # fmt: skip
    return _put(world, made)


# ---- rows


def _put(world: World, made: Sequence[tuple[Proposal, Past]]) -> int:
    """Write the actions, with what was decided and what left, and let the policies say what they think of those that wait."""
    rows = [_row(world, wanted, past) for wanted, past in made]
    ids = world.put("actions", rows)
    for row, action_id, (_, past) in zip(rows, ids, made, strict=True):
        _decided(world, row, action_id, past)
        if past.state in _SENT:
            _effect(world, row, action_id, past)
        _tell(world, row, action_id, past)
        if past.state is ActionState.AWAITING:
            _judge(world, action_id)
    return len(ids)


def _row(world: World, wanted: Proposal, past: Past) -> Row:
    kind = kinds.get(wanted.kind)
    model = kind.read(wanted.payload)
    key = UUID(int=world.rng.getrandbits(128), version=4)
    drawn = kind.render(model, Rendering(wanted.org_id, key, None, world.session))
    action = Action(
        org_id=wanted.org_id, kind=kind.name, state=past.state, reason=wanted.reason, key=wanted.key,
        payload=model.model_dump(mode="json"), version=1, effect_key=key, origin=wanted.origin,
        provenance=dict(wanted.provenance), reversible=kind.reversible, agent=wanted.agent, requested_by=wanted.by.label,
        requested_by_kind=wanted.by.kind,
        requested_by_id=wanted.by.id, run_id=wanted.run_id, facts=[dict(f) for f in wanted.facts], approvals_needed=1,
        owner_role=wanted.owner_role or kind.owner_role, expires_at=past.at + kind.expires_in, created_at=past.at, demo=True,
    )  # fmt: skip
    apply(action, kind, drawn, None)
    row: Row = {c.key: getattr(action, c.key) for c in Action.__table__.columns if c.key not in ("id", "stale", "demo")}
    if past.state is ActionState.AWAITING:
        # the deadline is counted from now: a demo is looked at for days
        row |= {"deadline_at": world.now + timedelta(days=2), "expires_at": world.now + timedelta(days=7)}
        action.expires_at = row["expires_at"]
        apply(action, kind, drawn, None)
        row["payload_sha256"] = action.payload_sha256
    approved = past.by is not None and past.outcome is None
    ended = past.state in _ENDED
    return row | {
        "approved_sha256": action.payload_sha256 if approved else None, "decided_by": past.by,
        "decided_at": past.at if past.by else None, "finished_at": past.at + timedelta(seconds=4) if ended else None,
        "outcome": past.outcome, "mode": ("live" if past.live else "dry_run") if past.state in _SENT else None,
        "external_url": past.link, "external_ref": "C0DEMO00001/demo" if past.link else None,
        "error": {"message": past.error[0], "next_step": past.error[1]} if past.error else None, "deferred_until": None,
        **past.more,
    }  # fmt: skip


def _decided(world: World, row: Row, action_id: int, past: Past) -> None:
    if past.by in world.users and past.by is not None:
        word = Decided.REJECT if past.outcome is Outcome.REJECTED else Decided.APPROVE
        world.put("action_decisions", [{
            "org_id": row["org_id"], "action_id": action_id, "version": 1, "payload_sha256": row["payload_sha256"],
            "decision": word, "user_id": world.users[past.by], "by": past.by, "via": "web", "note": None,
            "at": past.at,
        }])  # fmt: skip


def _effect(world: World, row: Row, action_id: int, past: Past) -> None:
    from core.runtime.actions.binding import digest

    states = {ActionState.UNKNOWN: EffectState.UNKNOWN, ActionState.FAILED: EffectState.FAILED}
    state = states.get(past.state, EffectState.DONE)
    vendor = ("slack" if row["kind"] == SLACK else "smtp") if past.live else None
    [effect_id] = world.put("effects", [{
        "org_id": row["org_id"], "action_id": action_id, "effect_key": row["effect_key"], "kind": row["kind"], "vendor": vendor,
        "state": state, "dry_run": not past.live, "wire_sha256": digest(row["wire"]), "audience": row["audience"],
        "recipients": row["recipients"], "intent_at": past.at, "first_sent_at": past.at if past.live else None,
        "finished_at": None if state is EffectState.UNKNOWN else past.at + timedelta(seconds=4),
        "external_ref": row["external_ref"], "external_url": row["external_url"], "receipt": {}, "run_id": None,
    }])  # fmt: skip
    if past.live:
        said = {EffectState.UNKNOWN: "unclear", EffectState.FAILED: "refused"}.get(state, "applied")
        world.put_many("effect_calls", [{
            "org_id": row["org_id"], "effect_id": effect_id, "vendor": vendor, "what": "send", "outcome": said,
            "status": None if said == "unclear" else 200, "detail": past.error[0] if past.error else None, "at": past.at,
            "duration_ms": 412,
        }])  # fmt: skip


_TOLD = {
    ActionState.AWAITING: ("awaiting", "Waits for approval: {}."), ActionState.DONE: ("done", "Done: {}."),
    ActionState.DENIED: ("denied", "Denied: {}."), ActionState.DEFERRED: ("deferred", "Deferred: {}."),
    ActionState.UNKNOWN: ("unknown", "Unknown whether it happened: {}."), ActionState.FAILED: ("failed", "Failed: {}."),
    ActionState.UNDONE: ("undone", "Undone: {}."), ActionState.DISMISSED: ("rejected", "Dismissed: {}."),
}  # fmt: skip


def _tell(world: World, row: Row, action_id: int, past: Past) -> None:
    word, said = _TOLD[past.state]
    world.tell(
        f"action.{word}", said.format(row["title"]), past.at, org_id=row["org_id"],
        actor=past.by if past.by in world.users and past.by else row["agent"], subject=("action", action_id),
        payload={"kind": row["kind"], "title": row["title"], "target": row["target"]}, run_id=row["run_id"],
        priority="urgent" if word == "unknown" else "high" if word in ("awaiting", "failed") else "normal",
    )  # fmt: skip


def _judge(world: World, action_id: int) -> None:
    """What the policies say of it now is what its page shows under "why"."""
    from core.runtime.policies import engine

    said = engine.judge(world.session, world.session.get_one(Action, action_id), Stage.PROPOSE).said
    world.made["policy_verdicts"] = world.made.get("policy_verdicts", 0) + len(said)
