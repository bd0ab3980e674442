"""When a job is due, and what becomes of a slot. Pure: no database, no clock.

A five-field cron expression names minutes of the wall clock in an IANA zone. Daylight saving is decided once, here:

- Fixed hours ("30 2 * * *", "*/15 2 * * *", "0 */4 * * *"): each local minute that matches is one slot. A minute inside
  the gap of spring runs at the first valid instant after the gap, and several such minutes make one slot there. A minute
  that the clock shows twice in autumn runs the first time only.
- Every hour ("0 * * * *", "*/15 * * * *"): the job follows elapsed time, as Debian's cron does. It runs each time the
  clock shows a matching minute, so an hour shown twice has its slots twice and a skipped hour has none.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from cronsim import CronSim, CronSimError

from core.errors import BadInput
from core.kit import clock
from core.runtime.schedules.models import CatchUp, Overlap

_HELP = "Use five fields: minute hour day month weekday, e.g. 0 7 * * 1-5 for weekdays at 7:00 AM."
_STAR = re.compile(r"^\*(?=$|/|,)")
_UTC_NAMES = ("UTC", "Etc/UTC")
_MAX_LENGTH = 120
_PROBE = datetime(2024, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=512)
def normal(cron: str) -> str:
    """The expression as cronsim needs it for the rule above. Raises BadInput, one sentence that names the bad field.

    cronsim takes a leading star in the minute or the hour field for "follows elapsed time". Ours is: every hour of the day.
    """
    if not isinstance(cron, str) or not cron.strip():
        raise BadInput("The schedule is empty.", _HELP)
    if len(cron) > _MAX_LENGTH:
        raise BadInput(f"The schedule is longer than {_MAX_LENGTH} characters.", _HELP)
    fields = cron.upper().split()
    if len(fields) == 6:
        raise BadInput(f"“{cron.strip()}” has six fields; jobs run at most once a minute.", _HELP)
    if len(fields) != 5:
        raise BadInput(f"“{cron.strip()}” is not a schedule: it has {len(fields)} of the five fields.", _HELP)
    try:
        known = CronSim(" ".join(fields), _PROBE)
    except (CronSimError, ValueError, TypeError) as error:
        raise BadInput(f"“{cron.strip()}” is not a schedule: {_in_words(error)}.", _HELP) from None
    if len(known.hours) == 24:
        return " ".join([fields[0], "*", *fields[2:]])
    return " ".join([_STAR.sub("0-59", fields[0]), _STAR.sub("0-23", fields[1]), *fields[2:]])


def _in_words(error: Exception) -> str:
    field = str(error).removeprefix("Bad ").replace("day-of-month", "day").replace("day-of-week", "weekday")
    return f"its {field} field can't be read" if str(error).startswith("Bad ") else "its fields can't be read"


def occurrences(cron: str, zone: str, after: datetime) -> Iterator[datetime]:
    """Every slot strictly after `after`, in order, timezone-aware UTC. Ends when nothing is due within 50 years.

    Raises BadInput for a bad expression or an unknown zone.
    """
    expression, place = normal(cron), clock.zone(zone)
    last = after
    # cronsim is quick on UTC only when it is the one of datetime
    for local in CronSim(expression, after.astimezone(UTC if place.key in _UTC_NAMES else place)):
        slot = local.astimezone(UTC)
        # started in the second pass of an hour shown twice, cronsim counts the first pass again: it has been
        if slot > last:
            last = slot
            yield slot


def slots(cron: str, zone: str, after: datetime, until: datetime, limit: int) -> list[datetime]:
    """The slots in (after, until], oldest first, at most `limit`."""
    found: list[datetime] = []
    if until <= after:
        return found
    for slot in occurrences(cron, zone, after):
        if slot > until or len(found) >= limit:
            break
        found.append(slot)
    return found


def next_after(cron: str, zone: str, after: datetime) -> datetime | None:
    """The first slot after `after`; None when there is none within 50 years."""
    return next(occurrences(cron, zone, after), None)


@dataclass(frozen=True, slots=True)
class Plan:
    """What becomes of each slot: it runs, it was missed, or it is coalesced into the run that is still going."""

    to_run: tuple[datetime, ...] = ()
    missed: tuple[datetime, ...] = ()
    coalesced: tuple[datetime, ...] = ()


def plan(
    due: Sequence[datetime], now: datetime, grace: timedelta, catch_up: str, overlap: str, active: bool, *, more: bool = False
) -> Plan:
    """Sort due slots (oldest first) by the schedule's policies.

    Inside the grace a slot runs. Beyond it, catch_up decides: none runs nothing, latest only the newest slot of all, all
    every one; what does not run is missed. Then overlap decides for what should run: with skip a slot that comes due while
    an earlier run is `active`, or beside an earlier slot of the same batch, is coalesced; with queue each runs.
    `more` says that newer slots follow in another batch, so that none of these is the latest.
    """
    wanted: list[datetime] = []
    missed: list[datetime] = []
    for index, slot in enumerate(due):
        is_latest = index == len(due) - 1 and not more
        in_time = now - slot <= grace
        if in_time or catch_up == CatchUp.ALL or (catch_up == CatchUp.LATEST and is_latest):
            wanted.append(slot)
        else:
            missed.append(slot)
    if overlap == Overlap.QUEUE:
        return Plan(tuple(wanted), tuple(missed))
    free = 0 if active else 1
    return Plan(tuple(wanted[:free]), tuple(missed), tuple(wanted[free:]))


def start_of(cursor: datetime, paused_until: datetime | None) -> datetime:
    """From where slots count: the cursor, or the end of a pause that is over. A slot at the very end of the pause runs."""
    if paused_until is None:
        return cursor
    return max(cursor, paused_until - timedelta(microseconds=1))
