"""The Procfile: one process type a line, as `name: command`. The same file works with any other process manager."""

import re
import shlex
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from core.config import Settings
from core.errors import BadInput

_LINE = re.compile(r"^([A-Za-z][A-Za-z0-9_-]*):\s*(\S.*)$")
_VARIABLE = re.compile(r"\$(?:\{(\w+)(?::-([^}]*))?\}|(\w+))")


@dataclass(frozen=True, slots=True)
class Program:
    """One process to run: `web`, `worker-agents-1`. `instance` counts from 1 within its line."""

    name: str
    command: str
    instance: int = 1

    def argv(self, env: Mapping[str, str], path: Path) -> list[str]:
        """The command with its variables filled in; `path` is the Procfile, for the messages. No shell is between us and it."""

        def value(found: re.Match[str]) -> str:
            name = found[1] or found[3]
            if env.get(name):
                return env[name]
            if found[2] is not None:
                return found[2]
            raise BadInput(f"The line “{self.name}” of {path} uses ${name}, which is not set.", f"Set {name}, or edit the line.")

        try:
            words = [_VARIABLE.sub(value, word) for word in shlex.split(self.command)]
        except ValueError:
            raise BadInput(f"The line “{self.name}” of {path} has an open quote.", "Close the quote.") from None
        return [_executable(words[0], env, self.name, path), *words[1:]]


def _executable(word: str, env: Mapping[str, str], name: str, path: Path) -> str:
    if word in ("python", "python3"):
        return sys.executable
    found = shutil.which(word, path=env.get("PATH"))
    if found is None:
        raise BadInput(
            f"The line “{name}” of {path} starts “{word}”, which is not installed.", "Run `make install`, or edit the line."
        )
    return found


def read(path: Path, settings: Settings) -> list[Program]:
    """Every process of the file; `worker-NAME` as often as the setting `workers_NAME` says. Raises BadInput."""
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError):
        raise BadInput(f"The Procfile {path} can't be read.", "Put it back, or name another one with OPS_PROCFILE.") from None
    programs: list[Program] = []
    seen: set[str] = set()
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        match = _LINE.match(line)
        if match is None or match[1] in seen:
            why = "is there twice" if match else "is not “name: command”"
            raise BadInput(f"Line {number} of {path} {why}: {line[:60]}", "Mend the line.")
        seen.add(match[1])
        count = getattr(settings, "workers_" + match[1].removeprefix("worker-"), None) if match[1].startswith("worker-") else None
        if count is None:
            programs.append(Program(match[1], match[2]))
        else:
            programs += [Program(f"{match[1]}-{n}", match[2], n) for n in range(1, count + 1)]
    if not programs:
        raise BadInput(f"{path} names no process.", "Put it back, or name another one with OPS_PROCFILE.")
    return programs
