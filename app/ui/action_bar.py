"""The bar under an action: approve, edit, reply, reject and what else its state allows, with the form the chosen one needs."""

import streamlit as st

from app.ui import action_deeds, action_form, action_words, words
from app.ui.action_text import flat
from app.ui.words import esc
from core.domains.users.queries import CurrentUser
from core.runtime.actions import kinds
from core.runtime.actions.detail import ActionDetail
from core.runtime.actions.models import ActionState
from core.runtime.actions.rows import ActionRow


def draw(detail: ActionDetail, user: CurrentUser, people: dict[int, str], following: ActionRow | None, where: str) -> None:
    """Draw it last; it stays at the bottom of the screen. `people` may be delegated to; `following` is what waits next."""
    row = detail.row
    # the version is part of every key: a click on an older screen finds no button
    key = f"{where}_{row.id}_{row.payload_sha256[:16]}_{row.state}"
    panel = action_deeds.panel_of(row.id, row.payload_sha256, row.state)
    with st.container(key=f"decide_{where}"):
        if panel is not None and action_words.may_decide(row, user):
            _PANELS[panel](detail, people, key)
        elif row.state == ActionState.AWAITING:
            _decide(detail, user, key)
        elif row.state == ActionState.UNKNOWN:
            _resolve(detail, user, key)
        else:
            _after(detail, user, following, key)


def _say(text: str) -> None:
    st.html(f'<p class="barline">{text}</p>')


def _decide(detail: ActionDetail, user: CurrentUser, key: str) -> None:
    row, sha = detail.row, detail.row.payload_sha256
    refusal = action_words.refusal(detail, user)
    if not action_words.may_decide(row, user):
        _say(esc(refusal))
        return
    _say(
        esc(refusal) if refusal else f"If you do nothing: {esc(action_words.fate(row)[:1].lower() + action_words.fate(row)[1:])}"
    )
    with st.container(horizontal=True, gap="small", key=f"buttons_{key}"):
        st.button(
            action_words.approve_label(detail), type="primary", key=f"approve_{key}", on_click=action_deeds.approve,
            args=(row.id, sha), disabled=refusal is not None, help=_approve_help(detail),
        )  # fmt: skip
        kind = kinds.find(row.kind)
        for name, label, shown in (("edit", "Edit", bool(kind and kind.fields)), ("reply", "Reply", True),
                                   ("delegate", "Delegate", True), ("reject", "Reject", True)):  # fmt: skip
            if shown:
                st.button(label, key=f"{name}_{key}", on_click=action_deeds.open_panel, args=(name, row.id, sha))


def _approve_help(detail: ActionDetail) -> str:
    row = detail.row
    back = "It can be undone afterwards." if row.reversible else "It cannot be undone."
    return words.md(f"{row.title}. {back}")


def _resolve(detail: ActionDetail, user: CurrentUser, key: str) -> None:
    row = detail.row
    if not action_words.may_decide(row, user):
        _say(esc(f"{action_words.owner(row)} says what happened."))
        return
    _say("Look it up where it was sent, then say what you found.")
    with st.container(horizontal=True, gap="small", key=f"buttons_{key}"):
        st.button(
            "It happened", type="primary", key=f"happened_{key}", on_click=action_deeds.resolve, args=(row.id, True),
            help="It is recorded as done.",
        )  # fmt: skip
        st.button(
            "It did not happen", key=f"not_happened_{key}", on_click=action_deeds.resolve, args=(row.id, False),
            help="It is recorded as failed and not sent again by itself.",
        )  # fmt: skip


def _after(detail: ActionDetail, user: CurrentUser, following: ActionRow | None, key: str) -> None:
    row = detail.row
    said = esc(action_words.fate(row))
    if following is not None:
        following_title = esc(words.short(flat(following.title), 70))
        said += f' Next: <a href="/action?action={following.id}">{following_title}</a>'
    _say(said.strip() or "There is nothing left to decide.")
    name = _way_back(detail)
    if name and action_words.may_decide(row, user):
        label = {"undo": "Undo", "withdraw": "Don't send"}[name]
        with st.container(horizontal=True, gap="small", key=f"buttons_{key}"):
            st.button(label, key=f"{name}_{key}", on_click=action_deeds.open_panel, args=(name, row.id, row.payload_sha256))


def _way_back(detail: ActionDetail) -> str | None:
    """What can still be taken back: what was done, or what has not gone out yet."""
    row = detail.row
    if row.state == ActionState.DONE and row.reversible and row.mode != "dry_run" and detail.undone_by is None:
        return "undo"
    return "withdraw" if row.state in (ActionState.DEFERRED, ActionState.APPROVED) else None


# ---- forms


def _panel(title: str, said: str) -> None:
    st.html(f'<div class="panelhead"><b>{esc(title)}</b><p>{esc(said)}</p></div>')


def _closing(label: str, key: str, on_click: object, args: tuple[object, ...], primary: bool = True) -> None:
    with st.container(horizontal=True, gap="small", key=f"buttons_panel_{key}"):
        st.button(label, type="primary" if primary else "secondary", key=f"go_{key}", on_click=on_click, args=args)  # type: ignore[arg-type]
        st.button("Back", key=f"back_{key}", on_click=action_deeds.close_panel)


def _edit(detail: ActionDetail, _people: dict[int, str], key: str) -> None:
    row, kind = detail.row, kinds.find(detail.row.kind)
    if kind is None:
        action_deeds.close_panel()
        return
    _panel("Edit", "Saving makes a new version, shows what would be sent then, and asks for approval of that.")
    action_form.draw(kind, detail.content.payload, row.currency, f"edit_{key}")
    payload, currency = detail.content.payload, row.currency
    _closing(
        "Save as new version", f"edit_{key}", action_deeds.edit,
        (row.id, row.payload_sha256, lambda: action_form.read(kind, payload, currency, f"edit_{key}")),
    )  # fmt: skip


def _reply(detail: ActionDetail, _people: dict[int, str], key: str) -> None:
    row = detail.row
    _panel(f"Reply to {action_words.asks(row)}", "Say what should be different. It keeps waiting for a decision.")
    st.text_area(
        "Reply", key=f"reply_text_{key}", height=110, label_visibility="collapsed", placeholder="Leave out the figures …"
    )
    _closing("Send reply", f"reply_{key}", action_deeds.reply, (row.id, row.payload_sha256, f"reply_text_{key}"))


def _reject(detail: ActionDetail, _people: dict[int, str], key: str) -> None:
    row = detail.row
    _panel("Reject", f"Nothing is sent. {action_words.asks(row)} is told why.")
    st.text_area("Reason", key=f"reject_text_{key}", height=90, label_visibility="collapsed", placeholder="Why not? (optional)")
    _closing("Reject", f"reject_{key}", action_deeds.reject, (row.id, row.payload_sha256, f"reject_text_{key}"))


def _delegate(detail: ActionDetail, people: dict[int, str], key: str) -> None:
    row = detail.row
    _panel("Delegate", "One person decides instead. Admins still may.")
    st.selectbox(
        "Who decides", list(people), format_func=lambda i: people.get(i, str(i)), index=None, key=f"who_{key}",
        label_visibility="collapsed", placeholder="Choose a person",
    )  # fmt: skip
    _closing("Delegate", f"delegate_{key}", action_deeds.delegate, (row.id, f"who_{key}"))


def _undo(detail: ActionDetail, _people: dict[int, str], key: str) -> None:
    row, kind = detail.row, kinds.find(detail.row.kind)
    undo = kinds.find(kind.undo_kind) if kind and kind.undo_kind else None
    what = undo.verb if undo else "Undo"
    _panel(
        "Undo", f"{what}: {row.target}. Whoever has read it meanwhile has read it. Undoing is recorded as an action of its own."
    )
    _closing(what, f"undo_{key}", action_deeds.undo, (row.id,))


def _withdraw(detail: ActionDetail, _people: dict[int, str], key: str) -> None:
    _panel("Don't send", f"It is dropped for good. {action_words.asks(detail.row)} can ask again.")
    _closing("Don't send", f"withdraw_{key}", action_deeds.withdraw, (detail.row.id,))


_PANELS = {"withdraw": _withdraw, "edit": _edit, "reply": _reply, "reject": _reject, "delegate": _delegate, "undo": _undo}
