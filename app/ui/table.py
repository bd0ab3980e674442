"""The keyed table: the product's one list with actions. Rows are matched by id, so a live list never moves under the hand.

    table.show("runs", COLUMNS, rows, label="Runs", on_open=open_run, on_action=act)

`on_open(id)` and `on_action(action, ids)` run before the page's script, as Streamlit callbacks: check the person there.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import streamlit as st

from app.ui import assets, words

RowId = int | str
HEAD_PX, ROOM_STEP, ROOM_MAX = 34, 10, 1000


@dataclass(frozen=True, slots=True)
class Column:
    """`kind`: text, id, state, ago, due, duration, money, number, bar, strip, toggle or buttons.

    `phone`: where the cell goes below 640 px: first, corner, label (with its name before it), wide or hide.
    """

    label: str
    kind: str = "text"
    phone: str = ""
    align: str = ""
    width: str = ""
    hide_label: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """`cells` in the order of the columns, made by the functions below; `name` is what a screen reader says for the row.

    `href` opens that address on click; without it the table's `on_open` is called. `can` lists the bulk actions the row allows.
    `page` is opened instead on a phone, where there is no room for a drawer.
    """

    id: RowId
    cells: Sequence[Any]
    name: str
    tone: str = ""
    href: str | None = None
    can: Sequence[str] = ()
    page: str | None = None


def text(main: object, sub: object = None, href: str | None = None) -> Any:
    """A text, with a second line or a link."""
    if sub is None and href is None:
        return None if main is None else str(main)
    return {"t": str(main)} | ({} if sub is None else {"sub": str(sub)}) | ({} if href is None else {"href": href})


def chip(state: str | None, word: str | None = None, href: str | None = None, at: datetime | None = None) -> list[Any] | None:
    """A state's chip; `word` says it differently, `at` stands below as a relative time."""
    if state is None:
        return None
    known = words.state(state)
    made = [known.tone, word or known.word, known.icon, href, words.ms(at)]
    while made[-1] is None:
        made.pop()
    return made


def ago(at: datetime | None) -> int | None:
    """A relative time that keeps itself fresh; the full one is on hover."""
    return words.ms(at)


def duration(seconds: float | None, running_since: datetime | None = None) -> Any:
    """How long something took; with `running_since` it counts on in the browser."""
    if running_since is not None:
        return {"since": words.ms(running_since)}
    return None if seconds is None else round(seconds * 1000)


def bar(percent: float | None, hint: str = "", tone: str = "green") -> list[Any] | None:
    """A share from 0 to 100 as a small bar with its number."""
    return None if percent is None else [round(percent, 1), hint, tone]


def due(at: datetime | None, sub: str = "", tone: str = "", said: str = "") -> dict[str, Any]:
    """An instant that comes, with what happens then; `said` stands for it where there is none."""
    made: dict[str, Any] = {"at": words.ms(at)} if at is not None else {"t": said}
    return made | ({"sub": sub} if sub else {}) | ({"tone": tone} if tone else {})


def bit(state: str, hint: str, href: str | None = None) -> list[Any]:
    """One run of a strip. `hint` begins with the outcome's word."""
    return [words.state(state).tone, hint] + ([href] if href else [])


def _plain(row: Row) -> dict[str, Any]:
    made: dict[str, Any] = {"id": row.id, "c": list(row.cells), "name": row.name}
    if row.tone:
        made["tone"] = row.tone
    if row.href:
        made["href"] = row.href
    if row.can:
        made["can"] = list(row.can)
    if row.page:
        made["page"] = row.page
    return made


def _memory(key: str) -> str:
    return f"_table_{key}"


def show(
    key: str,
    columns: Sequence[Column],
    rows: Sequence[Row],
    *,
    label: str,
    empty: str = "Nothing here yet.",
    on_open: Callable[[RowId], None] | None = None,
    on_action: Callable[[str, list[RowId]], None] | None = None,
    select: Sequence[tuple[str, ...]] = (),
    dense: bool = False,
    more: Sequence[tuple[str, str]] = (),
    reserve: int = 0,
) -> None:
    """Draw the table. `select` adds check boxes and a bar of bulk actions [(action, label)] that count what they would touch;
    [(action, "Send {n} mails", "Send 1 mail")] says it in words and is there only when it would touch something.

    `dense` keeps each row on one line, so columns need widths; `more` are links (label, address) below, e.g. to older rows.
    `reserve` is the height of a row in pixels to keep free until the rows are there, for a table with something below it.
    """
    plain = [_plain(r) for r in rows]
    data: dict[str, Any] = {
        "key": key,
        "label": label,
        "empty": empty,
        "columns": [{k: v for k, v in _column(c).items() if v} for c in columns],
        "rows": plain,
        "opens": bool(on_open) or any(r.href for r in rows),
        "dense": dense,
    }
    if select:
        data["select"] = [list(s) for s in select]
    if more:
        data["more"] = [list(m) for m in more]
    data["seq"] = hashlib.blake2b(json.dumps(data, default=str).encode(), digest_size=6).hexdigest()
    st.session_state[_memory(key)] = (data["seq"], {str(r["id"]): r for r in plain}, [r["id"] for r in plain])

    def opened() -> None:
        value = assets.sent(f"table_{key}", "open")
        if value is not None and on_open is not None:
            on_open(value)

    def acted() -> None:
        value = assets.sent(f"table_{key}", "act")
        if value and on_action is not None and value["ids"]:
            on_action(value["action"], value["ids"])

    with _room(key, HEAD_PX + reserve * len(plain)) if reserve else nullcontext():
        assets.renderer("table")(key=f"table_{key}", data=data, on_open_change=opened, on_act_change=acted)


def _room(key: str, pixels: int) -> Any:
    """A container with a least height that stands in the document's head: known before anything is drawn in it."""
    kept = min(ROOM_MAX, max(ROOM_STEP, pixels // ROOM_STEP * ROOM_STEP))
    return st.container(key=f"room-{kept}-{key}")


def room_css() -> str:
    """The least heights `reserve` can ask for."""
    sizes = range(ROOM_STEP, ROOM_MAX + 1, ROOM_STEP)
    return "".join(f"[class*=st-key-room-{n}-]{{min-height:{n}px}}" for n in sizes)


def _column(c: Column) -> dict[str, Any]:
    return {
        "kind": c.kind if c.kind != "id" else "text",
        "label": c.label,
        "phone": c.phone,
        "align": (c.align + (" id" if c.kind == "id" else "")).strip(),
        "width": c.width,
        "hide_label": c.hide_label,
    }


def patch(key: str, rows: Sequence[Row]) -> None:
    """Bring the table up to date from inside a live fragment: only rows that differ from what `show` sent cross the wire."""
    seq, known, order = st.session_state.get(_memory(key), ("", {}, []))
    plain = [_plain(r) for r in rows]
    ids = [r["id"] for r in plain]
    data: dict[str, Any] = {"key": key, "seq": seq, "rows": [r for r in plain if known.get(str(r["id"])) != r]}
    if ids != order:
        data["order"] = ids
    assets.renderer("patch")(key=f"patch_{key}", data=data)
