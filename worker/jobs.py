"""What the messages in RQ name. Our own workers only read the run's id; this is for a stock `rq worker` in their place."""

import os
import socket


def execute(run_id: int) -> None:
    """Work off one run of the ledger, if it is still free."""
    from core import registry
    from core.runtime.runs import execute as runs

    registry.load()
    runs.execute(int(run_id), f"rq-{socket.gethostname()}-{os.getpid()}")
