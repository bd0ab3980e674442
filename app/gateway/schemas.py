"""Shapes of the API's answers. Times are UTC; money is in minor units with its currency, model cost in US dollars."""

from datetime import date, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Shape(BaseModel):
    """Read from the read models' own classes."""

    model_config = ConfigDict(from_attributes=True)


class RunSummary(Shape):
    """A run as a list shows it."""

    id: int
    name: str
    title: str
    kind: str
    state: str = Field(description="queued, running, waiting, succeeded, failed, cancelled or quarantined")
    word: str = Field(description="How it stands in one word, e.g. Succeeded, Timed out, Missed.")
    reason: str | None
    late: bool
    queue: str
    progress: float = Field(description="0 to 1")
    progress_note: str | None
    attempts: int
    cause_kind: str
    cause_label: str | None
    due_at: datetime | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    duration_s: float | None
    cost_usd: float
    tokens: int
    error_message: str | None
    error_next_step: str | None


class RunList(BaseModel):
    """A page of runs, newest first."""

    runs: list[RunSummary]
    next: int | None = Field(description="Ask for the following page with `before=` this; null on the last page.")


class Step(Shape):
    """A named part of a run."""

    name: str
    label: str
    state: str
    attempt: int
    note: str | None
    started_at: datetime
    finished_at: datetime | None
    duration_s: float | None


class LogLine(Shape):
    """A line the run wrote."""

    level: str
    message: str
    at: datetime


class Cause(Shape):
    """One link of the chain that led to a run, nearest first."""

    kind: str
    id: int | None
    label: str


class RunFull(RunSummary):
    """A run with its steps, its log, what it was given and what it made."""

    payload: dict[str, Any]
    output: dict[str, Any] | None
    report: str | None = Field(description="What it wrote, as plain text: `output.text` with each citation as its figure.")
    steps: list[Step]
    logs: list[LogLine]
    causes: list[Cause]
    facts: int = Field(description="How many facts it collected.")
    model_calls: int


class RunStarted(BaseModel):
    """The run that was queued, or, for a repeated Idempotency-Key, the run of the first request."""

    run_id: int
    state: str
    href: str = Field(examples=["/api/v1/runs/17"])


class RunChanged(BaseModel):
    """A run after a command."""

    run_id: int
    state: str


class RunInput(BaseModel):
    """What a run is given on top of the job's own settings."""

    model_config = ConfigDict(extra="forbid")

    payload: dict[str, Any] = Field(default_factory=dict)


class Job(Shape):
    """A scheduled job."""

    name: str
    title: str
    department: str
    agent: str
    enabled: bool
    cron: str
    schedule: str = Field(description="The cron expression in words.")
    time_zone: str
    next_due_at: datetime | None
    paused_until: datetime | None
    builtin: bool
    state: str = Field(description="on, off, paused or broken")
    success_percent: float | None = Field(description="Of its latest runs; null when none has ended.")
    last_run: "LastRun | None"


class LastRun(BaseModel):
    """How the job's latest run stands."""

    run_id: int
    word: str
    at: datetime


class JobFull(Job):
    """A scheduled job with its task and its next times."""

    task: str
    facts: list[str] = Field(description="Keys of the fact sections it may use.")
    next_times: list[datetime]
    error: dict[str, Any] | None


class JobList(BaseModel):
    """All jobs."""

    jobs: list[Job]


class JobSwitched(BaseModel):
    """A job after it was switched on or off."""

    name: str
    enabled: bool
    next_due_at: datetime | None


class Deal(Shape):
    """A deal as a list shows it."""

    id: int
    title: str
    account: str | None
    owner_id: int | None
    owner: str | None
    stage_id: int
    stage: str
    status: str
    value_minor: int | None = Field(description="In minor units; null when the source gives no value.")
    currency: str
    opened_at: datetime | None
    closed_at: datetime | None
    expected_close_on: date | None
    last_activity_at: datetime | None
    days_in_stage: int | None
    days_quiet: int | None


class DealList(BaseModel):
    """A page of deals."""

    deals: list[Deal]
    next: str | None = Field(description="Ask for the following page with `after=` this; null on the last page.")


class StageEntry(Shape):
    """The deal entered a stage."""

    at: datetime
    stage: str
    status: str
    previous: str | None
    days_in_previous: float | None
    actor: str


class DealFull(Deal):
    """A deal with its way through the stages."""

    source: str
    external_id: str
    product: str | None
    contact_name: str | None
    contact_email: str | None
    created_at: datetime
    updated_at: datetime
    demo: bool
    history: list[StageEntry]


class FactSection(Shape):
    """A section of facts that jobs may use."""

    key: str
    title: str
    description: str


class FactSectionList(BaseModel):
    """All sections."""

    sections: list[FactSection]


class FactValue(Shape):
    """One thing that is so."""

    key: str
    label: str
    value: int | float | str | None = Field(description="Money is in minor units.")
    unit: str = Field(description="count, money:USD, percent, days, hours, text or date")
    shown: str = Field(description="The value as people read it.")
    row_count: int
    rows: list[dict[str, Any]] = Field(description="At most 50 of the rows behind it, most important first.")
    query: str
    href: str | None


class FactsNow(BaseModel):
    """A section, collected just now."""

    key: str
    title: str
    as_of: datetime
    facts: list[FactValue]
