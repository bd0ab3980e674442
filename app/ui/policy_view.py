"""What the policies' pages draw: rules as rows, what they decided as bars, and what other numbers would have decided."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from app.ui import page, words
from app.ui.words import esc
from core.runtime.policies import numbers
from core.runtime.policies.backtest import Backtest, Flip
from core.runtime.policies.models import Verdict
from core.runtime.policies.queries import Change, Line, NumberLine, PolicyView

DECIDED: tuple[tuple[Verdict, str, str], ...] = (
    (Verdict.ALLOW, "allowed", "green"),
    (Verdict.APPROVAL, "asked", "amber"),
    (Verdict.DEFER, "deferred", "violet"),
    (Verdict.DENY, "denied", "red"),
)
"""Verdicts in the order of the bars: what people read, and the tone."""
_WORDS = {v: w for v, w, _ in DECIDED}
_TONES = {v: t for v, _, t in DECIDED}
GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Whether anything happens at all", ("kill_switch", "organisation_enabled", "send_mode")),
    ("Who may do what", ("agent_kinds", "person_asked", "human_tasks")),
    ("What needs a person", ("approval_kinds", "two_people", "sensitive_patterns", "untrusted_origin")),
    ("Whom it reaches, and how often", ("suppression", "contact_ceiling", "rate_limit")),
    ("Money", ("money_ceilings",)),
)
"""Rules under the question they answer; one that is in no group stands at the end."""


def chip(verdict: Verdict) -> str:
    """A verdict as a chip."""
    return f'<span class="tag c-{_TONES[verdict]}">{esc(_WORDS[verdict].capitalize())}</span>'


def chip_cell(verdict: Verdict) -> list[Any]:
    """A verdict as the cell of a table."""
    icon = {Verdict.ALLOW: "check", Verdict.APPROVAL: "warn", Verdict.DEFER: "clock", Verdict.DENY: "stop"}[verdict]
    return [_TONES[verdict], _WORDS[verdict].capitalize(), icon]


def counts(decided: Mapping[Verdict, int]) -> str:
    """Counts in words: "12 allowed, 3 denied"."""
    return ", ".join(f"{decided[v]:,} {w}" for v, w, _ in DECIDED if decided.get(v)) or "nothing"


def bar(decided: Mapping[Verdict, int]) -> str:
    """What was decided as one stacked bar with its numbers."""
    total = sum(decided.values())
    if not total:
        return '<div class="pbar none"></div><small>nothing to decide in 7 days</small>'
    parts = "".join(f'<i class="c-{tone}" style="flex-grow:{decided[v]}"></i>' for v, _, tone in DECIDED if decided.get(v))
    legend = "".join(
        f'<span class="c-{tone}"><i></i><b>{decided[v]:,}</b> {word}</span>' for v, word, tone in DECIDED if decided.get(v)
    )
    said = esc(f"{counts(decided)} in 7 days")
    return f'<div class="pbar" role="img" aria-label="{said}" title="{said}">{parts}</div><small class="leg">{legend}</small>'


def said(line: NumberLine) -> str:
    """One number in words, as a pair of the list."""
    shown = (
        f"{words.many(len(line.value), 'agent')} with a list" if line.number.kind == "by_agent" else words.short(line.shown, 110)
    )
    return f"<span><em>{esc(line.number.label)}</em> <b>{esc(shown)}</b></span>"


def row(line: Line) -> str:
    """One rule of the list, a link to its page."""
    tags = ""
    if line.pending_by:
        tags += '<span class="tag c-amber">Waits for a second admin</span>'
    if line.own_clients:
        tags += f'<span class="tag c-gray">{esc(words.many(line.own_clients, "client"))} with own numbers</span>'
    told = "".join(said(n) for n in line.numbers) or "<span><em>It has no numbers.</em></span>"
    last = (
        f"{esc(line.edited_by)} changed it {esc(words.ago(line.edited_at))}"
        if line.edited_by
        else "built-in numbers"
        if line.numbers
        else ""
    )
    decided = bar(line.decided) if line.judges else "<small>bounds runs, not actions</small>"
    return (
        f'<a class="pol" href="/policy?policy={esc(line.key)}"><div class="what"><b>{esc(line.title)}</b>{tags}'
        f'<p>{esc(line.purpose)}</p></div><div class="nums">{told}</div>'
        f'<div class="did">{decided}<small class="by">{last}</small></div></a>'
    )


def groups(lines: Sequence[Line]) -> list[tuple[str, list[Line]]]:
    """The rules under their questions."""
    by_key = {line.key: line for line in lines}
    made = [(title, [by_key.pop(k) for k in keys if k in by_key]) for title, keys in GROUPS]
    return [*made, ("What runs may use", list(by_key.values()))] if by_key else made


def tiles(lines: Sequence[Line]) -> None:
    """What all rules together decided."""
    total: dict[Verdict, int] = {}
    for line in lines:
        for verdict, n in line.decided.items():
            total[verdict] = total.get(verdict, 0) + n
    waiting = sum(1 for line in lines if line.pending_by)
    mode = next((n.shown for line in lines if line.key == "send_mode" for n in line.numbers if n.number.key == "mode"), "–")
    page.tiles(
        [
            page.tile("Messages go", mode, "change it under “How far messages go”", href="/policy?policy=send_mode"),
            page.tile("Denied, 7 days", f"{total.get(Verdict.DENY, 0):,}", "times a rule said no"),
            page.tile("Asked a person", f"{total.get(Verdict.APPROVAL, 0):,}", "times, in 7 days"),
            page.tile("Deferred", f"{total.get(Verdict.DEFER, 0):,}", "times, in 7 days; nothing is dropped"),
            page.tile("Changes that wait", f"{waiting}", "for a second admin", tone="amber", hot=bool(waiting)),
        ]
    )  # fmt: skip


# ---- one policy


def week(view: PolicyView) -> str:
    """What it decided by day, as a card."""
    if not view.line.judges:
        return ""
    most = max((sum(by.values()) for _, by in view.by_day), default=0) or 1
    bars = []
    for day, by in view.by_day:
        parts = "".join(
            f'<i class="c-{tone}" style="height:{max(3, round(64 * by[v] / most))}px"></i>'
            for v, _, tone in reversed(DECIDED)
            if by.get(v)
        )
        tip = esc(f"{day:%a} {day.day} {day:%b}: {counts(by)}")
        bars.append(f'<span title="{tip}">{parts}<small>{day:%a}</small></span>')
    drawn = f'<div class="pweek">{"".join(bars)}</div>' if bars else "<p>It had nothing to decide in the last 7 days.</p>"
    return f'<section class="card"><h2>Decided in the last 7 days</h2>{drawn}{bar(view.line.decided) if bars else ""}</section>'


def history(changes: Sequence[Change], many_orgs: bool) -> str:
    """Who changed what, as a card."""
    rows = "".join(
        f"<li><span>{esc(c.summary)}{f' <small>for {esc(c.org)}</small>' if many_orgs else ''}</span>"
        f'<small title="{esc(words.when(c.at))}">{esc(words.ago(c.at))}</small></li>'
        for c in changes[:12]
    )
    return (
        '<section class="card"><h2>Changes</h2><ul class="rows">'
        f"{rows or '<li>Nobody has changed it: these are the numbers it came with.</li>'}</ul></section>"
    )


def read_only(view: PolicyView) -> str:
    """The numbers for those who may not change them."""
    pairs = "".join(f"<dt>{esc(n.number.label)}</dt><dd>{esc(n.shown)}</dd>" for n in view.line.numbers)
    told = f'<dl class="kv">{pairs}</dl>' if pairs else "<p>It has no numbers: it always applies.</p>"
    return f'<section class="card"><h2>Numbers</h2>{told}</section>'


def preview(changed: Sequence[tuple[str, str, str]]) -> str:
    """What would change, before and after."""
    pairs = "".join(
        f"<dt>{esc(label)}</dt><dd><del>{esc(was)}</del> <b>→</b> <ins>{esc(now)}</ins></dd>" for label, was, now in changed
    )
    return f'<dl class="kv pdiff">{pairs}</dl>'


def pending(view: PolicyView) -> str:
    """A change that waits, in words."""
    waits: Mapping[str, Any] = view.pending or {}
    changes = {k: v for k, v in waits.get("changes", {}).items() if v is not None}
    told = " ".join(f"{label}: {was} → {now}." for label, was, now in numbers.differences(view.policy, view.values, changes))
    return told or "It goes back to what holds for everybody."


# ---- the backtest


def _side(label: str, weeks: Sequence[tuple[str, Mapping[Verdict, int]]], most: int) -> str:
    bars = []
    for name, by in weeks:
        parts = "".join(
            f'<i class="c-{tone}" style="height:{max(2, round(76 * by[v] / most))}px"></i>'
            for v, _, tone in reversed(DECIDED)
            if by.get(v)
        )
        bars.append(f'<span title="{esc(f"{label}, week of {name}: {counts(by)}")}">{parts}</span>')
    return f'<div class="bt"><small>{esc(label)}</small><div>{"".join(bars)}</div></div>'


def backtest(told: Backtest, days: int) -> str:
    """The result: one sentence, and the weeks as they were and as they would have been."""
    if not told.judged:
        return f'<div class="btest"><p>There was nothing to decide in the last {days} days.</p></div>'
    share = f"{100 * told.changed / told.judged:.0f} %" if told.changed else ""
    lead = (
        f"<b>{words.many(told.changed, 'action')}</b> of {told.judged:,} in the last {days} days would have been decided "
        f"differently ({share})."
        if told.changed
        else f"<b>None</b> of {words.many(told.judged, 'action')} in the last {days} days would have been decided differently."
    )
    most = max((max(sum(w.was.values()), sum(w.now.values())) for w in told.weeks), default=1) or 1
    names = [f"{w.monday.day} {w.monday:%b}" for w in told.weeks]
    was = _side("As it was", [(n, w.was) for n, w in zip(names, told.weeks, strict=True)], most)
    now = _side("As it would be", [(n, w.now) for n, w in zip(names, told.weeks, strict=True)], most)
    axis = f'<div class="btx"><span>{esc(names[0])}</span><span>{esc(names[-1])}</span></div>'
    legend = "".join(f'<span class="c-{tone}"><i></i>{word}</span>' for _, word, tone in DECIDED)
    wait = f" The longest wait would be {esc(_wait(told.longest_wait))}." if told.longest_wait > timedelta(minutes=1) else ""
    dry = f" {words.many(told.dry_runs, 'of them was a dry run', 'of them were dry runs')}." if told.dry_runs else ""
    return (
        f'<div class="btest"><p class="lead">{lead}</p><p>{esc(counts(told.was).capitalize())} → '
        f"{esc(counts(told.now))}.{wait}</p>{was}{now}{axis}"
        f'<small class="leg">{legend}</small>'
        f"<small>{esc(told.note)}{esc(dry)} Took {esc(words.duration(told.took_s))}.</small></div>"
    )


def _wait(length: timedelta) -> str:
    days = length.days
    return words.many(days, "day") if days >= 2 else words.duration(length)


def flip(found: Flip) -> str:
    """One kind of difference with its latest examples."""
    rows = "".join(
        f'<li><span><a href="/action?action={e.action_id}">{esc(words.short(e.title, 90))}</a>'
        f"<small>{esc(e.org)}, {esc(words.ago(e.at))}</small><em>{esc(words.short(e.now, 220))}</em></span></li>"
        for e in found.examples
    )
    more = found.count - len(found.examples)
    rest = f"<li><small>and {more:,} earlier</small></li>" if more > 0 else ""
    return (
        f'<section class="card flip"><div class="top"><h2>{chip(found.was)} → {chip(found.now)}</h2>'
        f'<small>{esc(words.many(found.count, "action"))}</small></div><ul class="rows">{rows}{rest}</ul></section>'
    )
