"""PostgreSQL and Valkey that come with the installation, for when no URL points at managed servers."""

from core.kit.embedded.postgres import Postgres
from core.kit.embedded.valkey import Valkey

__all__ = ["Postgres", "Valkey"]
