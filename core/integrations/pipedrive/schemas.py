"""The parts of Pipedrive's answers we read, v2 and v1 in one shape. Unknown keys are ignored, missing ones are None."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict


def _time(value: Any) -> Any:
    """v1 writes "2026-11-21 09:30:00" and means UTC; v2 writes RFC 3339; both leave empty strings for nothing."""
    if value in (None, "", "0000-00-00 00:00:00"):
        return None
    if isinstance(value, str):
        value = datetime.fromisoformat(value.replace("Z", "+00:00"))
    if isinstance(value, datetime) and value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    return value


def _day(value: Any) -> Any:
    return None if value in (None, "", "0000-00-00") else str(value)[:10]


def _reference(value: Any) -> Any:
    """v1 sends an object where v2 sends an id."""
    return value.get("value", value.get("id")) if isinstance(value, dict) else value


def _amount(value: Any) -> Any:
    # through text: a float such as 0.1 must not become 0.1000000000000000055
    amount = None if value in (None, "") else Decimal(str(value))
    if amount is not None and not amount.is_finite():
        raise ValueError("not an amount")
    return amount


Time = Annotated[datetime | None, BeforeValidator(_time)]
Day = Annotated[date | None, BeforeValidator(_day)]
Ref = Annotated[int | None, BeforeValidator(_reference)]


class _Lenient(BaseModel):
    model_config = ConfigDict(extra="ignore")


class Deal(_Lenient):
    """A deal. `value` is in major units of `currency`; instants are UTC."""

    id: int
    title: str | None = None
    value: Annotated[Decimal | None, BeforeValidator(_amount)] = None
    currency: str | None = None
    status: str = "open"
    stage_id: int
    owner_id: Ref = None
    user_id: Ref = None
    org_id: Ref = None
    person_id: Ref = None
    org_name: str | None = None
    person_name: str | None = None
    owner_name: str | None = None
    add_time: Time = None
    update_time: Time = None
    stage_change_time: Time = None
    close_time: Time = None
    won_time: Time = None
    lost_time: Time = None
    expected_close_date: Day = None
    last_activity_date: Day = None
    is_deleted: bool = False

    @property
    def owner(self) -> int | None:
        """Id of the user who owns it."""
        return self.owner_id if self.owner_id is not None else self.user_id


class Stage(_Lenient):
    """A stage of a pipeline; `deal_probability` in percent."""

    id: int
    name: str
    order_nr: int = 0
    pipeline_id: int | None = None
    deal_probability: int | None = None


class User(_Lenient):
    """Somebody who may own deals."""

    id: int
    name: str


class Organization(_Lenient):
    """A company."""

    id: int
    name: str | None = None


class Contact(_Lenient):
    """One address of a person."""

    value: str | None = None
    primary: bool = False


class Person(_Lenient):
    """A contact."""

    id: int
    name: str | None = None
    emails: list[Contact] = []
    email: list[Contact] = []

    @property
    def address(self) -> str | None:
        """The primary mail address, else the first."""
        known = [c for c in (*self.emails, *self.email) if c.value]
        return next((c.value for c in known if c.primary), known[0].value if known else None)
