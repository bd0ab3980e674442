"""Paths of the sign-in pages, and where a person may be sent on to afterwards."""

from urllib.parse import quote, urlsplit

from core.kit.urls import base_url as base_url

SIGN_IN = "/auth/sign-in"
SIGN_OUT = "/auth/sign-out"
LINK = "/auth/link"
PASSWORD = "/auth/password"  # noqa: S105 - a path
HOME = "/"


def local_path(raw: str | None) -> str:
    """`raw` if it is a path on this very server, else the home page. Never another host, never a sign-in page."""
    if not raw or len(raw) > 1000 or not raw.startswith("/") or raw.startswith("//"):
        return HOME
    # browsers read a backslash as a slash and drop tabs and line ends: /\evil.example is another host
    if "\\" in raw or any(ord(c) < 33 or ord(c) == 127 for c in raw):
        return HOME
    parts = urlsplit(raw)
    if parts.scheme or parts.netloc or parts.path.startswith(("//", "/auth/")):
        return HOME
    return raw


def sign_in_path(next_path: str | None = None) -> str:
    """The sign-in page that leads back to `next_path`."""
    wanted = local_path(next_path)
    return SIGN_IN if wanted == HOME else f"{SIGN_IN}?next={quote(wanted, safe='/')}"


def link_url(token: str) -> str:
    """The address a person opens to sign in with a one-time token."""
    return f"{base_url()}{LINK}?token={token}"
