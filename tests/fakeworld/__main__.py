"""`python -m tests.fakeworld --log FILE --port P`: the fake world until it is told to end. One line of JSON says where it is."""

import argparse
import json
import signal
import threading
from pathlib import Path

from tests.fakeworld.world import World


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.fakeworld")
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--smtp-port", type=int, default=0)
    asked = parser.parse_args()
    world = World(asked.log, asked.port, asked.smtp_port)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    print(
        json.dumps({"url": world.url, "environment": world.environment, "keys": world.keys, "smtp": world.smtp.config}),
        flush=True,
    )
    ended.wait()
    world.close()


if __name__ == "__main__":
    main()
