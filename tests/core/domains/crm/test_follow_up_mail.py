"""Follow-up notes as mails for Tony: the address is what an import says, and everybody sees that."""

import pytest
from sqlalchemy import select

from core.domains.crm import follow_ups
from core.kit import db as database
from core.kit.actor import Actor
from core.kit.db import STAFF
from core.runtime.actions import service as actions
from core.runtime.actions import sweep
from core.runtime.actions.models import Action, ActionState, Decided
from core.runtime.agents import staleness
from tests.cast import make_cast
from tests.core.domains.crm.conftest import import_text
from tests.core.domains.crm.test_facts import run_review
from tests.tools.database import sql

HEADER = "id,title,stage,contact,contact email,owner,last activity\n"
DEAL = "1,Intake bot https://evil.example/x,Lead in,Nora,nora@northwind.example,Tony,2026-10-01\n"


def mails() -> list[Action]:
    with database.transaction(STAFF) as session:
        return list(session.scalars(select(Action).where(Action.kind == "mail.send").order_by(Action.id)))


def tony() -> Actor:
    with database.transaction(STAFF) as session:
        return make_cast(session).actor("Tony")


def test_a_note_is_a_mail_that_waits_for_tony(db, noon):
    by = tony()
    import_text(HEADER + DEAL)
    run_review()
    [mail] = mails()
    assert (mail.state, mail.owner_role, mail.agent) == (ActionState.AWAITING, "sales", "Sales AI")
    assert mail.payload["to"] == "nora@northwind.example"
    assert (mail.origin, mail.provenance["to"]["origin"]) == ("untrusted", "untrusted")
    assert "import" in mail.provenance["to"]["source"]
    assert "Hello Nora" in mail.payload["text"]
    assert "evil.example" not in mail.payload["text"] + mail.payload["subject"]
    assert "(link removed)" in mail.payload["subject"]
    assert sql("SELECT status FROM drafts") == [("pending_review",)]
    with database.transaction(STAFF) as session:
        actions.decide(session, mail.id, Decided.APPROVE, by, payload_sha256=mail.payload_sha256, via="web")
    assert sql("SELECT status FROM drafts") == [("approved",)]


def test_a_rejected_mail_dismisses_its_draft(db, noon):
    by = tony()
    import_text(HEADER + DEAL)
    run_review()
    [mail] = mails()
    with database.transaction(STAFF) as session:
        actions.decide(session, mail.id, Decided.REJECT, by, payload_sha256=mail.payload_sha256, via="web")
    assert sql("SELECT status FROM drafts") == [("dismissed",)]


def test_a_mail_that_nobody_decided_in_time_ends_the_waiting_of_its_draft(db, noon):
    import_text(HEADER + DEAL)
    run_review()
    [mail] = mails()
    sql("UPDATE actions SET deadline_at = created_at WHERE id = :id", id=mail.id)
    assert sweep.sweep() == 1
    assert sql("SELECT status FROM drafts") == [("dismissed",)]


def test_without_an_address_or_with_a_wrong_one_the_note_is_a_draft_and_the_run_says_so(db, noon):
    import_text(HEADER + "1,One,Lead in,Nora,,Tony,2026-10-01\n2,Two,Lead in,Nora,a@b@c.example,Tony,2026-10-01\n")
    run_review()
    assert mails() == []
    said = " ".join(r[0] for r in sql("SELECT message FROM run_logs"))
    assert "“One” has no contact address" in said
    assert sql("SELECT count(*) FROM drafts") == [(2,)]


@pytest.mark.slow
def test_no_more_than_ten_a_run(db, noon):
    lines = "".join(f"{n},Deal {n},Lead in,Nora,nora{n}@northwind.example,Tony,2026-10-01\n" for n in range(30))
    import_text(HEADER + lines)
    run_review()
    assert len(mails()) == follow_ups.MAX_NOTES


@pytest.mark.slow
def test_a_deal_that_moved_makes_the_waiting_mail_stale(db, noon):
    import_text(HEADER + DEAL)
    run_review()
    [mail] = mails()
    with database.transaction(STAFF) as session:
        assert staleness.refresh(session, mail.id) is None
    import_text(HEADER + DEAL.replace("Lead in", "Proposal").replace("2026-10-01", "2026-11-19"))
    with database.transaction(STAFF) as session:
        found = staleness.refresh(session, mail.id)
    assert {c["label"] for c in found["changed"]} == {"Stage", "Last activity"}
