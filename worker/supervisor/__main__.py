"""`python -m worker.supervisor [--no-demo]`: what `ops up` becomes."""

import os
import signal
import sys
from typing import NoReturn


def main() -> int:
    """Run the supervisor. Expected errors are one sentence on standard error and exit code 1."""
    from core.errors import OpsError

    _stop_on_signals()
    try:
        return _run(demo="--no-demo" not in sys.argv[1:])
    except OpsError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("Stopped before it was ready; nothing is left running.\n")
        return 130


def _run(*, demo: bool) -> int:
    from worker.supervisor.boot import boot
    from worker.supervisor.loop import Supervisor
    from worker.supervisor.render import Renderer
    from worker.supervisor.stream import Output

    output = Output()
    colour = os.isatty(output.fd) and "NO_COLOR" not in os.environ
    early = Renderer(["ops", "worker-interactive-1"], colour)
    booted = boot(
        demo=demo,
        say=lambda message: output.put(early.say("ops", message)),
        before=lambda: output.put(early.say("ops", "starting")),
    )
    renderer = Renderer(["ops", "postgres", "valkey", *(p.name for p in booted.programs)], colour)
    supervisor = Supervisor(booted, output, renderer)
    own = _OwnLog()
    supervisor.read_own_log(own.reader)
    try:
        return supervisor.run()
    finally:
        own.restore()


class _OwnLog:
    """Standard error as a pipe, so that this process's own lines are shown like those of the others."""

    def __init__(self) -> None:
        self.reader, writer = os.pipe()
        self._kept = os.dup(2)
        os.set_blocking(writer, False)
        os.dup2(writer, 2)
        os.close(writer)

    def restore(self) -> None:
        os.dup2(self._kept, 2)


def _stop_on_signals() -> None:
    def stop(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)


if __name__ == "__main__":
    sys.exit(main())
