"""`python -m benchmarks [NAME ...]`: every benchmark, one after the other. Exit code 1 when one ends with an error."""

import subprocess
import sys
from pathlib import Path

_HELPERS = {"__init__", "__main__", "attacks", "bulk", "harness", "hijack_scene", "results", "storm", "work"}


def main() -> int:
    """Run them, each in a process of its own."""
    folder = Path(__file__).parent
    modules = [p.stem for p in folder.glob("*.py")] + [p.parent.name for p in folder.glob("*/__main__.py")]
    found = sorted(m for m in modules if m not in _HELPERS)
    failed = []
    for name in sys.argv[1:] or found:
        print(f"\n== {name}", flush=True)
        if subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], cwd=folder.parent).returncode:
            failed.append(name)
    if failed:
        print("Ended with an error: " + ", ".join(failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
