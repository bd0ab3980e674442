"""Which vendors can be connected, what each needs, and what it is used for."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parseaddr
from importlib import import_module
from ipaddress import ip_address
from typing import Any, Final

from core.errors import BadInput, NotFound
from core.kit.http import LOOPBACK

LONGEST_SECRET: Final = 4096
SECURITY: Final = ("starttls", "tls", "none")
_HOST = re.compile(r"(?=.{1,253}$)([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting that is no secret. `binds`: the secret is for this place only, so a change of it asks for the secret again."""

    name: str
    label: str
    read: Callable[[str], Any] = str
    required: bool = False
    default: Any = None
    options: tuple[str, ...] = ()
    placeholder: str = ""
    binds: bool = False


@dataclass(frozen=True, slots=True)
class Vendor:
    """One kind of account. `belongs_to` is the vendor on whose card it is shown, itself unless it is a part of another's."""

    key: str
    title: str
    used_for: str
    without: str
    """What happens while it is not connected."""
    secret: str
    """What the vendor calls it."""
    where: str
    """Where a person finds it."""
    variable: str
    """The environment variable it may come from instead."""
    settings: tuple[Setting, ...] = ()
    secret_required: bool = True
    belongs_to: str = ""
    checked_by: str | None = None
    """The module whose `check(config, secret)` asks the vendor; None when there is nobody to ask."""
    not_these: Mapping[str, str] | None = None
    """How other secrets of the vendor begin, and what they are: they are easily mixed up."""

    @property
    def card(self) -> str:
        """The vendor on whose card it is shown."""
        return self.belongs_to or self.key

    def clean(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The settings, checked and with defaults. Raises BadInput for the first one that is wrong or unknown."""
        unknown = set(given) - {s.name for s in self.settings}
        if unknown:
            raise BadInput(f"{self.title} has no setting “{sorted(unknown)[0]}”.", f"It has: {self._names()}.")
        made: dict[str, Any] = {}
        for setting in self.settings:
            value = str(given.get(setting.name) if given.get(setting.name) is not None else "").strip()
            if not value and setting.default is not None:
                value = str(setting.default)
            if not value and setting.required:
                raise BadInput(f"{self.title}: {setting.label} is missing.", "Fill it in; nothing was saved.")
            if setting.options and value not in setting.options:
                raise BadInput(f"{self.title}: {setting.label} is one of {', '.join(setting.options)}.", "Choose one of them.")
            if value:
                made[setting.name] = setting.read(value)
        if made.get("security") == "none" and made.get("host") not in LOOPBACK:
            raise BadInput("A mail server elsewhere needs encryption.", "Choose starttls or tls; none is for this machine only.")
        return made

    def clean_secret(self, secret: str) -> str:
        """The secret without blanks around it. Raises BadInput, which never repeats it."""
        secret = secret.strip()
        if len(secret) > LONGEST_SECRET or not secret.isprintable():
            raise BadInput(f"That can't be the {self.secret}.", "Copy it again, as one line.")
        for prefix, what in (self.not_these or {}).items():
            if secret.startswith(prefix):
                raise BadInput(f"That is {what}, not the {self.secret}.", self.where)
        return secret

    def check(self, config: Mapping[str, Any], secret: str) -> str:
        """Ask the vendor whether the account works: a sentence. Raises OpsError. Nothing is sent to anybody."""
        if self.checked_by is None:
            raise NotFound(f"The {self.secret} can't be tested from here.", "It proves itself with the first request that comes.")
        said: str = import_module(self.checked_by).check(config, secret)
        return said

    def _names(self) -> str:
        return ", ".join(s.name for s in self.settings) or "none"


def _address(value: str) -> str:
    name, address = parseaddr(value)
    if not value.isprintable() or address.count("@") != 1 or not all(address.split("@")) or " " in address:
        raise BadInput("The sender is not an e-mail address.", "Write it as name@example.com or Name <name@example.com>.")
    return f"{name} <{address}>" if name else address


def _host(value: str) -> str:
    host = value.lower().rstrip(".")
    try:
        return str(ip_address(host))
    except ValueError:
        pass
    if not _HOST.fullmatch(host):
        raise BadInput("The server's name is not valid.", "Write it as smtp.example.com.")
    return host


def _port(value: str) -> int:
    if not value.isdecimal() or not 1 <= int(value) <= 65535:
        raise BadInput("The port is not valid.", "Mail servers mostly use 587 (starttls) or 465 (tls).")
    return int(value)


_SENDER = Setting("from", "Sender", _address, required=True, placeholder="ManageAI <hello@example.com>")

_ALL = (
    Vendor(
        "slack", "Slack", "Posts messages, approvals and digests to your channels.",
        "Posts are written down and shown, and go to nobody.",
        "bot token", "Slack → your app → OAuth & Permissions → Bot User OAuth Token (begins with xoxb-).", "SLACK_BOT_TOKEN",
        checked_by="core.integrations.slack.check",
        not_these={"xoxp-": "a user token", "xapp-": "an app-level token"},
    ),
    Vendor(
        "slack_signing", "Slack buttons", "Lets people approve from Slack: proves that a click really comes from Slack.",
        "Clicks on buttons in Slack are refused.",
        "signing secret", "Slack → your app → Basic Information → Signing Secret.", "SLACK_SIGNING_SECRET",
        belongs_to="slack", not_these={"xoxb-": "the bot token", "xoxp-": "a user token", "xapp-": "an app-level token"},
    ),
    Vendor(
        "resend", "Resend", "Sends mail, one copy each even after a lost answer.",
        "Mail goes by SMTP if that is connected; else it is written down and shown, and goes to nobody.",
        "API key", "Resend → API Keys (begins with re_).", "RESEND_API_KEY",
        settings=(_SENDER,), checked_by="core.integrations.resend.check", not_these={"whsec_": "the webhook secret"},
    ),
    Vendor(
        "resend_webhook", "Bounces and complaints", "Learns from Resend which mail bounced, so that nobody writes there again.",
        "Reports of bounces and complaints are refused.",
        "webhook secret", "Resend → Webhooks → Signing Secret (begins with whsec_).", "RESEND_WEBHOOK_SECRET",
        belongs_to="resend", not_these={"re_": "the API key"},
    ),
    Vendor(
        "smtp", "Mail server (SMTP)", "Sends mail through a server of your own, when Resend is not connected.",
        "Mail goes by Resend if that is connected; else it is written down and shown, and goes to nobody.",
        "password", "Your mail provider's settings; often an app password.", "SMTP_URL",
        settings=(
            _SENDER,
            Setting("host", "Server", _host, required=True, placeholder="smtp.example.com", binds=True),
            Setting("port", "Port", _port, default=587, binds=True),
            Setting("security", "Encryption", default="starttls", options=SECURITY, binds=True),
            Setting("username", "User name", placeholder="hello@example.com", binds=True),
        ),
        secret_required=False, checked_by="core.integrations.smtp.check",
    ),
    Vendor(
        "pipedrive", "Pipedrive", "Reads deals, people and stages, and creates deals that were approved.",
        "Deals come from CSV files only (`ops import deals FILE`); new ones are written down and shown, not created.",
        "API token", "Pipedrive → Personal preferences → API.", "PIPEDRIVE_API_TOKEN",
        checked_by="core.integrations.pipedrive.check",
    ),
)  # fmt: skip
VENDORS: Final[dict[str, Vendor]] = {v.key: v for v in _ALL}


def get(key: str) -> Vendor:
    """The vendor. Raises BadInput."""
    try:
        return VENDORS[key]
    except KeyError:
        raise BadInput(f"There is no vendor “{key}”.", f"Known: {', '.join(VENDORS)}.") from None
