"""Small bars made of HTML: outcomes by day. No chart library, so a list page stays light."""

from collections.abc import Sequence
from datetime import date

from app.ui import words
from app.ui.words import esc
from core.runtime.runs.queries import Outcome

_ORDER = ("green", "blue", "violet", "gray", "amber", "red")


def stacked(days: Sequence[tuple[date, dict[str, int]]], height: int = 44) -> str:
    """One bar a day, stacked by the tone of its outcomes, worst on top; the exact counts are in the hint."""
    most = max((sum(by.values()) for _, by in days), default=0) or 1
    bars = []
    for day, by_word in days:
        tones: dict[str, int] = {}
        for word, count in by_word.items():
            tone = words.state(word).tone
            tones[tone] = tones.get(tone, 0) + count
        parts = "".join(
            f'<i class="c-{t}" style="height:{max(2, round(height * tones[t] / most))}px"></i>'
            for t in reversed(_ORDER)
            if tones.get(t)
        )
        said = ", ".join(f"{n} {w.lower()}" for w, n in sorted(by_word.items(), key=lambda p: -p[1])) or "no runs"
        bars.append(f'<span title="{esc(f"{day:%a} {day.day} {day:%b}: {said}")}">{parts}</span>')
    total = sum(sum(by.values()) for _, by in days)
    label = f"{words.many(total, 'run')} over {words.many(len(days), 'day')}"
    return f'<div class="spark" role="img" aria-label="{esc(label)}" style="height:{height}px">{"".join(bars)}</div>'


def hint(outcome: Outcome) -> str:
    """What a run of a strip says on hover: outcome, when, how long, why."""
    length = words.duration(outcome.duration_s) if outcome.duration_s is not None else ""
    parts = (outcome.word, words.when(outcome.at), length, outcome.error_message or "")
    return " · ".join(p for p in parts if p)


def strip(outcomes: Sequence[Outcome]) -> str:
    """The last runs, oldest first, as linked bars."""
    if not outcomes:
        return "no runs yet"
    bars = []
    for o in outcomes:
        said = esc(hint(o))
        tone = words.state(o.word).tone
        bars.append(f'<a class="c-{tone}" href="/run?run={o.run_id}" title="{said}" aria-label="{said}"></a>')
    return f'<span class="strip14">{"".join(bars)}</span>'
