"""Old rows go, young ones and those of other kinds stay; a day has one pruning."""

from datetime import UTC, datetime

from core.config import get_settings
from core.domains.users import signed
from core.kit import db as database
from core.kit.db import STAFF
from core.runtime.retention import jobs
from core.runtime.runs import execute, service
from tests.cast import make_cast
from tests.tools.database import sql

NIGHT = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)  # 03:30 in Chicago


def enqueue(kind: str, days: int) -> int:
    with database.transaction(STAFF) as session:
        run_id = service.enqueue(session, kind, kind).run_id
    sql("UPDATE runs SET state = 'succeeded', finished_at = now() - make_interval(days => :d) WHERE id = :i", d=days, i=run_id)
    sql("INSERT INTO run_logs (org_id, run_id, level, message, at) SELECT org_id, id, 'info', 'x', finished_at FROM runs "
        "WHERE id = :i", i=run_id)  # fmt: skip
    return run_id


def run_it() -> dict:
    with database.transaction(STAFF) as session:
        made = service.enqueue(session, jobs.PRUNE, "Tidy up")
    assert execute.execute(made.run_id, "w1") == "succeeded"
    return sql("SELECT output FROM runs WHERE id = :i", i=made.run_id)[0][0]


def test_what_is_old_goes_and_what_is_young_stays(db, monkeypatch):
    monkeypatch.setattr(jobs, "BATCH", 2)
    settings = get_settings()
    old = [enqueue("probe.noop", settings.keep_runs_days + 1) for _ in range(5)]
    young = enqueue("agent.job", settings.keep_logs_days - 1)
    between = enqueue("agent.job", settings.keep_logs_days + 1)
    sql(
        "INSERT INTO signed_requests (source, key, at) VALUES ('slack', 'old', now() - interval '9 days'), "
        "('slack', 'new', now())"
    )
    gone = run_it()
    left = {r[0] for r in sql("SELECT id FROM runs WHERE kind <> 'system.prune'")}
    assert left == {young, between}
    assert not left & set(old)
    assert [r[0] for r in sql("SELECT run_id FROM run_logs")] == [young]
    assert [r[0] for r in sql("SELECT key FROM signed_requests")] == ["new"]
    assert gone["runs"] == 5
    assert gone["signed_requests"] == 1


def test_a_webhook_that_comes_again_within_a_week_is_known_although_nights_were_between(db):
    with database.transaction(STAFF) as session:
        assert signed.take(session, "resend", "msg_1")
    sql("UPDATE signed_requests SET at = now() - interval '7 days'")
    run_it()
    with database.transaction(STAFF) as session:
        assert not signed.take(session, "resend", "msg_1")


def test_what_nobody_ever_read_goes_too_in_the_end(db):
    settings = get_settings()
    with database.transaction(STAFF) as session:
        user = make_cast(session).users["Dave"]
    for key, days, read in (
        ("read", settings.keep_logs_days + 1, True), ("unread", settings.keep_logs_days + 1, False),
        ("forgotten", settings.keep_runs_days + 1, False), ("young", 1, True),
    ):  # fmt: skip
        sql(
            "INSERT INTO notifications (org_id, user_id, kind, key, title, body, href, created_at, read_at) SELECT org_id, id, "
            "'x', :key, 'x', 'x', '/', now() - make_interval(days => :days), CASE WHEN :read THEN now() END "
            "FROM users WHERE id = :user",
            key=key, days=days, read=read, user=user,
        )  # fmt: skip
    assert run_it()["notifications"] == 2
    assert {r[0] for r in sql("SELECT key FROM notifications")} == {"unread", "young"}


def test_a_kind_may_be_kept_for_a_shorter_time(db):
    gone, stays = enqueue(jobs.PRUNE, 31), enqueue(jobs.PRUNE, 29)
    other = enqueue("agent.job", 31)
    run_it()
    left = {r[0] for r in sql("SELECT id FROM runs")}
    assert gone not in left
    assert {stays, other} <= left


def test_a_run_that_has_not_ended_is_never_pruned(db):
    with database.transaction(STAFF) as session:
        waiting = service.enqueue(session, "probe.noop", "waits").run_id
    sql("UPDATE runs SET created_at = now() - interval '5 years'")
    run_it()
    assert sql("SELECT 1 FROM runs WHERE id = :i", i=waiting)


def test_it_is_asked_for_once_a_day_and_not_before_its_hour(db):
    with database.transaction(STAFF) as session:
        assert not jobs.ask(session, NIGHT.replace(hour=8))
        assert jobs.ask(session, NIGHT)
        assert not jobs.ask(session, NIGHT.replace(hour=20))
        assert jobs.ask(session, NIGHT.replace(day=22))
