"""The composer that needs no model: every section's own lines under its title."""

from collections.abc import Sequence

from core.runtime.agents import numbers
from core.runtime.agents.facts import Section

NAME = "template"
NOTHING = "Nothing to report."


def write(sections: Sequence[Section]) -> str:
    """The report as Markdown that cites facts. A section without facts and lines says that there is nothing to report."""
    return "\n\n".join(f"## {s.title.strip()}\n\n{body(s)}" for s in sections)


def body(section: Section) -> str:
    """What the section says without its heading."""
    if section.lines:
        return "\n".join(section.lines)
    if not section.facts:
        return NOTHING
    return "\n".join(["This is what was found:", *(f"- {_label(f.label)}[[{f.key}]]" for f in section.facts)])


def _label(label: str) -> str:
    # a label is ours but may hold a number ("Quiet for 7 days"), which prose may not
    folded, _ = numbers.fold(label)
    return "" if numbers.find(folded) or "[" in label else f"{label}: "
