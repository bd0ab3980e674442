"""Which hosts and origins are ours: against DNS rebinding, cross-site forms and cross-site WebSockets."""

import ipaddress
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit

from starlette.types import Scope

from core.config import get_settings

LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


def header(scope: Scope, name: bytes) -> str | None:
    """The first value of a header, or None. `name` is lower case."""
    for key, value in scope["headers"]:
        if key == name:
            text: str = value.decode("latin-1")
            return text
    return None


def is_secure(scope: Scope) -> bool:
    """Whether the browser reached us by TLS, itself or through a trusted proxy on this machine."""
    return scope.get("scheme") in ("https", "wss") or (get_settings().public_url or "").startswith("https://")


def host_name(host: str | None) -> str | None:
    """The name or address in a Host header without its port, lower case; None when it is none."""
    if not host:
        return None
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port
    except ValueError:
        return None
    if parts.username or parts.path or parts.query or parts.fragment:
        return None
    return parts.hostname.rstrip(".") if parts.hostname else None


@dataclass(frozen=True)
class Addresses:
    """The names this server answers to. `any_ip` also allows bare addresses, which no DNS answer can forge."""

    names: frozenset[str]
    any_ip: bool
    public_origin: str | None

    def host_is_ours(self, scope: Scope) -> bool:
        """Whether the Host header names us."""
        name = host_name(header(scope, b"host"))
        if name is None:
            return False
        return name in self.names or (self.any_ip and _is_ip(name))

    def origin_is_ours(self, scope: Scope) -> bool:
        """Whether the Origin header is there and is the very origin this request was sent to (or the public URL)."""
        origin, host = header(scope, b"origin"), header(scope, b"host")
        if not origin or not host:
            return False
        if self.public_origin and origin.lower() == self.public_origin:
            return True
        schemes = ("https",) if scope.get("scheme") in ("https", "wss") else ("http",)
        return origin.lower() in {f"{s}://{host}".lower() for s in schemes}


def _is_ip(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def origin_of(url: str | None) -> str | None:
    """`https://ops.example.com/x` as `https://ops.example.com`."""
    if not url:
        return None
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower() if parts.scheme in ("http", "https") and parts.netloc else None


def addresses_for(bind_host: str, public_url: str | None, extra: Iterable[str] = ()) -> Addresses:
    """What a server bound to `bind_host` and known as `public_url` answers to."""
    everywhere = bind_host in ("0.0.0.0", "::", "")  # noqa: S104 - compared, not bound
    names = set(LOCAL) | {n.lower() for n in extra}
    if public_url and (public := urlsplit(public_url).hostname):
        names.add(public)
    if everywhere:
        names.add(socket.gethostname().lower())
    else:
        names.add(bind_host.lower())
    return Addresses(frozenset(names), everywhere, origin_of(public_url))


@lru_cache(maxsize=1)
def ours() -> Addresses:
    """What this process answers to, by its settings."""
    settings = get_settings()
    return addresses_for(settings.bind_host, settings.public_url)
