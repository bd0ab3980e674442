"""Prompts: one Markdown file each, with its name and version in the front matter. Change the text, raise the version."""

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from core.errors import OpsError

_FOLDER = Path(__file__).parent
_FRONT = re.compile(r"\A---\nname: (?P<name>[a-z-]+)\nversion: (?P<version>\d+)\n---\n(?P<text>.+)\Z", re.DOTALL)
_HOLE = re.compile(r"\{\{(\w+)\}\}")


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt as it stands in its file."""

    name: str
    version: int
    text: str

    @property
    def label(self) -> str:
        """Name and version as `model_calls.prompt` holds it: report@1."""
        return f"{self.name}@{self.version}"

    def fill(self, **values: str) -> str:
        """The text with its `{{holes}}` filled. Raises OpsError when a value is missing. Values are not filled again."""

        def value(match: re.Match[str]) -> str:
            if match[1] not in values:
                raise OpsError(f"Prompt {self.label} needs a value for “{match[1]}”.")
            return values[match[1]]

        return _HOLE.sub(value, self.text)


@lru_cache(maxsize=32)
def load(name: str) -> Prompt:
    """The prompt of that name. Raises OpsError when its file is missing or has no proper front matter."""
    try:
        raw = (_FOLDER / f"{name}.md").read_text(encoding="utf-8")
    except OSError:
        raise OpsError(f"The prompt “{name}” is missing from this installation.", "Install ManageAI Ops again.") from None
    match = _FRONT.match(raw)
    if match is None or match["name"] != name:
        raise OpsError(
            f"The prompt file {name}.md has no proper front matter.", "It starts with name and version between --- lines."
        )
    return Prompt(name, int(match["version"]), match["text"].strip())


def names() -> tuple[str, ...]:
    """All prompts there are."""
    return tuple(sorted(p.stem for p in _FOLDER.glob("*.md")))
