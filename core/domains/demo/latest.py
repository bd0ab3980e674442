"""The latest run of each job, in full: facts really collected, a report composed and checked as a real run does it."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import func, update

from core.domains.demo import acts
from core.domains.demo import produced as produced_rows
from core.domains.demo.history import PastRun
from core.domains.demo.world import World
from core.errors import OpsError
from core.runtime.agents import facts, prose, store, template, verify
from core.runtime.agents.facts import FactContext, Section
from core.runtime.orgs.models import AGENCY_ID


def build(world: World, latest: Mapping[str, PastRun]) -> None:
    """Facts, text, drafts, reports and actions of the latest runs."""
    known = {s.key: s for s in facts.sections()}
    collected: dict[tuple[str, Any], Section] = {}
    for run in latest.values():
        at = run.row["started_at"]
        when = FactContext(at, world.zone, AGENCY_ID)
        sections = []
        for key in (k for k in run.spec.sections if k in known):
            # two jobs of one morning see the same facts
            if (key, at.date()) not in collected:
                collected[key, at.date()] = known[key].collect(world.session, when)
            sections.append(collected[key, at.date()])
        if sections:
            produced = _produce(world, run, when)
            _report(world, run, sections, produced)


def _report(world: World, run: PastRun, sections: list[Section], produced: dict[str, int]) -> None:
    text = template.write(sections)
    found = {f.key: f for s in sections for f in s.facts}
    wrong = verify.check(text, found.values(), sections)
    if wrong:
        raise OpsError(f"The demo's {run.spec.title} does not pass the check: {wrong[0]}.", "This is a fault of the program.")
    store.save(world.session, run.id, AGENCY_ID, run.row["started_at"], sections)
    marked = world.table("run_facts")
    world.session.execute(update(marked).where(marked.c.run_id == run.id).values(demo=True))
    world.made["run_facts"] = world.made.get("run_facts", 0) + len(found)
    output = {"text": text, "composer": template.NAME, "verified": True, "note": None, "produced": produced, "event_id": None}
    runs = world.table("runs")
    finished = run.row["started_at"] + timedelta(seconds=world.rng.uniform(0.6, 2.2))
    world.session.execute(
        update(runs)
        .where(runs.c.id == run.id)
        .values(output=output, tokens=0, cost_microusd=0, finished_at=func.least(runs.c.finished_at, finished))
    )
    world.tell(
        run.spec.event_type, f"{run.spec.title}: {prose.first_sentence(text, found) or template.NOTHING}", run.row["finished_at"],
        actor=run.spec.agent, subject=("schedule", run.row["schedule_id"]), run_id=run.id,
        payload={"run_id": run.id, "schedule": run.spec.name, "composer": template.NAME, "produced": produced},
    )  # fmt: skip
    counts = {f"produced.{k}": facts.count(f"produced.{k}", k, v, "produced") for k, v in produced.items()}
    acts.intents(world, run, text, {**found, **counts}, {f.key: s.key for s in sections for f in s.facts})


def _produce(world: World, run: PastRun, when: FactContext) -> dict[str, int]:
    if run.spec.name == "monthly-client-reports":
        return {"reports": produced_rows.reports(world, run, when), "kept": 0, "actions": acts.report_mails(world, run) + 1}
    if run.spec.name == "marketing-content-pipeline":
        return {"drafts": produced_rows.content_drafts(world, run, when)}
    if run.spec.name == "sales-pipeline-review":
        notes = produced_rows.follow_up_notes(world, run, when)
        return {"notes": notes, "actions": acts.follow_up_mails(world, run, when) + len(run.spec.intents)}
    return {}
