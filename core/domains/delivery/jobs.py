"""Scheduled work on builds and deployments, each job beside its schedule."""

from core.domains.delivery import checks
from core.runtime.agents.specs import Intent, JobSpec, Production, register


def check_builds(production: Production) -> dict[str, int]:
    """Start stuck analyses and nudge reviewers. Returns {"analyses", "nudges"}."""
    run, now = production.run, production.when.now
    analyses = run.step(
        "start_analyses", lambda s: checks.start_stuck_analyses(s, now, run.actor, run.run_id), label="Start stuck analyses"
    )
    nudges = run.step("nudge_reviewers", lambda s: checks.nudge_reviewers(s, now, run.actor, run.run_id), label="Nudge reviewers")
    return {"analyses": analyses, "nudges": nudges}


def check_health(production: Production) -> dict[str, int]:
    """Schedule delivery reviews for builds due this week. Returns {"reviews"}."""
    run, when = production.run, production.when
    reviews = run.step(
        "schedule_reviews",
        lambda s: checks.schedule_reviews(s, when.now, when.zone, run.actor, run.run_id),
        label="Schedule delivery reviews",
    )
    return {"reviews": reviews}


register(
    JobSpec(
        name="build-queue-check",
        title="Build Queue Check",
        department="engineering",
        agent="Engineering AI",
        cron="0 9 * * 1-5",
        task="""Go through the build queue for Brian.
1. Name every build that has been in building for more than 3 days and call it at risk.
2. Name the submitted tickets that nobody has analyzed; where one is stuck, start its analysis.
3. Name the reviews that have waited for more than 2 days and nudge the reviewer.
4. Sum up: how many builds are in progress, at risk and waiting for review.""",
        sections=("delivery.at_risk", "delivery.stuck_submitted", "delivery.review_waiting"),
        event_type="build_queue_check",
        intents=(Intent("slack", "#builds"),),
        produce=check_builds,
    )
)

register(
    JobSpec(
        name="delivery-health-check",
        title="Delivery Health Check",
        department="delivery",
        agent="Delivery AI",
        cron="0 9 * * 1-5",
        task="""Check the health of our clients for Dan.
1. Look at every deployment of the last 30 days: did any fail, and why?
2. Name clients without ticket activity for 30 days or longer: they may be about to leave.
3. Name clients whose builds complete this week and schedule a delivery review for each.
4. Flag every client with 2 or more failed deployments.""",
        sections=("delivery.deploy_health", "clients.quiet", "delivery.completing", "clients.failed_deploys"),
        event_type="health_check",
        intents=(Intent("slack", "#delivery"),),
        produce=check_health,
    )
)
