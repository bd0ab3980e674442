"""What an agent may look up by itself: fact sections of its department, read-only, listed before the model sees them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from core.errors import OpsError
from core.integrations.anthropic.client import ToolCall
from core.kit import log
from core.runtime.agents import asking, sheet, store
from core.runtime.agents import facts as registry
from core.runtime.agents.asking import Asker
from core.runtime.agents.facts import Fact, FactContext, Section, SectionSpec
from core.runtime.agents.untrusted import clean, clean_fact, jsonable
from core.runtime.runs.context import RunContext

TOOL = "look_up"
MAX_ROUNDS = 4
MAX_BAD_CALLS = 6
MAX_CALLS_A_ROUND = 4
_RESULT_TOKENS = 700

ALLOWED: dict[str, tuple[str, ...]] = {
    "ceo": ("",),
    "sales": ("crm.",),
    "engineering": ("delivery.", "automations."),
    "delivery": ("delivery.", "clients.", "automations."),
    "marketing": ("delivery.closed", "delivery.completing", "delivery.week", "clients."),
}
"""Which fact sections a department's agents may look up, by the start of the key. An unknown department looks up nothing."""

logger = log.get(__name__)


def allowed_sections(department: str, given: Sequence[str]) -> tuple[SectionSpec, ...]:
    """The sections an agent may ask for: its department's, and those its job names anyway."""
    starts = ALLOWED.get(department.lower(), ())
    return tuple(s for s in registry.sections() if s.key in given or any(s.key.startswith(start) for start in starts))


def definition(allowed: Sequence[SectionSpec]) -> dict[str, Any] | None:
    """The tool as the API wants it, or None when there is nothing to look up."""
    if not allowed:
        return None
    listed = "; ".join(f"{s.key}: {sheet.cell(s.description, 60)}" for s in allowed)
    return {
        "name": TOOL,
        "description": "Get facts that are not on the sheet. Use it only when the task needs them. Sections: " + listed,
        "input_schema": {
            "type": "object",
            "properties": {
                "section": {"type": "string", "enum": [s.key for s in allowed]},
                "params": {"type": "object", "description": "Narrows the section where it supports that; usually empty."},
            },
            "required": ["section"],
        },
    }


@dataclass(slots=True)
class Desk:
    """Answers the look-ups of one attempt. Facts found become citable and are saved with the run."""

    ctx: RunContext
    when: FactContext
    allowed: tuple[SectionSpec, ...]
    known: dict[str, Fact]
    found: list[Section]
    bad_calls: int = 0
    calls: int = 0
    asker: Asker | None = None

    def offered(self) -> list[dict[str, Any]]:
        """The tools the model gets, in the API's form."""
        return [t for t in (definition(self.allowed), self.asker.definition() if self.asker else None) if t]

    def answer(self, calls: Sequence[ToolCall]) -> list[dict[str, Any]]:
        """Tool results in the API's form, one for each call, errors included."""
        results = []
        for place, call in enumerate(calls):
            text, wrong = ("Too many calls at once. Ask again for what you still need.", True)
            if place < MAX_CALLS_A_ROUND:
                text, wrong = self._answer(call)
            self.bad_calls += wrong
            results.append(
                {"type": "tool_result", "tool_use_id": call.id, "content": text} | ({"is_error": True} if wrong else {})
            )
        return results

    def _answer(self, call: ToolCall) -> tuple[str, bool]:
        self.calls += 1
        keys = ", ".join(s.key for s in self.allowed)
        if self.asker is not None and call.name == asking.TOOL:
            return self.asker.take(call.input, self.known)
        if call.name != TOOL:
            return f"There is no tool of that name. There is only {TOOL}.", True
        if not isinstance(call.input, Mapping):
            return "The arguments are not an object.", True
        spec = next((s for s in self.allowed if s.key == call.input.get("section")), None)
        if spec is None:
            return f"You may not look that up. Sections: {keys}.", True
        params = _params(call.input.get("params"))
        extra = set(call.input) - {"section", "params"}
        if params is None or extra:
            return "Give `section` and, if need be, `params`: an object of at most 10 short texts, numbers or booleans.", True
        try:
            return self._look_up(spec, params), False
        except OpsError as error:
            return f"That can't be looked up: {clean(error.message)}", True

    def _look_up(self, spec: SectionSpec, params: dict[str, Any]) -> str:
        when = replace(self.when, params={**self.when.params, **params})
        with self.ctx.transaction() as session:
            section = store.collect(session, spec, when)
            section = replace(section, facts=tuple(self._named(f) for f in section.facts))
            fresh = replace(section, facts=tuple(f for f in section.facts if f.key not in self.known))
            first = store.next_position(session, self.ctx.run_id)
            store.save(session, self.ctx.run_id, self.ctx.org_id, when.now, [fresh], first)
        self.known.update({f.key: f for f in fresh.facts})
        self.found.append(section)
        self.ctx.log(f"The model looked up {spec.title}.")
        return sheet.build([section], _RESULT_TOKENS).text

    def _named(self, fact: Fact) -> Fact:
        """The fact under a key that is free, or its own when it says just what is known: a saved fact never changes."""
        columns = clean_fact(fact)
        plain = replace(fact, value=columns["value"], shown=columns["shown"], label=columns["label"])
        known, number = self.known.get(fact.key), 2
        while known is not None and (known.value, known.shown) != (plain.value, plain.shown):
            plain = replace(plain, key=f"{fact.key}~{number}")
            known, number = self.known.get(plain.key), number + 1
        return plain


def _params(value: Any) -> dict[str, Any] | None:
    if value is None:
        return {}
    if not isinstance(value, Mapping) or len(value) > 10:
        return None
    plain = {str(k): jsonable(v) for k, v in value.items()}
    fine = all(isinstance(v, bool | int | float | str) and len(str(v)) <= 100 and len(k) <= 40 for k, v in plain.items())
    return plain if fine else None
