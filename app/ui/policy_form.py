"""A policy's numbers as fields, by the kind of each, and reading them back."""

from collections.abc import Mapping
from datetime import time
from typing import Any, Final

import streamlit as st

from core.errors import BadInput
from core.kit.money import digits, to_major, to_minor
from core.runtime.actions import kinds
from core.runtime.policies import numbers
from core.runtime.policies.queries import PolicyView
from core.runtime.policies.registry import Number

CURRENCIES: Final = ("USD", "EUR", "GBP", "CAD", "AUD", "JPY", "CHF")


def prefix(view: PolicyView) -> str:
    """The beginning of the fields' keys: another version has other fields, so that they show what holds now."""
    return f"pol_{view.policy.key}_{view.org_id.hex[:8]}_{view.version}"


def fields(view: PolicyView) -> None:
    """Every number as a field that shows what holds now."""
    for number in view.policy.numbers:
        _DRAW.get(number.kind, _plain)(f"{prefix(view)}_{number.key}", number, view.values[number.key])


def read(view: PolicyView) -> dict[str, Any]:
    """What the fields say and what is different from what holds. Raises BadInput."""
    given = {n.key: _READ.get(n.kind, _given)(f"{prefix(view)}_{n.key}", view.values[n.key]) for n in view.policy.numbers}
    known = numbers.check(view.policy, given)
    return {k: v for k, v in known.items() if v != view.values[k]}


def _start(key: str, value: Any) -> None:
    if key not in st.session_state:
        st.session_state[key] = value


def _given(key: str, now: Any) -> Any:
    return st.session_state.get(key, now)


def _plain(key: str, number: Number, value: Any) -> None:
    _start(key, value)
    low, high = (None if b is None else int(b) for b in (number.low, number.high))
    st.number_input(number.label, min_value=low, max_value=high, step=1, key=key, help=number.help or None)


def _money(key: str, number: Number, value: Any) -> None:
    _start(key, float(to_major(int(value), "USD")))
    high = None if number.high is None else float(to_major(int(number.high), "USD"))
    st.number_input(
        f"{number.label}, $", min_value=0.0, max_value=high, step=0.5, format="%.2f", key=key, help=number.help or None
    )


def _read_money(key: str, now: Any) -> int:
    value = st.session_state.get(key)
    return int(now) if value is None else to_minor(str(value), "USD")


def _yes_no(key: str, number: Number, value: Any) -> None:
    _start(key, bool(value))
    st.toggle(number.label, key=key, help=number.help or None)


def _choice(key: str, number: Number, value: Any) -> None:
    _start(key, value)
    st.radio(
        number.label, number.options, key=key, horizontal=True, help=number.help or None,
        format_func=lambda option: numbers.say(number, option),
    )  # fmt: skip


def _clock(key: str, number: Number, value: Any) -> None:
    _start(key, time.fromisoformat(value))
    st.time_input(number.label, key=key, step=900, help=number.help or None)


def _read_clock(key: str, now: Any) -> Any:
    value = st.session_state.get(key)
    return now if value is None else value


def _words(key: str, number: Number, value: Any) -> None:
    _start(key, "\n".join(value))
    st.text_area(number.label, key=key, height=150, help=number.help or None, placeholder="One a line")


def _read_words(key: str, now: Any) -> list[str]:
    text = st.session_state.get(key)
    return list(now) if text is None else [line.strip() for line in text.splitlines() if line.strip()]


def _kinds(*more: str) -> list[str]:
    return sorted({k.name for k in kinds.kinds()} | set(more))


def _kind_word(name: str) -> str:
    known = kinds.find(name)
    return f"{known.word} ({name})" if known else name


def _by_agent(key: str, number: Number, value: Mapping[str, Any]) -> None:
    st.caption(f"{number.label}. {number.help}")
    for n, (agent, may) in enumerate(value.items()):
        _start(f"{key}_{n}", list(may))
        st.multiselect(agent, _kinds(*may), key=f"{key}_{n}", format_func=_kind_word, placeholder="May do nothing")


def _read_by_agent(key: str, now: Mapping[str, Any]) -> dict[str, list[str]]:
    read_ = {agent: st.session_state.get(f"{key}_{n}", may) for n, (agent, may) in enumerate(now.items())}
    # the order of a selection says nothing: keep the one that is stored
    return {a: list(now[a]) if set(k) == set(now[a]) else list(k) for a, k in read_.items()}


def _by_kind(key: str, number: Number, value: Mapping[str, Any]) -> None:
    _start(key, list(value))
    chosen = st.multiselect(number.label, _kinds(*value), key=key, format_func=_kind_word, help=number.help or None)
    for name in chosen:
        _start(f"{key}_{name}", int(value.get(name, 30)))
        low, high = int(number.low or 0), int(number.high or 1_000_000)
        st.number_input(_kind_word(name), min_value=low, max_value=high, step=1, key=f"{key}_{name}")


def _read_by_kind(key: str, now: Mapping[str, Any]) -> dict[str, Any]:
    chosen = st.session_state.get(key)
    if chosen is None:
        return dict(now)
    return _as_stored({name: st.session_state.get(f"{key}_{name}", now.get(name, 30)) for name in chosen}, now)


def _by_currency(key: str, number: Number, value: Mapping[str, Any]) -> None:
    _start(key, list(value))
    chosen = st.multiselect(
        f"{number.label}: currencies", sorted({*CURRENCIES, *value}), key=key, help=number.help or None,
        placeholder="None: nothing may be spent",
    )  # fmt: skip
    for code in chosen:
        _start(f"{key}_{code}", float(to_major(int(value.get(code, 0)), code)))
        shown = f"%.{digits(code)}f"
        st.number_input(f"{number.label}, {code}", min_value=0.0, step=10.0, format=shown, key=f"{key}_{code}")


def _read_by_currency(key: str, now: Mapping[str, Any]) -> dict[str, Any]:
    chosen = st.session_state.get(key)
    if chosen is None:
        return dict(now)
    made = {}
    for code in chosen:
        value = st.session_state.get(f"{key}_{code}")
        if value is None and code not in now:
            raise BadInput(f"The amount in {code} is missing.", "Enter it, or take the currency away.")
        made[code] = now[code] if value is None else to_minor(str(value), code)
    return _as_stored(made, now)


def _as_stored(made: dict[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    return dict(now) if made == dict(now) else made


_DRAW: Final = {
    "money": _money, "yes_no": _yes_no, "choice": _choice, "clock": _clock, "words": _words, "by_agent": _by_agent,
    "by_kind": _by_kind, "by_currency": _by_currency,
}  # fmt: skip
_READ: Final = {
    "money": _read_money, "clock": _read_clock, "words": _read_words, "by_agent": _read_by_agent, "by_kind": _read_by_kind,
    "by_currency": _read_by_currency,
}  # fmt: skip
