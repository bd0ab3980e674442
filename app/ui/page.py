"""The head of a page and the states every page can be in: empty, failed, loading."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import streamlit as st

from app.ui import health, words
from app.ui.words import esc
from core.errors import OpsError


def head(title: str, question: str, *, crumbs: Sequence[tuple[str, str]] = (), chips: str = "") -> None:
    """The page's name and the one question it answers. `crumbs` are (label, address); `chips` is HTML from `tag`."""
    trail = ""
    if crumbs:
        trail = '<div class="crumb">' + " / ".join(f'<a href="{esc(h)}">{esc(t)}</a>' for t, h in crumbs) + "</div>"
    st.html(f'<div class="pg">{trail}<h1>{esc(title)}{chips}</h1><p>{esc(question)}</p></div>')


@contextmanager
def header(title: str, question: str, *, crumbs: Sequence[tuple[str, str]] = ()) -> Iterator[None]:
    """The head with the page's actions at its right: draw the buttons inside the `with`."""
    with st.container(horizontal=True, vertical_alignment="center", key="pagehead", gap="small"):
        head(title, question, crumbs=crumbs)
        with st.container(horizontal=True, vertical_alignment="center", width="content", gap="small", key="pageactions"):
            yield


def health_html(known: health.Health) -> str:
    """The health line: what is wrong, or that nothing is."""
    tip = " ".join(known.problems) or "Clock, watchdog and workers report in; nothing waits too long."
    return (
        f'<a class="side c-{known.tone}" href="/system" title="{esc(tip)}">'
        f'<i style="background:var(--{known.tone})"></i>{esc(known.text)}</a>'
    )


def demo_html(known: health.Health) -> str:
    """Says on every page that what is shown holds demo data; nothing when it does not."""
    if not known.demo:
        return ""
    tip = "The demo agency is loaded; every record of it is marked. It can be removed on the System page."
    return (
        f'<a class="side c-violet" href="/system" title="{esc(tip)}"><i style="background:var(--violet)"></i>With demo data</a>'
    )


def tag(state: str, word: str | None = None) -> str:
    """A state as a chip in HTML."""
    known = words.state(state)
    return f'<span class="tag c-{known.tone}">{esc(word or known.word)}</span>'


def tile(label: str, value: str, note: str = "", *, tone: str = "", hot: bool = False, href: str | None = None) -> str:
    """One figure with its comparison; `note` is HTML, as from `change`. All tiles have one height."""
    cls = f"tile c-{tone or 'gray'}" + (" hot" if hot else "")
    inner = f'<span class="l">{esc(label)}</span><b>{esc(value)}</b><div class="d">{note or "&nbsp;"}</div>'
    if href:
        return f'<a class="{cls}" href="{esc(href)}">{inner}</a>'
    return f'<div class="{cls}">{inner}</div>'


def tiles(made: Sequence[str]) -> None:
    """A row of tiles."""
    st.html(f'<div class="tiles">{"".join(made)}</div>')


def change(now: float, before: float, text: str, *, good: str = "up") -> str:
    """A comparison with the previous period: an arrow and `text`, coloured by whether that direction is good (up or down)."""
    if now == before:
        return f"unchanged, {esc(text)}"
    up = now > before
    tone = "green" if up == (good == "up") else "red"
    return f'<em class="c-{tone}">{"↑" if up else "↓"}</em> {esc(text)}'


def section(title: str, note: str = "") -> None:
    """A heading inside the page."""
    st.html(f'<div class="h2" role="heading" aria-level="2">{esc(title)}{f"<small>{esc(note)}</small>" if note else ""}</div>')


def empty(title: str, next_step: str) -> None:
    """Nothing to show: say so, and what to do next."""
    st.html(f'<div class="blank"><b>{esc(title)}</b>{esc(next_step)}</div>')


def note(text: str, tone: str = "blue", lead: str = "") -> None:
    """A remark the reader should not miss."""
    st.html(f'<div class="note c-{tone}">{f"<b>{esc(lead)}</b> " if lead else ""}{esc(text)}</div>')


def problem(error: OpsError) -> None:
    """What went wrong and what to do about it."""
    note(error.next_step, "red", error.message)


def attempt(work: Callable[[], str | None], *, here: bool = False) -> bool:
    """Do what a click asks for and say in a toast how it went. False when it was refused; nothing was changed then.

    What `work` says is plain text: names and amounts in it ($100 to $250) are no Markdown.

    For callbacks (`on_click=`), which can't draw: the toast waits for the part that is drawn next. `here` says it at once.
    """
    try:
        said, icon, done = words.md(work() or ""), "check", True
    except OpsError as error:
        said, icon, done = f"**{words.md(error.message)}** {words.md(error.next_step)}".strip(), "error", False
    if said:
        st.session_state.setdefault("_toasts", []).append((said, icon))
    if here:
        toasts("here")
    return done


def dialog(name: str) -> None:
    """Call first in a dialog's body: says what its buttons' callbacks had to say, and closes it after `closed(name)`."""
    if st.session_state.pop(f"_closed_{name}", False):
        st.rerun()
    toasts(name)


def closed(name: str) -> None:
    """A callback is done: the dialog closes."""
    st.session_state[f"_closed_{name}"] = True


def toasts(where: str) -> None:
    """Show what callbacks had to say. Called by the frame and by every live part, each under its own name.

    They stand in a container of that part: `st.toast` counts its places together with the dialogs', so that one from a part
    drawn before an open dialog would take the dialog's place.
    """
    place = st.container(key=f"toasts_{where}")
    for said, icon in st.session_state.pop("_toasts", ()):
        place.toast(said, icon=f":material/{icon}:", duration="long" if icon == "error" else "short")
