"""`python -m benchmarks.authority [approvals] [mutations] [flips]`."""

import os
import sys
from importlib import import_module

from benchmarks.authority.scene import Scene
from benchmarks.harness import Stack
from core.config import get_settings
from tests.fakeworld.world import World


def main() -> int:
    """Each part on stores of its own. Exit code 1 when one is wrong."""
    wrong = 0
    for name in sys.argv[1:] or ("approvals", "mutations", "flips"):
        part = import_module(f"benchmarks.authority.{name}")
        if name == "flips":
            wrong += part.main()
            continue
        with Stack() as stack:
            world = World(stack.folder / "vendors.jsonl")
            os.environ.update(world.environment)
            get_settings.cache_clear()
            wrong += part.run(Scene.set(world))
            world.close()
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
