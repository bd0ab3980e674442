"""Does a store answer? If not, one sentence that says why and what to do."""

import psycopg
from psycopg.conninfo import conninfo_to_dict

from core.errors import OpsError, Unavailable

_HINTS = (
    ("password authentication failed", "its user or password is wrong", "Check the user and the password in it."),
    ("no password supplied", "it needs a password", "Write it as postgresql://user:password@host:5432/name."),
    ("does not exist", "there is no such database or user", "Create it, or name another one."),
    ("role", "there is no such user", "Create it, or name another one."),
    ("could not translate host name", "its host name is unknown", "Check the host in it."),
    ("resolve host", "its host name is unknown", "Check the host in it."),
    ("name or service not known", "its host name is unknown", "Check the host in it."),
    ("timeout", "its server did not answer in time", "Check the host, the port and the firewall."),
    ("connection refused", "nothing listens there", "Check the host and the port, and that the server runs."),
    ("too many clients", "its server has no connection left", "Raise max_connections, or end other programs."),
    ("starting up", "its server is still starting", "Try again in a few seconds."),
)


def where(url: str) -> str:
    """The address without its password, for people."""
    try:
        parts = conninfo_to_dict(_libpq(url))
    except psycopg.ProgrammingError:
        return "that address"
    return f"{parts.get('host', 'localhost')}:{parts.get('port', 5432)}/{parts.get('dbname', '')}"


def _libpq(url: str) -> str:
    return url.replace("postgresql+psycopg://", "postgresql://", 1)


def connect(url: str, setting: str = "DATABASE_URL", **options: object) -> "psycopg.Connection[tuple[object, ...]]":
    """A plain connection for administration. Raises OpsError or Unavailable with one sentence, the password left out."""
    if not url.startswith(("postgresql://", "postgres://", "postgresql+psycopg://")):
        raise OpsError(
            f"{setting} is not a PostgreSQL address.",
            "It should look like postgresql://user:password@host:5432/name, or be left out to use the embedded server.",
        )
    try:
        return psycopg.connect(_libpq(url), **{"connect_timeout": 5, **options})  # type: ignore[arg-type]
    except psycopg.OperationalError as error:
        said = str(error).lower()
        for word, why, step in _HINTS:
            if word in said:
                raise Unavailable(f"{setting} ({where(url)}) can't be used: {why}.", step) from None
        first = str(error).strip().splitlines()[0][:200]
        raise Unavailable(f"{setting} ({where(url)}) can't be used: {first}", "Check the address and the server.") from None
    except psycopg.ProgrammingError:
        raise OpsError(
            f"{setting} is not a PostgreSQL address.", "It should look like postgresql://user:password@host:5432/name."
        ) from None


def check_redis(url: str, setting: str = "REDIS_URL") -> str:
    """The server's version. Raises OpsError or Unavailable with one sentence."""
    from redis import Redis
    from redis.exceptions import AuthenticationError, RedisError

    try:
        client = Redis.from_url(url, socket_connect_timeout=3, socket_timeout=3)
    except ValueError:
        raise OpsError(
            f"{setting} is not a Redis address.",
            "It should look like redis://:password@host:6379/0, or be left out to use the embedded server.",
        ) from None
    try:
        with client:
            info = client.info("server")
        return str(info.get("valkey_version") or info.get("redis_version"))
    except AuthenticationError:
        raise Unavailable(f"{setting} can't be used: its password is wrong or missing.", "Check the password in it.") from None
    except (RedisError, OSError, UnicodeError) as error:
        where_ = url.rsplit("@", 1)[-1].removeprefix("redis://")
        raise Unavailable(
            f"{setting} ({where_}) does not answer ({type(error).__name__}).", "Check the host and the port, and that it runs."
        ) from None
