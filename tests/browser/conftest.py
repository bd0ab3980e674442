"""The running product on free ports, and a real Chromium in front of it.

With OPS_SCREENSHOTS set to a folder, each step that calls `shot` leaves a picture there.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from sqlalchemy import text

from core import registry
from core.config import get_settings
from core.domains.users import service as users
from core.kit import db as database
from core.kit import keyring
from core.kit.db import STAFF
from core.runtime.schedules import service as schedules
from tests.cast import make_cast
from tests.fakeworld.world import World

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
expect.set_options(timeout=20_000)
SIZES = {"phone": {"width": 390, "height": 844}, "wide": {"width": 1440, "height": 900}}
SHOTS = os.environ.get("OPS_SCREENSHOTS")
ARGS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking"]


def shot(page: Page, name: str) -> None:
    """Leave a picture, when somebody wants pictures."""
    if SHOTS:
        Path(SHOTS).mkdir(parents=True, exist_ok=True)
        page.wait_for_timeout(500)  # toasts and panels have come to rest
        page.screenshot(path=str(Path(SHOTS) / f"{name}.png"))


def is_calm(page: Page, *, jumped: float = 0.05) -> None:
    """Once page and frame are all there, nothing has jumped by more than that, and nothing makes it scroll sideways."""
    page.locator("html[data-ready]").wait_for(state="attached")
    page.locator("#ops-frame .bell").wait_for(state="attached")
    # the browser tells of a shift after the frame it happened in
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))))")
    assert page.evaluate("__shift") <= jumped, page.url
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, page.url


@dataclass(frozen=True)
class Running:
    """Where the dashboard answers, and the name of its session cookie."""

    url: str
    cookie: str


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)  # the one wait on another process's start
    raise AssertionError(f"the web process did not come up:\n{log.read_text()[-3000:]}")


@pytest.fixture(scope="package")
def slack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Slack as the product reaches it."""
    made = World(tmp_path_factory.mktemp("world") / "vendors.jsonl")
    yield made
    made.close()


@pytest.fixture(scope="package")
def running(stores: None, slack: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """web, clock and an interactive worker on this worker's stores; ended by pid before other tests begin."""
    registry.load()
    port, folder = _free_port(), tmp_path_factory.mktemp("browser")
    own = pytest.MonkeyPatch()  # keys of its own, which no test before it has had in its hands
    own.delenv(keyring.SETTING, raising=False)
    given = {**slack.environment, "SLACK_BOT_TOKEN": slack.keys["SLACK_BOT_TOKEN"], "OPS_STATE_DIR": str(folder)}
    for name, value in given.items():
        own.setenv(name, value)
    get_settings.cache_clear()
    keyring.create()
    python = sys.executable
    environment = {**os.environ, "OPS_WEB_PORT": str(port), "OPS_LOG_LEVEL": "INFO"}
    commands = {
        "web": [python, "-m", "streamlit", "run", "app/server.py", "--server.port", str(port), "--server.address",
                "127.0.0.1", "--server.headless", "true"],
        "clock": [python, "-m", "worker.clock"],
        "worker": [python, "-m", "worker.main", "interactive", "1"],
    }  # fmt: skip
    processes = {}
    try:
        for name, command in commands.items():
            with (folder / f"{name}.log").open("wb") as log:
                processes[name] = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        _wait(f"http://127.0.0.1:{port}/_stcore/health", processes["web"], folder / "web.log")
        yield Running(f"http://127.0.0.1:{port}", f"ops_session_{port}")
    finally:
        for process in processes.values():
            process.send_signal(signal.SIGTERM)
        for process in processes.values():
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        own.undo()
        get_settings.cache_clear()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def profiles(chromium: Browser) -> Iterator[Callable[[int], BrowserContext]]:
    """The n-th person's browser. Kept, since a new one would load and compile all of the dashboard's JavaScript anew."""
    made: list[BrowserContext] = []

    def profile(number: int) -> BrowserContext:
        while len(made) <= number:
            made.append(chromium.new_context())
            made[-1].set_default_timeout(20_000)
        return made[number]

    yield profile
    for context in made:
        context.close()


@pytest.fixture
def db(running: Running) -> None:
    """An empty database under running processes: their own statements may stand in the way for a moment, so it is tried again."""
    from core.config import get_settings
    from tests.tools.emptying import empty

    for _ in range(20):
        try:
            with psycopg.connect(str(get_settings().database_admin_url), autocommit=True) as connection:
                connection.execute("SET lock_timeout = '5s'")
                empty(connection, keep=("heartbeats",))
            return
        except (psycopg.errors.DeadlockDetected, psycopg.errors.LockNotAvailable, psycopg.errors.ForeignKeyViolation):
            continue
    raise AssertionError("the database could not be emptied")


def _ledger() -> str:
    """What the runs and effects of the test came to."""
    with database.transaction(STAFF) as session:
        return "\n".join(str(tuple(row)) for ask in _LEDGER for row in session.execute(text(ask)))


_LEDGER = (
    "SELECT id, name, state, reason, attempts, error, run_after::text, worker FROM runs ORDER BY id",
    "SELECT id, kind, state, error FROM actions ORDER BY id",
    "SELECT effect_id, what, outcome, detail, at::text, duration_ms FROM effect_calls ORDER BY id",
)


@pytest.fixture
def visit(db: None, running: Running, profiles: Callable[[int], BrowserContext]) -> Iterator[Callable[..., Page]]:
    """`visit("/runs", who="tony", phone=True)` → a signed-in page. Any error in the browser's console fails the test."""
    with database.transaction(STAFF) as session:
        make_cast(session)
        schedules.sync_builtin(session)
    pages: list[Page] = []
    errors: list[str] = []

    def opened(path: str, *, who: str = "dave", phone: bool = False, dark: bool = False) -> Page:
        with database.transaction(STAFF) as session:
            link = users.create_login_link(session, f"{who}@manageai.example")
            _, token = users.redeem_link(session, link)
        context = profiles(len(pages))
        context.add_cookies([{"name": running.cookie, "value": token, "url": running.url}])
        page = context.new_page()
        pages.append(page)
        page.set_viewport_size(SIZES["phone" if phone else "wide"])
        page.emulate_media(color_scheme="dark" if dark else "light")
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.add_init_script(
            "window.__shift=0;new PerformanceObserver(l=>l.getEntries().forEach(e=>{if(!e.hadRecentInput)__shift+=e.value}))"
            ".observe({type:'layout-shift',buffered:true})"
        )
        page.goto(running.url + path)
        page.locator(".pg h1").first.wait_for()
        return page

    yield opened
    print(_ledger())  # pytest shows it when the test failed
    for page in pages:
        page.evaluate("localStorage.clear()")
        page.context.clear_cookies()
        for tab in page.context.pages:
            tab.close()
    assert errors == []
