"""The two cookies: the session, and the mark of a browser that has signed in to an address before."""

import hashlib
import hmac
import secrets
from collections.abc import Mapping

from starlette.requests import cookie_parser
from starlette.responses import Response
from starlette.types import Scope

from app.edge.addresses import header, is_secure
from app.edge.secret import web_secret
from core.config import get_settings
from core.domains.users.rules import SESSION_DAYS

BROWSER = "ops_browser"
BROWSER_DAYS = 180


def session_name(secure: bool) -> str:
    """The session cookie's name. `__Host-` binds it to TLS and this very host; without TLS the port keeps two installations
    on one machine apart, since cookies do not know ports."""
    return "__Host-ops_session" if secure else f"ops_session_{get_settings().web_port}"


def of(scope: Scope) -> dict[str, str]:
    """The request's cookies, read as leniently as browsers write them."""
    return cookie_parser(header(scope, b"cookie") or "")


def session_of(scope: Scope) -> str | None:
    """The session token of a request. Behind TLS only the cookie that TLS protects counts."""
    return of(scope).get(session_name(is_secure(scope)))


def session_in(cookies: Mapping[str, str]) -> str | None:
    """The session token among cookies whose request has already passed the gate."""
    return cookies.get(session_name(True)) or cookies.get(session_name(False))


def set_session(response: Response, scope: Scope, token: str) -> None:
    """Sign the browser in."""
    secure = is_secure(scope)
    response.set_cookie(
        session_name(secure), token, max_age=SESSION_DAYS * 86400, httponly=True, samesite="lax", secure=secure, path="/"
    )


def clear_session(response: Response, scope: Scope) -> None:
    """Make the browser forget its session."""
    secure = is_secure(scope)
    response.delete_cookie(session_name(secure), httponly=True, samesite="lax", secure=secure, path="/")


def _mark(nonce: str, email: str) -> str:
    message = f"browser|{nonce}|{email.strip().lower()}".encode()
    return hmac.new(bytes.fromhex(web_secret()), message, hashlib.sha256).hexdigest()


def known_browser(scope: Scope, email: str) -> str | None:
    """The id of this browser if it has signed in to `email` before."""
    nonce, _, mark = of(scope).get(BROWSER, "").partition(".")
    fits = hmac.compare_digest(mark.encode(), _mark(nonce, email).encode())
    return nonce if fits and nonce else None


def mark_browser(response: Response, scope: Scope, email: str) -> None:
    """Remember that this browser has signed in to `email`."""
    nonce = known_browser(scope, email) or secrets.token_hex(16)
    response.set_cookie(
        BROWSER, f"{nonce}.{_mark(nonce, email)}", max_age=BROWSER_DAYS * 86400, httponly=True, samesite="lax",
        secure=is_secure(scope), path="/auth",
    )  # fmt: skip
