"""The built-in scheduled jobs: each stands in its domain's `jobs.py` with its schedule beside it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol
from uuid import UUID

from core.kit.actor import Actor
from core.runtime.agents.facts import Fact, FactContext, Section

if TYPE_CHECKING:
    from core.runtime.runs.context import RunContext

AGENT_JOB = "agent.job"
"""The run kind of every agent job, built in or made by a person."""


@dataclass(frozen=True, slots=True)
class Intent:
    """A message the job sends: every run proposes it as an action.

    `channel` is slack or email; `target` a Slack channel or an address; `text` may cite facts and the counts that
    `produce` returns, as `[[produced.KEY]]`. None means: the report itself.
    """

    channel: str
    target: str
    text: str | None = None


class Writer(Protocol):
    """Writes a short text from facts: the model when there is one, else the template. Always verified."""

    def write(
        self, purpose: str, facts: tuple[Fact, ...], template: str, *, org_id: UUID | None = None
    ) -> tuple[str, str]:  # fmt: skip
        """Returns (text for people, composer), composer being "template" or the model's name.

        `purpose` says what is wanted, in words of ours; `template` is the fallback, citing facts as `[[key]]`. `org_id` is
        the client it is written for: its budget is used and the cost is its own.
        """
        ...


@dataclass(frozen=True, slots=True)
class Production:
    """What a job's `produce` gets: the run, its facts, a writer, and in whose name it acts."""

    run: "RunContext"
    when: FactContext
    sections: Mapping[str, Section]
    writer: Writer
    agent: str = ""

    @property
    def actor(self) -> Actor:
        """The job's agent in this run. Not `run.actor`: that name comes with the run's input, which people may edit."""
        return Actor(self.agent, "run", self.run.run_id)


Produce = Callable[[Production], dict[str, int]]
"""Makes drafts or reports in steps of the run (`production.run.step(...)`), and returns counts by name, e.g. {"reports": 4}."""


@dataclass(frozen=True, slots=True)
class JobSpec:
    """A built-in agent job. `event_type` is the event its report is saved as; `sections` are fact section keys in order.

    `proposes` are the kinds of action its model may ask for by itself: to the channels of its intents and to our own people.
    """

    name: str
    title: str
    department: str
    agent: str
    cron: str
    task: str
    sections: tuple[str, ...]
    event_type: str
    intents: tuple[Intent, ...] = ()
    produce: Produce | None = None
    timeout_s: int = 600
    proposes: tuple[str, ...] = ()


_specs: dict[str, JobSpec] = {}


def register(spec: JobSpec) -> JobSpec:
    """Make a built-in job known."""
    known = _specs.get(spec.name)
    if known is not None and known != spec:
        raise ValueError(f"two jobs called {spec.name!r}")
    _specs[spec.name] = spec
    return spec


def specs() -> tuple[JobSpec, ...]:
    """All built-in jobs, in the order they were registered."""
    return tuple(_specs.values())


def find(name: str) -> JobSpec | None:
    """The built-in job of that name, or None for a job a person made."""
    return _specs.get(name)
