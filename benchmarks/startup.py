"""`ops up` on a warm machine: seconds until it is ready, what it holds in memory when idle, and an import of 8,800 deals.

`OPS_CRM_SAMPLE` names a real CSV export to import in place of the made-up one.
"""

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import results
from benchmarks.harness import until
from benchmarks.import_deals import make_file

WARM_STARTS, IDLE_S = 3, 20
READY_S, IMPORT_S, MEMORY_MB = 8.0, 5.0, 1200.0
OPS = [sys.executable, "-m", "app.cli"]


class App:
    """`ops up` on a state folder of its own. Use it with `with`; `ready_s` is how long it took."""

    def __init__(self, state: Path) -> None:
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith(("OPS_", "DATABASE_", "REDIS_"))}
        self.environment["OPS_STATE_DIR"] = str(state)
        self.log = state.parent / "ops-up.log"
        self.ready_s = 0.0

    def __enter__(self) -> "App":
        begun = time.monotonic()
        with self.log.open("wb") as log:
            self.process = subprocess.Popen([*OPS, "up"], env=self.environment, stdout=log, stderr=log)
        until(lambda: b"is ready" in self.log.read_bytes() or self.process.poll() is not None, 120, "not ready", 0.02)
        if self.process.poll() is not None:
            raise RuntimeError(self.log.read_text()[-2000:])
        self.ready_s = time.monotonic() - begun
        return self

    def __exit__(self, *_error: object) -> None:
        self.process.send_signal(signal.SIGINT)
        self.process.wait(30)

    def ops(self, *argv: str) -> dict[str, object]:
        """What a command answers with --json."""
        done = subprocess.run([*OPS, *argv, "--json"], env=self.environment, capture_output=True, text=True, timeout=120)
        answer: dict[str, object] = json.loads(done.stdout)
        return answer


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="ops-bench-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        state = Path(folder) / "state"
        sample = Path(os.environ.get("OPS_CRM_SAMPLE") or Path(folder) / "deals.csv")
        if not sample.exists():
            sample.write_bytes(make_file())
        with App(state) as app:
            first_s = app.ready_s
        warm = []
        for _ in range(WARM_STARTS - 1):
            with App(state) as app:
                warm.append(app.ready_s)
        with App(state) as app:
            warm.append(app.ready_s)
            time.sleep(IDLE_S)  # idle means that whatever a start does has come to rest
            memory = app.ops("status")["memory"]
            begun = time.monotonic()
            imported = app.ops("import", "deals", str(sample), "--yes")
            import_s = time.monotonic() - begun
    assert isinstance(memory, dict)
    ready_s = statistics.median(warm)
    rows = [
        ("first start, schema and demo included", f"{first_s:.1f} s"),
        (f"warm start, median of {WARM_STARTS}", f"{ready_s:.1f} s ({min(warm):.1f}–{max(warm):.1f})"),
        (f"import of {imported['rows']:,} deals through the command", f"{import_s:.1f} s"),
        ("resident memory, idle, web page never opened", f"{memory['rss_mb']:.0f} MB, shared pages once: {memory['pss_mb']} MB"),
    ]
    results.table("Start, import and memory of the whole system", ("what", "measured"), rows)
    results.result("startup.ready", ready_s, "s", "warm start", READY_S, ready_s <= READY_S)
    results.result("startup.import", import_s, "s", f"{imported['rows']} rows", IMPORT_S, import_s <= IMPORT_S)
    results.result("startup.memory", memory["rss_mb"], "MB", "idle", MEMORY_MB, memory["rss_mb"] <= MEMORY_MB)


if __name__ == "__main__":
    main()
