"""A report goes to the client when a person approves its mail, and not before."""

import json

import pytest
from sqlalchemy import select

from core.domains.reports import queries
from core.domains.reports.models import ClientReport
from core.kit import db as database
from core.kit.db import STAFF
from core.runtime.actions import followers, sweep
from core.runtime.actions import service as actions
from core.runtime.actions.followers import Told
from core.runtime.actions.models import Action, ActionState, Decided
from core.runtime.agents import staleness
from core.runtime.agents.models import ModelCall
from core.runtime.agents.revise import REVISE
from core.runtime.runs.models import Run
from tests.cast import NORTHWIND_ORG, make_cast
from tests.core.domains.automations.scene import automation
from tests.core.domains.jobs import actions_of, change_client, finish, run_job
from tests.core.domains.reports.test_reports import JOB, OCTOBER
from tests.fakeworld import anthropic as fake
from tests.tools.database import sql

AS_OF = "2026-11-20T09:00"


@pytest.fixture
def cast(db):
    with database.transaction(STAFF) as session:
        cast = make_cast(session)
        automation(session, cast.cornerstone, (OCTOBER, 850, 3))
        automation(session, cast.northwind, (OCTOBER, 10, 10))
        change_client(session, cast.northwind, contact_email="office@northwind.example", contact_name="Nora")
    return cast


def mail_of(run) -> Action:
    [mail] = actions_of(run.id, "mail.send")
    return mail


def report_of(client: str):
    with database.transaction(STAFF) as session:
        found = session.execute(select(ClientReport.id)).scalars()
        return next(r for r in (queries.get(session, i) for i in found) if r.client == client)


def decide(action: Action, decision: Decided, by) -> None:
    with database.transaction(STAFF) as session:
        actions.decide(session, action.id, decision, by, payload_sha256=action.payload_sha256, via="web")


def carried_out(action: Action, mode: str) -> None:
    """As the ledger tells it once the mail has gone."""
    with database.transaction(STAFF) as session:
        row = session.get(Action, action.id)
        row.mode = mode
        followers.tell(session, row, Told("done", 1, None, {"mode": mode}))


def test_a_report_is_proposed_as_mail_to_the_clients_contact(cast):
    run = run_job(JOB, as_of=AS_OF)
    assert run.output["produced"] == {"reports": 2, "kept": 0, "no_address": 1, "actions": 2}
    mail = mail_of(run)
    assert (mail.state, mail.owner_role, mail.org_id) == (ActionState.AWAITING, "delivery", NORTHWIND_ORG)
    assert mail.payload["to"] == "office@northwind.example"
    assert mail.payload["subject"] == "Northwind: your automations in October 2026"
    assert mail.payload["text"].startswith("Hello Nora,\n\nyour report for October 2026 is below.")
    assert "## Reliability" in mail.payload["text"]
    assert mail.provenance["to"] == {"origin": "trusted", "source": "the client's contact in our records"}
    assert {f["section"].partition(":")[0] for f in mail.facts} == {"reports.month"}


@pytest.mark.slow
def test_the_report_goes_the_way_of_its_mail(cast):
    mail = mail_of(run_job(JOB, as_of=AS_OF))
    decide(mail, Decided.APPROVE, cast.actor("Dan"))
    assert report_of("Northwind").status == "approved"
    carried_out(mail, "dry_run")
    assert (report_of("Northwind").status, report_of("Northwind").sent_at) == ("approved", None)
    carried_out(mail, "live")
    assert report_of("Northwind").status == "sent"
    assert report_of("Northwind").sent_at is not None


def test_rejecting_the_mail_rejects_the_report(cast):
    mail = mail_of(run_job(JOB, as_of=AS_OF))
    decide(mail, Decided.REJECT, cast.actor("Dan"))
    assert report_of("Northwind").status == "rejected"


def expire(mail: Action, _cast) -> None:
    sql("UPDATE actions SET deadline_at = now() WHERE id = :id", id=mail.id)
    assert sweep.sweep() == 1


def withdraw(mail: Action, cast) -> None:
    with database.transaction(STAFF) as session:
        actions.withdraw(session, mail.id, cast.actor("Dan"))


def deny(mail: Action, cast) -> None:
    """Approved, and changed by nobody knows whom before it was sent."""
    decide(mail, Decided.APPROVE, cast.actor("Dan"))
    sql("UPDATE actions SET reason = 'Another.' WHERE id = :id", id=mail.id)
    with database.transaction(STAFF) as session:
        execute = session.get(Action, mail.id).execute_run_id
    finish(execute)


def fail(mail: Action, cast) -> None:
    """Approved, and its run was cancelled."""
    decide(mail, Decided.APPROVE, cast.actor("Dan"))
    sql("UPDATE runs SET state = 'cancelled' WHERE id = (SELECT execute_run_id FROM actions WHERE id = :id)", id=mail.id)
    assert sweep.sweep() == 1


@pytest.mark.parametrize(("end", "state"), [(expire, "dismissed"), (withdraw, "dismissed"), (deny, "denied"), (fail, "failed")])
def test_a_report_whose_mail_came_to_nothing_waits_no_more_and_is_asked_about_by_the_next_run(end, state, cast):
    mail = mail_of(run_job(JOB, as_of=AS_OF))
    end(mail, cast)
    with database.transaction(STAFF) as session:
        assert session.get(Action, mail.id).state == state
    assert report_of("Northwind").status == "draft"
    for _ in range(2):  # what waits already is not asked twice
        run_job(JOB, as_of=AS_OF)
        assert report_of("Northwind").status == "pending_review"
        with database.transaction(STAFF) as session:
            waiting = session.scalars(select(Action).where(Action.kind == "mail.send", Action.state == ActionState.AWAITING))
            assert [(a.payload, a.key) for a in waiting] == [(mail.payload, f"{mail.key}:1")]


def test_a_reply_has_the_mail_rewritten(cast, request):
    mail = mail_of(run_job(JOB, as_of=AS_OF))
    fake_anthropic = request.getfixturevalue("fake_anthropic")  # from here on there is a model
    fake_anthropic.script(fake.says(json.dumps({"subject": "", "text": "Hello Nora, we completed [[report.tasks]] for you."})))
    with database.transaction(STAFF) as session:
        actions.reply(session, mail.id, "Much shorter.", cast.actor("Dan"), payload_sha256=mail.payload_sha256, via="web")
        revising = session.scalars(select(Run.id).where(Run.kind == REVISE)).one()
    assert finish(revising).output["revised"] is True
    with database.transaction(STAFF) as session:
        row = session.get(Action, mail.id)
        assert (row.state, row.version, row.org_id) == (ActionState.AWAITING, 2, NORTHWIND_ORG)
        assert row.payload["text"] == "Hello Nora, we completed 0 tasks for you."
        assert session.scalars(select(ModelCall.org_id)).all() == [NORTHWIND_ORG]  # its budget pays


@pytest.mark.slow
def test_a_report_written_anew_takes_its_old_mail_back(cast):
    first = mail_of(run_job(JOB, as_of=AS_OF))
    again = run_job(JOB, as_of=AS_OF)
    assert actions_of(again.id, "mail.send") == []  # the same text is the same mail
    with database.transaction(STAFF) as session:
        automation(session, cast.northwind, (OCTOBER, 5, 0), name="Late figures")
    second = mail_of(run_job(JOB, as_of=AS_OF))
    with database.transaction(STAFF) as session:
        assert session.get(Action, first.id).outcome == "withdrawn"
        assert session.get(Action, second.id).state == ActionState.AWAITING
    assert report_of("Northwind").status == "pending_review"


def test_late_figures_make_the_waiting_mail_stale(cast):
    mail = mail_of(run_job(JOB, as_of=AS_OF))
    with database.transaction(STAFF) as session:
        assert staleness.refresh(session, mail.id) is None
        automation(session, cast.northwind, (OCTOBER, 5, 0), name="Late figures")
    with database.transaction(STAFF) as session:
        found = staleness.refresh(session, mail.id)
    changed = {c["key"]: (c["was"], c["now"]) for c in found["changed"]}
    assert changed["report.tasks"] == ("0 tasks", "5 tasks")
    with database.transaction(STAFF) as session:
        assert session.get(Action, mail.id).stale["changed"] == found["changed"]
