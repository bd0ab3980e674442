"""Starts our own Python processes by forking one that has imported everything already.

Five processes that each import the ORM need ten seconds of two cores and 70 MB each; forked from one they need two and
share the memory. `python -m worker.supervisor.nursery FD` imports, opens no connection, starts no thread, and waits on the
socket FD for commands. Each process is forked twice, so that it becomes the supervisor's own child (which is its
subreaper): the supervisor waits for it, and its end is the process's end, as if it had started it itself.
"""

import contextlib
import gc
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from core.kit.embedded.process import die_with_parent

_PRELOAD = (
    "core.kit.redis",
    "core.kit.schema",
    "core.runtime.runs.dispatch",
    "core.runtime.runs.execute",
    "core.runtime.schedules.service",
    "core.domains.users.service",
    "psycopg",
    "rq",
    "sqlalchemy.dialects.postgresql.psycopg",
)
_LONGEST_ANSWER_S = 20.0
_MESSAGE = 1 << 17


class Forked:
    """A process the nursery made, with the part of `subprocess.Popen` that the supervisor uses."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Its exit code, or None while it runs."""
        if self.returncode is None:
            with contextlib.suppress(ChildProcessError):
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                if pid:
                    self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self) -> int:
        """Wait for its end."""
        if self.returncode is None:
            self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.returncode

    def send_signal(self, how: signal.Signals) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, how)


class Nursery:
    """The supervisor's side. One that does not answer is ended; what it would have made is then started directly."""

    def __init__(self, cwd: Path) -> None:
        self._cwd = cwd
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self.start()

    @property
    def pid(self) -> int | None:
        """None while there is none."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start importing, in the background."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "worker.supervisor.nursery", str(theirs.fileno())],
                stdin=subprocess.DEVNULL, pass_fds=(theirs.fileno(),), cwd=self._cwd, start_new_session=True,
                env={**os.environ, "PYTHONUNBUFFERED": "1", "DATABASE_ADMIN_URL": ""}, preexec_fn=die_with_parent,
            )  # fmt: skip
        ours.settimeout(_LONGEST_ANSWER_S)
        self._socket = ours

    def keep(self) -> None:
        """Start it again when it has ended."""
        if self._process and self._process.poll() is not None:
            self.end()
            self.start()

    def bear(self, argv: list[str], env: Mapping[str, str], output: int) -> Forked | None:
        """Fork a `python -m MODULE …` process that writes to the file `output`. None when it can't: start it directly."""
        if self._socket is None:
            return None
        order = json.dumps({"argv": argv[2:], "env": dict(env), "parent": os.getpid()}).encode()
        try:
            socket.send_fds(self._socket, [order], [output])
            return Forked(int(self._socket.recv(64)))
        except (OSError, ValueError):
            self.end()
            return None

    def end(self) -> None:
        """End it; what it made lives on."""
        if self._socket:
            self._socket.close()
            self._socket = None
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None


def can_bear(argv: list[str]) -> bool:
    """Whether this is one of our own modules, run by this interpreter."""
    return argv[0] == sys.executable and argv[1:2] == ["-m"] and argv[2:3] != [] and argv[2].startswith(("app.", "worker."))


def main() -> None:
    """Import, then fork a process for each order until the supervisor's end closes."""
    from core import registry

    connection = socket.socket(fileno=int(sys.argv[1]))
    registry.load()
    for module in _PRELOAD:
        import_module(module)
    gc.collect()
    gc.freeze()  # a collection in a child then does not copy what it shares with the others
    while True:
        data, files, _, _ = socket.recv_fds(connection, _MESSAGE, 1)
        if not data:
            return
        order = json.loads(data)
        reader, writer = os.pipe()
        between = os.fork()
        if between == 0:
            born = os.fork()
            if born:
                os.write(writer, str(born).encode())
                os._exit(0)
            # from here on this is the new process; it leaves the loop and runs its module at the top of the stack
            for fd in (reader, writer):
                os.close(fd)
            connection.close()
            break
        os.waitpid(between, 0)
        connection.send(os.read(reader, 64))
        for fd in (reader, writer, *files):
            os.close(fd)
    _become(order, files[0])


def _become(order: dict[str, Any], output: int) -> None:
    from core.config import get_settings

    supervisor, argv, env = order["parent"], order["argv"], order["env"]
    end = time.monotonic() + 5
    while os.getppid() != supervisor:  # until the one between us has ended
        if time.monotonic() > end:
            os._exit(1)
        time.sleep(0.001)
    die_with_parent()
    if os.getppid() != supervisor:
        os._exit(1)
    os.setsid()
    for fd in (1, 2):
        os.dup2(output, fd)
    os.close(output)
    os.environ.clear()
    os.environ.update(env)
    get_settings.cache_clear()
    with contextlib.suppress(OSError), open("/proc/self/comm", "w") as name:
        name.write(env.get("OPS_PROCESS", argv[0])[:15])
    sys.argv = argv
    runpy.run_module(argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
