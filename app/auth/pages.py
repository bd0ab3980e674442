"""The sign-in pages: plain HTML made on the server, no script, nothing from outside."""

import base64
import hashlib
import re
from html import escape
from pathlib import Path

from starlette.responses import HTMLResponse

from app.auth import paths
from core.domains.users.rules import MIN_PASSWORD
from core.errors import Unavailable

CSS = (Path(__file__).parent / "page.css").read_text()
_CSS_HASH = base64.b64encode(hashlib.sha256(CSS.encode()).digest()).decode()
POLICY = (
    f"default-src 'none'; style-src 'sha256-{_CSS_HASH}'; font-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "cache-control": "no-store",
    "x-robots-tag": "noindex, nofollow",
    "x-frame-options": "DENY",
}

_MARK = (
    '<svg viewBox="0 0 32 32" aria-hidden="true"><rect width="32" height="32" rx="8" fill="#2f67f2"/>'
    '<path d="M7.5 22.5V11.2l8.5 7 8.5-7v11.3" fill="none" stroke="#fff" stroke-width="2.9" stroke-linecap="round" '
    'stroke-linejoin="round"/><circle cx="16" cy="8.2" r="2.1" fill="#9cf0cb"/></svg>'
)


def _page(title: str, body: str, status: int = 200, headers: dict[str, str] | None = None) -> HTMLResponse:
    html = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{escape(title)} · ManageAI Ops</title><link rel="icon" href="/app/static/mark.svg">'
        f"<style>{CSS}</style></head><body>"
        f'<aside><div class="brand">{_MARK}ManageAI Ops</div><div><h2>Agents do the watching. You make the decisions.</h2>'
        "<p>Sales, builds, client automations and campaigns, watched around the clock.</p></div></aside>"
        f'<main><div class="card"><h1>{escape(title)}</h1>{body}</div></main></body></html>'
    )
    return HTMLResponse(html, status, {**HEADERS, **(headers or {})})


def prose(text: str) -> str:
    """Text for people as HTML; `like this` becomes code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def _note(sentence: str, next_step: str = "", kind: str = "bad") -> str:
    role = "alert" if kind == "bad" else "status"
    return f'<p class="note {kind}" role="{role}"><b>{prose(sentence)}</b>{prose(next_step)}</p>'


def _hidden(name: str, value: str) -> str:
    return f'<input type="hidden" name="{name}" value="{escape(value)}">'


def sign_in(next_path: str, *, email: str = "", note: tuple[str, str, str] | None = None, status: int = 200) -> HTMLResponse:
    """The sign-in form. `note` is (sentence, next step, "bad" or "good")."""
    body = (
        '<p class="lead">Use your work address.</p>'
        + (_note(*note) if note else "")
        + f'<form method="post" action="{paths.SIGN_IN}">{_hidden("next", next_path)}'
        '<label for="email">E-mail</label>'
        f'<input id="email" name="email" type="email" autocomplete="username" required maxlength="254" value="{escape(email)}"'
        f"{'' if email else ' autofocus'}>"
        '<label for="password">Password</label>'
        '<input id="password" name="password" type="password" autocomplete="current-password" required maxlength="256"'
        f"{' autofocus' if email else ''}>"
        '<button type="submit">Sign in</button></form>'
        '<p class="hint">No password yet, or forgot it? An admin prints you a one-time link on the server: '
        "<code>ops users link EMAIL</code></p>"
    )
    more = {"retry-after": "900"} if status == 429 else {}
    return _page("Sign in", body, status, more)


def link(token: str) -> HTMLResponse:
    """One button. Opening the address changes nothing, so that a mail scanner can't use the link up."""
    body = (
        '<p class="lead">This link signs you in on this device. It works once.</p>'
        f'<form method="post" action="{paths.LINK}">{_hidden("token", token)}'
        '<button type="submit" autofocus>Sign in</button></form>'
    )
    return _page("Welcome", body)


def refused(title: str, sentence: str, next_step: str, status: int, headers: dict[str, str] | None = None) -> HTMLResponse:
    """One sentence on what went wrong, one on what to do."""
    body = _note(sentence, next_step) + f'<p><a href="{paths.SIGN_IN}">Go to sign-in</a></p>'
    return _page(title, body, status, headers)


def sign_out() -> HTMLResponse:
    """One button that signs out."""
    body = (
        '<p class="lead">You will need a link or your password to come back.</p>'
        f'<form method="post" action="{paths.SIGN_OUT}"><button type="submit">Sign out</button></form>'
        f'<p class="hint"><a href="{paths.HOME}">Stay signed in</a></p>'
    )
    return _page("Sign out?", body)


def password(email: str, *, has_one: bool, note: tuple[str, str, str] | None = None, status: int = 200) -> HTMLResponse:
    """The form for a new password; the old one is asked for when there is one."""
    current = (
        '<label for="current">Current password</label>'
        '<input id="current" name="current" type="password" autocomplete="current-password" required maxlength="256">'
    )
    body = (
        f'<p class="lead">For {escape(email)}. Every other browser of yours is signed out.</p>'
        + (_note(*note) if note else "")
        + f'<form method="post" action="{paths.PASSWORD}"><input type="hidden" name="email" autocomplete="username" '
        f'value="{escape(email)}">{current if has_one else ""}'
        f'<label for="new">New password, at least {MIN_PASSWORD} characters</label>'
        f'<input id="new" name="new" type="password" autocomplete="new-password" required minlength="{MIN_PASSWORD}" '
        'maxlength="256"><button type="submit">Save</button></form>'
        f'<p class="hint"><a href="{paths.HOME}">Back to the app</a></p>'
    )
    return _page("New password", body, status)


def unavailable(error: Unavailable) -> HTMLResponse:
    """The database is away."""
    return refused("Back in a moment", error.message, error.next_step, 503, {"retry-after": "5"})


def wrong_host() -> HTMLResponse:
    """The request names a host that is not ours."""
    return refused(
        "Unknown address",
        "This server does not answer to that name.",
        "Open the address `ops up` printed, or set OPS_PUBLIC_URL.",
        421,
    )


def wrong_origin() -> HTMLResponse:
    """The form was sent from another site."""
    return refused(
        "Not from here", "That request came from another site, so nothing was done.", "Open the app and try again.", 403
    )
