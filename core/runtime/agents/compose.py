"""Who writes the report: Claude when there is a key and a budget, else the template, and then the run says why."""

from collections.abc import Sequence
from dataclasses import dataclass

from core.errors import BudgetExceeded, OpsError
from core.integrations.anthropic.errors import BadKey, ModelError
from core.runtime.agents import claude, template, tools
from core.runtime.agents.asking import Asker
from core.runtime.agents.calls import Caller
from core.runtime.agents.claude import Job, Written
from core.runtime.agents.facts import FactContext, Section
from core.runtime.runs.context import RunContext


@dataclass(frozen=True, slots=True)
class Composing:
    """What composing a report needs. `given` are the keys of the job's own sections."""

    ctx: RunContext
    job: Job
    department: str
    when: FactContext
    sections: Sequence[Section]
    built_in: bool
    asker: Asker | None = None


def compose(what: Composing, caller: Caller | None) -> Written:
    """The report. Raises RateLimited when the run should come back later; any other trouble with the model means the template."""
    if caller is None:
        note = (
            None if what.built_in else "No model key is set, so the facts are listed and the wording of the task is not followed."
        )
        return Written(template.write(what.sections), template.NAME, note)
    given = [s.key for s in what.sections]
    facts = {f.key: f for s in what.sections for f in s.facts}
    allowed = tools.allowed_sections(what.department, given)
    what.ctx.log(f"The model may look up: {', '.join(s.key for s in allowed) or 'nothing'}.")
    desk = tools.Desk(what.ctx, what.when, allowed, facts, [], asker=what.asker)
    try:
        return claude.Composer(caller, what.job, what.sections, desk).write()
    except (ModelError, BudgetExceeded) as error:
        what.ctx.log(_why(error), "error" if isinstance(error, BadKey) else "warning")
        return Written(template.write(what.sections), template.NAME, _why(error))


def _why(error: OpsError) -> str:
    return f"{error.message} The template wrote this report instead. {error.next_step}".strip()
