"""The form that edits an action: one widget a field of its kind, values taken from the payload and given back in its shape."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

import streamlit as st

from core.errors import BadInput
from core.kit import money
from core.runtime.actions.kinds import ActionKind, Field


def draw(kind: ActionKind, payload: Mapping[str, Any], currency: str, key: str) -> None:
    """The fields."""
    for field in kind.fields:
        _widget(field, payload.get(field.name), _currency(payload, currency), f"{key}_{field.name}")


def read(kind: ActionKind, payload: Mapping[str, Any], currency: str, key: str) -> dict[str, Any]:
    """What was changed. Raises BadInput for an amount that is none."""
    changes = {}
    for field in kind.fields:
        was, given = payload.get(field.name), st.session_state.get(f"{key}_{field.name}")
        if given is None:
            continue
        now = _value(field, was, given, _currency(payload, currency))
        if now != was:
            changes[field.name] = now
    return changes


def _currency(payload: Mapping[str, Any], currency: str) -> str:
    return str(payload.get("currency") or currency)


def _widget(field: Field, value: Any, currency: str, key: str) -> None:
    if field.widget == "text":
        st.text_area(field.label, value=_text(value), key=key, height=220)
    elif field.widget == "choice":
        options = list(field.options)
        if value is not None and value not in options:
            options.insert(0, value)
        st.selectbox(field.label, options, index=options.index(value) if value in options else 0, key=key)
    elif field.widget == "money":
        shown = f"{money.to_major(value, currency)}" if isinstance(value, int) else ""
        st.text_input(f"{field.label} ({currency})", value=shown, key=key)
    elif field.widget == "addresses":
        st.text_area(field.label, value=_text(value), key=key, height=76, help="One address a line.")
    else:
        st.text_input(field.label, value=_text(value), key=key)


def _text(value: Any) -> str:
    if isinstance(value, list):
        return "\n".join(str(v) for v in value)
    return "" if value is None else str(value)


def _value(field: Field, was: Any, given: Any, currency: str) -> Any:
    if field.widget == "money":
        return _amount(field, was, str(given), currency)
    if field.widget == "addresses" and not isinstance(was, str):
        return [line for part in str(given).replace(",", "\n").splitlines() if (line := part.strip())]
    if isinstance(was, list):
        return [line for part in str(given).splitlines() if (line := part.strip())]
    if isinstance(given, str):
        text = given if field.widget == "text" else given.strip()
        if was is None and not text.strip():
            return None
        return _as(was, text, field)
    return given


def _as(was: Any, text: str, field: Field) -> Any:
    if isinstance(was, int) and not isinstance(was, bool):
        try:
            return int(text)
        except ValueError:
            raise BadInput(f"{field.label} must be a whole number.", "Nothing was saved.") from None
    return text


def _amount(field: Field, was: Any, given: str, currency: str) -> int | None:
    text = given.strip().replace(",", "").lstrip("$€£ ")
    if not text:
        return None
    try:
        amount = Decimal(text)
    except InvalidOperation:
        raise BadInput(f"{field.label} is no amount.", "Write it like 1250 or 1250.50.") from None
    if not amount.is_finite() or abs(amount) > Decimal(10) ** 12:
        raise BadInput(f"{field.label} is no amount.", "Write it like 1250 or 1250.50.")
    return money.to_minor(amount, currency)
