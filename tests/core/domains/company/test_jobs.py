import pytest

from core.domains.delivery.models import TicketStatus
from core.kit import clock
from core.kit import db as database
from core.kit.db import STAFF
from core.runtime.agents import facts, specs
from tests.cast import make_cast
from tests.core.domains.delivery.scene import DAY, ticket
from tests.core.domains.jobs import actions_of, events_of, run_job, text_of

# the numbered items of each task, and the fact section or the product that answers it
ITEMS = {
    "ceo-morning-brief": (
        "crm.pipeline_summary", "delivery.build_queue", "delivery.deploy_health", "clients.alerts", "delivery.capacity",
    ),
    "sales-pipeline-review": ("crm.quiet_deals", "crm.overdue_close", "crm.zero_value", "crm.top_to_close"),
    "build-queue-check": ("delivery.at_risk", "delivery.stuck_submitted", "delivery.review_waiting", "delivery.at_risk"),
    "delivery-health-check": ("delivery.deploy_health", "clients.quiet", "delivery.completing", "clients.failed_deploys"),
    "weekly-ceo-report": (
        "crm.week", "delivery.week", "clients.retainers", "delivery.capacity", "company.wins", "company.risks",
    ),
    "monthly-client-reports": ("automations.month", "produce", "produce", "produce", "produce"),
    "marketing-content-pipeline": ("delivery.closed_last_week", "produce", "produce", "produce", "produce"),
}  # fmt: skip
SCHEDULES = {
    "ceo-morning-brief": ("0 7 * * 1-5", "Executive AI"),
    "sales-pipeline-review": ("0 8 * * 1-5", "Sales AI"),
    "build-queue-check": ("0 9 * * 1-5", "Engineering AI"),
    "delivery-health-check": ("0 9 * * 1-5", "Delivery AI"),
    "weekly-ceo-report": ("0 8 * * 1", "Executive AI"),
    "monthly-client-reports": ("0 9 1 * *", "Delivery AI"),
    "marketing-content-pipeline": ("0 10 * * 1", "Marketing AI"),
}
TARGETS = {
    "ceo-morning-brief": ["#leadership"],
    "build-queue-check": ["#builds"],
    "delivery-health-check": ["#delivery"],
    "weekly-ceo-report": ["dave@manageai.io", "#leadership"],
    "monthly-client-reports": ["#delivery"],
    "marketing-content-pipeline": ["#marketing"],
}
EVENT_TYPES = {
    "ceo-morning-brief": "morning_brief",
    "delivery-health-check": "health_check",
    "marketing-content-pipeline": "content_draft",
}


@pytest.mark.parametrize("name", list(ITEMS))
def test_every_item_of_a_task_has_its_facts_or_its_product(db, name):
    spec = specs.find(name)
    assert (spec.cron, spec.agent) == SCHEDULES[name]
    known = {s.key for s in facts.sections()}
    for item in ITEMS[name]:
        assert spec.produce is not None if item == "produce" else item in spec.sections, item
    assert set(spec.sections) <= known
    numbered = [line for line in spec.task.splitlines() if line[:1].isdigit()]
    assert len(numbered) == len(ITEMS[name])
    if name in TARGETS:
        assert [i.target for i in spec.intents] == TARGETS[name]
    assert spec.event_type == EVENT_TYPES.get(name, spec.event_type)


@pytest.mark.parametrize("name", list(ITEMS))
def test_every_job_runs_on_an_empty_agency(db, name):
    with database.transaction(STAFF) as session:
        make_cast(session)
    run = run_job(name)
    assert run.output["composer"] == "template"
    assert text_of(run)
    assert events_of(run.id, specs.find(name).event_type)


@pytest.mark.slow
def test_the_brief_and_the_weekly_report_say_what_is_late(db):
    with database.transaction(STAFF) as session:
        cast = make_cast(session)
        ticket(
            session, status=TicketStatus.BUILDING, since=clock.now() - 6 * DAY, client=cast.cornerstone, title="Late one",
            assignee=cast.users["Brian"],
        )  # fmt: skip
    brief = run_job("ceo-morning-brief")
    assert "• Late one for Cornerstone: 6 days in building, with Brian." in text_of(brief)
    assert [a.payload["channel"] for a in actions_of(brief.id)] == ["#leadership"]
    assert events_of(brief.id, "morning_brief")[0].actor == "Executive AI"
    weekly = run_job("weekly-ceo-report")
    assert "1 build overdue.\n• Late one for Cornerstone" in text_of(weekly)
    mail, slack = actions_of(weekly.id)
    assert (mail.kind, mail.payload["to"], slack.payload["channel"]) == ("mail.send", "dave@manageai.io", "#leadership")
