"""What a message's payload may hold. Text is our markdown; it is data, never markup of Slack's or of mail's."""

import re
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from core.errors import BadInput
from core.runtime.contacts import rules

MAX_TEXT: Final = 20_000
_ID = re.compile(r"[CGDU][A-Z0-9]{6,20}")
_NAME = re.compile(r"#?[\w.-]{1,80}")


def _channel(value: str) -> str:
    """An id as Slack writes it, or "#name". Slack alone knows which id a name has."""
    value = value.strip()
    if _ID.fullmatch(value):
        return value
    if not _NAME.fullmatch(value):
        raise ValueError("that is no channel of Slack's; write it as #sales")
    return "#" + value.removeprefix("#").lower()


def _one_line(value: str) -> str:
    if any(ord(c) < 32 or ord(c) == 127 or c in "\u0085\u2028\u2029" for c in value):
        raise ValueError("a line break has no place there")
    return value.strip()


def _address(value: str) -> str:
    try:
        return str(rules.parse(value))
    except BadInput as error:
        raise ValueError(error.message.rstrip(".")) from None


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


Line = Annotated[str, Field(min_length=1, max_length=250), AfterValidator(_one_line)]
Text = Annotated[str, Field(min_length=1, max_length=MAX_TEXT, pattern=r"\S")]
Channel = Annotated[str, Field(max_length=81), AfterValidator(_channel)]
MailAddress = Annotated[str, Field(max_length=320), AfterValidator(_address)]


class Button(_Strict):
    """A button under a Slack message: it opens a page (`url`), or tells our gateway that it was pressed (`action`, `value`)."""

    label: Annotated[str, Field(min_length=1, max_length=75), AfterValidator(_one_line)]
    url: Annotated[str, Field(max_length=3000, pattern=r"^https?://[^\s<>|]+$")] | None = None
    action: Annotated[str, Field(pattern=r"^ops_[a-z_]{1,40}$")] | None = None
    value: Annotated[str, Field(max_length=2000)] | None = None
    style: Literal["primary", "danger"] | None = None


class Block(_Strict):
    """A part of a Slack message that has a form. `text` is our markdown, as in the message itself."""

    type: Literal["header", "section", "divider", "buttons"]
    text: Annotated[str, Field(max_length=2500)] = ""
    buttons: Annotated[list[Button], Field(max_length=10)] = []


class SlackPost(_Strict):
    """A message in a channel (or, with a member's id, to that member). With `blocks`, `text` is what notifications show."""

    channel: Channel
    text: Text
    blocks: Annotated[list[Block], Field(max_length=40)] = []


class SlackDelete(_Strict):
    """Take a message of ours back. `shown` and `text` are for people only."""

    channel: Annotated[str, Field(pattern=f"^(?:{_ID.pattern})$")]
    ts: Annotated[str, Field(pattern=r"^\d{9,11}\.\d{6}$")]
    shown: Annotated[str, Field(max_length=81)] = ""
    text: Annotated[str, Field(max_length=200)] = ""


class MailSend(_Strict):
    """A mail to exactly one person: no Cc, no Bcc. `marketing` adds a line for opting out that people see."""

    to: MailAddress
    subject: Line
    text: Text
    html: bool = True
    """Whether an HTML part, made from `text`, goes along."""
    reply_to: Annotated[MailAddress | None, BeforeValidator(lambda v: None if v == "" else v)] = None
    marketing: bool = False
