"""`ops actions`: what agents and people want done outside, and deciding about it."""

from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from app.commands.output import as_json, fields, json_option, printable, table

if TYPE_CHECKING:
    from core.kit.actor import Actor
    from core.runtime.actions.queries import ActionDetail, ActionRow

VIA = "cli"
as_option = click.option("--as", "email", required=True, metavar="EMAIL", help="Who you are; an address of one of our people.")
sha_option = click.option(
    "--sha256", metavar="HASH", help="Decide only if it is still exactly what you saw: the hash that `show` prints."
)


def _person(session: Any, email: str) -> "Actor":
    """The person at the keyboard. Whoever has a shell on the server counts as whom they name; the audit trail says `cli`."""
    from core.domains.users import queries
    from core.errors import NotAllowed

    user = queries.find(session, email)
    if user.disabled_at is not None:
        raise NotAllowed(f"{user.name} may not sign in any more.", "Decide as somebody who may.")
    from core.kit.actor import Actor

    return Actor(user.name, "user", user.id)


def _seen(session: Any, action_id: int, sha: str | None) -> str:
    """What the decision is bound to: the version that was seen, or the one that is there now."""
    from core.runtime.actions import queries

    return sha.strip().lower() if sha else queries.get(session, action_id).row.payload_sha256


@click.group()
def actions() -> None:
    """Actions: list, show, approve, reject, reply, undo, resolve."""


@actions.command("list")
@click.option("--group", default="needs", show_default=True, help="needs, waiting, unknown, scheduled, done, failed … or all.")
@click.option("--kind", "kinds", multiple=True, metavar="KIND", help="Only this kind, e.g. mail.send; repeat for more.")
@click.option("--agent", default="", metavar="NAME", help="Only what this agent asked for.")
@click.option("--text", default="", help="Only those whose title, target, reason or proposer holds this.")
@click.option("--limit", type=click.IntRange(1, 200), default=25, show_default=True, help="How many.")
@click.option("--after", default="", metavar="CURSOR", help="The following page, as the page before says.")
@json_option
def list_command(
    group: str, kinds: tuple[str, ...], agent: str, text: str, limit: int, after: str, as_json_: bool
) -> None:  # fmt: skip
    """Actions: what needs a person by its deadline, anything else newest first."""
    from core.errors import BadInput
    from core.kit import db
    from core.kit.db import STAFF
    from core.runtime.actions import queries

    group = group.strip().lower()
    if group != "all" and group not in queries.GROUPS:
        raise BadInput(f"There is no group “{group}”.", f"Use one of all, {', '.join(queries.GROUPS)}.")
    wanted = queries.ActionFilter("" if group == "all" else group, kinds, agent, text=text, after=after)
    with db.transaction(STAFF) as session:
        page = queries.page(session, wanted, limit)
    if as_json_:
        as_json({"actions": [asdict(r) for r in page.rows], "after": page.after})
        return
    table(
        ["Action", "What", "State", "Asked by", "Due", "Reaches"],
        [[str(r.id), r.title, _state(r), r.agent or r.requested_by, _due(r), r.target] for r in page.rows],
        empty="Nothing needs a person." if group == "needs" else "No action matches.",
    )
    if page.after:
        click.echo(f"There are more: add --after {page.after}.")


def _state(row: "ActionRow") -> str:
    from core.runtime.actions.models import ActionState
    from core.runtime.actions.words import FATE

    if row.outcome:
        return str(row.outcome)
    more = f", {row.approvals} of {row.approvals_needed}" if row.needs_person and row.approvals_needed > 1 else ""
    dry = ", dry run" if row.mode == "dry_run" else ""
    return FATE[ActionState(row.state)].partition(":")[0] + more + dry


def _due(row: "ActionRow") -> str | None:
    from app.ui.words import when

    return when(row.due_at) if row.needs_person else None


@actions.command("show")
@click.argument("action_id", metavar="ID", type=int)
@json_option
def show_command(action_id: int, as_json_: bool) -> None:
    """One action: exactly what is sent, to whom, what it costs, what it rests on, what was said and decided."""
    from core import registry
    from core.kit import db
    from core.kit.db import STAFF
    from core.runtime.actions import queries

    registry.load()
    with db.transaction(STAFF) as session:
        found = queries.get(session, action_id)
    if as_json_:
        shown = asdict(found)
        shown["content"]["wire"] = found.content.wire.decode("utf-8", "replace")
        as_json(shown)
        return
    _show(found)


def _show(found: "ActionDetail") -> None:
    from app.ui.words import when
    from core.kit import money

    row = found.row
    click.echo(click.style(printable(row.title), bold=True) + f"  (action {row.id}, {_state(row)})\n")
    fields(
        {
            "Reaches": row.target,
            "Asked by": row.agent or row.requested_by,
            "Why": row.reason,
            "Costs": money.show(row.cost_minor, row.currency) if row.cost_minor else "nothing",
            "Can be undone": "yes" if row.reversible else "no",
            "Decided by": f"{row.decided_by}, {when(row.decided_at)}" if row.decided_by and row.decided_at else None,
            "Otherwise": f"dropped {when(row.due_at)}, nothing is sent" if row.needs_person else None,
            "Bound to": row.payload_sha256,
        }
    )
    click.echo("\n" + click.style("Exactly this is sent", bold=True))
    click.echo(_readable(found.content.wire))
    if found.facts:
        click.echo()
        table(["Rests on", "", "Now"], [[f.label, f.shown, f.now] for f in found.facts], empty="")
    if found.verdicts:
        click.echo()
        table(["Policy", "Says", "Why"], [[v.title, v.verdict.replace("_", " "), v.reason] for v in found.verdicts], empty="")
    click.echo()
    table(["When", "What", ""], [[when(m.at), m.text, m.note] for m in found.timeline], empty="")


def _readable(wire: bytes) -> str:
    """The bytes as text; JSON is spread out."""
    import json

    text = wire.decode("utf-8", "replace")
    with suppress(ValueError):  # not JSON: as it is
        text = json.dumps(json.loads(text), ensure_ascii=False, indent=2)
    return printable(text)


@actions.command("approve")
@click.argument("action_id", metavar="ID", type=int)
@as_option
@sha_option
@click.option("--note", help="A word for the record.")
@json_option
def approve_command(action_id: int, email: str, sha256: str | None, note: str | None, as_json_: bool) -> None:
    """Approve it: it is carried out at once, if no policy stops it."""
    _decide(action_id, "approve", email, sha256, note, as_json_)


@actions.command("reject")
@click.argument("action_id", metavar="ID", type=int)
@as_option
@sha_option
@click.option("--note", help="Why; whoever asked for it reads this.")
@json_option
def reject_command(action_id: int, email: str, sha256: str | None, note: str | None, as_json_: bool) -> None:
    """Reject it: nothing is sent."""
    _decide(action_id, "reject", email, sha256, note, as_json_)


def _decide(action_id: int, word: str, email: str, sha: str | None, note: str | None, as_json_: bool) -> None:
    from core import registry
    from core.kit import db
    from core.kit.db import STAFF
    from core.runtime.actions import service
    from core.runtime.actions.models import Decided

    registry.load()
    with db.transaction(STAFF) as session:
        by = _person(session, email)
        bound = _seen(session, action_id, sha)
        said = service.decide(session, action_id, Decided(word), by, payload_sha256=bound, via=VIA, note=note)
    _said(as_json_, said.sentence, action_id=action_id, state=said.state.value)


@actions.command("reply")
@click.argument("action_id", metavar="ID", type=int)
@click.argument("text")
@as_option
@sha_option
@json_option
def reply_command(action_id: int, text: str, email: str, sha256: str | None, as_json_: bool) -> None:
    """Answer whoever asks instead of deciding: it waits on."""
    from core import registry
    from core.kit import db
    from core.kit.db import STAFF
    from core.runtime.actions import service

    registry.load()
    with db.transaction(STAFF) as session:
        by = _person(session, email)
        bound = _seen(session, action_id, sha256)
        event_id = service.reply(session, action_id, text, by, payload_sha256=bound, via=VIA)
    _said(as_json_, "Sent. The item waits on.", action_id=action_id, event_id=event_id)


@actions.command("undo")
@click.argument("action_id", metavar="ID", type=int)
@as_option
@json_option
def undo_command(action_id: int, email: str, as_json_: bool) -> None:
    """Take back what was done. Undoing is an action of its own."""
    from core import registry
    from core.kit import db
    from core.kit.db import STAFF
    from core.runtime.actions import service

    registry.load()
    with db.transaction(STAFF) as session:
        made = service.undo(session, action_id, _person(session, email), VIA)
    said = f"Action {made.id} takes it back. {made.reason}" if made.created else f"Action {made.id} took it back before."
    _said(as_json_, said, action_id=made.id, state=made.state.value)


@actions.command("resolve")
@click.argument("action_id", metavar="ID", type=int)
@click.option("--happened/--did-not-happen", "happened", default=None, required=True, help="What you found at the vendor.")
@click.option("--note", help="How you know.")
@as_option
@json_option
def resolve_command(action_id: int, happened: bool, note: str | None, email: str, as_json_: bool) -> None:
    """Say what became of an effect nobody could look up."""
    from core import registry
    from core.kit import db
    from core.kit.db import STAFF
    from core.runtime.actions import service

    registry.load()
    with db.transaction(STAFF) as session:
        said = service.resolve(session, action_id, happened, _person(session, email), VIA, note)
    _said(as_json_, said.sentence, action_id=action_id, state=said.state.value)


def _said(as_json_: bool, sentence: str, **more: Any) -> None:
    as_json(more | {"sentence": sentence}) if as_json_ else click.echo(sentence)
