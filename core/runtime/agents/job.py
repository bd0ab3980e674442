"""One agent job: collect facts, compose a report, verify it, act on it, report. A resumed run goes on where it stopped."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from core.config import get_settings
from core.errors import BadInput, OpsError
from core.kit import clock
from core.kit.actor import Actor
from core.runtime.agents import acting, asking, calls, compose, limits, prose, specs, store, template, verify
from core.runtime.agents import facts as registry
from core.runtime.agents.acting import Acting
from core.runtime.agents.calls import Caller
from core.runtime.agents.claude import Job
from core.runtime.agents.facts import FactContext, Section, SectionSpec
from core.runtime.agents.specs import Intent, Produce, Production
from core.runtime.agents.writer import RunWriter
from core.runtime.events import service as events
from core.runtime.runs.context import RunContext
from core.runtime.schedules.models import Schedule

REPORTED = "agent.report"
"""Type of the event of a report of a job that a person made."""
_EXCERPT = 600
_PAST = timedelta(hours=1)
_OF_THE_PAST = (
    "Its periods are counted from that time, but what is open, late or quiet, and its value, is as the records say now."
)
"""Records keep their present state: a report for an earlier instant can't know what was open then, and says so."""
_TEMPLATE_AFTER_ATTEMPT = 3
"""From this attempt on the run takes the template rather than come back later once more."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What this run is to do: its schedule as it stands now, with what the code adds for a built-in job."""

    name: str
    title: str
    department: str
    agent: str
    task: str
    sections: tuple[str, ...]
    event_type: str
    intents: tuple[Intent, ...]
    produce: Produce | None
    schedule_id: int | None
    proposes: tuple[str, ...] = ()

    @property
    def built_in(self) -> bool:
        """Whether the code knows the job; else a person made it."""
        return specs.find(self.name) is not None


def run(ctx: RunContext) -> dict[str, Any]:
    """Handler of `agent.job`. Returns {"text", "composer", "verified", "note", "produced", "event_id"}; the text cites facts.

    Raises BadInput for a run that names no known job, facts or instant, OpsError when no text passes the check.
    """
    caller = _caller(ctx)
    try:
        return _run(ctx, caller)
    finally:
        if caller is not None:
            caller.close()


def _run(ctx: RunContext, caller: Caller | None) -> dict[str, Any]:
    with ctx.transaction() as session:
        hop = limits.check_hops(session, ctx.run_id, ctx.org_id)
        plan = _plan(session, ctx)
    collected = ctx.step("collect", lambda s: _collect(s, ctx, plan), label="Collecting facts")
    ctx.progress(0.3, "Writing the report")
    with ctx.transaction() as session:
        sections = store.load(session, ctx.run_id, collected["sections"])
        when = store.context_of(session, ctx.org_id, ctx.payload, datetime.fromisoformat(collected["as_of"]))
    written = ctx.step_outside("compose", lambda: _compose(ctx, plan, when, sections, caller), label="Writing the report")
    ctx.progress(0.7, "Checking every number")
    ctx.step("verify", lambda s: _verify(s, ctx, written["text"], sections), label="Checking every number")
    ctx.progress(0.8, "Preparing drafts and messages")
    produced = _produce(ctx, plan, when, sections, caller)
    what = Acting(
        plan.title, plan.agent, when.zone, written["text"], written["composer"], produced, plan.intents,
        frozenset(s.key for s in sections), written.get("asked") or (),
    )  # fmt: skip
    made = ctx.step("act", lambda s: acting.act(s, ctx, what), label="Proposing messages")
    actions, trouble = _acted(ctx, made)
    produced = produced | {"actions": actions}
    ctx.progress(0.95, "Filing the report")
    notes = [n for n in (collected.get("note"), written["note"], trouble) if n]
    note = " ".join(notes) or None
    event_id = ctx.step("report", lambda s: _report(s, ctx, plan, written, note, produced, hop), label="Filing the report")
    return {
        "text": written["text"],
        "composer": written["composer"],
        "verified": True,
        "note": note,
        "produced": produced,
        "event_id": event_id,
    }


# ---- what to do


def _plan(session: Session, ctx: RunContext) -> Plan:
    found = ctx.held.schedule_id
    schedule = session.get(Schedule, found) if found is not None else None
    spec = specs.find(schedule.name if schedule else ctx.held.name)
    if schedule is None and spec is None:
        raise BadInput(f"There is no job called “{ctx.held.name}” any more.", "Its schedule was deleted; make a new job for it.")
    source: Any = schedule or spec
    wanted = tuple(schedule.facts) if schedule and schedule.facts else spec.sections if spec else ()
    if not wanted:
        raise BadInput(f"The job “{source.name}” uses no facts.", "Edit the job and choose the facts it may use.")
    return Plan(
        source.name,
        source.title,
        source.department,
        source.agent,
        source.task,
        wanted,
        spec.event_type if spec else REPORTED,
        spec.intents if spec else (),
        spec.produce if spec else None,
        found,
        spec.proposes if spec else (),
    )


def _as_of(session: Session, ctx: RunContext) -> datetime:
    """The instant the facts are for: the payload's "as_of" (an ISO day or time, local unless it says otherwise), else now."""
    asked = ctx.payload.get("as_of")
    if asked in (None, ""):
        return clock.now()
    try:
        found = datetime.fromisoformat(str(asked))
    except ValueError:
        raise BadInput(f"“{asked}” is no date.", "Give as_of as 2026-11-21 or 2026-11-21T07:00.") from None
    if found.tzinfo is None:
        found = found.replace(tzinfo=store.context_of(session, ctx.org_id, ctx.payload, clock.now()).zone)
    if found > clock.now():
        raise BadInput(f"“{asked}” is in the future.", "Facts can only be collected for now or the past.")
    return found.astimezone(UTC)


def _caller(ctx: RunContext) -> Caller | None:
    client = calls.make_client()
    if client is None:
        return None
    # a fifth of the run's time is kept for what comes after the model
    left_s = ctx.held.timeout_s * 0.8
    may_come_back = ctx.held.attempt < _TEMPLATE_AFTER_ATTEMPT
    return Caller(
        client, get_settings().model, ctx.run_id, ctx.org_id, deadline_s=left_s, check=ctx.check, may_come_back=may_come_back
    )


# ---- the steps


def _collect(session: Session, ctx: RunContext, plan: Plan) -> dict[str, Any]:
    when = store.context_of(session, ctx.org_id, ctx.payload, _as_of(session, ctx))
    known = {s.key: s for s in registry.sections()}
    missing = [key for key in plan.sections if key not in known]
    wanted: list[SectionSpec] = [known[key] for key in dict.fromkeys(plan.sections) if key in known]
    if not wanted:
        raise BadInput(
            f"None of the facts of “{plan.title}” exist: {', '.join(missing)}.", "Edit the job and choose the facts it may use."
        )
    sections = [store.collect(session, spec, when) for spec in wanted]
    kept = store.save(session, ctx.run_id, ctx.org_id, when.now, sections)
    notes = [f"Facts that no longer exist were left out: {', '.join(missing)}."] if missing else []
    if clock.now() - when.now > _PAST:
        notes.append(_OF_THE_PAST)
    return {"sections": kept, "as_of": when.now.isoformat(), "note": " ".join(notes) or None}


def _compose(
    ctx: RunContext, plan: Plan, when: FactContext, sections: Sequence[Section], caller: Caller | None
) -> dict[str, Any]:
    asker = None
    if caller is not None and plan.proposes:
        with ctx.transaction() as session:
            asker = asking.desk_for(session, plan.proposes, [i.target for i in plan.intents if i.channel == "slack"])
    job = Job(plan.title, plan.agent, plan.task)
    what = compose.Composing(ctx, job, plan.department, when, sections, plan.built_in, asker)
    written = compose.compose(what, caller)
    asked = [a.as_json() for a in asker.taken] if asker is not None and written.composer != template.NAME else []
    return {"text": written.text, "composer": written.composer, "note": written.note, "asked": asked}


def _verify(session: Session, ctx: RunContext, text: str, sections: Sequence[Section]) -> dict[str, Any]:
    """The last gate, whoever wrote the text: every citation must open a saved fact."""
    facts = store.load_facts(session, ctx.run_id)
    wrong = verify.check(text, facts.values(), sections)
    if wrong:
        raise OpsError(f"The report does not pass the check: {wrong[0]}.", "This is a fault of the program; the facts are kept.")
    return {"cited": len(prose.cited_keys(text)), "facts": len(facts)}


def _produce(
    ctx: RunContext, plan: Plan, when: FactContext, sections: Sequence[Section], caller: Caller | None
) -> dict[str, int]:
    """Drafts and the like. `produce` makes its own steps, so calling it again after a restart repeats nothing."""
    if plan.produce is None:
        return {}
    made = plan.produce(Production(ctx, when, {s.key: s for s in sections}, RunWriter(ctx, caller), plan.agent))
    return {str(k): int(v) for k, v in (made or {}).items()}


def _acted(ctx: RunContext, made: Sequence[Mapping[str, Any]]) -> tuple[int, str | None]:
    """How many actions the run proposed, and what a reader of the report should know of them."""
    with ctx.transaction() as session:
        tally = acting.tally(session, ctx.run_id)
    ctx.note("act", tally.sentence)
    trouble = [f"The message to {m['to']} could not be proposed: {m['error']}" for m in made if "error" in m]
    if tally.by_word.get("denied"):
        trouble.append(tally.sentence)
    return tally.total, " ".join(trouble) or None


def _report(
    session: Session, ctx: RunContext, plan: Plan, written: Mapping[str, Any], note: str | None, produced: Mapping[str, int],
    hop: int,
) -> int:  # fmt: skip
    facts = store.load_facts(session, ctx.run_id)
    text = written["text"]
    excerpt = prose.plain(text, facts)
    return events.publish(
        session,
        plan.event_type,
        f"{plan.title}: {prose.first_sentence(text, facts) or template.NOTHING}",
        org_id=ctx.org_id,
        payload={
            "run_id": ctx.run_id,
            "schedule": plan.name,
            "composer": written["composer"],
            "note": note,
            "excerpt": excerpt if len(excerpt) <= _EXCERPT else excerpt[: _EXCERPT - 1] + "…",
            "produced": dict(produced),
        },
        actor=Actor(plan.agent, "run", ctx.run_id),
        subject=("schedule", plan.schedule_id) if plan.schedule_id else ("run", ctx.run_id),
        cause_run_id=ctx.run_id,
        hop=hop,
    )
