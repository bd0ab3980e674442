"""A job as a row of the keyed table."""

from app.ui import spark, table, words
from app.ui.table import Column, Row
from core.runtime.schedules.queries import ScheduleRow

COLUMNS = (
    Column("On", "toggle", phone="corner", width="52px"),
    Column("Job", "text", phone="first"),
    Column("Last run", "state", phone="wide", width="132px"),
    Column("Next run", "text", phone="label", width="176px"),
    Column("Last 14 runs", "strip", phone="wide", width="132px"),
    Column("Success", "bar", phone="label", width="132px"),
    Column("Cost, 30 d", "money", phone="label", align="end", width="92px"),
    Column("Per run", "money", phone="hide", align="end", width="80px"),
    Column("Actions", "buttons", hide_label=True, width="112px"),
)


def row(job: ScheduleRow, *, may_switch: bool) -> Row:
    """One job. The switch is left out for people who may not switch jobs."""
    last = job.last
    cells = [
        job.enabled if may_switch else None,
        table.text(job.title, f"{job.reading} · {job.agent}", href=f"/job?name={job.name}"),
        table.chip(last.word, last.word + (", late" if last.late else ""), href=f"/run?run={last.run_id}", at=last.at)
        if last
        else None,
        _next(job),
        [table.bit(o.word, spark.hint(o), href=f"/run?run={o.run_id}") for o in job.strip],
        table.bar(
            job.success_percent,
            f"{job.success_percent or 0:.0f} % of runs in 14 days succeeded",
            "green" if (job.success_percent or 0) >= 90 else "amber" if (job.success_percent or 0) >= 70 else "red",
        ),
        words.cost(job.cost_30d_microusd),
        words.cost(job.cost_per_run_microusd),
        [["watch", "Watch", "more"]] if job.running_now else [["run", "Run now", "play"]],
    ]
    tone = "red" if job.state == "broken" or (last and words.state(last.word).tone == "red") else ""
    return Row(job.name, cells, job.title, tone=tone or ("muted" if job.state == "off" else ""), href=f"/job?name={job.name}")


def _next(job: ScheduleRow) -> object:
    if job.state == "broken":
        return table.text("Needs attention", (job.error or {}).get("message", "The schedule can't be read."))
    if job.state == "off":
        return table.text("Off", "no run is due")
    if job.state == "paused":
        return table.text("Paused", f"until {words.soon(job.paused_until)}")
    return table.text(words.soon(job.next_due_at), words.ago(job.next_due_at) if job.next_due_at else None)
