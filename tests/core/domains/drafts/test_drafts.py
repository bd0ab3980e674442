from datetime import UTC, date, datetime

import pytest
from sqlalchemy import func, select

from core.domains.delivery.models import Ticket, TicketStatus
from core.domains.drafts import content, queries, service
from core.domains.drafts.models import Draft, DraftKind, DraftStatus
from core.kit import db as database
from core.kit.db import STAFF
from core.runtime.orgs.models import AGENCY_ID
from tests.cast import CORNERSTONE_ORG, make_cast
from tests.core.domains.automations.scene import automation
from tests.core.domains.delivery.scene import ticket
from tests.core.domains.jobs import actions_of, change_client, events_of, run_job, text_of

JOB = "marketing-content-pipeline"
LAST_WEEK = datetime(2026, 11, 12, 12, tzinfo=UTC)
AS_OF = "2026-11-16T10:00"


def _save(session, body="First.", **more):
    return service.save(
        session, **{"kind": DraftKind.FOLLOW_UP, "key": "k", "title": "Follow up", "body": body, "for_role": "sales", **more}
    )


def test_a_draft_is_saved_again_under_its_key_until_somebody_decides(db):
    with database.transaction(STAFF) as session:
        make_cast(session)
        draft_id, created = _save(session, subject=("deal", 7), fact_keys=["a", "b"], composer="template")
        assert created
        assert _save(session, "Second.") == (draft_id, False)
        assert queries.get(session, draft_id).body == "Second."
        session.get(Draft, draft_id).status = DraftStatus.APPROVED
        session.flush()
        assert _save(session, "Third.") == (draft_id, False)
        kept = queries.get(session, draft_id)
        assert (kept.body, kept.status) == ("Second.", "approved")
        assert _save(session, org_id=CORNERSTONE_ORG)[1]  # another organisation, another draft


def test_lists_by_role_kind_and_page(db):
    with database.transaction(STAFF) as session:
        make_cast(session)
        ids = [_save(session, key=f"k{n}")[0] for n in range(3)]
        blog, _ = _save(session, key="b", kind=DraftKind.BLOG_OUTLINE, for_role="marketing")
        assert [d.id for d in queries.pending(session, for_role="sales")] == ids[::-1]
        assert [d.id for d in queries.pending(session, for_role="admin")] == [blog, *ids[::-1]]
        assert [d.id for d in queries.pending(session, kind="blog_outline")] == [blog]
        assert [d.id for d in queries.pending(session, before_id=ids[1])] == [ids[0]]
        assert queries.pending_counts(session) == {("sales", "follow_up"): 3, ("marketing", "blog_outline"): 1}
        assert queries.existing_keys(session, ["k0", "nope"]) == {"k0"}


def _completed(session):
    cast = make_cast(session)
    change_client(session, cast.cornerstone, industry="Real estate")
    done = ticket(
        session, status=TicketStatus.CLOSED, since=LAST_WEEK, client=cast.cornerstone, title="Cornerstone's contract drafting"
    )
    found = session.get(Ticket, done)
    found.problem, found.solution = "CORNERSTONE copied old contracts.", "Contracts are drafted from the deal's data."
    automation(session, cast.cornerstone, (date(2026, 11, 10), 61, 1), ticket=done)
    ticket(
        session, status=TicketStatus.CLOSED, since=datetime(2026, 11, 16, 6, tzinfo=UTC), client=cast.northwind, title="This week"
    )
    return cast, done


def test_the_job_drafts_a_case_study_a_build_three_posts_and_an_outline(db):
    with database.transaction(STAFF) as session:
        _, done = _completed(session)
    run = run_job(JOB, as_of=AS_OF)
    assert run.output["produced"] == {"drafts": 5, "actions": 1}
    with database.transaction(STAFF) as session:
        drafts = queries.of_run(session, run.id)
    assert [d.kind for d in drafts] == ["case_study", "linkedin_post", "linkedin_post", "linkedin_post", "blog_outline"]
    assert {d.for_role for d in drafts} == {"marketing"}
    study = drafts[0]
    assert (study.subject_type, study.subject_id) == ("ticket", done)
    for part in ("## Company", "## Problem", "## Solution", "## Automation built", "## Expected return"):
        assert part in study.body
    assert "a real estate company" in study.body
    assert "60 tasks in the last month, about 2 hours saved at an assumed 2 minutes a task" in study.body
    assert "1,200" in study.body  # two hours a month, fifty dollars an hour
    assert actions_of(run.id)[0].payload["text"] == "5 content pieces ready for Robert to review"
    assert len(events_of(run.id, "content_draft")) == 6  # each draft, and the report
    assert "1 build completed in the week from 9 Nov 2026." in text_of(run)


def test_no_draft_names_the_client(db):
    with database.transaction(STAFF) as session:
        _completed(session)
    run = run_job(JOB, as_of=AS_OF)
    with database.transaction(STAFF) as session:
        for draft in queries.of_run(session, run.id):
            assert "cornerstone" not in draft.body.lower(), draft.body
            assert "the client" in draft.body.lower()


@pytest.mark.slow
def test_a_second_run_repeats_nothing_and_leaves_decided_drafts_alone(db):
    with database.transaction(STAFF) as session:
        _completed(session)
    first = run_job(JOB, as_of=AS_OF)
    with database.transaction(STAFF) as session:
        drafts = queries.of_run(session, first.id)
        session.get(Draft, drafts[1].id).status = DraftStatus.DISMISSED
    second = run_job(JOB, as_of=AS_OF)
    assert second.output["produced"] == {"drafts": 4, "actions": 1}
    with database.transaction(STAFF) as session:
        assert session.scalar(select(func.count()).select_from(Draft)) == 5
        assert queries.get(session, drafts[1].id).status == "dismissed"
        assert len(events_of(second.id, "content_draft")) == 1


def test_without_completed_builds_there_is_nothing_to_write_about(db):
    with database.transaction(STAFF) as session:
        make_cast(session)
    run = run_job(JOB, as_of=AS_OF)
    assert run.output["produced"] == {"drafts": 0, "actions": 1}
    assert "0 builds completed" in text_of(run)


def test_posts_take_turns_through_the_builds(db):
    with database.transaction(STAFF) as session:
        cast = make_cast(session)
        for n in range(4):
            ticket(session, status=TicketStatus.CLOSED, since=LAST_WEEK, client=cast.northwind, title=f"Build {n}")
    run = run_job(JOB, as_of=AS_OF)
    assert run.output["produced"] == {"drafts": 4 + 3 + 1, "actions": 1}
    with database.transaction(STAFF) as session:
        posts = [d.title for d in queries.of_run(session, run.id) if d.kind == "linkedin_post"]
    assert posts == [f"LinkedIn: Build {n} ({angle})" for n, angle in enumerate(content.ANGLES)]
    assert run.org_id == AGENCY_ID
