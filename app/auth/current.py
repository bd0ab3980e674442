"""Who is looking at this page? Asked anew in every rerun, fragment and callback.

Streamlit reads cookies only when its WebSocket opens, and a click in a fragment does not rerun the entry script: so
a page that acts asks `current_user()` or `require()` right where it acts.
"""

from html import escape
from typing import NoReturn

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from app.auth import cookies, paths
from core.domains.users import service as users
from core.domains.users.models import Role
from core.domains.users.queries import CurrentUser
from core.domains.users.rules import ROLE_WORDS
from core.errors import Unavailable
from core.kit import db
from core.kit.db import STAFF


def session_token() -> str | None:
    """The session token of this browser. Tests of pages replace this function, since AppTest has no cookies."""
    return cookies.session_in(st.context.cookies)


def current_user() -> CurrentUser:
    """The signed-in person as the database has them now.

    When there is none any more (signed out elsewhere, expired, disabled) the page shows that instead and stops; a
    callback or fragment that asked is cut off before it does anything.
    """
    try:
        with db.transaction(STAFF) as session:
            user = users.resolve_session(session, session_token())
    except Unavailable as error:
        _stop_with(error.message, error.next_step)
    if user is None:
        _stop_with("You are signed out.", "Sign in again to go on.", link=("Sign in", paths.sign_in_path()))
    return user


def require(*roles: Role | str) -> CurrentUser:
    """The signed-in person, who must be an admin or have one of the roles; anybody else sees whom the page is for."""
    user = current_user()
    if not user.is_admin and user.role not in roles:
        known = [ROLE_WORDS[Role(r)] for r in roles]
        whom = " and ".join([", ".join(known[:-1]), known[-1]] if len(known) > 1 else known) or "admins"
        _stop_with(f"This is for {whom}.", "An admin can change your role in Settings.")
    return user


def _stop_with(sentence: str, next_step: str, link: tuple[str, str] | None = None) -> NoReturn:
    run = get_script_run_ctx()
    # inside a callback or a fragment's own rerun there is no page to draw: the whole script runs again and says it
    if run is not None and (run.fragment_ids_this_run or not run._has_script_started):
        st.rerun()
    target = f'<a href="{escape(link[1])}" target="_self">{escape(link[0])}</a>' if link else ""
    st.html(
        '<div style="max-width:26rem;margin:18vh auto;text-align:center" role="alert">'
        f'<p style="font-size:1.25rem;font-weight:600;margin:0 0 .35rem">{escape(sentence)}</p>'
        f'<p style="opacity:.75;margin:0 0 1rem">{escape(next_step)}</p>{target}</div>'
    )
    st.stop()
    raise AssertionError  # st.stop never returns
