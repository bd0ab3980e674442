"""Real PostgreSQL and Valkey for every test: one server a test session, one database and one Valkey number a worker."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

if TYPE_CHECKING:
    from tests.cast import Cast

TEMPLATE = "ops_template"
pytest_plugins = ("tests.fakeworld.fixtures",)
# a person's own settings and keys must not reach a test
for _name in list(os.environ):
    if _name.startswith("OPS_") and not _name.startswith(("OPS_TEST_", "OPS_SCREENSHOTS")):
        del os.environ[_name]
for _name in (
    "DATABASE_URL",
    "DATABASE_ADMIN_URL",
    "REDIS_URL",
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_BASE_URL",
    "PIPEDRIVE_API_TOKEN",
    "SLACK_BOT_TOKEN",
    "SLACK_SIGNING_SECRET",
    "RESEND_API_KEY",
    "RESEND_WEBHOOK_SECRET",
    "SMTP_URL",
    "MAIL_FROM",
):
    os.environ.pop(_name, None)

SLOW_PLACES = tuple(
    f"tests/{place}/"
    for place in (
        "app/auth",
        "app/commands",
        "app/gateway",
        "core/domains/demo",
        "core/integrations",
        "faults",
        "migrations",
        "pages",
    )
)
SLOW_FIXTURES = frozenset({"agency", "endpoint", "fake_anthropic", "mode", "own_database", "world"})
# each is one piece of work for one test worker, since its tests share processes
PIECES = ("tests/browser/", "tests/faults/test_matrix.py", "tests/app/auth/test_server.py")
# the longest begin first, so that no worker is left alone with one at the end
FIRST = ("tests/browser/", "tests/faults/", "tests/worker/supervisor/", "tests/worker/")
_servers: list[object] = []


def pytest_configure(config: pytest.Config) -> None:
    from core.config import Settings

    Settings.model_config["env_file"] = None
    if hasattr(config, "workerinput"):
        return
    from core.kit.embedded import Postgres, Valkey
    from core.kit.embedded.postgres import DATABASE, OWNER_ROLE

    folder = Path(tempfile.mkdtemp(prefix="ops-test-"))
    folder.chmod(0o755)
    # tests kill servers and never pull the plug: the kernel keeps what a killed one wrote, and no test waits for a busy disk
    postgres = Postgres(folder / "postgres", settings={"fsync": "off"})
    valkey = Valkey(folder / "valkey")
    _servers.extend((postgres, valkey, folder))
    postgres.start()
    valkey.start()
    os.environ["OPS_TEST_OWNER_URL"] = postgres.owner_url
    os.environ["OPS_TEST_APP_URL"] = postgres.app_url
    os.environ["OPS_TEST_REDIS_URL"] = valkey.url
    from alembic import command
    from alembic.config import Config

    alembic = Config("alembic.ini")
    alembic.attributes["url"] = postgres.owner_url
    command.upgrade(alembic, "head")
    with psycopg.connect(postgres.url_for("postgres", OWNER_ROLE), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {TEMPLATE} TEMPLATE {DATABASE}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever runs a page, the gateway, a process, a vendor's stand-in or a whole agency is no part of `make check`."""
    for item in items:
        asked = getattr(item, "fixturenames", ())
        if item.nodeid.startswith(SLOW_PLACES) or not SLOW_FIXTURES.isdisjoint(asked):
            item.add_marker(pytest.mark.slow)
    items.sort(key=lambda item: next((n for n, place in enumerate(FIRST) if item.nodeid.startswith(place)), len(FIRST)))


def pytest_xdist_auto_num_workers() -> int:
    """One more than cores: many tests wait for processes, for leases and for deadlines."""
    return (os.cpu_count() or 1) + 1


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Pieces to one worker each, every other test to whoever is free; xdist's own groups are not seen with pytest 9.2."""
    from xdist.scheduler import LoadScopeScheduling

    class Pieces(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return next((place for place in PIECES if nodeid.startswith(place)), nodeid)

    config.option.loadscopereorder = False
    return Pieces(config, log)


def pytest_unconfigure(config: pytest.Config) -> None:
    for server in _servers:
        if isinstance(server, Path):
            shutil.rmtree(server, ignore_errors=True)
        else:
            server.stop()
    _servers.clear()


def _in_database(url: str, name: str) -> str:
    return url.rsplit("/", 1)[0] + "/" + name


@pytest.fixture(scope="session", autouse=True)
def stores(tmp_path_factory: pytest.TempPathFactory) -> None:
    """This worker's own database and Valkey number, in the environment as a running app would have them."""
    from core.config import get_settings

    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
    name = f"ops_test_{worker}"
    owner_url = os.environ["OPS_TEST_OWNER_URL"]
    with psycopg.connect(_in_database(owner_url, "postgres"), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    os.environ["DATABASE_URL"] = _in_database(os.environ["OPS_TEST_APP_URL"], name)
    os.environ["DATABASE_ADMIN_URL"] = _in_database(owner_url, name)
    os.environ["REDIS_URL"] = os.environ["OPS_TEST_REDIS_URL"].rsplit("/", 1)[0] + f"/{int(worker[2:]) + 1}"
    os.environ["OPS_STATE_DIR"] = str(tmp_path_factory.mktemp("state"))
    get_settings.cache_clear()
    from core.kit import keyring

    keyring.create()  # as `ops up` does


_kept: dict[str, psycopg.Connection] = {}


def _owner(url: str) -> psycopg.Connection:
    """The owner's connection of this process, made anew when a test has cut it off."""
    kept = _kept.get(url)
    try:
        if kept is not None:
            kept.execute("SELECT 1")
            return kept
    except psycopg.OperationalError:
        pass
    _kept[url] = psycopg.connect(url, autocommit=True, options="-c lock_timeout=10s")
    return _kept[url]


@pytest.fixture
def db() -> None:
    """An empty database (only the agency's organisation) and an empty Valkey. Ask for it in every test that writes."""
    empty_stores()


@pytest.fixture
def cast(db: None) -> "Cast":
    """Dave, Brian, Dan, Tony and Robert, and the two clients. A folder that needs more of them has a `cast` of its own."""
    from core.kit import db as database
    from core.kit.db import STAFF
    from tests.cast import make_cast

    with database.transaction(STAFF) as session:
        return make_cast(session)


@pytest.fixture
def state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty state folder of one's own, without keys."""
    from core.config import get_settings

    monkeypatch.setenv("OPS_STATE_DIR", str(tmp_path))
    get_settings.cache_clear()
    yield tmp_path
    monkeypatch.undo()
    get_settings.cache_clear()


def empty_stores() -> None:
    """What `db` does, for fixtures of a wider scope."""
    from core import registry
    from core.config import get_settings
    from core.kit import redis
    from core.runtime.runs import wake
    from tests.tools.emptying import empty

    registry.load()
    empty(_owner(str(get_settings().database_admin_url)))
    redis.client().flushdb()
    wake._down_until = 0.0
