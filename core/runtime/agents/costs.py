"""What the model cost, by whom and for whom: this week against the one before. Costs are millionths of a US dollar."""

from dataclasses import dataclass
from typing import Literal

from sqlalchemy import text
from sqlalchemy.orm import Session

from core.config import get_settings

By = Literal["job", "agent", "client"]


@dataclass(frozen=True, slots=True)
class CostLine:
    """What one job, agent or client cost in the last seven local days, today included, and in the seven before.

    `key` is the schedule's name, the agent or the organisation's id; calls are those of the last seven days.
    """

    key: str
    name: str
    this_week: int
    last_week: int
    calls: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Costs:
    """All lines of one kind, dearest first, and their sums."""

    by: By
    lines: tuple[CostLine, ...]
    this_week: int
    last_week: int

    @property
    def dearest(self) -> int:
        """The dearest line's cost, for the length of bars."""
        return max((max(line.this_week, line.last_week) for line in self.lines), default=0)


_GROUPS: dict[str, tuple[str, str]] = {
    "job": ("coalesce(s.name, r.name, '')", "coalesce(s.title, r.name, 'Without a run')"),
    "agent": ("coalesce(s.agent, r.payload ->> 'agent', '')", "coalesce(s.agent, r.payload ->> 'agent', 'Without an agent')"),
    "client": ("c.org_id::text", "o.name"),
}


def _statement(by: By) -> str:
    key, name = _GROUPS[by]
    return f"""
        WITH week AS (
            SELECT (date_trunc('day', clock_timestamp() AT TIME ZONE :zone) - interval '6 days') AT TIME ZONE :zone AS start
        )
        SELECT {key}, max({name}),
            coalesce(sum(c.cost_microusd) FILTER (WHERE c.created_at >= week.start), 0)::bigint AS now,
            coalesce(sum(c.cost_microusd) FILTER (WHERE c.created_at < week.start), 0)::bigint AS before,
            count(*) FILTER (WHERE c.created_at >= week.start),
            coalesce(sum(c.input_tokens + c.output_tokens) FILTER (WHERE c.created_at >= week.start), 0)::bigint
        FROM model_calls c CROSS JOIN week
        JOIN organisations o ON o.id = c.org_id
        LEFT JOIN runs r ON r.id = c.run_id LEFT JOIN schedules s ON s.id = r.schedule_id
        WHERE c.created_at >= week.start - interval '7 days'
        GROUP BY 1 ORDER BY 3 DESC, 4 DESC, 2 LIMIT 50
    """  # noqa: S608 - put together from constants of ours


def costs(session: Session, by: By) -> Costs:
    """What each job, agent or client (the organisation a call was made for) cost, two weeks side by side."""
    found = session.execute(text(_statement(by)), {"zone": get_settings().time_zone})
    lines = tuple(CostLine(str(r[0]), str(r[1]), int(r[2]), int(r[3]), int(r[4]), int(r[5])) for r in found)
    return Costs(by, lines, sum(x.this_week for x in lines), sum(x.last_week for x in lines))
