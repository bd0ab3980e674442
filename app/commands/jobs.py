"""`ops jobs`: scheduled agent jobs."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from app.commands.output import as_json, fields, json_option, table

if TYPE_CHECKING:
    from core.kit.actor import Actor
    from core.runtime.schedules.queries import ScheduleDetail, ScheduleRow

WAIT_S = 900.0


def cli_actor() -> "Actor":
    """Who does what is done on the command line."""
    from core.kit.actor import Actor

    return Actor("CLI", "system")


@click.group()
def jobs() -> None:
    """Scheduled agent jobs: list, show, run, enable, disable, pause, resume, add.

    A job's NAME is its short name from `ops jobs list`, e.g. ceo-morning-brief.
    """


def _standing(row: "ScheduleRow") -> str:
    from app.ui.words import soon, state

    word = state(row.state).word
    return f"{word} until {soon(row.paused_until)}" if row.state == "paused" else word


def _last(row: "ScheduleRow") -> str:
    from app.ui.words import ago, duration

    if row.last is None:
        return "Never ran"
    spent = f", {duration(row.last.duration_s)}" if row.last.duration_s is not None else ""
    return f"{row.last.word} {ago(row.last.at)}{spent}"


@jobs.command("list")
@json_option
def list_command(as_json_: bool) -> None:
    """All jobs: schedule, next run, last outcome, success rate and cost."""
    from core.kit import db
    from core.kit.db import STAFF
    from core.runtime.schedules.queries import list_schedules

    with db.transaction(STAFF) as session:
        rows = list_schedules(session)
    if as_json_:
        as_json([asdict(r) for r in rows])
        return
    from app.ui.words import cost, soon

    table(
        ["Name", "Schedule", "State", "Next run", "Last run", "Success", "Cost/run"],
        [
            [
                r.name, r.reading, _standing(r), soon(r.next_due_at), _last(r),
                "–" if r.success_percent is None else f"{r.success_percent:.0f} %", cost(r.cost_per_run_microusd),
            ]
            for r in rows
        ],
        empty="There are no jobs yet. `ops jobs add` makes one; `ops up` sets up the built-in ones.",
    )  # fmt: skip


@jobs.command("show")
@click.argument("name")
@json_option
def show_command(name: str, as_json_: bool) -> None:
    """One job: its schedule, policies, task, facts, next times, last runs and changes."""
    from core.kit import db
    from core.kit.db import STAFF
    from core.runtime.schedules.queries import schedule_detail

    with db.transaction(STAFF) as session:
        found = schedule_detail(session, name)
    if as_json_:
        as_json(asdict(found))
        return
    _show(found)


def _show(found: "ScheduleDetail") -> None:
    from zoneinfo import ZoneInfo

    from app.ui.words import ago, cost, duration, span, when

    row = found.row
    click.echo(click.style(row.title, bold=True))
    caught_up = {"none": "nothing is caught up", "latest": "the newest slot is run", "all": "every slot is run"}
    fields(
        {
            "Name": row.name,
            "Department": f"{row.department}, {row.agent}",
            "Schedule": f"{row.reading} ({row.cron}, {row.time_zone})",
            "State": _standing(row),
            "Trouble": f"{row.error['message']} {row.error.get('next_step', '')}" if row.error else None,
            "Next": "; ".join(when(t, ZoneInfo(row.time_zone)) for t in found.next_times) or None,
            "Last run": _last(row),
            "Cost per run": cost(row.cost_per_run_microusd),
            "If it overlaps": "the slot is skipped" if found.overlap == "skip" else "it is queued",
            "After an outage": caught_up[found.catch_up],
            "Grace": span(found.grace_s),
            "Time limit": span(found.timeout_s),
            "Facts": ", ".join(found.facts) or None,
        }
    )
    click.echo(f"\n{found.task}\n")
    table(
        ["Run", "Outcome", "When", "Took", "Cost"],
        [
            [str(r.id), r.word, ago(r.due_at or r.created_at), duration(r.duration_s), cost(r.cost_microusd)]
            for r in found.runs[:10]
        ],
        empty="It has not run yet.",
    )
    if found.events:
        click.echo()
        table(["Change", "When"], [[e.summary, ago(e.created_at)] for e in found.events[:10]], empty="")


@jobs.command("run")
@click.argument("name")
@click.option("--wait", "wait_", is_flag=True, help="Wait for its end and show its steps; exit code 0 only if it succeeded.")
@click.option(
    "--timeout", type=click.FloatRange(min=0), default=WAIT_S, show_default=True, metavar="S", help="Wait at most S seconds."
)
@click.option("--payload", metavar="JSON", help="A JSON object the run gets on top of the job's own payload.")
@json_option
def run_command(name: str, wait_: bool, timeout: float, payload: str | None, as_json_: bool) -> None:
    """Run a job now, ahead of scheduled work.

    With --wait --json it prints {"run_id", "state", "duration_ms", "output"}.
    """
    from app.commands.follow import json_payload, outcome, report, wait
    from core import registry
    from core.kit import db
    from core.kit.db import STAFF
    from core.runtime.schedules import service

    given = json_payload(payload)
    registry.load()
    with db.transaction(STAFF) as session:
        run_id = service.run_now(session, name, cli_actor(), given)
    if not wait_:
        if as_json_:
            as_json({"run_id": run_id})
        else:
            click.echo(f"Run {run_id} is queued. `ops runs show {run_id}` tells how it goes.")
        return
    ended = wait(run_id, timeout, show=not as_json_)
    found = outcome(run_id)
    if as_json_:
        as_json(found)
    elif ended and (said := report(run_id, found["output"])):
        click.echo("\n" + said)
    if not ended and not as_json_:
        click.echo(f"Run {run_id} has not ended after {timeout:g} s; it goes on. See `ops runs show {run_id}`.", err=True)
    if found["state"] != "succeeded":
        raise SystemExit(1)


def _switch(name: str, enabled: bool, as_json_: bool) -> None:
    from core.kit import db
    from core.kit.db import STAFF
    from core.runtime.schedules import service

    with db.transaction(STAFF) as session:
        job = service.set_enabled(session, name, enabled, cli_actor())
    _say(job, as_json_)


def _say(job: Any, as_json_: bool) -> None:
    from zoneinfo import ZoneInfo

    from app.ui.words import when

    if as_json_:
        as_json(
            {
                "name": job.name,
                "enabled": job.enabled,
                "paused_until": job.paused_until,
                "next_due_at": job.next_due_at,
                "version": job.version,
            }
        )
        return
    if not job.enabled:
        click.echo(f"{job.title} is off. `ops jobs enable {job.name}` switches it on again.")
    elif job.paused_until:
        click.echo(
            f"{job.title} is paused until {when(job.paused_until, ZoneInfo(job.time_zone))}, then goes on by itself. "
            f"`ops jobs resume {job.name}` ends the pause."
        )
    else:
        click.echo(f"{job.title} is on. Its next run is {when(job.next_due_at, ZoneInfo(job.time_zone))}.")


@jobs.command("enable")
@click.argument("name")
@json_option
def enable_command(name: str, as_json_: bool) -> None:
    """Switch a job on. It starts from now; slots it had while it was off are not made up for."""
    _switch(name, True, as_json_)


@jobs.command("disable")
@click.argument("name")
@json_option
def disable_command(name: str, as_json_: bool) -> None:
    """Switch a job off until somebody switches it on. It can still be run by hand."""
    _switch(name, False, as_json_)


@jobs.command("pause")
@click.argument("name")
@click.option(
    "--until", required=True, metavar="WHEN", help="2026-12-01, 2026-12-01 09:00, tomorrow, friday 9:00, 3d or 12h; job's zone."
)
@json_option
def pause_command(name: str, until: str, as_json_: bool) -> None:
    """Let a job rest until a time. It goes on by itself then, without making up for the slots of the pause."""
    from app.commands.moments import future
    from core.kit import clock, db
    from core.kit.db import STAFF
    from core.runtime.schedules import service

    with db.transaction(STAFF) as session:
        place = clock.zone(service.find(session, name).time_zone)
        job = service.pause_until(session, name, future(until, clock.now(), place), cli_actor())
    _say(job, as_json_)


@jobs.command("resume")
@click.argument("name")
@json_option
def resume_command(name: str, as_json_: bool) -> None:
    """End a job's pause now."""
    from core.kit import db
    from core.kit.db import STAFF
    from core.runtime.schedules import service

    with db.transaction(STAFF) as session:
        job = service.pause_until(session, name, None, cli_actor())
    _say(job, as_json_)


@jobs.command("add")
@click.argument("name")
@click.option("--cron", required=True, help='When: minute hour day month weekday, e.g. "0 7 * * 1-5".')
@click.option("--task", help="What the agent should look at and report, in words.")
@click.option("--task-file", type=click.File(encoding="utf-8"), help="Read the task from a file; - reads standard input.")
@click.option("--title", help="How it is called on the screen; without it, made from the name.")
@click.option("--department", default="ceo", show_default=True, help="ceo, sales, engineering, delivery, marketing …")
@click.option("--agent", default="Executive AI", show_default=True, help="Which agent does it.")
@click.option("--zone", help="IANA time zone, e.g. Europe/London; without it, the agency's.")
@click.option("--fact", "facts", multiple=True, metavar="KEY", help="A fact section it may use; repeat for more.")
@click.option("--off", is_flag=True, help="Add it switched off.")
@json_option
def add_command(
    name: str, cron: str, task: str | None, task_file: Any, title: str | None, department: str, agent: str, zone: str | None,
    facts: tuple[str, ...], off: bool, as_json_: bool,
) -> None:  # fmt: skip
    """Add a job called NAME, e.g. friday-numbers, and say when it will run."""
    from core import registry
    from core.kit import db
    from core.kit.db import STAFF
    from core.runtime.schedules import service
    from core.runtime.schedules.schemas import NewJob

    registry.load()
    job = NewJob(
        name=name,
        title=title or name.replace("-", " ").capitalize(),
        department=department,
        agent=agent,
        cron=cron,
        task=task_file.read() if task_file else task or "",
        facts=facts,
        time_zone=zone,
        enabled=not off,
    )
    with db.transaction(STAFF) as session:
        made = service.add(session, job, cli_actor())
        times = service.next_times(made.cron, made.time_zone)
    if as_json_:
        as_json({"name": made.name, "reading": service.describe(made.cron), "time_zone": made.time_zone, "next_times": times})
        return
    from zoneinfo import ZoneInfo

    from app.ui.words import when

    click.echo(f"{made.title} is added: {service.describe(made.cron)} ({made.time_zone}).")
    click.echo("It is off." if off else "Next: " + "; ".join(when(t, ZoneInfo(made.time_zone)) for t in times))
