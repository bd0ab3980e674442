"""Who an address reaches. Two addresses that end in the same mailbox have the same person key.

Strict on purpose: what two programs could read in two ways (groups, comments, routes, quoted local parts, encoded words,
invisible characters) is refused, so that what was checked is what is sent.
"""

import hmac
import re
import unicodedata
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Final, NoReturn
from uuid import UUID

from core.errors import BadInput

MAX_TEXT: Final = 1_000

_SAME_DOMAIN: Final = {
    "googlemail.com": "gmail.com",
    "me.com": "icloud.com",
    "mac.com": "icloud.com",
    "protonmail.com": "proton.me",
    "protonmail.ch": "proton.me",
    "pm.me": "proton.me",
    "ya.ru": "yandex.ru",
    "yandex.com": "yandex.ru",
    "yandex.by": "yandex.ru",
    "yandex.kz": "yandex.ru",
}
"""Domains of one provider under which one mailbox has several names."""
_IGNORED: Final = {"gmail.com": ".", "proton.me": ".-_", "yandex.ru": ".-"}
"""Characters of the local part that the provider does not look at."""
_USER_IN_DOMAIN: Final = (".fastmail.com", ".fastmail.fm")
"""anything@dave.fastmail.com reaches dave@fastmail.com."""

_HIDDEN_CATEGORIES: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
# letters and marks that are drawn as nothing
_DRAWN_AS_NOTHING = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u3164\ufe00-\ufe0f\uffa0]")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_LOCAL_SIGNS: Final = frozenset("#$&'*+-/=?^_`{|}~.")
_EXAMPLE = "It should look like name@company.com."


@dataclass(frozen=True, slots=True)
class Address:
    """One mailbox. `email` is what may be written into a header or an envelope; its domain is ASCII."""

    name: str
    """The display name, empty when there is none."""
    email: str
    person: str
    """See `person_key`."""

    def __str__(self) -> str:
        return self.email


@lru_cache(maxsize=4096)
def person_key(address: str) -> str:
    """The one spelling under which a person is known to suppression and contact ceilings: "dave@gmail.com".

    A display name is dropped. Case, Unicode spelling, IDN or punycode, a trailing dot, +tags (of every provider: an opt-out
    holds for all tags) and, where the provider ignores them, dots make no difference. The key of a key is itself.
    Raises BadInput for everything that is not exactly one plain address.
    """
    return parse(address).person


def parse(text: str) -> Address:
    """One address, with or without a display name. Raises BadInput."""
    name, spec = _split_name(_clean(text))
    if _DRAWN_AS_NOTHING.search(spec):
        _refuse("An address may not have invisible characters.")
    if spec.count("@") != 1:
        _refuse("That is not one e-mail address.")
    if "=?" in spec:
        _refuse("An address may not have encoded words.")
    local, _, host = spec.partition("@")
    _check_local(local)
    domain = _domain(host)
    address = Address(name, f"{local}@{domain}", _person(local.casefold(), domain))
    if "@" in name and name != address.email and not _names_itself(name, address):
        _refuse("A display name may not be another address.")
    return address


def _refuse(message: str) -> NoReturn:
    raise BadInput(message, _EXAMPLE)


def _clean(text: str, at_most: int = MAX_TEXT) -> str:
    """The text in one Unicode spelling. Raises BadInput for line breaks and what can't be seen."""
    if len(text) > at_most:
        _refuse("That is too long for an address.")
    if any(unicodedata.category(c) in _HIDDEN_CATEGORIES for c in text):
        _refuse("An address may not have line breaks or invisible characters.")
    return unicodedata.normalize("NFKC", text).strip()


def _split_name(text: str) -> tuple[str, str]:
    """(display name, address) of `Name <a@b>` or `a@b`."""
    if not text.endswith(">"):
        return "", text
    head, opened, spec = text[:-1].rpartition("<")
    if not opened:
        _refuse("That is not one e-mail address.")
    head = head.strip()
    if len(head) >= 2 and head[0] == head[-1] == '"':
        head = head[1:-1]
        if re.search(r'(?<!\\)(?:\\\\)*"', head):
            _refuse("That display name can't be read.")
        head = re.sub(r"\\(.)", r"\1", head)
    elif any(c in '<>()[]:;,"\\' for c in head):
        _refuse("That display name can't be read.")
    return head.strip(), spec.strip()


def _names_itself(name: str, address: Address) -> bool:
    """Whether the display name is the same mailbox once more, as some mail programs write it."""
    local, _, host = name.strip("'\" ").partition("@")
    try:
        _check_local(local)
        return _person(local.casefold(), _domain(host)) == address.person
    except BadInput:
        return False


def _check_local(local: str) -> None:
    if not 1 <= len(local.encode()) <= 64:
        _refuse("The part before the @ is missing or too long.")
    if local.startswith(".") or local.endswith(".") or ".." in local:
        _refuse("The part before the @ has a dot too many.")
    # % and ! once meant "pass it on to"; quotes, brackets and spaces need quoting
    if not all(c in _LOCAL_SIGNS or c.isalnum() or unicodedata.category(c).startswith("M") for c in local):
        _refuse("The part before the @ has a character that addresses don't have.")


def _domain(host: str) -> str:
    """The domain in lower case ASCII. Raises BadInput."""
    labels = host.replace("\u3002", ".").removesuffix(".").split(".")
    if len(labels) < 2:
        _refuse("That domain is not complete.")
    wide = [_decoded(x) if x.casefold().startswith("xn--") else x for x in labels]
    folded = [unicodedata.normalize("NFKC", x.casefold()).casefold() for x in wide]
    domain = ".".join(x if x.isascii() else _encoded(x) for x in folded)
    if len(domain) > 253 or not all(_LABEL.fullmatch(x) for x in domain.split(".")) or domain.rpartition(".")[2].isdecimal():
        _refuse("That domain can't exist.")
    return domain


def _decoded(label: str) -> str:
    import idna

    try:
        return idna.decode(label.lower(), uts46=True)
    except (idna.IDNAError, UnicodeError):
        _refuse("That domain can't exist.")


def _encoded(label: str) -> str:
    import idna

    try:
        return idna.encode(label, uts46=True, std3_rules=True).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        _refuse("That domain can't exist.")


def _person(local: str, domain: str) -> str:
    local = unicodedata.normalize("NFKC", local)
    for ending in _USER_IN_DOMAIN:
        user = domain.removesuffix(ending)
        if user != domain and "." not in user:
            local, domain = user, ending[1:]
    domain = _SAME_DOMAIN.get(domain, domain)
    local = local.partition("+")[0].rstrip(".") or "+"
    bare = local.translate({ord(c): None for c in _IGNORED.get(domain, "")})
    return f"{bare or local}@{domain}"


# --- the opt-out link: everything it needs is in it, so that it works for as long as the mail is kept

_PURPOSE: Final = "contacts.opt-out.v1"
_VERSION: Final = b"\x01"
_MAC_BYTES: Final = 20
MAX_TOKEN: Final = 700


@dataclass(frozen=True, slots=True)
class OptOut:
    """Who opts out, and whose mail carried the link."""

    org_id: UUID
    person: str


def opt_out_token(org_id: UUID, person: str) -> str:
    """The token of a person's opt-out link, safe in a URL. It never expires. `person` may be any spelling."""
    body = _VERSION + org_id.bytes + person_key(person).encode()
    return urlsafe_b64encode(_mac(body) + body).decode().rstrip("=")


def read_opt_out(token: str) -> OptOut:
    """What the token says. Raises BadInput when it is not one of ours; the message is always the same."""
    try:
        raw = urlsafe_b64decode(token + "=" * (-len(token) % 4)) if len(token) <= MAX_TOKEN and token.isascii() else b""
    except ValueError:
        raw = b""
    mac, body = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
    fits = hmac.compare_digest(mac, _mac(body))
    canonical = urlsafe_b64encode(raw).decode().rstrip("=")
    if (
        not fits
        or len(body) < 18
        or body[:1] != _VERSION
        or not hmac.compare_digest(canonical.encode(), token.encode("utf-8", "replace"))
    ):
        raise BadInput("This link does not work.", "Reply to the message and ask to be taken off the list.")
    return OptOut(UUID(bytes=body[1:17]), body[17:].decode())


def opt_out_url(org_id: UUID, person: str) -> str:
    """The address of the opt-out page, which also takes the one-click POST of RFC 8058."""
    from core.config import get_settings

    settings = get_settings()
    base = settings.gateway_url or settings.public_url or f"http://127.0.0.1:{settings.gateway_port}"
    return f"{base.rstrip('/')}/u/{opt_out_token(org_id, person)}"


def _mac(body: bytes) -> bytes:
    from core.kit import crypto

    return hmac.new(crypto.derive(_PURPOSE), body, sha256).digest()[:_MAC_BYTES]
