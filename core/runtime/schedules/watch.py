"""Is the clock alive, does work get picked up, were slots missed? Asked by the watchdog, from outside the clock.

Each trouble is one `watchdog.alert` event until it is over, then one `watchdog.cleared`. A trouble has to be there at two
looks in a row before anybody is told, so that a computer waking from sleep does not raise the alarm; and nothing can
have lasted longer than the one who looks has been up, so that a start after a long stop does not either.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from core.kit.actor import Actor
from core.runtime.events import service as events
from core.runtime.events.models import Event, Priority
from core.runtime.runs import heartbeats

CLOCK_SILENT_S = 30.0
WATCHDOG_SILENT_S = 60.0
RUNNABLE_S = 60.0
OVERDUE_S = 60.0
AHEAD_S = 3600.0
WORKER_SILENT_S = 30.0
_LOCK = 7_406_551_001
_NEVER = float("inf")


@dataclass(frozen=True, slots=True)
class QueueSigns:
    """A queue whose oldest runnable run waits too long. `workers` gave a sign of life, `busy` runs hold a lease."""

    queue: str
    oldest_s: float
    runnable: int
    workers: int
    busy: int
    started_lately: bool


@dataclass(frozen=True, slots=True)
class Signs:
    """What one look found. Ages in seconds; `missed` counts by title in the last hour."""

    clock_silent_s: float = 0.0
    queues: tuple[QueueSigns, ...] = ()
    missed: Mapping[str, int] = field(default_factory=dict)
    overdue: Mapping[str, float] = field(default_factory=dict)
    ahead: tuple[str, ...] = ()
    redis_away: bool = False


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that is wrong. `key` names the condition, `summary` says it to a person."""

    key: str
    summary: str
    priority: Priority = Priority.URGENT


def judge(signs: Signs) -> dict[str, Trouble]:
    """What is wrong, by condition. Pure."""
    found = [*_clock_troubles(signs), *(_queue_trouble(q) for q in signs.queues)]
    if signs.missed:
        total = sum(signs.missed.values())
        what = "A scheduled run was" if total == 1 else f"{total:,} scheduled runs were"
        found.append(Trouble("slots.missed", f"{what} missed in the last hour: {_names(signs.missed)}."))
    if signs.redis_away:
        found.append(
            Trouble("redis.away", "Redis does not answer: no worker is told of new work. Nothing is lost; check the store.")
        )
    return {t.key: t for t in found}


def _clock_troubles(signs: Signs) -> list[Trouble]:
    found = []
    if signs.clock_silent_s >= CLOCK_SILENT_S:
        silent = f"The clock has given no sign of life for {lasting(signs.clock_silent_s)}: no schedule fires. Restart it."
        found.append(Trouble("clock.silent", silent))
    if signs.overdue:
        overdue = f"What is due does not start: {_names(signs.overdue)}. Look at the clock's log."
        found.append(Trouble("schedules.overdue", overdue))
    if signs.ahead:
        names = _names(dict.fromkeys(signs.ahead))
        ahead = f"The computer's time was set back, so these wait until it has caught up: {names}. Switch them off and on."
        found.append(Trouble("schedules.ahead", ahead))
    return found


def _queue_trouble(queue: QueueSigns) -> Trouble:
    waiting = "a run has" if queue.runnable == 1 else f"{queue.runnable:,} runs have"
    told = f"In the queue {queue.queue} {waiting} been waiting, the oldest for {lasting(queue.oldest_s)}"
    if queue.busy or queue.started_lately:
        return Trouble(f"queue.backed_up:{queue.queue}", f"{told}. Its workers are busy; start more of them.", Priority.HIGH)
    why = "its workers are alive but take nothing" if queue.workers else "none of its workers gives a sign of life"
    return Trouble(f"queue.dead:{queue.queue}", f"{told}, and {why}. Restart them.")


def _names(by_name: Mapping[str, object], most: int = 3) -> str:
    names = list(by_name)
    rest = len(names) - most
    shown = ", ".join(names[:most])
    return f"{shown} and {rest} more" if rest > 0 else shown


def lasting(seconds: float) -> str:
    """A length of time in words, rounded down."""
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= size * (2 if unit == "minute" else 1):
            number = int(seconds // size)
            return f"{number} {unit}{'' if number == 1 else 's'}"
    return f"{int(seconds)} seconds"


_QUEUES = text("""
    SELECT queue, count(*), extract(epoch FROM statement_timestamp() - min(run_after)) AS oldest_s FROM runs
    WHERE state IN ('queued', 'waiting') AND run_after <= statement_timestamp() GROUP BY queue ORDER BY queue
""")
_BUSY = text("SELECT count(*) FROM runs WHERE state = 'running' AND queue = :queue AND lease_until > statement_timestamp()")
_STARTED = text("""
    SELECT EXISTS (SELECT FROM runs WHERE queue = :queue AND started_at > statement_timestamp() - make_interval(secs => :seconds))
""")
_MISSED = text("""
    SELECT coalesce(s.title, r.name) AS title, count(*) AS slots FROM runs r LEFT JOIN schedules s ON s.id = r.schedule_id
    WHERE r.reason = 'missed' AND r.created_at > statement_timestamp() - interval '1 hour' AND NOT r.demo
    GROUP BY 1 ORDER BY 2 DESC, 1
""")
_SCHEDULES = text("""
    SELECT title, extract(epoch FROM statement_timestamp() - next_due_at) AS overdue_s,
        extract(epoch FROM cursor - statement_timestamp()) AS ahead_s FROM schedules
    WHERE enabled AND (paused_until IS NULL OR paused_until < statement_timestamp())
        AND (next_due_at < statement_timestamp() - make_interval(secs => :overdue_s)
            OR cursor > statement_timestamp() + make_interval(secs => :ahead_s))
    ORDER BY title
""")


def look(session: Session, up_s: float, *, redis_away: bool = False) -> Signs:
    """Everything `judge` needs. `up_s`: for how long the caller has been up, in seconds. Four quick queries when all is well."""
    beats = heartbeats.beats(session)
    age = {b.process: b.age_s for b in beats}
    late = session.execute(_SCHEDULES, {"overdue_s": OVERDUE_S, "ahead_s": AHEAD_S}).all()
    return Signs(
        clock_silent_s=min(age.get("clock", _NEVER), up_s),
        queues=tuple(
            _look_at_queue(session, queue, min(float(oldest_s), up_s), many, age)
            for queue, many, oldest_s in session.execute(_QUEUES)
            if min(float(oldest_s), up_s) > RUNNABLE_S
        ),
        missed={r.title: r.slots for r in session.execute(_MISSED)},
        overdue={r.title: float(r.overdue_s) for r in late if (r.overdue_s or 0) > OVERDUE_S and up_s > OVERDUE_S},
        ahead=tuple(r.title for r in late if r.ahead_s > AHEAD_S),
        redis_away=redis_away,
    )


def _look_at_queue(session: Session, queue: str, oldest_s: float, many: int, age: Mapping[str, float]) -> QueueSigns:
    workers = sum(1 for name, silent in age.items() if name.startswith(f"worker-{queue}-") and silent < WORKER_SILENT_S)
    busy = session.execute(_BUSY, {"queue": queue}).scalar_one()
    lately = session.execute(_STARTED, {"queue": queue, "seconds": RUNNABLE_S}).scalar_one()
    return QueueSigns(queue, oldest_s, many, workers, busy, lately)


class Watch:
    """The watchdog's memory: what it saw last time. What it has told lives in the events, so a restart tells nothing twice."""

    def __init__(self) -> None:
        self._before: dict[str, Trouble] | None = None

    def check(self, session: Session, up_s: float, *, redis_away: bool = False) -> list[Trouble]:
        """Look, tell what is new and what is over, beat. Returns what is wrong now. Idempotent, and safe twice at once."""
        session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        now = judge(look(session, up_s, redis_away=redis_away))
        before, self._before = self._before, now
        open_ = _open_conditions(session)
        if before is not None:
            for key, trouble in now.items():
                if key in before and key not in open_:
                    _publish(session, "watchdog.alert", trouble.summary, key, trouble.priority)
            for key in open_:
                if key not in now and key not in before:
                    _publish(session, "watchdog.cleared", f"Over: {open_[key]}", key, Priority.NORMAL)
        heartbeats.beat(session, "watchdog", troubles={k: t.summary for k, t in now.items()})
        return list(now.values())


_OPEN = text("""
    SELECT condition, summary FROM (
        SELECT DISTINCT ON (payload ->> 'condition') payload ->> 'condition' AS condition, type, summary FROM events
        WHERE type IN ('watchdog.alert', 'watchdog.cleared') AND created_at > statement_timestamp() - interval '30 days'
        ORDER BY payload ->> 'condition', id DESC
    ) AS newest WHERE type = 'watchdog.alert'
""")


def _open_conditions(session: Session) -> dict[str, str]:
    return {row.condition: row.summary for row in session.execute(_OPEN)}


def _publish(session: Session, type_: str, summary: str, condition: str, priority: Priority) -> None:
    payload = {"condition": condition}
    events.publish(session, type_, summary, actor=Actor("Watchdog"), priority=priority, payload=payload)


class WatchdogWatch:
    """The clock's look at the watchdog: who watches the watchman. One `watchdog.silent` event, then one `watchdog.back`."""

    def __init__(self) -> None:
        self._was_silent = False

    def check(self, session: Session, up_s: float) -> bool:
        """Tell when the watchdog has fallen silent or is back. Returns whether it is silent."""
        age = {b.process: b.age_s for b in heartbeats.beats(session)}.get("watchdog", _NEVER)
        silent = min(age, up_s) > WATCHDOG_SILENT_S
        twice, self._was_silent = silent and self._was_silent, silent
        if not twice and age > WATCHDOG_SILENT_S:
            return silent
        session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        told = session.execute(
            select(Event.type).where(Event.type.in_(("watchdog.silent", "watchdog.back"))).order_by(Event.id.desc()).limit(1)
        ).scalar_one_or_none()
        if twice and told != "watchdog.silent":
            since = "since the start" if age == _NEVER else f"for {lasting(age)}"
            self._tell(session, "watchdog.silent", f"The watchdog has given no sign of life {since}. Restart it.")
        elif not silent and told == "watchdog.silent":
            self._tell(session, "watchdog.back", "The watchdog is back.", Priority.NORMAL)
        return silent

    def _tell(self, session: Session, type_: str, summary: str, priority: Priority = Priority.URGENT) -> None:
        events.publish(session, type_, summary, actor=Actor("Clock"), priority=priority)
