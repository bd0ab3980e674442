"""One card for each vendor: what it is for, whether it works, and what happens without it. No secret is ever drawn."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from app.ui import page, words
from app.ui.words import esc
from core.config import get_settings
from core.runtime.connections import environment
from core.runtime.connections.queries import ConnectionView
from core.runtime.connections.vendors import VENDORS, Vendor

_SECURITY = {"starttls": "STARTTLS", "tls": "TLS", "none": "not encrypted"}


@dataclass(frozen=True, slots=True)
class Part:
    """One secret of a card: the vendor itself, or what belongs to it. `used` is the connection in use; `spare` another one.

    `instead` is the other vendor that does its work while it is not connected.
    """

    vendor: Vendor
    used: ConnectionView | None
    spare: ConnectionView | None
    instead: str = ""

    @property
    def connected(self) -> bool:
        """Whether it can be used."""
        return self.used is not None and (self.used.has_secret or not self.vendor.secret_required)

    @property
    def by_person(self) -> ConnectionView | None:
        """The connection a person entered: the one that a person may change."""
        return self.used if self.used is not None and not self.used.from_environment else None


def parts(found: Sequence[ConnectionView]) -> dict[str, list[Part]]:
    """The agency's connections by card, each card's own vendor first. `found` has the one in use first."""
    made: dict[str, list[Part]] = {}
    for vendor in VENDORS.values():
        mine = [c for c in found if c.vendor == vendor.key]
        part = Part(vendor, mine[0] if mine else None, mine[1] if len(mine) > 1 else None)
        made.setdefault(vendor.card, []).append(part)
    for one, other in (("resend", "smtp"), ("smtp", "resend")):
        if made[other][0].connected and not made[one][0].connected:
            made[one][0] = replace(made[one][0], instead=made[other][0].vendor.title)
    return made


def _state(part: Part) -> str:
    if not part.connected:
        if environment.given((part.vendor.key,)):
            return page.tag("unknown", "At first use")
        if part.instead:
            return page.tag("off", "Not connected")
        return page.tag("off", "Closed") if part.vendor.belongs_to else page.tag("degraded", "Dry run")
    if part.used and part.used.is_failing:
        return page.tag("failing", "Not working")
    if part.used and part.used.tested_at:
        return page.tag("healthy", "Works")
    return page.tag("healthy", "Set") if part.vendor.checked_by is None else page.tag("unknown", "Not tested")


def _ago(at: datetime) -> str:
    return f'<time title="{esc(words.when(at))}">{esc(words.ago(at))}</time>'


def _facts(part: Part, used: ConnectionView) -> str:
    rows: list[tuple[str, str]] = []
    for setting in part.vendor.settings:
        if setting.name in ("port", "security"):
            continue
        value = str(used.config.get(setting.name) or "–")
        if setting.name == "host":
            value = f"{value}:{used.config.get('port')}, {_SECURITY.get(str(used.config.get('security')), '')}"
        rows.append((setting.label, esc(value)))
    word = part.vendor.secret[0].upper() + part.vendor.secret[1:]
    end = f"ends in {used.hint}" if used.hint else "stored" if used.has_secret else "none"
    rows.append((word, esc(end)))
    whence = f"from {part.vendor.variable}" if used.from_environment else f"by {used.edited_by}"
    rows.append(("Entered", f"{esc(whence)}, {_ago(used.edited_at)}"))
    if part.vendor.checked_by is not None:
        rows.append(("Tested", _ago(used.tested_at) if used.tested_at else "not yet"))
    return '<dl class="kv">' + "".join(f"<dt>{esc(k)}</dt><dd>{v}</dd>" for k, v in rows) + "</dl>"


def _said(used: ConnectionView) -> str:
    if not used.said:
        return ""
    tone = "red" if used.is_failing else "green"
    return f'<div class="note c-{tone}" role="status">{esc(used.said)}</div>'


def body(part: Part) -> str:
    """What is to know of one secret, as HTML. The first of a card has the card's title."""
    vendor, used = part.vendor, part.used
    level = "h3" if vendor.belongs_to else "h2"
    top = f'<div class="top"><{level}>{esc(vendor.title)}</{level}>{_state(part)}</div><p>{esc(vendor.used_for)}</p>'
    if used is None or not part.connected:
        return f'<div class="conn">{top}{_missing(part)}</div>'
    spare = ""
    if part.spare is not None and part.spare.from_environment:
        spare = f'<p class="byline">{esc(vendor.variable)} is set too; what a person entered is used.</p>'
    return f'<div class="conn">{top}{_said(used)}{_facts(part, used)}{spare}</div>'


def _missing(part: Part) -> str:
    vendor = part.vendor
    if environment.given((vendor.key,)):
        return f'<p class="byline">{esc(vendor.variable)} is set; it is taken at first use.</p>'
    if part.instead:
        return f'<p class="byline">Mail goes by {esc(part.instead)}.</p>'
    tone, lead = ("gray", "Closed.") if vendor.belongs_to else ("amber", "Dry run.")
    return f'<div class="note c-{tone}"><b>{lead}</b> {esc(_plain(vendor.without))}</div>'


def _plain(text: str) -> str:
    return text.replace("`", "")


def model() -> str:
    """The model's card. Its key stays in the environment, because every worker needs it before it has a database."""
    settings = get_settings()
    on = settings.anthropic_api_key is not None
    tag = page.tag("healthy", "Set") if on else page.tag("off", "Not set")
    note = "" if on else '<div class="note c-gray"><b>Template.</b> A template writes the prose from the same facts.</div>'
    rows = [
        ("Model", esc(settings.model)),
        ("API key", "from ANTHROPIC_API_KEY" if on else "set ANTHROPIC_API_KEY and start again"),
    ]
    facts = "".join(f"<dt>{k}</dt><dd>{v}</dd>" for k, v in rows)
    return (
        f'<div class="conn"><div class="top"><h2>Anthropic</h2>{tag}</div><p>Claude writes reports, drafts and notes.</p>{note}'
        f'<dl class="kv">{facts}</dl><p class="byline">This key is set in the environment only.</p></div>'
    )


def summary(made: dict[str, list[Part]]) -> tuple[str, str, str]:
    """(tone, lead, text): what is only written down, what does not work, or that all is connected."""
    every = [p for group in made.values() for p in group]
    broken = [p.vendor.title for p in every if p.connected and p.used and p.used.is_failing]
    if broken:
        return "red", "Not working:", f"{_and(broken)}. Replace the key, then test again."
    mail = any(p.connected for p in (*made["resend"][:1], *made["smtp"][:1]))
    dry = [] if made["slack"][0].connected else ["Slack messages"]
    dry += [] if mail else ["mail"]
    dry += [] if made["pipedrive"][0].connected else ["new deals in Pipedrive"]
    if dry:
        verbs = ("is", "goes") if dry == ["mail"] else ("are", "go")
        what = _and(dry)
        return "amber", "Dry run:", f"{what[0].upper()}{what[1:]} {verbs[0]} written down and shown, and {verbs[1]} to nobody."
    return "green", "Connected:", "approved messages, mail and deals go out."


def _and(words_: Sequence[str]) -> str:
    return " and ".join([", ".join(words_[:-1]), words_[-1]] if len(words_) > 1 else words_)
