"""How actions read: their state, what happens by itself, who asks, what policies said. One sentence each."""

from datetime import datetime

from app.ui import words
from app.ui.action_text import flat
from core.domains.users.queries import CurrentUser
from core.domains.users.rules import ROLE_WORDS
from core.kit import clock
from core.runtime.actions import kinds, service
from core.runtime.actions.detail import ActionDetail, VerdictLine
from core.runtime.actions.models import OPEN, ActionState, Decided
from core.runtime.actions.rows import ActionRow
from core.runtime.orgs.people import Person

BY_ITSELF = {"policy": "the policies", "time": "nobody in time"}
"""What stands in `decided_by` when it was no person."""
GROUPS = {
    "needs": ("Needs a person", ""),
    "waiting": ("Waiting", "awaiting_approval"),
    "unknown": ("Outcome unknown", "outcome_unknown"),
    "scheduled": ("Scheduled", "deferred"),
    "done": ("Done", "done"),
    "undone": ("Undone", "undone"),
    "failed": ("Failed", "failed"),
    "denied": ("Denied", "denied"),
    "dismissed": ("Dismissed", "dismissed"),
}
"""Groups of states as chips: their word, and the state whose colour they have."""
VERDICTS = {
    "allow": ("Allows it", "green"),
    "deny": ("Forbids it", "red"),
    "needs_approval": ("Asks for a person", "amber"),
    "defer": ("Not now", "violet"),
}
STAGES = {"propose": "when it was proposed", "edit": "after the edit", "send": "just before sending"}
AUDIENCES = {"nobody": "Reaches nobody", "internal": "Our own people", "outside": "Somebody outside"}


def key(row: ActionRow) -> str:
    """The action's state as `words.state` knows it."""
    if row.state == ActionState.UNKNOWN:
        return "outcome_unknown"
    if row.state == ActionState.DISMISSED and row.outcome:
        return row.outcome
    if row.state == ActionState.DONE and row.mode == "dry_run":
        return "dry_run"
    if row.state == ActionState.DEFERRED and row.deferred_until is None:
        return "held"
    return row.state


def word(row: ActionRow) -> str:
    """The state for people: `1 of 2 approved` while a second person is missing."""
    if row.state == ActionState.AWAITING and row.approvals:
        return f"{row.approvals} of {row.approvals_needed} approved"
    return words.state(key(row)).word


def noun(kind: str) -> str:
    """What such an action is called, at the start of a line: `Slack message`."""
    known = kinds.find(kind)
    said = known.word if known else kind.replace(".", " ").replace("_", " ")
    return said[:1].upper() + said[1:]


def verb(kind: str) -> str:
    """What its approve button says: `Post to Slack`."""
    known = kinds.find(kind)
    return known.verb if known else "Approve"


def approve_label(detail: ActionDetail) -> str:
    """The approve button's label: what the click does."""
    row = detail.row
    if row.approvals_needed - row.approvals > 1:
        return f"Approve, {row.approvals + 1} of {row.approvals_needed}"
    return verb(row.kind)


def plural(kind: str, n: int) -> str:
    """`3 Slack messages`, `1 mail`, `2 deletions of a Slack message`."""
    known = kinds.find(kind)
    head, of, rest = (known.word if known else noun(kind).lower()).partition(" of ")
    return words.many(n, head, head[:-1] + "ies" if head.endswith("y") else head + "s") + of + rest


def asks(row: ActionRow) -> str:
    """Who wants it."""
    if row.requested_by_kind == "user":
        return flat(row.requested_by)
    return flat(row.agent or row.requested_by)


def owner(row: ActionRow, names: dict[int, str] | None = None) -> str:
    """Who is to decide."""
    if row.owner_user_id is not None:
        return (names or {}).get(row.owner_user_id, "the person it was handed to")
    role = row.owner_role or "admin"
    said = next((w for r, w in ROLE_WORDS.items() if r.value == role), role)
    return "An admin" if role == "admin" else f"{said} or an admin"


def fate(row: ActionRow) -> str:
    """What happens if nobody does anything."""
    if row.state == ActionState.AWAITING:
        return f"It is dropped {words.soon(row.due_at)} and nothing is sent."
    if row.state == ActionState.UNKNOWN:
        return "It stays open: nothing is sent again until somebody says what happened."
    if row.state == ActionState.DEFERRED and row.deferred_until is None:
        return "It stays held until a person lifts the kill switch."
    if row.state == ActionState.DEFERRED:
        return f"It goes out by itself {words.soon(row.deferred_until)}."
    if row.state in (ActionState.APPROVED, ActionState.EXECUTING):
        return "It goes out now."
    return ""


def short_fate(row: ActionRow) -> str:
    """The same for a list's cell."""
    if row.state == ActionState.AWAITING:
        return "then not sent"
    if row.state == ActionState.UNKNOWN:
        return "stays open"
    if row.state == ActionState.DEFERRED:
        return "then sent by itself" if row.deferred_until else "held by the kill switch"
    return ""


def urgency(row: ActionRow) -> str:
    """The tone of a deadline: red in its last hour, amber on its last half day."""
    if row.state == ActionState.UNKNOWN:
        return "amber"
    if row.state != ActionState.AWAITING:
        return ""
    left = (row.due_at - clock.now()).total_seconds()
    return "red" if left < 3600 else "amber" if left < 6 * 3600 else ""


def ended(row: ActionRow) -> str:
    """How it ended, and who decided, in a sentence."""
    who = BY_ITSELF.get(row.decided_by or "", row.decided_by)
    at = words.ago(row.finished_at or row.decided_at)
    if row.state == ActionState.DISMISSED:
        said = {"expired": "Nobody decided in time, so nothing was sent", "withdrawn": f"{who} withdrew it"}
        return f"{said.get(row.outcome or '', f'{who} rejected it')}, {at}."
    if row.state == ActionState.DENIED:
        return f"The policies denied it, {at}."
    if row.state in (ActionState.DONE, ActionState.UNDONE, ActionState.FAILED):
        verb_ = {"done": "Done", "undone": "Undone", "failed": "Failed"}[row.state]
        if row.mode == "dry_run":
            verb_ = "Dry run: nothing left the house"
        return f"{verb_}, {at}" + (f", approved by {who}." if who else ".")
    return ""


def verdict(line: VerdictLine) -> tuple[str, str]:
    """A verdict's words and its tone."""
    said, tone = VERDICTS.get(line.verdict, (line.verdict.capitalize(), "gray"))
    if line.until is not None:
        said = f"{said}, but {words.soon(line.until)}"
    return said, tone


def cost(row: ActionRow) -> str:
    """What it costs outside."""
    return words.amount(row.cost_minor, row.currency) if row.cost_minor else "nothing"


def account(label: str) -> str:
    """Whose account carries it out."""
    if label == "inside":
        return "Our own records"
    if label == "none":
        return "No account connected"
    vendor = label.split(":")[0]
    return {"smtp": "Mail server", "resend": "Resend", "slack": "Slack", "pipedrive": "Pipedrive"}.get(
        vendor, vendor.capitalize()
    )


def may_decide(row: ActionRow, user: CurrentUser) -> bool:
    """Whether it is theirs to decide."""
    return service.may_decide(row, Person(user.id, user.name, user.email, user.role))


def refusal(detail: ActionDetail, user: CurrentUser) -> str | None:
    """Why this person may not approve it, in a sentence; None when they may. The service asks again by itself."""
    row = detail.row
    if not may_decide(row, user):
        return f"{owner(row)} decides this. You can read it."
    if row.cost_minor and row.requested_by_kind == "user" and row.requested_by_id == user.id:
        return "You asked for this money yourself, so somebody else has to approve it."
    if row.cost_minor and any(d.decision == Decided.EDIT and d.user_id == user.id for d in detail.decisions):
        return "You edited what this costs, so somebody else has to approve it."
    if any(d.user_id == user.id for d in detail.approved_by):
        return f"You approved it. It needs {row.approvals_needed - row.approvals} more."
    if not detail.content.sealed:
        return "It was changed outside of this app, so it can't be approved. Reject it."
    return None


def heading(row: ActionRow, account: str) -> str:
    """What stands over its content: whether that is still to come, happened, may have happened or never will."""
    did = "done" if account == kinds.INSIDE else "sent"  # a task in our own app goes nowhere
    if row.state in OPEN:
        return f"Exactly what will be {did}"
    if row.state == ActionState.UNKNOWN:
        return f"What may have been {did}"
    if row.state in (ActionState.DONE, ActionState.UNDONE):
        return f"What would have been {did}" if row.mode == "dry_run" else f"What was {did}"
    return "Its content"


def since(at: datetime | None) -> str:
    """An instant as a `time` element."""
    return f'<time title="{words.esc(words.when(at))}">{words.esc(words.ago(at))}</time>' if at else "–"
