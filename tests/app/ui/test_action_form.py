"""The edit form: values go out in the shape they came in."""

import pytest
import streamlit as st

from app.ui import action_form
from core.errors import BadInput
from core.runtime.actions.kinds import ActionKind, Field

FIELDS = (
    Field("to", "To", "addresses"), Field("title", "Title"), Field("text", "Text", "text"),
    Field("budget_minor", "Budget", "money"), Field("count", "Count"), Field("note", "Note"),
)  # fmt: skip
PAYLOAD = {"to": ["a@b.example"], "title": "One", "text": "Hello\n", "budget_minor": 65000, "count": 3, "note": None}


class Kind:
    fields = FIELDS


def changed(monkeypatch: pytest.MonkeyPatch, **typed: str) -> dict:
    untouched = {"to": "a@b.example", "title": "One", "text": "Hello\n", "budget_minor": "650.00", "count": "3", "note": ""}
    monkeypatch.setattr(st, "session_state", {f"k_{n}": v for n, v in (untouched | typed).items()})
    kind: ActionKind = Kind()  # type: ignore[assignment]
    return action_form.read(kind, PAYLOAD, "USD", "k")


def test_what_nobody_touched_is_no_change(monkeypatch):
    assert changed(monkeypatch) == {}


def test_each_widget_gives_its_shape_back(monkeypatch):
    assert changed(monkeypatch, to="a@b.example\n c@d.example, e@f.example")["to"] == [
        "a@b.example",
        "c@d.example",
        "e@f.example",
    ]
    assert changed(monkeypatch, budget_minor="$1,250.5") == {"budget_minor": 125050}
    assert changed(monkeypatch, title="  Two ", text=" kept ", note="x") == {"title": "Two", "text": " kept ", "note": "x"}
    assert changed(monkeypatch, count="4") == {"count": 4}


@pytest.mark.parametrize(
    "typed", [{"budget_minor": "lots"}, {"budget_minor": "NaN"}, {"budget_minor": "1e99"}, {"count": "four"}]
)
def test_what_is_no_number_is_said(monkeypatch, typed):
    with pytest.raises(BadInput):
        changed(monkeypatch, **typed)
