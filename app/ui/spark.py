"""Small bars made of HTML: outcomes by day. No chart library, so a list page stays light."""

from collections.abc import Sequence
from datetime import date

from app.ui import words
from app.ui.words import esc

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
