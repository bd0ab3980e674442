"""What the runs list costs a person: bytes of the first load, layout shift, a click until the detail is there.

Measured in a real Chromium against a real `ops up` with the demo agency. With BENCH_PEER_URL, BENCH_PEER_ROW and
BENCH_PEER_DETAIL (addresses and selectors of another console's list) that console is measured in the same run, in turn.
"""

import os
import statistics
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import results
from benchmarks.startup import App

ROUNDS = 7
WIRE_KB, SHIFT, CLICK_MS = 2_200, 0.05, 350
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
# nothing but this machine is reachable for the browser, whatever a page asks for
FLAGS = [
    "--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
]  # fmt: skip
_SHIFTS = """window.__cls = 0; new PerformanceObserver(l => l.getEntries().forEach(e => {
    if (!e.hadRecentInput) window.__cls += e.value })).observe({type: 'layout-shift', buffered: true})"""


@dataclass
class Console:
    """A list page: where it is, what a row is, and what is there when its detail is open."""

    name: str
    url: str
    row: str
    detail: str
    cookies: list[dict[str, str]] = field(default_factory=list)
    wire_kb: list[float] = field(default_factory=list)
    shift: list[float] = field(default_factory=list)
    load_ms: list[float] = field(default_factory=list)
    click_ms: list[float] = field(default_factory=list)

    def visit(self, browser: Any) -> None:
        """One fresh browser: load, settle, click."""
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        context.add_cookies(self.cookies)
        page = context.new_page()
        page.add_init_script(_SHIFTS)
        wire = _Wire(context.new_cdp_session(page))
        begun = time.perf_counter()
        page.goto(self.url, wait_until="commit")
        page.locator(self.row).first.wait_for(state="visible", timeout=45_000)
        self.load_ms.append((time.perf_counter() - begun) * 1000)
        page.wait_for_timeout(3_000)  # what arrives within three seconds of the list belongs to its load
        self.wire_kb.append(wire.bytes / 1024)
        self.shift.append(page.evaluate("window.__cls"))
        begun = time.perf_counter()
        page.locator(self.row).first.click()
        page.locator(self.detail).first.wait_for(state="visible", timeout=45_000)
        self.click_ms.append((time.perf_counter() - begun) * 1000)
        context.close()

    def line(self) -> tuple[str, str, str, str, str]:
        """Its row of the table."""
        return (
            self.name,
            f"{statistics.median(self.wire_kb):,.0f}",
            f"{statistics.median(self.load_ms):,.0f}",
            f"{statistics.median(self.click_ms):,.0f}",
            f"{max(self.shift):.3f}",
        )


class _Wire:
    """Bytes a page receives: HTTP with headers, and WebSocket payloads."""

    def __init__(self, session: Any) -> None:
        self.bytes = 0.0
        session.on("Network.loadingFinished", lambda e: self._add(e["encodedDataLength"]))
        session.on("Network.webSocketFrameReceived", lambda e: self._frame(e["response"]))
        session.send("Network.enable")

    def _add(self, many: float) -> None:
        self.bytes += many

    def _frame(self, response: dict[str, Any]) -> None:
        size = len(response["payloadData"])
        self._add(size * 3 / 4 if response["opcode"] == 2 else size)


def ours(app: App) -> Console:
    """Our runs list, signed in."""
    from core.config import get_settings
    from core.kit import db

    os.environ["OPS_STATE_DIR"] = app.environment["OPS_STATE_DIR"]
    get_settings.cache_clear()
    from benchmarks.pages import session_token

    token = session_token()
    db.engine().dispose()
    url = str(app.ops("status")["url"])
    cookie = {"name": f"ops_session_{url.rsplit(':', 1)[1].strip('/')}", "value": token, "url": url}
    return Console("ManageAI Ops", f"{url}/runs?period=All", "tr[data-id]", "[role=dialog] h1", [cookie])


def main() -> None:
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory(prefix="ops-bench-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        with App(Path(folder) / "state") as app, sync_playwright() as playwright:
            consoles = [ours(app)]
            if os.environ.get("BENCH_PEER_URL"):
                peer = (os.environ["BENCH_PEER_URL"], os.environ["BENCH_PEER_ROW"], os.environ["BENCH_PEER_DETAIL"])
                consoles.append(Console(os.environ.get("BENCH_PEER_NAME", "peer"), *peer))
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            for _ in range(ROUNDS):
                for console in consoles:
                    console.visit(browser)
            browser.close()
    columns = ("list page", "wire KB", "first row ms", "click to detail ms", "layout shift, worst")
    results.table(f"Runs list in Chromium, {ROUNDS} fresh browsers each, medians", columns, [c.line() for c in consoles])
    mine = consoles[0]
    wire, shift, click = statistics.median(mine.wire_kb), max(mine.shift), statistics.median(mine.click_ms)
    results.result("browser.first_load", wire, "KB", "fresh browser", WIRE_KB, wire <= WIRE_KB)
    results.result("browser.layout_shift", shift, "", "worst of all", SHIFT, shift <= SHIFT)
    results.result("browser.click_to_detail", click, "ms", "median", CLICK_MS, click <= CLICK_MS)


if __name__ == "__main__":
    main()
