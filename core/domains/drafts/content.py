"""Marketing drafts from completed builds: what they may say, and how they read without a model.

Nothing here names a client: a draft speaks of "a logistics company", and Robert decides who may be named.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from core.domains.automations import rules as automations
from core.domains.delivery.queries import TicketRow
from core.runtime.agents.facts import Fact, count, duration, money, text

TICKETS, RUNS = "delivery.queries.entered", "automations.queries.runs_of_tickets"
PLATFORM_NAMES = {"n8n": "n8n", "make": "Make", "zapier": "Zapier"}


@dataclass(frozen=True, slots=True)
class Build:
    """A completed build, and the runs of its automation in the last 30 days (None: it has not run yet)."""

    ticket: TicketRow
    runs: tuple[int, int] | None

    @property
    def tasks(self) -> int:
        """Runs that ended well in the last 30 days."""
        return automations.tasks_done(*self.runs) if self.runs else 0


def facts(build: Build, stem: str = "build") -> tuple[Fact, ...]:
    """What a draft may say of one build."""
    ticket = build.ticket
    title, problem, solution = (_nameless(t, ticket.client) for t in (ticket.title, ticket.problem, ticket.solution))
    row = [{"build": ticket.title, "industry": ticket.industry or "–", "platform": ticket.platform, "id": ticket.id}]
    made = [
        text(f"{stem}.company", "Company type", company(ticket), TICKETS, row),
        text(f"{stem}.title", "Automation built", title, TICKETS, row),
        text(f"{stem}.problem", "Problem", problem or "to be described", TICKETS, row),
        text(f"{stem}.solution", "Solution", solution or "to be described", TICKETS, row),
        text(f"{stem}.platform", "Platform", PLATFORM_NAMES.get(ticket.platform, ticket.platform), TICKETS, row),
    ]
    if not build.tasks:
        return tuple(made)
    hours = automations.hours_saved(build.tasks)
    usage = [{**row[0], "runs": build.runs[0], "errors": build.runs[1]}] if build.runs else row
    worth = round(hours * 12 * automations.LOADED_HOUR_MINOR)
    made += [
        count(f"{stem}.tasks", "Tasks done in the last month", build.tasks, RUNS, usage, noun="task", row_count=1),
        duration(f"{stem}.hours", "Hours saved a month, assumed", hours, "hours", RUNS, usage),
        count(
            f"{stem}.minutes", "Minutes assumed for one task", automations.MINUTES_PER_TASK, RUNS, (), noun="minute", row_count=0
        ),
        money(f"{stem}.worth", "Worth of a year at the assumed hourly cost", worth, RUNS, usage, row_count=1),
        money(f"{stem}.rate", "Assumed cost of an hour", automations.LOADED_HOUR_MINOR, RUNS, (), row_count=0),
    ]
    return tuple(made)


def _nameless(said: str | None, client: str) -> str:
    return re.sub(rf"\b{re.escape(client)}\b(?:['’]s)?", "the client", said or "", flags=re.IGNORECASE)


def company(ticket: TicketRow) -> str:
    """The kind of company, never its name."""
    if not ticket.industry:
        return "a client of ours" if ticket.client_id else "our own agency"
    article = "an" if ticket.industry[0].lower() in "aeiou" else "a"
    return f"{article} {ticket.industry.lower()} company"


def case_study(build: Build) -> str:
    """Outline: company type, problem, solution, automation built, expected return."""
    return "\n".join(
        [
            "## Company",
            "This is about [[build.company]].",
            "## Problem",
            "[[build.problem]]",
            "## Solution",
            "[[build.solution]]",
            "## Automation built",
            "We built [[build.title]] on [[build.platform]].",
            "## Expected return",
            _return(build),
        ]
    )


def _return(build: Build) -> str:
    if not build.tasks:
        return "There is no run data yet, so this outline promises nothing. Fill it in after the first month."
    return (
        "It did [[build.tasks]] in the last month, about [[build.hours]] saved at an assumed [[build.minutes]] a task. "
        "At an assumed [[build.rate]] an hour, a year like that is worth [[build.worth]]."
    )


ANGLES = ("the problem", "the result", "how it was built")
"""One LinkedIn post a week for each."""


def linkedin_post(build: Build, angle: int) -> str:
    """A post on one build from one of `ANGLES`."""
    if angle == 0:
        return (
            "Does this sound familiar? [[build.problem]]\n"
            "That is where [[build.company]] started. What we did about it: [[build.solution]]\n"
            "Which task would you hand over first?"
        )
    if angle == 1:
        result = (
            "It has done [[build.tasks]] in the last month. At an assumed [[build.minutes]] a task that is about [[build.hours]]."
            if build.tasks
            else "It is live, and we will share the figures after the first month."
        )
        return (
            f"New at work for [[build.company]]: [[build.title]].\n{result}\nThe people there now do the work that needs people."
        )
    return (
        "How we built [[build.title]] for [[build.company]]: understand the work first, automate second.\n"
        "The approach: [[build.solution]]\nIt runs on [[build.platform]], and we watch it every day."
    )


def blog_facts(builds: Sequence[Build]) -> tuple[Fact, ...]:
    """What the blog outline may say: at most three builds."""
    named = [f for place, b in enumerate(builds[:3], start=1) for f in facts(b, f"build{place}")]
    rows = [{"build": b.ticket.title, "id": b.ticket.id} for b in builds]
    return (count("builds", "Builds completed last week", len(builds), TICKETS, rows, noun="build"), *named)


def blog_outline(builds: Sequence[Build]) -> str:
    """A longer post's idea and outline."""
    lines = [
        "## Idea",
        "What last week's [[builds]] taught us about work that nobody should do by hand.",
        "## Outline",
        "- Opening: the hour of the day everybody dreads.",
    ]
    for place, _ in enumerate(builds[:3], start=1):
        lines.append(
            f"- Example: [[build{place}.company]] and [[build{place}.title]]. The problem was: [[build{place}.problem]] "
            f"The way out: [[build{place}.solution]]"
        )
    lines += [
        "- What these have in common: clear input, a rule, and a person for the exceptions.",
        "- How to find the first task to automate at your own company.",
        "- Closing: book an assessment.",
    ]
    return "\n".join(lines)
