"""`ops kill` and `ops resume`: the kill switch from the server's command line."""

from typing import TYPE_CHECKING, Any

import click

from app.commands.output import as_json, json_option, table

if TYPE_CHECKING:
    from core.runtime.switches.queries import Switch

WITHOUT_DATABASE = (
    "Without the database no effect starts. To keep everything stopped when it is back, put OPS_KILL_SWITCH=1 into .env."
)


@click.group(invoke_without_command=True)
@click.option("--org", help="Stop only this organisation: the agency's or a client's name.")
@click.option("--agent", help="Stop only this agent, e.g. “Sales AI”.")
@click.option("--reason", help="Why; everybody sees it.")
@json_option
@click.pass_context
def kill(ctx: click.Context, org: str | None, agent: str | None, reason: str | None, as_json_: bool) -> None:
    """Stop everything that leaves at once, or one organisation or agent. `ops resume ID` lets it go on.

    What is approved meanwhile is held, not lost. `ops kill status` shows what is stopped.
    """
    if ctx.invoked_subcommand is not None:
        return
    if not reason:
        raise click.UsageError("Say why: --reason “A client got the wrong mail.”")
    from core import registry
    from core.errors import BadInput, Unavailable
    from core.kit import db
    from core.kit.db import STAFF
    from core.runtime.switches import queries, service
    from core.runtime.switches.models import Reach

    if org and agent:
        raise BadInput("Name one organisation or one agent, not both.", "Nothing was stopped.")
    registry.load()
    reach = Reach.ORGANISATION if org else Reach.AGENT if agent else Reach.EVERYTHING
    try:
        with db.transaction(STAFF) as session:
            org_id = queries.organisation(session, org) if org else None
            made = service.pull(session, reach, reason, service.COMMAND_LINE, org_id=org_id, agent=agent)
    except Unavailable as error:
        raise Unavailable(error.message, WITHOUT_DATABASE) from error
    if as_json_:
        as_json({"id": made.id, "created": made.created, "sentence": made.sentence})
    else:
        click.echo(f"{made.sentence} It goes on with `ops resume {made.id}`.")


@kill.command("status")
@json_option
def status_command(as_json_: bool) -> None:
    """What is stopped now: by whom, since when and why, and how much is held."""
    from app.ui.words import ago, many
    from core.kit import db
    from core.kit.db import STAFF
    from core.runtime.switches import service

    with db.transaction(STAFF) as session:
        stopped = service.state(session)
    if as_json_:
        switches = [shown(s) for s in stopped.switches]
        as_json({"stopped": bool(stopped), "environment": stopped.env, "held": stopped.held, "switches": switches})
        return
    if stopped.env is not None:
        click.echo(f"Everything is stopped by the environment: {stopped.env}")
    rows = [(s.id, s.what[:1].upper() + s.what[1:], s.by, ago(s.at), s.reason, s.asked_by or "–") for s in stopped.switches]
    empty = "" if stopped.env is not None else "Nothing is stopped."
    table(("Id", "Stopped", "By", "Since", "Why", "Resume asked by"), rows, empty=empty)
    if stopped.held:
        click.echo(f"{many(stopped.held, 'action')} held until it goes on.")


@click.command()
@click.argument("switch_id", type=click.IntRange(1))
@json_option
def resume(switch_id: int, as_json_: bool) -> None:
    """Let go on what a kill switch stopped; ID is from `ops kill status`.

    To resume everything takes two: the command line counts as one of them, an admin in the app is the other.
    """
    from core import registry
    from core.kit import db
    from core.kit.db import STAFF
    from core.runtime.switches import service

    registry.load()
    with db.transaction(STAFF) as session:
        done = service.resume(session, switch_id, service.COMMAND_LINE)
    if as_json_:
        as_json({"resumed": done.done, "released": done.released, "sentence": done.sentence})
    else:
        click.echo(done.sentence)


def shown(switch: "Switch") -> dict[str, Any]:
    """A switch as JSON."""
    return {
        "id": switch.id, "reach": switch.reach.value, "organisation": switch.org_name, "agent": switch.agent,
        "reason": switch.reason, "by": switch.by, "at": switch.at, "resume_asked_by": switch.asked_by,
    }  # fmt: skip
