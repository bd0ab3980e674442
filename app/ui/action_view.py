"""One action for people: what will be sent, to whom, on what facts, what the policies said, what became of it."""

import difflib
import hashlib
from typing import Any
from urllib.parse import quote

from app.ui import action_preview, action_words, page, words
from app.ui.action_text import flat, visible
from app.ui.words import esc
from core.runtime.actions import detail as read
from core.runtime.actions import kinds
from core.runtime.actions.detail import ActionDetail, VerdictLine
from core.runtime.actions.models import ActionState, Decided
from core.runtime.actions.rows import ActionRow
from core.runtime.orgs.models import AGENCY_ID

DIFF_LIMIT = 6000
FIRST = ("deny", "defer", "needs_approval", "allow")
"""What stands in the way comes first."""


def head(detail: ActionDetail, crumbs: str = "") -> str:
    """Name, state, and who asks for what."""
    row = detail.row
    chips = page.tag(action_words.key(row), action_words.word(row))
    if row.demo:
        chips += page.tag("demo", "Demo")
    client = f" · for {esc(row.org_name)}" if row.org_id != AGENCY_ID else ""
    return (
        f'<div class="pg acthead">{crumbs}<h1>{visible(row.title)} {chips}</h1>'
        f"<p>{esc(action_words.noun(row.kind))} · {esc(action_words.asks(row))} asks{client} · "
        f"{action_words.since(row.created_at)}</p></div>"
    )


def summary(detail: ActionDetail, owner: str) -> str:
    """The line that answers: by when, at what cost, can it be taken back."""
    row = detail.row
    cells: list[tuple[str, str, str]] = []
    if row.state == ActionState.AWAITING:
        left = f'<time data-t="{words.ms(row.due_at)}" title="{esc(words.when(row.due_at))}">{esc(words.ago(row.due_at))}</time>'
        cells.append(("Decide by", f"{esc(words.soon(row.due_at))} <small>{left}</small>", action_words.urgency(row)))
        cells.append(("Who decides", esc(owner), ""))
        if row.approvals_needed > 1:
            by = ", ".join(d.by for d in detail.approved_by)
            cells.append(
                ("Approvals", f"{row.approvals} of {row.approvals_needed}" + (f", {esc(by)} approved" if by else ""), "")
            )
    elif row.state == ActionState.DEFERRED and row.deferred_until:
        cells.append(("Goes out", esc(words.soon(row.deferred_until)), ""))
    cells.append(("Costs", esc(action_words.cost(row)), "amber" if row.cost_minor else ""))
    back = "can be undone" if row.reversible else "cannot be undone"
    if row.state in (ActionState.DONE, ActionState.UNDONE) and row.finished_at:
        cells.append(("Done", action_words.since(row.finished_at), ""))
    cells.append(("Once done", back, "" if row.reversible else "red"))
    cells.append(("Through", esc(action_words.account(detail.content.account)), ""))
    inner = "".join(
        f'<div class="c-{tone or "gray"}{" hot" if tone else ""}"><dt>{k}</dt><dd>{v}</dd></div>' for k, v, tone in cells
    )
    return f'<dl class="sum">{inner}</dl>'


def notes(detail: ActionDetail) -> str:
    """What the reader must not miss before deciding, and how it ended."""
    row, made = detail.row, []
    if not detail.content.sealed and row.state == ActionState.AWAITING:
        made.append(("red", "This is not what was proposed.", "Its record was changed outside of this app. Reject it."))
    if row.stale:
        said = f"{words.many(row.stale, 'fact')} under it changed since it was written, see below. Edit it or reject it."
        made.append(("amber", "Out of date.", said))
    if row.unconfirmed and row.needs_person:
        said = "Values in it come from text that somebody outside wrote. They are marked; check each one."
        made.append(("amber", "Not from our records.", said))
    if row.state == ActionState.AWAITING and detail.content.account == kinds.NO_ACCOUNT:
        said = "No account is connected, so nothing leaves: what would be sent is recorded and shown."
        made.append(("violet", "Dry run.", said))
    if row.state in (ActionState.FAILED, ActionState.DENIED, ActionState.DEFERRED) and row.error:
        lead = {ActionState.FAILED: "Failed.", ActionState.DENIED: "Denied."}.get(ActionState(row.state), "Not yet.")
        made.append(("violet" if row.state == ActionState.DEFERRED else "red", lead, row.error))
    if ended := action_words.ended(row):
        made.append((words.state(action_words.key(row)).tone, "", ended))
    html = "".join(
        f'<div class="note c-{tone}">{f"<b>{esc(lead)}</b> " if lead else ""}{esc(said)}</div>' for tone, lead, said in made
    )
    return html + unclear(detail) + links(detail)


def unclear(detail: ActionDetail) -> str:
    """What is known of an effect with an unknown outcome."""
    if detail.row.state != ActionState.UNKNOWN:
        return ""
    effect = detail.effect
    items = [f"<li>{visible(read.called(c)[0])}, {action_words.since(c.at)}</li>" for c in (effect.calls if effect else ())]
    known = f'<ul class="known">{"".join(items)}</ul>' if items else ""
    where = esc(action_words.account(detail.content.account))
    return (
        '<div class="note c-amber"><b>Did it happen?</b> It was sent, and no answer came that says whether it arrived. '
        f"Look for it ({where}), then say below what you found. It is not sent again meanwhile.{known}</div>"
    )


def links(detail: ActionDetail) -> str:
    """Where it can be seen outside, and what undoes it."""
    row, made = detail.row, []
    url = row.external_url or (detail.effect.external_url if detail.effect else None)
    if url and url.startswith("https://"):
        where = esc(action_words.account(detail.content.account))
        made.append(f'<a href="{esc(url)}" target="_blank" rel="noopener noreferrer">See it in {where}</a>')
    for other, said in ((detail.undoes, "Undoes"), (detail.undone_by, "Undone by")):
        if other is not None:
            made.append(f'{said} <a href="/action?action={other.id}">#{other.id} {visible(other.title)}</a> {_chip(other)}')
    return f'<p class="byline">{" · ".join(made)}</p>' if made else ""


def _chip(row: ActionRow) -> str:
    return page.tag(action_words.key(row), action_words.word(row))


# ---- what will be sent


def origin_of(detail: ActionDetail, name: str) -> tuple[str, str]:
    """(tone, words) on where a field's value came from."""
    known = detail.content.provenance.get(name)
    if isinstance(known, dict):
        source = flat(str(known.get("source") or ""))
        if known.get("origin") == "untrusted":
            return "amber", f"untrusted text{f': {source}' if source else ''}"
        return "green", source or "trusted record"
    return "gray", f"written by {action_words.asks(detail.row)}"


def _marks(detail: ActionDetail) -> dict[str, str]:
    marked = {}
    for name in detail.content.provenance:
        tone, said = origin_of(detail, name)
        if tone == "amber":
            marked[name] = f' <span class="tag c-amber" title="{esc(said)}">from untrusted text</span>'
    return marked


def content(detail: ActionDetail) -> str:
    """Its content, read from the final bytes: as it will look, what is sent besides, and the bytes themselves."""
    row, wire = detail.row, detail.content.wire
    made = action_preview.of(kinds.find(row.kind), row.kind, wire, _marks(detail))
    title = action_words.heading(row, detail.content.account)
    version = f"<small>version {row.version}</small>" if row.version > 1 else ""
    warnings = "".join(f'<div class="note c-amber">{esc(w)}</div>' for w in made.warnings)
    rest = "".join(f"<dt>{esc(k)}</dt><dd>{v}</dd>" for k, v in made.rest)
    many = words.many(len(made.rest), "field")
    fold = f'<details class="fold"><summary>Also part of it<small>{many}</small></summary><dl class="kv">{rest}</dl></details>'
    besides = fold if rest else ""
    raw = (
        f'<details class="fold"><summary>Raw<small>{len(wire):,} bytes</small></summary><pre class="raw">'
        f"{visible(action_preview.raw(wire))}</pre>"
        f'<p class="byline">SHA-256 of these bytes <code>{hashlib.sha256(wire).hexdigest()}</code><br>'
        f"Your approval is for <code>{esc(row.payload_sha256)}</code>, which covers these bytes, the recipients, the account, "
        "the price and the expiry. If any of it changes, the approval is void.</p></details>"
    )
    return (
        f'<section class="card exact"><div class="top"><h2>{title}</h2>{version}</div>{warnings}{made.html}{besides}{raw}'
        f"</section>{changes(detail)}"
    )


def changes(detail: ActionDetail) -> str:
    """What people changed since it was first written."""
    edits = [d for d in detail.decisions if d.decision == Decided.EDIT and d.before is not None]
    if not edits or edits[0].before is None:
        return ""
    first, now = edits[0].before, detail.content.payload
    kind = kinds.find(detail.row.kind)
    labels = {f.name: f.label for f in kind.fields} if kind else {}
    rows = [
        f"<dt>{esc(labels.get(k, k))}</dt><dd>{_difference(first.get(k), v)}</dd>" for k, v in now.items() if v != first.get(k)
    ]
    if not rows:
        return ""
    by = " and ".join(dict.fromkeys(d.by for d in edits))
    at = action_words.since(edits[-1].at)
    return (
        f'<section class="card"><div class="top"><h2>Changed by {esc(by)}</h2><small>{at}</small></div>'
        f'<dl class="kv diff">{"".join(rows)}</dl></section>'
    )


def _difference(was: Any, now: Any) -> str:
    one, other = _flat(was), _flat(now)
    if len(one) + len(other) > DIFF_LIMIT:
        return f"<ins>{visible(other)}</ins>"
    a, b = one.split(" "), other.split(" ")
    out = []
    for tag, i1, i2, j1, j2 in difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        if tag == "equal":
            out.append(visible(" ".join(a[i1:i2])))
            continue
        if i2 > i1:
            out.append(f"<del>{visible(' '.join(a[i1:i2]))}</del>")
        if j2 > j1:
            out.append(f"<ins>{visible(' '.join(b[j1:j2]))}</ins>")
    return " ".join(out)


def _flat(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(str(v) for v in value)
    return "" if value is None else str(value)


# ---- to whom, on what, who said


def whom(detail: ActionDetail) -> str:
    """Each recipient, and where that value came from."""
    row, payload = detail.row, detail.content.payload
    kind = kinds.find(row.kind)
    labels = {f.name: f.label for f in kind.fields} if kind else {}
    names = [*(kind.protected if kind else ()), *detail.content.provenance]
    rows = []
    for name in dict.fromkeys(n for n in names if payload.get(n) not in (None, "", [])):
        tone, said = origin_of(detail, name)
        values = payload[name] if isinstance(payload[name], list) else [payload[name]]
        label = labels.get(name, name.replace("_", " ").capitalize())
        rows += [
            f"<li><span><small>{esc(label)}</small> {visible(words.short(str(v), 120))}</span>"
            f'<span class="tag c-{tone}">{esc(words.short(said, 70))}</span></li>'
            for v in values
        ]
    audience = action_words.AUDIENCES.get(row.audience, row.audience)
    many = f", {words.many(row.recipients, 'person', 'people')}" if row.recipients else ""
    items = "".join(rows) or f"<li><span>{visible(row.target)}</span></li>"
    return (
        f'<section class="card"><div class="top"><h2>To whom</h2><small>{esc(audience)}{many}</small></div>'
        f'<ul class="rows whom">{items}</ul></section>'
    )


def why(detail: ActionDetail) -> str:
    """Who asks, why, and what happens if nobody does anything."""
    row = detail.row
    asks = esc(action_words.asks(row))
    if row.run_id:
        asks = f'{asks}, <a href="/run?run={row.run_id}">run #{row.run_id}</a>'
    pairs = [
        ("Who asks", asks),
        ("Why", visible(row.reason or "No reason was given.")),
        ("If nobody acts", esc(action_words.fate(row))),
    ]
    inner = "".join(f"<dt>{k}</dt><dd>{v}</dd>" for k, v in pairs if v)
    return f'<section class="card"><h2>Why</h2><dl class="kv">{inner}</dl></section>'


def evidence(detail: ActionDetail) -> str:
    """The facts it rests on; each opens its rows, one that changed shows both values."""
    row = detail.row
    items = []
    for fact in detail.facts:
        shown = visible(fact.shown)
        if row.run_id:
            shown = f'<a href="/run?run={row.run_id}&amp;fact={quote(fact.key)}">{shown}</a>'
        if fact.now is not None:
            shown = f'<s>{shown}</s> → <b class="c-amber">{visible(fact.now)}</b>'
        items.append(
            f"<li{' class=chg' if fact.now is not None else ''}><span>{visible(fact.label)}</span><span>{shown}</span></li>"
        )
    checked = f"<small>checked {action_words.since(detail.stale_at)}</small>" if detail.stale_at else ""
    inner = "".join(items) or "<li><span>None: it was asked for as it is.</span></li>"
    return (
        f'<section class="card"><div class="top"><h2>Rests on {words.many(len(detail.facts), "fact")}</h2>{checked}</div>'
        f'<ul class="rows">{inner}</ul></section>'
    )


def verdicts(detail: ActionDetail) -> str:
    """What each policy said, the newest stage; earlier stages folded."""
    if not detail.verdicts:
        return ""
    stages = list(dict.fromkeys(v.stage for v in detail.verdicts))
    parts: list[str] = []
    for stage in reversed(stages):
        lines = [v for v in detail.verdicts if v.stage == stage]
        lines.sort(key=lambda v: FIRST.index(v.verdict) if v.verdict in FIRST else 9)
        listed = f'<ul class="rows">{"".join(_verdict(v) for v in lines)}</ul>'
        said = esc(action_words.STAGES.get(stage, stage))
        parts.append(listed if not parts else f'<details class="fold"><summary>Before, {said}</summary>{listed}</details>')
    return (
        '<section class="card"><div class="top"><h2>What the policies said</h2>'
        f"<small>{esc(action_words.STAGES.get(stages[-1], ''))}</small></div>{''.join(parts)}</section>"
    )


def _verdict(line: VerdictLine) -> str:
    said, tone = action_words.verdict(line)
    name = f'<a href="/policy?policy={quote(line.policy)}">{esc(line.title)}</a>'
    return (
        f'<li><span>{name}<small class="why2">{visible(line.reason)}</small></span>'
        f'<span class="tag c-{tone}">{esc(said)}</span></li>'
    )


def story(detail: ActionDetail) -> str:
    """What happened so far, the newest last."""
    items = "".join(
        f'<li class="c-{m.tone}"><i></i><span>{visible(m.text)}{f"<small>{visible(m.note)}</small>" if m.note else ""}</span>'
        f"<em>{action_words.since(m.at)}</em></li>"
        for m in detail.timeline
    )
    return f'<section class="card"><h2>History</h2><ol class="story">{items}</ol></section>'


def whole(detail: ActionDetail, *, narrow: bool = False) -> str:
    """All parts in the order they are read: side by side on the page, below each other in the drawer."""
    left = f"{content(detail)}{whom(detail)}"
    right = f"{why(detail)}{evidence(detail)}{verdicts(detail)}{story(detail)}"
    if narrow:
        return f'<div class="stack">{left}{right}</div>'
    return f'<div class="two act2"><div class="stack">{left}</div><div class="stack">{right}</div></div>'
