"""Entering, testing and removing a connection. A secret goes from the field to the database and nowhere else: it is never drawn
again, and the session forgets it at once."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

import streamlit as st

from app.auth.current import require
from app.ui import page, words
from app.ui.connection_cards import Part
from app.ui.words import esc
from core.errors import OpsError
from core.kit import db
from core.kit.db import STAFF
from core.runtime.connections import queries, service, testing, vendors
from core.runtime.connections.vendors import Setting, Vendor

_TEST = "_connection_to_test"


def buttons(part: Part) -> None:
    """What an admin may do with one secret."""
    key = part.vendor.key
    with st.container(horizontal=True, gap="small", key=f"conn_do_{key}"):
        word = "Replace" if part.by_person else "Enter another" if part.used else "Enter"
        label = f"{word} {part.vendor.secret}…" if not part.vendor.settings else f"{word if part.used else 'Set up'}…"
        kind: Literal["primary", "secondary"] = (
            "secondary" if part.connected or part.instead or part.vendor.belongs_to else "primary"
        )
        if st.button(label, key=f"conn_enter_{key}", type=kind):
            _forget(key)
            enter(part)
        asked = False
        if part.connected and part.vendor.checked_by is not None:
            asked = st.button("Test", key=f"conn_test_{key}", icon=":material/bolt:")
        if part.by_person and st.button("Remove…", key=f"conn_remove_{key}"):
            remove(part)
    saved = st.session_state.get(_TEST) == key and part.connected
    if (asked or saved) and part.used:
        st.session_state.pop(_TEST, None)
        _test(part.used.id, part.vendor)


def _test(connection_id: int, vendor: Vendor) -> None:
    user = require()
    with st.spinner(f"Asking {vendor.title} …", show_time=True):
        try:
            done = testing.check(connection_id, user.actor)
        except OpsError as error:
            page.problem(error)
            return
    said = words.md(done.said) if done.kept else "It was changed meanwhile: test it again."
    st.session_state.setdefault("_toasts", []).append(
        (f"**{words.md(vendor.title)}** {said}", "check" if done.works else "error")
    )
    st.rerun()


# -- entering --------------------------------------------------------------------------------------------------------------


def _fields(key: str) -> list[str]:
    return [k for k in map(str, st.session_state) if k.startswith(f"conn_field_{key}_")]


def _forget(key: str) -> None:
    for name in _fields(key):
        del st.session_state[name]


def _field(vendor: Vendor, setting: Setting, given: Mapping[str, Any]) -> None:
    key = f"conn_field_{vendor.key}_{setting.name}"
    value = str(given.get(setting.name) or setting.default or "")
    label = setting.label + ("" if setting.required or setting.default is not None else " (optional)")
    if setting.options:
        st.selectbox(label, setting.options, index=setting.options.index(value), key=key, format_func=_option)
    else:
        st.text_input(label, value=value, key=key, placeholder=setting.placeholder, autocomplete="off")


def _option(value: str) -> str:
    return {"starttls": "STARTTLS (port 587)", "tls": "TLS (port 465)", "none": "None (this machine only)"}.get(value, value)


@st.dialog("Connection")
def enter(part: Part) -> None:
    """The form. The secret's field is always empty: left so, the stored one stays."""
    page.dialog("connection")
    require()
    vendor, now = part.vendor, part.by_person
    stored = now is not None and now.has_secret
    st.html(f'<p class="byline"><b>{esc(vendor.title)}.</b> {esc(vendor.used_for)}</p>')
    with st.form(f"conn_form_{vendor.key}", border=False, enter_to_submit=False):
        for setting in vendor.settings:
            _field(vendor, setting, now.config if now else {})
        word = vendor.secret[0].upper() + vendor.secret[1:]
        optional = "" if vendor.secret_required or stored else " (optional)"
        st.text_input(
            f"{word}{optional}", type="password", key=f"conn_field_{vendor.key}_secret", autocomplete="new-password",
            placeholder=f"leave empty to keep the one that ends in {now.hint}" if now and now.hint else
            "leave empty to keep the stored one" if stored else "", help=words.md(vendor.where),
        )  # fmt: skip
        st.html(f'<p class="byline">{esc(vendor.where)} It is stored encrypted and never shown again.</p>')
        st.form_submit_button(
            "Save and test" if vendor.checked_by else "Save", type="primary", key=f"conn_save_{vendor.key}", on_click=save,
            args=(vendor.key, now.version if now else 0),
        )  # fmt: skip


def save(key: str, version: int) -> None:
    """Callback of the form: what is in it is saved, and the secret forgotten here, however it went."""
    user = require()
    vendor = vendors.get(key)
    with _taken(key) as given:
        secret = given.pop("secret", None)

        def work() -> str:
            with db.transaction(STAFF) as session:
                service.save(session, key, queries.MAIN, given, secret or None, user.actor, version=version)
            return f"{vendor.title} is saved."

        if page.attempt(work):
            page.closed("connection")
            if vendor.checked_by is not None:
                st.session_state[_TEST] = key


@contextmanager
def _taken(key: str) -> Iterator[dict[str, Any]]:
    """What is in the form; its secret does not stay in the session."""
    prefix = f"conn_field_{key}_"
    given = {name.removeprefix(prefix): st.session_state[name] for name in _fields(key)}
    try:
        yield given
    finally:
        st.session_state.pop(f"{prefix}secret", None)


# -- removing --------------------------------------------------------------------------------------------------------------


@st.dialog("Remove the connection?")
def remove(part: Part) -> None:
    """Says what follows before it is done."""
    page.dialog("remove_connection")
    require()
    vendor, now = part.vendor, part.by_person
    if now is None:
        return
    follows = "The account from the environment is used then." if part.spare is not None else vendor.without.replace("`", "")
    st.html(f"<p><b>{esc(vendor.title)}</b> and its stored secret are removed for good. {esc(follows)}</p>")
    with st.container(horizontal=True):
        st.button("Remove", type="primary", key="conn_remove_do", on_click=_remove, args=(now.id, now.version))
        st.button("Keep it", key="conn_remove_keep", on_click=page.closed, args=("remove_connection",))


def _remove(connection_id: int, version: int) -> None:
    user = require()

    def work() -> str:
        with db.transaction(STAFF) as session:
            return f"{service.remove(session, connection_id, user.actor, version=version)} is removed."

    if page.attempt(work):
        page.closed("remove_connection")
