"""The composer that asks Claude: fact sheet in, strict form out, checked, corrected once, never trusted."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from core.integrations.anthropic.client import Answer, Request
from core.integrations.anthropic.errors import ModelError
from core.runtime.agents import budgets, outcomes, prompts, sheet, template, tools, verify
from core.runtime.agents.calls import Asked, Caller, effort
from core.runtime.agents.facts import Fact, Section
from core.runtime.agents.prose import cited_keys
from core.runtime.agents.sheet import FIRST_PROMPT_TOKENS, MAX_PROMPT_TOKENS
from core.runtime.agents.verify import Violation

MAX_ANSWER_TOKENS = 4_000
_TASK_CHARS = 2_400


class Part(BaseModel):
    """What the model writes on one section."""

    model_config = ConfigDict(extra="forbid", strict=True)

    section: str
    sentences: list[str]


class ReportForm(BaseModel):
    """The form of a report."""

    model_config = ConfigDict(extra="forbid", strict=True)

    headline: str
    sections: list[Part]


class Rejected(ModelError):
    """The model's report did not pass the check, not even corrected."""

    outcome = outcomes.REJECTED


@dataclass(frozen=True, slots=True)
class Job:
    """What the model has to know of its task. `task` is in a staff member's words."""

    title: str
    agent: str
    task: str


@dataclass(frozen=True, slots=True)
class Written:
    """A report that passed. `note` says what a person should know about how it came about."""

    text: str
    composer: str
    note: str | None


class Composer:
    """Writes one report. Raises ModelError, BudgetExceeded or RateLimited when there is none that passes."""

    def __init__(self, caller: Caller, job: Job, sections: Sequence[Section], desk: tools.Desk) -> None:
        self._caller, self._job, self._sections, self._desk = caller, job, tuple(sections), desk
        self._prompt = prompts.load("report")
        self._notes: list[str] = []

    def write(self) -> Written:
        """The whole way: ask, let it look things up, check, correct once."""
        asked = self._converse()
        text, wrong = self._read(asked.answer)
        if not wrong:
            return self._done(text, asked.answer)
        budgets.judge(asked.call_id, outcomes.REJECTED, _in_short(wrong))
        again = self._caller.ask(self._repair_request(text, wrong), purpose="repair", prompt=prompts.load("repair").label)
        text, wrong = self._read(again.answer)
        if wrong:
            budgets.judge(again.call_id, outcomes.REJECTED, _in_short(wrong))
            raise Rejected("The model's report did not pass the check, twice.", "The run's model calls say what was wrong.")
        budgets.judge(again.call_id, outcomes.REPAIRED)
        return self._done(text, again.answer)

    def _done(self, text: str, answer: Answer) -> Written:
        return Written(text, answer.model or self._caller.model, " ".join(dict.fromkeys(self._notes)) or None)

    # ---- asking

    def _converse(self) -> Asked:
        """The first answer that asks for no tool. A model that never stops asking gets a last request without tools."""
        request = self._request("", self._desk.offered(), FIRST_PROMPT_TOKENS)
        for _ in range(tools.MAX_ROUNDS + 1):
            asked = self._caller.ask(request, purpose="report", prompt=self._prompt.label)
            if not asked.answer.tool_calls:
                return asked
            if not request.tools:
                return asked  # it was given no tools: what it asks for is nonsense, and is read as no report
            budgets.judge(asked.call_id, outcomes.LOOKED_UP)
            request = self._next_request(request, asked.answer)
        return self._caller.ask(self._last_request(), purpose="report", prompt=self._prompt.label)

    def _next_request(self, request: Request, answer: Answer) -> Request:
        if self._desk.calls >= tools.MAX_ROUNDS * tools.MAX_CALLS_A_ROUND or self._desk.bad_calls >= tools.MAX_BAD_CALLS:
            return self._last_request()
        calls = list({c.id: c for c in reversed(answer.tool_calls)}.values())[::-1]  # the API takes one result per id
        content = _without_twins(answer.content)
        messages = [
            *request.messages,
            {"role": "assistant", "content": content},
            {"role": "user", "content": self._desk.answer(calls)},
        ]
        longer = replace(request, messages=messages)
        return longer if sheet.request_tokens(longer) <= MAX_PROMPT_TOKENS else self._last_request()

    def _last_request(self) -> Request:
        found = [f.key for s in self._desk.found for f in s.facts]
        return self._request("Nothing more can be looked up. Write the report now.", [], MAX_PROMPT_TOKENS, found)

    def _repair_request(self, text: str, wrong: Sequence[Violation]) -> Request:
        listed = "\n".join(f"- {v}" for v in wrong[:12])[:2_400]
        asked = prompts.load("repair").fill(violations=listed, report=text[:4_500])
        return self._request(asked, [], MAX_PROMPT_TOKENS, cited_keys(text))

    def _request(self, extra: str, offered: list[dict[str, Any]], limit: int, first: Sequence[str] = ()) -> Request:
        """A request of at most `limit` tokens: the fact sheet gets what the rest leaves."""
        import anthropic

        task = self._job.task
        if len(task) > _TASK_CHARS:
            task = task[:_TASK_CHARS]
            self._notes.append("The task is longer than the model may be given; its end was left out.")
        bare = Request(
            self._caller.model,
            self._prompt.fill(agent=self._job.agent),
            [],
            MAX_ANSWER_TOKENS,
            offered,
            anthropic.transform_schema(ReportForm),
            effort(self._caller.model),
        )
        intro = f"Report: {self._job.title}\n\nTask:\n{task}\n\nFact sheet (key | label | how it reads):\n"
        room = limit - sheet.request_tokens(bare) - sheet.tokens(intro + extra) - 40
        made = sheet.build([*self._sections, *self._looked_up()], room, first)
        if made.note:
            self._notes.append(made.note)
        content = intro + made.text + (f"\n\n{extra}" if extra else "")
        return replace(bare, messages=[{"role": "user", "content": content}])

    def _looked_up(self) -> list[Section]:
        """Sections that only look-ups brought, each with only the facts the job's own sections don't have."""
        own = {f.key for s in self._sections for f in s.facts}
        extra: dict[str, dict[str, Fact]] = {}
        for section in self._desk.found:
            extra.setdefault(section.key, {}).update({f.key: f for f in section.facts if f.key not in own})
        titles = {s.key: s.title for s in self._desk.found}
        return [Section(key, titles[key], tuple(facts.values()), ()) for key, facts in extra.items() if facts]

    # ---- reading

    def _read(self, answer: Answer) -> tuple[str, list[Violation]]:
        """The report as prose, and what is wrong with it."""
        try:
            form = ReportForm.model_validate_json(answer.text)
        except ValidationError as error:
            where = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_input=False)[:3])
            return answer.text[:4_500], [
                Violation("the whole answer", "its form", f"it does not fit the form that was asked for ({where})")
            ]
        titles = {s.key: s.title for s in (*self._desk.found, *self._sections)}
        strange = [p.section for p in form.sections if p.section not in titles]
        if strange:
            return _prose(form, self._sections, titles), [
                Violation(key[:80], "section", "there is no section of this key") for key in strange[:5]
            ]
        text = _prose(form, self._sections, titles)
        return text, verify.check(text, self._desk.known.values(), self._sections)


def _without_twins(content: list[dict[str, Any]]) -> list[dict[str, Any]]:
    seen: set[str] = set()
    kept = []
    for block in content:
        if block.get("type") == "tool_use":
            if block["id"] in seen:
                continue
            seen.add(block["id"])
        kept.append(block)
    return kept


def _prose(form: ReportForm, sections: Sequence[Section], titles: dict[str, str]) -> str:
    """The form as Markdown: the headline, then the job's sections in their order, then what was looked up."""
    said: dict[str, list[str]] = {}
    for part in form.sections:
        said.setdefault(part.section, []).extend(s for s in (_one_line(x) for x in part.sentences) if s)
    parts = [_one_line(form.headline)] if form.headline.strip() else []
    for key in [*(s.key for s in sections), *(k for k in said if k not in {s.key for s in sections})]:
        section = next((s for s in sections if s.key == key), None)
        sentences = said.get(key)
        if sentences:
            parts.append(f"## {titles.get(key, 'Other')}\n\n{_flow(sentences)}")
        elif section is not None and not verify.cites(section):
            parts.append(f"## {section.title}\n\n{template.body(section)}")
    return "\n\n".join(parts)


def _one_line(sentence: str) -> str:
    return " ".join(sentence.split()).lstrip("#").strip()


def _flow(sentences: Sequence[str]) -> str:
    """Sentences as one paragraph, list items on lines of their own."""
    out = ""
    for sentence in sentences:
        item = sentence.startswith("- ")
        joint = "\n" if out and (item or out.rsplit("\n", 1)[-1].startswith("- ")) else " " if out else ""
        out += joint + sentence
    return out


def _in_short(wrong: Sequence[Violation]) -> str:
    return json.dumps([f"{v.what[:60]}: {v.why}" for v in wrong[:4]], ensure_ascii=False)
