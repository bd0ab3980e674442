"""From nothing to a database the processes can use: settings, state folder, stores, schema, ports."""

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dotenv import dotenv_values
from pydantic import ValidationError

from core.config import Settings, get_settings, started_at_tick
from core.errors import BadInput
from core.kit import reach, schema
from core.kit.embedded.process import adopt_orphans
from core.runtime.connections import keycheck
from worker.supervisor import guardian, ports, prepare, procfile
from worker.supervisor.children import CHILD_MARK
from worker.supervisor.nursery import Nursery
from worker.supervisor.state import StateFolder
from worker.supervisor.stores import Addresses, Stores


@dataclass(slots=True)
class Booted:
    """Everything the loop needs."""

    settings: Settings
    state: StateFolder
    stores: Stores
    addresses: Addresses
    programs: list[procfile.Program]
    procfile_path: Path
    web_port: int
    gateway_port: int
    began: float
    nursery: Nursery | None

    @property
    def base_url(self) -> str:
        """Where people open the dashboard."""
        host = "127.0.0.1" if self.settings.bind_host in ("0.0.0.0", "::") else self.settings.bind_host  # noqa: S104
        return (self.settings.public_url or f"http://{host}:{self.web_port}").rstrip("/")

    def env_for(self, program: procfile.Program) -> dict[str, str]:
        """The environment of one process: the app role's address of the database, never the owner's."""
        return {
            **os.environ,
            "DATABASE_URL": self.addresses.database,
            "DATABASE_ADMIN_URL": "",
            "REDIS_URL": self.addresses.redis,
            "OPS_STATE_DIR": str(self.state.path),
            "OPS_WEB_PORT": str(self.web_port),
            "OPS_GATEWAY_PORT": str(self.gateway_port),
            "OPS_BIND_HOST": self.settings.bind_host,
            "OPS_PROCESS": program.name,
            "OPS_INSTANCE": str(program.instance),
            "PYTHONUNBUFFERED": "1",
            CHILD_MARK: f"{self.state.path}#{program.name}",
        }


def process_age_s() -> float:
    """Seconds since this process began, as its user waited for it."""
    tick = started_at_tick(os.getpid())
    if tick is None:
        return 0.0
    return time.clock_gettime(time.CLOCK_BOOTTIME) - tick / os.sysconf("SC_CLK_TCK")


def read_settings() -> Settings:
    """The settings, with `.env` handed on to the children too. Raises BadInput with the first thing that is wrong."""
    for name, value in dotenv_values(".env").items():
        if value is not None:
            os.environ.setdefault(name, value)
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else "a setting"
        name = name if name.isupper() else f"OPS_{name.upper()}"
        raise BadInput(
            f"{name} is set to {first['input']!r}: {first['msg'].lower()}.", "Mend it in the environment or .env."
        ) from None


def boot(*, demo: bool, say: Callable[[str], None], before: Callable[[], object]) -> Booted:
    """Do it all. `before` is called once the state folder is ours.

    Raises OpsError with one sentence; whatever was started until then has ended again.
    """
    began = time.monotonic() - process_age_s()
    settings = read_settings()
    path = settings.procfile if settings.procfile.is_absolute() else schema.ROOT / settings.procfile
    programs = procfile.read(path, settings)
    if settings.database_url:
        prepare.look(settings.database_admin_url or settings.database_url)
    if settings.redis_url:
        reach.check_redis(settings.redis_url)
    state = StateFolder(settings.state_dir)
    state.take()
    before()
    os.environ[guardian.MARK] = str(state.path)
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    if state.guard():
        say("ended what the last run had left behind")
    stores = nursery = None
    try:
        adopt_orphans()
        # it imports while the stores start
        nursery = Nursery(schema.ROOT) if settings.preload else None
        web, gateway = _ports(settings, say)
        stores = Stores(settings, state)
        addresses = stores.start()
        get_settings.cache_clear()
        booted = Booted(settings, state, stores, addresses, programs, path, web, gateway, began, nursery)
        for program in programs:
            program.argv(booted.env_for(program), path)
        found = prepare.look(addresses.admin)
        if found.empty or not found.at_head:
            prepare.prepare(demo=demo, say=say)
        with reach.connect(addresses.admin) as connection:
            keycheck.before_start(connection)
    except BaseException:
        if nursery:
            nursery.end()
        _undo(state, stores)
        raise
    return booted


def _undo(state: StateFolder, stores: Stores | None) -> None:
    for store in (stores.valkey, stores.postgres) if stores else ():
        if store:
            store.stop()
    state.release()


def _ports(settings: Settings, say: Callable[[str], None]) -> tuple[int, int]:
    chosen: list[int] = []
    for what, field in (("dashboard", "web_port"), ("gateway", "gateway_port")):
        wished, setting = getattr(settings, field), f"OPS_{field.upper()}"
        port = ports.choose(
            what, setting, wished, explicit=field in settings.model_fields_set, host=settings.bind_host, not_these=tuple(chosen)
        )
        if port != wished:
            say(f"port {wished} for the {what} is taken: using {port} (set {setting} to choose another)")
        chosen.append(port)
    return chosen[0], chosen[1]
