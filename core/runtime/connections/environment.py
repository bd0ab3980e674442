"""Accounts that environment variables name. They become connections of their own, so that there is one place to look."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from core.config import Settings, get_settings
from core.errors import BadInput
from core.kit.actor import Actor
from core.runtime.connections.vendors import VENDORS, Vendor

ACTOR: Final = Actor("The environment")
_SECURITY = {"smtp": "starttls", "smtps": "tls", "smtp+none": "none"}


@dataclass(frozen=True, slots=True)
class Given:
    """What the environment says of one vendor."""

    config: dict[str, Any]
    secret: str | None = field(repr=False)


def _text(value: SecretStr | str | None) -> str:
    return (value.get_secret_value() if isinstance(value, SecretStr) else value or "").strip()


def _variable(settings: Settings, vendor: Vendor) -> str:
    return _text(getattr(settings, vendor.variable.lower(), None))


def given(names: Iterable[str]) -> bool:
    """Whether the environment names an account at one of these vendors."""
    settings = get_settings()
    return any(_variable(settings, VENDORS[n]) for n in names if n in VENDORS)


def read(vendor: Vendor) -> Given | None:
    """What the environment says; None when it says nothing. Raises BadInput when it can't be used."""
    settings = get_settings()
    value = _variable(settings, vendor)
    if not value:
        return None
    sender = _text(settings.mail_from)
    if vendor.key == "smtp":
        return _smtp(vendor, value, sender)
    config: dict[str, Any] = {}
    if any(s.name == "from" for s in vendor.settings):
        config["from"] = _needed(sender, vendor)
    return Given(vendor.clean(config), vendor.clean_secret(value))


def _needed(sender: str, vendor: Vendor) -> str:
    if not sender:
        raise BadInput(f"{vendor.variable} is set, but MAIL_FROM is not.", "Set MAIL_FROM to the address mail comes from.")
    return sender


def _smtp(vendor: Vendor, url: str, sender: str) -> Given:
    """smtp://user:password@host:587 (starttls), smtps://…:465 (tls), smtp+none://127.0.0.1:1025 (no encryption)."""
    wrong = BadInput("SMTP_URL can't be read.", "Write it as smtp://user:password@smtp.example.com:587, or smtps:// for TLS.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise wrong from None
    if parts.scheme not in _SECURITY or not parts.hostname:
        raise wrong
    security = _SECURITY[parts.scheme]
    config = {
        "from": _needed(sender, vendor), "host": parts.hostname, "port": port or (465 if security == "tls" else 587),
        "security": security, "username": unquote(parts.username or ""),
    }  # fmt: skip
    return Given(vendor.clean(config), vendor.clean_secret(unquote(parts.password or "")) or None)
