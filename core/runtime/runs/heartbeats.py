"""Signs of life of the processes, for `ops status`, the System page and the two that watch each other."""

import os
import socket
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.runtime.runs.models import Heartbeat


@dataclass(frozen=True, slots=True)
class Beat:
    """The last sign of life of one process; `age_s` in seconds by the database's clock."""

    process: str
    at: datetime
    age_s: float
    pid: int
    host: str
    detail: dict[str, Any]


def beat(session: Session, process: str, **detail: Any) -> None:
    """Say that this process is alive."""
    values = {
        "process": process,
        "at": func.clock_timestamp(),
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "detail": detail,
    }
    changed = {k: v for k, v in values.items() if k != "process"}
    session.execute(insert(Heartbeat).values(values).on_conflict_do_update(index_elements=["process"], set_=changed))


def find(session: Session, process: str) -> Beat | None:
    """The last sign of life of one process, or None when it was never seen."""
    age = func.extract("epoch", func.clock_timestamp() - Heartbeat.at)
    row = session.execute(select(Heartbeat, age).where(Heartbeat.process == process)).first()
    return None if row is None else Beat(row[0].process, row[0].at, float(row[1]), row[0].pid, row[0].host, row[0].detail)


def beats(session: Session) -> list[Beat]:
    """All processes ever seen, by name."""
    age = func.extract("epoch", func.clock_timestamp() - Heartbeat.at)
    rows = session.execute(select(Heartbeat, age).order_by(Heartbeat.process)).all()
    return [Beat(h.process, h.at, float(a), h.pid, h.host, h.detail) for h, a in rows]


def forget_older_than(session: Session, seconds: float) -> None:
    """Drop processes that have not been seen for so long."""
    session.execute(
        delete(Heartbeat).where(Heartbeat.at < func.statement_timestamp() - func.make_interval(0, 0, 0, 0, 0, 0, seconds))
    )
