"""What clicks on an action do: ask who it is, call one service in one transaction with the hash that was on the screen.

A button's key carries that hash as well. So a click on what an old screen showed reaches nothing once the item has changed.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st

from app.auth.current import current_user
from app.ui import action_words, live, page, words
from core.domains.users.queries import CurrentUser
from core.errors import NotAllowed, OpsError
from core.kit import db
from core.kit.db import STAFF
from core.runtime.actions import queries, service
from core.runtime.actions.models import ActionState, Decided

VIA = "web"
PANEL = "_action_panel"
_FITS = {"undo": (ActionState.DONE,), "withdraw": (ActionState.DEFERRED, ActionState.APPROVED)}
"""The states a form is for; any other is for what awaits a decision. Deciding leaves the hash as it is, so it can't tell."""


def open_panel(name: str, action_id: int, sha: str) -> None:
    """Show a form over the buttons: edit, reply, reject, delegate, undo."""
    st.session_state[PANEL] = (name, action_id, sha)


def close_panel() -> None:
    """Put the form away."""
    st.session_state.pop(PANEL, None)


def panel_of(action_id: int, sha: str, state: str) -> str | None:
    """Which form is open for exactly this version; one for an older version, or that came too late, is put away."""
    opened = st.session_state.get(PANEL)
    if opened is None or opened[1] != action_id:
        return None
    name = str(opened[0])
    if opened[2] != sha:
        late = "It changed while you wrote.", "Read it again; your text was not used."
    elif state in _FITS.get(name, (ActionState.AWAITING,)):
        return name
    elif name in _FITS:
        late = "It changed meanwhile.", "Look at it again; nothing was taken back."
    else:
        late = "It was decided while you wrote.", "Look at it again; your text was not used."

    def say() -> None:
        raise OpsError(*late)

    close_panel()
    page.attempt(say, here=True)
    return None


def _do(work: Callable[[Any, CurrentUser], str | None], *, close: bool = True) -> bool:
    user = current_user()

    def inside() -> str | None:
        try:
            with db.transaction(STAFF) as session:
                return work(session, user)
        finally:
            live.forget()  # whoever won, the screen is fresh

    done = page.attempt(inside)
    if done and close:
        close_panel()
    return done


def approve(action_id: int, sha: str) -> None:
    """Approve exactly what was on the screen."""
    _do(lambda s, user: service.decide(s, action_id, Decided.APPROVE, user.actor, payload_sha256=sha, via=VIA).sentence)


def reject(action_id: int, sha: str, note_key: str) -> None:
    """Reject it, with a reason if one was given."""
    note = str(st.session_state.get(note_key) or "").strip() or None
    _do(
        lambda s, user: service.decide(
            s, action_id, Decided.REJECT, user.actor, payload_sha256=sha, via=VIA, note=note
        ).sentence
    )  # fmt: skip


def reply(action_id: int, sha: str, text_key: str) -> None:
    """Tell whoever asks what should be different."""

    def work(session: Any, user: CurrentUser) -> str:
        service.reply(session, action_id, str(st.session_state.get(text_key) or ""), user.actor, payload_sha256=sha, via=VIA)
        return "Your reply is on its way. It still waits for a decision."

    _do(work)


def edit(action_id: int, sha: str, read: Callable[[], Mapping[str, Any]]) -> None:
    """Save what the form holds as a new version, which needs approval of its own."""

    def work(session: Any, user: CurrentUser) -> str:
        made = service.edit(session, action_id, read(), user.actor, payload_sha256=sha, via=VIA)
        if made.state == ActionState.AWAITING:
            return "Saved as a new version. Read it, then approve."
        return f"Saved. {made.reason}"

    _do(work)


def delegate(action_id: int, who_key: str) -> None:
    """Hand the decision to one person."""
    chosen = st.session_state.get(who_key)

    def work(session: Any, user: CurrentUser) -> str:
        if chosen is None:
            raise OpsError("Nobody is chosen.", "Choose who is to decide.")
        person = service.delegate(session, action_id, int(chosen), user.actor, VIA)
        return f"{person.name} decides now."

    _do(work)


def undo(action_id: int) -> None:
    """Take back what was done, by an action of its own."""

    def work(session: Any, user: CurrentUser) -> str:
        made = service.undo(session, action_id, user.actor, VIA)
        if made.state in (ActionState.APPROVED, ActionState.EXECUTING, ActionState.DONE):
            return "It is being taken back."
        return f"Undo is action #{made.id}: {words.state(made.state).word.lower()}. {made.reason}"

    _do(work)


def withdraw(action_id: int) -> None:
    """Drop what has not gone out yet."""

    def work(session: Any, user: CurrentUser) -> str:
        if not action_words.may_decide(queries.get(session, action_id).row, user):
            raise NotAllowed("This is not yours to decide.", "Ask an admin.")
        service.withdraw(session, action_id, user.actor)
        return "Dropped. It is not sent."

    _do(work)


def resolve(action_id: int, happened: bool) -> None:
    """Say what became of an effect nobody could look up."""
    _do(lambda s, user: service.resolve(s, action_id, happened, user.actor, VIA).sentence)


def approve_many(wanted: Sequence[tuple[int, str]], kind: str) -> None:
    """One decision each for several of one kind; what was on the screen is what is approved."""

    def work(session: Any, user: CurrentUser) -> str:
        results = service.approve_many(session, wanted, user.actor, VIA)
        good = sum(r.ok for r in results)
        refused = next((r.sentence for r in results if not r.ok), "")
        if not good:
            raise OpsError(refused or "Nothing was approved.")
        return f"Approved {action_words.plural(kind, good)}." + (f" {len(results) - good} not: {refused}" if refused else "")

    if _do(work):
        page.closed("batch")


def contents(ids: Sequence[int]) -> dict[int, tuple[queries.ActionRow, Any]]:
    """Several actions with their bytes."""
    with db.transaction(STAFF) as session:
        return dict(queries.contents(session, ids))
