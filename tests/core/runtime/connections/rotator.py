"""A process that rotates, or one that reads or writes meanwhile, for tests that kill it. Prints a line per step."""

import sys
import threading

from core.kit import db as database
from core.kit.actor import Actor
from core.kit.db import STAFF
from core.runtime.connections import rotation, service


def rotate() -> None:
    """Rotate in small batches; the last line is the outcome."""
    made = rotation.rotate(Actor("Dave", "user", 1), batch=int(sys.argv[2]), on_rows=lambda n: print("rows", n, flush=True))
    print("done", made.rows, len(made.left), flush=True)


def read() -> None:
    """Open all connections over and over until stdin closes, and once more; says every one that failed."""
    from tests.core.runtime.connections.conftest import secret_of

    ids = dict(tuple(map(int, p.split(":"))) for p in sys.argv[2].split(","))
    closed = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), closed.set()), daemon=True).start()
    opened = failed = 0
    last = False
    print("reading", flush=True)
    while not last:
        last = closed.is_set()  # a whole round comes after it: with the old key gone for good
        for connection_id, n in ids.items():
            try:
                with database.transaction(STAFF) as session:
                    good = service.open_account(session, connection_id, "load").secret.startswith(secret_of(n))
            except Exception as error:
                good = False
                print("failed", connection_id, type(error).__name__, error, flush=True)
            opened += good
            failed += not good
    print("read", opened, failed, flush=True)


if __name__ == "__main__":
    {"rotate": rotate, "read": read}[sys.argv[1]]()
