"""Short drafts for a job's `produce`: by the model while it answers, else by the template that came with the request."""

from dataclasses import replace
from uuid import UUID

from pydantic import BaseModel, ConfigDict, ValidationError

from core.errors import BudgetExceeded, RateLimited
from core.integrations.anthropic.client import Request
from core.integrations.anthropic.errors import Empty, ModelError, Refused, TooLong
from core.runtime.agents import budgets, outcomes, prompts, prose, sheet, template, verify
from core.runtime.agents.calls import Caller, effort
from core.runtime.agents.facts import Fact, Section
from core.runtime.agents.untrusted import clean
from core.runtime.runs.context import RunContext

_MAX_TOKENS = 2_500
_MAX_REJECTED = 3
"""A model whose drafts keep failing the check is not asked again in this run."""


class DraftForm(BaseModel):
    """The form of a draft."""

    model_config = ConfigDict(extra="forbid", strict=True)

    text: str


class RunWriter:
    """Writes for one attempt of a run; see `specs.Writer`. After trouble that will not pass it stays with the template."""

    def __init__(self, ctx: RunContext, caller: Caller | None) -> None:
        self._ctx, self._caller = ctx, caller
        self._rejected = 0

    def write(
        self, purpose: str, facts: tuple[Fact, ...], template_text: str, *, org_id: UUID | None = None
    ) -> tuple[str, str]:  # fmt: skip
        """Markdown for people with every citation filled in, and who wrote it."""
        known = {f.key: replace(f, label=clean(f.label), shown=clean(f.shown) or "–") for f in facts}
        text = self._by_model(purpose, known, template_text, org_id) if self._caller else None
        if text is not None and self._caller:
            return prose.filled(text, known), self._caller.model
        wrong = verify.check(template_text, known.values())
        if wrong:
            self._ctx.log(f"A draft's template does not pass the check: {wrong[0]}", "warning")
        return prose.filled(template_text, known), template.NAME

    def _by_model(self, purpose: str, known: dict[str, Fact], template_text: str, org_id: UUID | None) -> str | None:
        caller = self._caller
        if caller is None:
            return None
        prompt = prompts.load("draft")
        try:
            request = self._request(caller.model, purpose, known, template_text)
            asked = caller.ask(request, purpose="draft", prompt=prompt.label, org_id=org_id)
        except (Empty, Refused, TooLong):
            return None
        except (ModelError, BudgetExceeded, RateLimited) as error:
            self._ctx.log(f"{error.message} The remaining drafts come from templates.", "warning")
            self._caller = None
            return None
        try:
            text = DraftForm.model_validate_json(asked.answer.text).text.strip()
        except ValidationError:
            self._reject(asked.call_id, "it does not fit the form")
            return None
        wrong = verify.check(text, known.values())
        if wrong:
            self._reject(asked.call_id, str(wrong[0]))
            return None
        if prose.cited_keys(template_text) and not prose.cited_keys(text):
            self._reject(asked.call_id, "it cites no fact")
            return None
        return text

    def _reject(self, call_id: int, why: str) -> None:
        budgets.judge(call_id, outcomes.REJECTED, why)
        self._rejected += 1
        if self._rejected >= _MAX_REJECTED:
            self._ctx.log("The model's drafts kept failing the check; the remaining ones come from templates.", "warning")
            self._caller = None

    def _request(self, model: str, purpose: str, known: dict[str, Fact], template_text: str) -> Request:
        import anthropic

        bare = Request(
            model, prompts.load("draft").text, [], _MAX_TOKENS, (), anthropic.transform_schema(DraftForm), effort(model)
        )
        example = template_text[:3_000].replace("</example", "(/example")
        intro = (
            f"What is wanted: {purpose[:1_000]}\n\nAn example, written from the same facts:\n<example>\n{example}\n</example>\n\n"
        )
        intro += "Facts (key | label | how it reads):\n"
        room = sheet.MAX_PROMPT_TOKENS - sheet.request_tokens(bare) - sheet.tokens(intro) - 40
        facts = Section("facts", "Facts", tuple(known.values()), ())
        made = sheet.build([facts], room, prose.cited_keys(template_text))
        return replace(bare, messages=[{"role": "user", "content": intro + made.text}])
