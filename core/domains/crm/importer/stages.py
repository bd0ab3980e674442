"""What stage names mean: won, lost or open, and in which order usual stages come. Pure."""

import re
from collections.abc import Mapping, Sequence

from core.domains.crm.models import DealStatus

_WON = re.compile(r"\b(won|win|gewonnen|gagn[eé]e?|ganad[oa]|signed|converted|sold)\b", re.IGNORECASE)
_LOST = re.compile(
    r"\b(lost|loss|lose|dead|disqualified|unqualified|abandoned|rejected|declined|verloren|perdu|perdid[oa]|no decision|"
    r"not interested|cancell?ed|churned)\b",
    re.IGNORECASE,
)
_OPEN = re.compile(r"\b(open|active|in progress|pending|ongoing|working)\b", re.IGNORECASE)
# the usual way of a deal; a stage whose name holds none of these words keeps the place the file gives it
_ORDER: tuple[tuple[str, ...], ...] = (
    ("new", "lead", "inbox", "suspect", "incoming", "open"),
    ("prospect", "prospecting", "outreach", "researching"),
    ("contacted", "contact", "contact made", "attempted", "connected", "nurture"),
    ("qualification", "qualified", "qualifying", "qualify", "engaging", "engaged", "engagement", "mql", "sql"),
    ("discovery", "needs", "analysis", "appointment", "meeting", "assessment", "scheduled"),
    ("demo", "presentation", "evaluation", "trial", "pilot", "poc", "value proposition"),
    ("decision", "decision maker", "decision makers", "perception"),
    ("proposal", "quote", "quoted", "price quote", "offer"),
    ("negotiation", "negotiations", "negotiating", "review", "negotiate"),
    ("contract", "verbal", "commit", "committed", "legal", "procurement", "closing", "signature"),
)


def status_word(text: str) -> str | None:
    """open, won or lost when a status column's word says so."""
    if _LOST.search(text):
        return DealStatus.LOST.value
    if _WON.search(text):
        return DealStatus.WON.value
    if _OPEN.search(text):
        return DealStatus.OPEN.value
    return None


def guess_status(stage: str) -> str:
    """What a deal in a stage of this name is; open unless the name says won or lost."""
    word = status_word(stage)
    return word if word in (DealStatus.WON.value, DealStatus.LOST.value) else DealStatus.OPEN.value


def rank(stage: str) -> float | None:
    """Where a stage usually comes: its own number if its name starts with one ("2. Demo"), else by its words."""
    numbered = re.match(r"\s*(\d{1,2})\s*[.):_-]", stage)
    if numbered:
        return float(numbered[1])
    words = " ".join(re.findall(r"[a-z]+", stage.lower()))
    best: float | None = None
    for place, known in enumerate(_ORDER):
        for name in known:
            if re.search(rf"\b{name}\b", words):
                best = place + 100.0
    return best


def is_stage_word(text: str) -> bool:
    """Whether a value reads like the name of a stage."""
    return len(text) <= 60 and (rank(text) is not None or status_word(text) is not None)


def in_order(existing: Sequence[tuple[str, str]], new: Mapping[str, str], wanted: Sequence[str] = ()) -> list[str]:
    """All stage names in pipeline order: open ones, then won, then lost.

    `existing`: (name, status) in their order, kept; `new`: name → status in the file's order; `wanted`: names a
    person put in order, which win over everything.
    """
    status = {**dict(existing), **new}
    ordered = [name for name, _ in existing]
    fresh = [name for name in new if name not in dict(existing)]
    if not ordered:
        known = sorted((n for n in fresh if rank(n) is not None), key=lambda n: rank(n) or 0.0)
        unknown = [n for n in fresh if rank(n) is None]
        ordered = [*known, *unknown] if len(known) >= len(unknown) else fresh
    else:
        for name in fresh:
            ordered.insert(_place(ordered, rank(name)), name)
    if wanted:
        first = [n for n in wanted if n in status]
        ordered = [*first, *(n for n in ordered if n not in first)]
    turn = {DealStatus.OPEN.value: 0, DealStatus.WON.value: 1, DealStatus.LOST.value: 2}
    return sorted(ordered, key=lambda n: turn[status[n]])


def _place(ordered: Sequence[str], own: float | None) -> int:
    if own is None:
        return len(ordered)
    return next((i for i, n in enumerate(ordered) if (rank(n) or -1.0) > own), len(ordered))


def default_probability(position: int, open_count: int, status: str) -> int:
    """Percent to weigh a new stage by until there is history: evenly rising over the open stages."""
    if status == DealStatus.WON.value:
        return 100
    return 0 if status == DealStatus.LOST.value else round(100 * (position + 1) / (open_count + 1))
