"""Which kinds of action there are: a domain registers each in its `actions.py`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ValidationError
from sqlalchemy.orm import Session

from core.errors import BadInput, OpsError
from core.runtime.actions.models import Action, Audience
from core.runtime.orgs.people import ADMIN

INSIDE = "inside"
NO_ACCOUNT = "none"


class Refused(OpsError):
    """The vendor said no, or was never reached: nothing was applied. `retryable` says whether to try again."""

    def __init__(
        self,
        message: str,
        next_step: str = "",
        *,
        retryable: bool = False,
        retry_after_s: float | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(message, next_step)
        self.retryable = retryable
        self.retry_after_s = retry_after_s
        self.status = status


class Unclear(OpsError):
    """No usable answer came: it may have been applied or not."""

    retryable = True

    def __init__(self, message: str, next_step: str = "", *, status: int | None = None) -> None:
        super().__init__(message, next_step)
        self.status = status


@dataclass(frozen=True, slots=True)
class Account:
    """Whose account carries it out. `secret` is in memory only, and never in a repr."""

    id: int
    vendor: str
    config: Mapping[str, Any]
    secret: str = field(repr=False, default="")

    @property
    def label(self) -> str:
        """As `actions.account` keeps it."""
        return f"{self.vendor}:{self.id}"


@dataclass(frozen=True, slots=True)
class Rendering:
    """What rendering may depend on besides the payload. `account` has no secret here; None without a connection."""

    org_id: UUID
    effect_key: UUID
    account: Account | None
    session: Session


@dataclass(frozen=True, slots=True)
class Rendered:
    """The final bytes, and what they do. `recipients` are person keys (see `contacts.rules`). Money in minor units."""

    wire: bytes
    title: str
    target: str
    audience: Audience
    recipients: tuple[str, ...] = ()
    marketing: bool = False
    cost_minor: int = 0
    currency: str = "USD"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What is sent: exactly these bytes. `first_sent_at` is when they first went out, None before."""

    wire: bytes
    effect_key: UUID
    org_id: UUID
    first_sent_at: datetime | None


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the vendor made of it. `data` is what undo and look-up need, never a secret."""

    ref: str | None = None
    url: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Field:
    """One part of the payload that a person may edit. `widget`: line, text, choice, money or addresses."""

    name: str
    label: str
    widget: str = "line"
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ActionKind:
    """How one kind of action is shown, rendered, carried out, looked up and undone.

    `send` raises Refused when nothing was applied, Unclear when that can't be known; anything else counts as Unclear.
    `look_up` finds the effect by its key at the vendor: a Receipt, or None when it is certainly not there. A kind without it
    and without a vendor key (`key_valid_for`) ends as `unknown` when an answer is missing.
    `inside` does it in our own database, in the transaction that records it; such a kind has no vendor.
    `protected` are payload fields that must not come from untrusted text without a person: recipients, amounts, accounts.
    """

    name: str
    word: str
    """As a noun for people: "Slack message"."""
    verb: str
    """What the approve button says: "Post to Slack"."""
    icon: str
    """A Material symbol's name."""
    schema: type[BaseModel]
    render: Callable[[Any, Rendering], Rendered]
    vendors: tuple[str, ...] = ()
    """Vendors that can carry it out, the preferred first."""
    send: Callable[[Outgoing, Account], Receipt] | None = None
    look_up: Callable[[Outgoing, Account], Receipt | None] | None = None
    key_valid_for: Mapping[str, timedelta] = field(default_factory=dict)
    """By vendor: how long a repeated send with the same effect key is one effect."""
    inside: Callable[[Session, Action], Receipt] | None = None
    undo_kind: str | None = None
    undo_payload: Callable[[Mapping[str, Any], Receipt], dict[str, Any]] | None = None
    fields: tuple[Field, ...] = ()
    protected: tuple[str, ...] = ()
    owner_role: str = ADMIN
    """Whose approval it needs; an admin may always."""
    decide_in: timedelta = timedelta(days=3)
    """After this an undecided one is dismissed."""
    expires_in: timedelta = timedelta(days=7)
    """After this an approved one is no longer sent."""

    @property
    def reversible(self) -> bool:
        """Whether it can be undone."""
        return self.undo_kind is not None

    def read(self, payload: Mapping[str, Any]) -> Any:
        """The payload as the schema's model. Raises BadInput with the first thing that is wrong."""
        try:
            return self.schema.model_validate(dict(payload))
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            where = ".".join(str(p) for p in first["loc"]) or "payload"
            raise BadInput(f"{self.word}: {where}: {first['msg']}.", "Correct it; nothing was sent.") from None


_kinds: dict[str, ActionKind] = {}


def register(kind: ActionKind) -> ActionKind:
    """Make a kind known. The same name twice is a programming error."""
    known = _kinds.get(kind.name)
    if known is not None and known != kind:
        raise ValueError(f"two action kinds {kind.name!r}")
    if (kind.inside is None) == (kind.send is None):
        raise ValueError(f"{kind.name!r} is either done inside or sent")
    _kinds[kind.name] = kind
    return kind


def get(name: str) -> ActionKind:
    """The kind. Raises BadInput."""
    try:
        return _kinds[name]
    except KeyError:
        raise BadInput(f"There is no action of kind “{name}”.", f"Known: {', '.join(sorted(_kinds))}.") from None


def find(name: str) -> ActionKind | None:
    """The kind, or None when this version of the code has none."""
    return _kinds.get(name)


def kinds() -> tuple[ActionKind, ...]:
    """All kinds, by name."""
    return tuple(_kinds[k] for k in sorted(_kinds))
