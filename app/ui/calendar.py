"""The week of jobs as a timeline: what ran, what is due, and where now is."""

from collections.abc import Sequence
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from app.ui import assets, words
from core.runtime.schedules.queries import DUE, Calendar, ScheduleRow

DAYS = 7


def week_of(at: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Monday 0:00 to the next Monday 0:00 in the zone, as instants."""
    local = at.astimezone(zone).date()
    monday = local - timedelta(days=local.weekday())
    # built from dates, so a week with a clock change is 167 or 169 hours long, as it is
    return (
        datetime.combine(monday, time(), zone),
        datetime.combine(monday + timedelta(days=DAYS), time(), zone),
    )


def show(key: str, found: Calendar, jobs: Sequence[ScheduleRow], start: datetime, until: datetime, zone: ZoneInfo) -> None:
    """Draw the week; each job is a lane."""
    runs: dict[int, list[list[object]]] = {j.id: [] for j in jobs}
    for entry in found.entries:
        # [when, tone, word, run, of how many]; the browser writes the dates, there can be hundreds
        tone = "" if entry.word == DUE else words.state(entry.word).tone
        mark: list[object] = [words.ms(entry.at), tone, entry.word, entry.run_id, entry.count]
        runs.setdefault(entry.schedule_id, []).append(mark)
    assets.renderer("calendar")(
        key=f"calendar_{key}",
        data={
            "start": words.ms(start),
            "end": words.ms(until),
            "zone": zone.key,
            "days": [_day(start, n, zone) for n in range(DAYS)],
            "lanes": [_lane(j, runs[j.id], start) for j in jobs],
        },
    )


def _day(start: datetime, n: int, zone: ZoneInfo) -> dict[str, object]:
    first = start.astimezone(zone).date() + timedelta(days=n)
    at, to = (datetime.combine(first + timedelta(days=d), time(), zone) for d in (0, 1))
    return {
        "at": words.ms(at),
        "to": words.ms(to),
        "name": f"{first:%a} {first.day}",
        "today": words.day(at, zone) == "today",
        "off": first.weekday() >= 5,
    }


def _lane(job: ScheduleRow, marks: list[list[object]], start: datetime) -> dict[str, object]:
    lane: dict[str, object] = {"title": job.title, "href": f"/job?name={job.name}", "runs": marks, "off": job.state == "off"}
    if job.state == "paused" and job.paused_until is not None:
        from core.kit import clock

        lane["pause"] = [words.ms(max(start, clock.now())), words.ms(job.paused_until)]
    return lane
