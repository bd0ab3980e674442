"""Weekly content drafts for Robert, from the builds completed last week."""

from collections.abc import Callable, Sequence
from datetime import timedelta

from core.domains.automations import queries as automations
from core.domains.delivery import queries as delivery
from core.domains.drafts import content, queries, service
from core.domains.drafts.content import Build
from core.domains.drafts.models import DraftKind
from core.kit.dates import Period, week_before
from core.runtime.agents.facts import Fact
from core.runtime.agents.specs import Intent, JobSpec, Production, register
from core.runtime.events import service as events

FOR_ROLE = "marketing"
_MOST_BUILDS = 20


def write_content(production: Production) -> dict[str, int]:
    """A case study per completed build, three posts and a blog outline, each a step of the run. Returns {"drafts"}."""
    run = production.run
    week = week_before(production.when.today)
    builds = _completed(production, week)
    wanted: list[tuple[str, Callable[[], int]]] = [(f"Case study: {b.ticket.title}", _case_study(production, b)) for b in builds]
    if builds:
        # the three posts take turns through the builds, so that one build a week still gives three angles
        wanted += [
            (f"LinkedIn post on {angle}", _post(production, builds[place % len(builds)], place, week))
            for place, angle in enumerate(content.ANGLES)
        ]
        wanted.append(("Blog outline", _blog(production, builds, week)))
    for done, (label, work) in enumerate(wanted):
        run.progress(done / len(wanted), label)
        run.step_outside(f"draft:{done}", work, label=label)
    with run.transaction() as session:
        return {"drafts": queries.count_of_run(session, run.run_id)}


def _completed(production: Production, week: Period) -> list[Build]:
    when = production.when
    with production.run.transaction() as session:
        start, end = week.bounds(when.zone)
        done = delivery.closed(session, start, end, when.now, limit=_MOST_BUILDS)
        used = automations.runs_of_tickets(
            session, [t.id for t in done.rows], when.today - timedelta(days=30), when.today - timedelta(days=1)
        )
    # by id: a resumed run must meet the same builds in the same order, or its numbered steps would be others
    return [Build(t, used.get(t.id)) for t in sorted(done.rows, key=lambda t: t.id)]


def _case_study(production: Production, build: Build) -> Callable[[], int]:
    return lambda: _draft(
        production,
        DraftKind.CASE_STUDY,
        f"case_study:{build.ticket.id}",
        f"Case study: {build.ticket.title}",
        "An outline of a case study: company type, problem, solution, automation built, expected return. Never name the client.",
        content.facts(build),
        content.case_study(build),
        ("ticket", build.ticket.id),
        build.ticket.demo,
    )


def _post(production: Production, build: Build, place: int, week: Period) -> Callable[[], int]:
    angle = content.ANGLES[place]
    return lambda: _draft(
        production,
        DraftKind.LINKEDIN_POST,
        f"linkedin:{week.first}:{place + 1}",
        f"LinkedIn: {build.ticket.title} ({angle})",
        f"A short LinkedIn post on {angle} of this build, for owners of small companies. Never name the client.",
        content.facts(build),
        content.linkedin_post(build, place),
        ("ticket", build.ticket.id),
        build.ticket.demo,
    )


def _blog(production: Production, builds: Sequence[Build], week: Period) -> Callable[[], int]:
    return lambda: _draft(
        production,
        DraftKind.BLOG_OUTLINE,
        f"blog:{week.first}",
        "Blog: what last week's builds taught us",
        "The idea and the outline of one longer blog post on last week's builds. Never name a client.",
        content.blog_facts(builds),
        content.blog_outline(builds),
        None,
        all(b.ticket.demo for b in builds),
    )


def _draft(
    production: Production, kind: DraftKind, key: str, title: str, purpose: str, facts: tuple[Fact, ...], template: str,
    subject: tuple[str, int] | None, demo: bool,
) -> int:  # fmt: skip
    body, composer = production.writer.write(purpose, facts, template)
    run = production.run
    with run.transaction() as session:
        draft_id, created = service.save(
            session, kind=kind, key=key, title=title, body=body, subject=subject, for_role=FOR_ROLE,
            fact_keys=[f.key for f in facts], composer=composer, run_id=run.run_id, demo=demo,
        )  # fmt: skip
        if created:
            events.publish(
                session, "content_draft", f"{title} is ready for Robert to review.", actor=run.actor, subject=("draft", draft_id),
                cause_run_id=run.run_id, payload={"kind": kind.value}, demo=demo,
            )  # fmt: skip
    return draft_id


register(
    JobSpec(
        name="marketing-content-pipeline",
        title="Marketing Content Pipeline",
        department="marketing",
        agent="Marketing AI",
        cron="0 10 * * 1",
        task="""Prepare this week's content for Robert.
1. Find the builds that were completed last week.
2. For each one, outline a case study: company type, problem, solution, automation built, expected return.
3. Draft 3 LinkedIn posts from these builds.
4. Draft 1 idea for a longer blog post, with an outline.
5. Save everything as drafts; Robert reviews before anything is published.""",
        sections=("delivery.closed_last_week",),
        event_type="content_draft",
        intents=(Intent("slack", "#marketing", "[[produced.drafts]] content pieces ready for Robert to review"),),
        produce=write_content,
        timeout_s=1200,
    )
)
