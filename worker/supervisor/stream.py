"""The one log stream: from every process's pipe to standard output. A stuck reader never stops the supervisor."""

import contextlib
import os
import select
import selectors
import sys
from collections import deque

from worker.supervisor.render import Renderer

_READ = 65536
_LONGEST_LINE = 65536
_ATOMIC = 4096
_KEPT_LINES = 5000


class Output:
    """Standard output. When its reader is stuck (a paused terminal, a full pipe) lines wait, and the oldest are dropped."""

    def __init__(self, fd: int | None = None) -> None:
        self.fd = sys.stdout.fileno() if fd is None else fd
        self._lines: deque[bytes] = deque()
        self._rest = b""
        self._dropped = 0
        self._broken = False

    def put(self, line: str) -> None:
        """Queue one line and write what can be written now."""
        if self._broken:
            return
        if len(self._lines) >= _KEPT_LINES:
            self._lines.popleft()
            self._dropped += 1
        self._lines.append(line.encode(errors="replace") + b"\n")
        self.write()

    @property
    def waiting(self) -> bool:
        """Whether something is left to write."""
        return bool(self._lines or self._rest) and not self._broken

    def write(self) -> None:
        """Write as much as the reader takes without making us wait."""
        while self.waiting and self._takes():
            if not self._rest:
                self._rest = self._next()
            try:
                # a pipe that is ready takes this much at once
                self._rest = self._rest[os.write(self.fd, self._rest[:_ATOMIC]) :]
            except BlockingIOError:
                return
            except OSError:
                self._broken = True  # nobody reads any more; the processes go on
                return

    def _next(self) -> bytes:
        if self._dropped:
            told, self._dropped = f"… {self._dropped} lines were left out while nobody read …\n".encode(), 0
            return told
        return self._lines.popleft()

    def _takes(self) -> bool:
        poll = select.poll()
        poll.register(self.fd, select.POLLOUT)
        return bool(poll.poll(0))


class Pipes:
    """The processes' output pipes, line by line into the output."""

    def __init__(self, selector: selectors.BaseSelector, renderer: Renderer, output: Output) -> None:
        self._selector, self._renderer, self._output = selector, renderer, output
        self._partial: dict[int, bytes] = {}

    def add(self, name: str, fd: int) -> None:
        """Start to read a process's output."""
        os.set_blocking(fd, False)
        self._partial[fd] = b""
        self._selector.register(fd, selectors.EVENT_READ, name)

    def read(self, fd: int, name: str) -> None:
        """Take what is there; at its end, close it."""
        try:
            data = os.read(fd, _READ)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        *lines, rest = (self._partial[fd] + data).split(b"\n")
        if rest and (not data or len(rest) > _LONGEST_LINE):
            lines, rest = [*lines, rest], b""
        self._partial[fd] = rest
        for line in lines:
            for shown in self._renderer.line(name, line.decode(errors="replace")):
                self._output.put(shown)
        if not data:
            self._selector.unregister(fd)
            del self._partial[fd]
            os.close(fd)

    def drain(self) -> None:
        """Read what is left in every pipe without waiting."""
        for fd in list(self._partial):
            with contextlib.suppress(KeyError):
                name = self._selector.get_key(fd).data
                self.read(fd, name)
