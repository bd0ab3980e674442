"""The fake world as a process of its own, for tests that kill the product's processes."""

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

from tests.fakeworld.log import applied, doubles, read

ROOT = Path(__file__).resolve().parents[2]


class Remote:
    """Start it with `Remote.start(log)`; `environment` points the product at it, `keys` are the ones it accepts."""

    def __init__(self, log: Path, process: "subprocess.Popen[str]", told: dict[str, Any]) -> None:
        self.log, self._process = log, process
        self.url: str = told["url"]
        self.environment: dict[str, str] = told["environment"]
        self.keys: dict[str, str] = told["keys"]
        self.smtp_config: dict[str, Any] = told["smtp"]

    @classmethod
    def start(cls, log: Path, port: int = 0) -> "Remote":
        command = [sys.executable, "-m", "tests.fakeworld", "--log", str(log), "--port", str(port)]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=os.environ | {"PYTHONUNBUFFERED": "1"}
        )
        assert process.stdout is not None
        return cls(log, process, json.loads(process.stdout.readline()))

    def control(self, **asked: Any) -> dict[str, Any]:
        """Speak to `/_control`."""
        request = urllib.request.Request(f"{self.url}/_control", json.dumps(asked).encode(), {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return dict(json.loads(answer.read()))

    def mode(self, endpoint: str, mode: str, calls: Any = None, *, share: float | None = None, seed: int = 0) -> None:
        """As `World.mode`."""
        self.control(endpoint=endpoint, mode=mode, calls=calls, share=share, seed=seed)

    def reset(self) -> None:
        """Everything behaves again."""
        self.control(reset=True)

    @property
    def calls(self) -> list[dict[str, Any]]:
        """Everything that reached a vendor, from the log on disk."""
        return read(self.log) if self.log.exists() else []

    def applied(self, endpoint: str | None = None) -> list[dict[str, Any]]:
        """The calls that did something."""
        return applied(self.calls, endpoint)

    def doubles(self) -> dict[tuple[str, str], int]:
        """What was done more than once."""
        return doubles(self.calls)

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(10)
        if self._process.stdout is not None:
            self._process.stdout.close()
