"""PostgreSQL and Valkey: the embedded ones, or those that DATABASE_URL and REDIS_URL point at."""

import os
from dataclasses import dataclass

from core.config import Settings
from core.kit.embedded import Postgres, Valkey
from worker.supervisor import ports
from worker.supervisor.state import StateFolder


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the stores are. `admin` is for migrations and backups and never reaches a process of the Procfile."""

    database: str
    admin: str
    redis: str


class Stores:
    """The stores this `ops up` needs; `postgres` and `valkey` are None when the environment brought its own."""

    def __init__(self, settings: Settings, state: StateFolder) -> None:
        # processes the stores start carry the mark too, so that a cut-off first start leaves nothing behind
        remembered = state.remembered_ports()
        self._settings, self._state = settings, state
        self.postgres = None if settings.database_url else Postgres(state.path / "postgres", remembered.get("postgres"))
        self.valkey = None if settings.redis_url else Valkey(state.path / "valkey", remembered.get("valkey"))
        for store, wished, name in (
            (self.postgres, settings.postgres_port, "POSTGRES"),
            (self.valkey, settings.valkey_port, "VALKEY"),
        ):
            if store and wished:
                ports.choose(f"embedded {name.title()}", f"OPS_{name}_PORT", wished, explicit=True, host="127.0.0.1")
                store.preferred_port = wished

    def start(self) -> Addresses:
        """Start what is embedded, both at once, and wait until they answer. Raises OpsError with what is wrong."""
        if self.valkey:
            self.valkey.launch()
        if self.postgres:
            self.postgres.launch()
            self.postgres.wait()
        if self.valkey:
            self.valkey.wait()
        mine = {"postgres": self.postgres, "valkey": self.valkey}
        self._state.remember_ports({k: v.port for k, v in mine.items() if v})
        return self._addresses()

    def _addresses(self) -> Addresses:
        settings = self._settings
        database = self.postgres.app_url if self.postgres else settings.database_url or ""
        admin = self.postgres.owner_url if self.postgres else settings.database_admin_url or database
        redis = self.valkey.url if self.valkey else settings.redis_url or ""
        # this process calls the core's services itself, as the app does
        os.environ.update(DATABASE_URL=database, DATABASE_ADMIN_URL=admin, REDIS_URL=redis)
        return Addresses(database, admin, redis)
