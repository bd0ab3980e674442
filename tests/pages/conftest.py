"""Pages as their reader sees them: AppTest runs the whole dashboard, frame included, as a person of the cast."""

import os
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path

import pytest
from streamlit.components.v2 import manifest_scanner
from streamlit.testing.v1 import AppTest

from app.auth import current
from app.ui import chrome, health, live, stop
from benchmarks.bulk import fill
from core.domains.users import service as users
from core.kit import db as database
from core.kit.db import STAFF
from core.runtime.schedules import service as schedules
from tests.cast import make_cast

ROOT = Path(__file__).resolve().parents[2]
Open = Callable[..., AppTest]


@pytest.fixture(scope="session", autouse=True)
def scanned_once() -> Iterator[None]:
    """Every AppTest would read the metadata of all installed packages again, in search of components."""
    found = manifest_scanner.scan_component_manifests()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest_scanner, "scan_component_manifests", lambda: found)
        yield


@pytest.fixture
def open_page(db: None, monkeypatch: pytest.MonkeyPatch) -> Open:
    """`open_page("runs", state="Failed", who="tony")` → the page, drawn. Jobs are set up; there is nothing else yet."""
    with database.transaction(STAFF) as session:
        make_cast(session)
        schedules.sync_builtin(session)

    # what is kept for some seconds is kept for the whole test, so that counted queries do not depend on the clock
    for module, name in ((health, "KEEP_S"), (live, "_KEEP_S"), (chrome, "_JOBS_KEEP_S"), (stop, "KEEP_S")):
        monkeypatch.setattr(module, name, 1e9)

    def opened(page: str, who: str = "dave", **params: str) -> AppTest:
        health.forget()
        live.forget()
        chrome.forget()
        stop.forget()
        with database.transaction(STAFF) as session:
            link = users.create_login_link(session, f"{who}@manageai.example")
            _, token = users.redeem_link(session, link)
        monkeypatch.setattr(current, "session_token", lambda: token)
        at = AppTest.from_file(str(ROOT / "app" / "dashboard.py"), default_timeout=60)
        at.run()
        if page != "today":
            at.switch_page(str(ROOT / "pages" / f"{page}.py"))
        for name, value in params.items():
            at.query_params[name] = value
        at.run()
        assert not at.exception, at.exception[0].message
        return at

    return opened


@pytest.fixture
def filled(open_page: Open) -> Callable[[int], None]:
    """Fill the agency with so many deals and runs."""
    return lambda many: fill(os.environ["DATABASE_ADMIN_URL"], many, many)


def said(at: AppTest) -> str:
    """Everything the page says in HTML, as text with its tags."""
    return unescape(" ".join(h.proto.body for h in at.get("html")))


def mounted(at: AppTest, key: str) -> dict:
    """The data one of our components was given, by the end of its key."""
    import json

    for element in at.get("bidi_component"):
        if key in element.proto.id:
            return json.loads(element.proto.json)
    raise AssertionError(f"no component {key} among {[e.proto.id for e in at.get('bidi_component')]}")
