"""The MIME message of a mail, made from the same bytes that Resend would be sent: nothing is added but the date."""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import format_datetime, parseaddr
from typing import Any, Final

from core.integrations.smtp.errors import SmtpRefused

_AS_IT_IS: Final = frozenset({"list-unsubscribe", "list-unsubscribe-post", "message-id"})


class _Policy(EmailPolicy):
    """Long headers that programs read stay in one piece: encoded words in them would be read as they stand."""

    def fold_binary(self, name: str, value: str) -> bytes:
        if name.lower() in _AS_IT_IS:
            return f"{name}: {value}\r\n".encode("ascii")
        return super().fold_binary(name, value)


_PLAIN: Final = _Policy(linesep="\r\n")
_UTF8: Final = _Policy(linesep="\r\n", utf8=True)


@dataclass(frozen=True, slots=True)
class Mail:
    """Ready to be handed over. `data` has CR LF line ends and no end-of-data dot."""

    sender: str
    recipient: str
    data: bytes
    utf8: bool


def mime(body: bytes, date: datetime) -> Mail:
    """The mail for the body of POST /emails ({"from", "to": [one], "subject", "text", "html"?, "reply_to"?, "headers"?}).

    The same bytes and date give the same mail. Raises SmtpRefused for what can't be written as a mail to one recipient.
    """
    asked: dict[str, Any] = json.loads(body)
    to = asked["to"]
    if len(to) != 1 or asked.get("cc") or asked.get("bcc"):
        raise SmtpRefused("A mail goes to exactly one person.", "Write one mail to each.")
    sender, recipient = parseaddr(asked["from"])[1], str(to[0])
    utf8 = not (sender.isascii() and recipient.isascii())
    message = EmailMessage(policy=_UTF8 if utf8 else _PLAIN)
    try:
        _head(message, asked, date)
        message.set_content(asked["text"], cte="quoted-printable")
        if asked.get("html"):
            message.add_alternative(asked["html"], subtype="html", cte="quoted-printable")
            message.set_boundary(hashlib.sha256(body).hexdigest()[:40])
        return Mail(sender, recipient, message.as_bytes(), utf8)
    except (ValueError, UnicodeError, IndexError):
        raise SmtpRefused("That can't be written as a mail.", "Look at sender, recipient and subject.") from None


def _head(message: EmailMessage, asked: dict[str, Any], date: datetime) -> None:
    name, sender = parseaddr(asked["from"])
    message["From"] = Address(name, addr_spec=sender)
    message["To"] = Address(addr_spec=asked["to"][0])
    if asked.get("reply_to"):
        message["Reply-To"] = Address(addr_spec=asked["reply_to"])
    message["Subject"] = asked["subject"]
    message["Date"] = format_datetime(date)
    for key, value in (asked.get("headers") or {}).items():
        message[key] = value
