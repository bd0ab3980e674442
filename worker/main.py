"""`python -m worker.main QUEUE N`: one worker of one queue, known in the ledger as `worker-QUEUE-N`."""

import gc
import os
import socket
import sys
import time
from importlib import import_module

from core.config import get_settings, started_at_tick
from core.errors import BadInput, OpsError
from core.kit import db, http, log
from core.kit.db import STAFF
from core.runtime.runs.models import Queue

_FRESH_S = 15.0
_PRELOAD = (
    "sqlalchemy.dialects.postgresql.psycopg", "psycopg", "rq", "cryptography.hazmat.primitives.ciphers.aead", "httpx",
    "httpcore._sync", "httpcore._backends.sync", "encodings.idna", "core.runtime.switches.service",
)  # fmt: skip
_RETRY_S = 1.0


def name_of(queue: str, number: int) -> str:
    """The worker's name in the ledger."""
    return f"worker-{queue}-{number}"


def _arguments(argv: list[str]) -> tuple[str, int]:
    try:
        queue, number = argv
        return Queue(queue).value, int(number)
    except ValueError:
        queues = ", ".join(q.value for q in Queue)
        raise BadInput(
            f"A worker needs a queue ({queues}) and a number.", "For example: python -m worker.main interactive 1"
        ) from None


def _preload() -> None:
    """Import in the worker what its work-horses need, so that a fork has it already. No connection is opened here."""
    from core import registry

    registry.load()
    for module in _PRELOAD:
        import_module(module)
    if get_settings().anthropic_api_key is not None:
        import_module("anthropic")
    http.trust()
    gc.collect()
    gc.freeze()  # a collection in a work-horse then does not copy the worker's memory


def _settle_in(name: str) -> str:
    """Take back what a dead predecessor of this name held. Returns the name to use: another when its owner is alive.

    Two machines may both have a `worker-agents-1`; what a living one holds must not be taken from it.
    """
    from core.runtime.runs import dispatch, heartbeats

    with db.transaction(STAFF) as session:
        before = heartbeats.find(session, name)
    if before is not None and before.age_s < _FRESH_S and _may_live(before.host, before.pid, before.detail.get("tick")):
        return f"{name}.{socket.gethostname()}.{os.getpid()}"
    dispatch.rescue_worker(name)
    return name


def _may_live(host: str, pid: int, tick: int | None) -> bool:
    if host != socket.gethostname():
        return True
    if pid == os.getpid() or tick is None or started_at_tick(pid) != tick:
        return False
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except (OSError, IndexError):
        return False


def main(argv: list[str] | None = None) -> int:
    """Run until stopped. Exit code 2 for wrong arguments."""
    try:
        queue, number = _arguments(sys.argv[1:] if argv is None else argv)
    except OpsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    name = name_of(queue, number)
    log.configure(name)
    _preload()
    from worker.rq_worker import LedgerWorker

    while True:
        try:
            name = _settle_in(name)
            break
        except OpsError as error:
            log.get(__name__).warning("waiting_for_the_database", error=error.message)
            time.sleep(_RETRY_S)
    log.get(__name__).info("worker_started", queue=queue, worker=name)
    LedgerWorker(queue, name).work()
    return 0


if __name__ == "__main__":
    sys.exit(main())
