"""Deals made and deleted at Pipedrive by an action. A mark in the title finds a deal again when no answer came."""

import hashlib
import json
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from core.integrations.pipedrive.writes import PipedriveRefused, PipedriveWrites
from core.kit import clock, money
from core.runtime.actions.answers import told_by_vendor
from core.runtime.actions.kinds import Account, ActionKind, Outgoing, Receipt, Rendered, Rendering, register
from core.runtime.actions.kinds import Field as EditField
from core.runtime.actions.models import Audience

CREATE, DELETE = "pipedrive.deal.create", "pipedrive.deal.delete"
MAX_VALUE: Final = 10**14
_LOOK_BACK: Final = timedelta(seconds=60)


def _one_line(value: str) -> str:
    value = " ".join(value.replace("\x00", "").split())
    if not value:
        raise ValueError("it is empty")
    return value


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


Line = Annotated[str, Field(max_length=200), AfterValidator(_one_line)]
Number = Annotated[int, Field(gt=0, lt=2**53)]


def _nothing(value: Any) -> Any:
    return None if value == "" else value


class DealCreate(_Strict):
    """A new deal. `value_minor` in minor units of `currency`. Ids are Pipedrive's; a company that is only named goes into the
    title, since Pipedrive takes companies by id."""

    title: Line
    org_name: Annotated[Line | None, BeforeValidator(_nothing)] = None
    org_id: Number | None = None
    person_id: Number | None = None
    value_minor: Annotated[Annotated[int, Field(ge=0, le=MAX_VALUE)] | None, BeforeValidator(_nothing)] = None
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = "USD"
    expected_close: Annotated[date | None, BeforeValidator(_nothing)] = None


class DealDelete(_Strict):
    """Take a deal back. `title` is for people only."""

    deal_id: Number
    title: Annotated[str, Field(max_length=400)] = ""


def mark(effect_key: UUID) -> str:
    """What tells this effect's deal from all others: "ops-" and twelve characters."""
    return "ops-" + hashlib.sha256(effect_key.bytes).hexdigest()[:12]


def _render_create(asked: DealCreate, on: Rendering) -> Rendered:
    named = f"{asked.org_name}: {asked.title}" if asked.org_name and asked.org_id is None else asked.title
    body: dict[str, Any] = {"title": f"{named} [{mark(on.effect_key)}]"}
    shown = ""
    if asked.value_minor is not None:
        major = money.to_major(asked.value_minor, asked.currency)
        body |= {"value": int(major) if major == major.to_integral_value() else float(major), "currency": asked.currency}
        shown = f", {money.show(asked.value_minor, asked.currency)}"
    for name in ("org_id", "person_id"):
        if getattr(asked, name) is not None:
            body[name] = getattr(asked, name)
    if asked.expected_close is not None:
        body["expected_close_date"] = asked.expected_close.isoformat()
    wire = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    return Rendered(wire, f"New deal in Pipedrive: {named}{shown}", "Pipedrive", Audience.NOBODY)


def _create(out: Outgoing, account: Account) -> Receipt:
    with told_by_vendor():
        return _receipt(PipedriveWrites(account.secret).create_deal(out.wire))


def _find(out: Outgoing, account: Account) -> Receipt | None:
    since = (out.first_sent_at or clock.now()) - _LOOK_BACK
    with told_by_vendor():
        found = PipedriveWrites(account.secret).find_deal(mark(out.effect_key), since)
    return _receipt(found) if found is not None else None


def _receipt(deal_id: int) -> Receipt:
    return Receipt(str(deal_id), f"https://app.pipedrive.com/deal/{deal_id}", {"deal_id": deal_id})


def _undo(payload: Mapping[str, Any], receipt: Receipt) -> dict[str, Any]:
    return {"deal_id": receipt.data["deal_id"], "title": str(payload.get("title", ""))[:400]}


def _path(deal_id: int) -> str:
    return f"DELETE /api/v2/deals/{deal_id}"


def _render_delete(asked: DealDelete, on: Rendering) -> Rendered:
    # a deletion has no body: what is approved is the request line
    title = f"Delete the deal in Pipedrive: {asked.title or asked.deal_id}"
    return Rendered(_path(asked.deal_id).encode(), title, "Pipedrive", Audience.NOBODY)


def _deal_of(out: Outgoing) -> int:
    return int(out.wire.decode().rpartition("/")[2])


def _delete(out: Outgoing, account: Account) -> Receipt:
    deal_id = _deal_of(out)
    with told_by_vendor():
        try:
            PipedriveWrites(account.secret).delete_deal(deal_id)
        except PipedriveRefused as error:
            if error.status != 404:  # one that is gone already is as it should be
                raise
    return Receipt(str(deal_id), None, {"deal_id": deal_id})


def _find_delete(out: Outgoing, account: Account) -> Receipt | None:
    deal_id = _deal_of(out)
    with told_by_vendor():
        there = PipedriveWrites(account.secret).deal_exists(deal_id)
    return None if there else Receipt(str(deal_id), None, {"deal_id": deal_id})


register(
    ActionKind(
        CREATE,
        "Pipedrive deal",
        "Create the deal",
        "handshake",
        DealCreate,
        _render_create,
        vendors=("pipedrive",),
        send=_create,
        look_up=_find,
        undo_kind=DELETE,
        undo_payload=_undo,
        fields=(
            EditField("title", "Title"),
            EditField("org_name", "Company"),
            EditField("value_minor", "Value", "money"),
            EditField("currency", "Currency"),
            EditField("expected_close", "Expected to close on"),
        ),
        protected=("org_id", "person_id", "value_minor", "currency"),
        owner_role="sales",
    )
)
register(
    ActionKind(
        DELETE,
        "deletion of a Pipedrive deal",
        "Delete the deal",
        "delete",
        DealDelete,
        _render_delete,
        vendors=("pipedrive",),
        send=_delete,
        look_up=_find_delete,
        protected=("deal_id",),
        owner_role="sales",
    )
)
