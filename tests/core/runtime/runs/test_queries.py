"""Read models of the ledger: words, chips, pages, strips, charts, and one run's whole story."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert, text

from core.errors import NotFound
from core.kit import db as database
from core.kit.actor import Actor
from core.kit.db import STAFF
from core.runtime.events import service as events
from core.runtime.orgs.models import AGENCY_ID
from core.runtime.runs import queries, service
from core.runtime.runs.models import Reason, Run, RunLog, RunState, RunStep
from core.runtime.runs.queries import RunFilter
from core.runtime.runs.rules import REASON_WORDS, STATE_WORDS, Word, run_word, states_of
from core.runtime.schedules.models import Schedule
from tests.tools import plans

NOW = datetime.now(UTC)


def _run(session, state="succeeded", reason=None, **values):
    made = {"org_id": AGENCY_ID, "kind": "probe.noop", "name": "noop", "queue": "background", "state": state, "reason": reason}
    return session.execute(insert(Run).values({**made, **values}).returning(Run.id)).scalar_one()


def _schedule(session, name="build-queue-check", title="Build queue check"):
    made = Schedule(
        org_id=AGENCY_ID, name=name, title=title, department="Engineering", agent="Engineering AI", kind="probe.noop",
        task="Look.", cron="0 9 * * *", time_zone="UTC",
    )  # fmt: skip
    session.add(made)
    session.flush()
    return made.id


def test_every_state_and_reason_has_exactly_one_word():
    seen = set()
    for state in RunState:
        for reason in (None, *Reason):
            seen.add(run_word(state, reason))
    assert seen == {w.value for w in Word}
    assert run_word("succeeded", None, late=True) == "Succeeded, late"
    for word in Word:
        state, reasons, only = states_of(word)
        for reason in (None, *Reason):
            matches = (reason in reasons) == only
            assert (run_word(state, reason) == word) == matches
    assert len(STATE_WORDS) + len(REASON_WORDS) == len(Word)


def test_chips_count_each_word_and_filter_to_the_same_runs(db):
    kinds = [
        ("queued", None), ("running", None), ("waiting", "retry"), ("succeeded", None), ("failed", "error"),
        ("failed", "timed_out"), ("cancelled", "by_person"), ("cancelled", "missed"), ("cancelled", "coalesced"),
        ("quarantined", "poison"),
    ]  # fmt: skip
    with database.transaction(STAFF) as session:
        for many, (state, reason) in enumerate(kinds, start=1):
            for _ in range(many):
                _run(session, state, reason, late=state == "succeeded")
        counts = queries.counts_by_word(session, RunFilter(words=["Failed"]))
        assert counts.by_word == {run_word(s, r): n for n, (s, r) in enumerate(kinds, start=1)}
        assert (counts.late, counts.total) == (4, 55)
        for word, many in counts.by_word.items():
            rows = queries.list_runs(session, RunFilter(words=[word])).rows
            assert len(rows) == many
            assert {r.word for r in rows} == {word}
        assert len(queries.list_runs(session, RunFilter(words=["Failed", "Missed"])).rows) == 5 + 8
        assert queries.list_runs(session, RunFilter(words=["Nonsense"])).rows == ()
        assert len(queries.list_runs(session, RunFilter(late=True)).rows) == 4


@pytest.mark.slow
def test_pages_cover_every_run_once_and_a_new_run_does_not_shift_them(db):
    with database.transaction(STAFF) as session:
        made = [_run(session) for _ in range(25)]
        seen, before = [], None
        while True:
            page = queries.list_runs(session, RunFilter(before_id=before), limit=10)
            seen += [r.id for r in page.rows]
            _run(session)
            before = page.next_before_id
            if before is None:
                break
        assert seen == sorted(made, reverse=True)


@pytest.mark.parametrize("words", ["build", "QUEUE", "Dave", "#3", "3", "went wrong"])
def test_text_finds_name_title_cause_error_and_id(db, words):
    with database.transaction(STAFF) as session:
        schedule = _schedule(session)
        _run(session, name="other")
        _run(session, name="other", cause_label="100%_sure")
        _run(session, "failed", "error", name="x-build", schedule_id=schedule, cause_label="Dave",
             error={"message": "It went wrong.", "next_step": "Look.", "trace": "secret"})  # fmt: skip
        rows = queries.list_runs(session, RunFilter(text=words)).rows
        assert [r.id for r in rows] == [3]
        assert (rows[0].title, rows[0].error_message, rows[0].error_next_step) == ("Build queue check", "It went wrong.", "Look.")
        assert [r.id for r in queries.list_runs(session, RunFilter(text="%_")).rows] == [2]


def test_period_name_kind_and_schedule_filters(db):
    with database.transaction(STAFF) as session:
        schedule = _schedule(session)
        old = _run(session, created_at=NOW - timedelta(days=3))
        new = _run(session, name="nap", kind="probe.nap", schedule_id=schedule)

        def ids(**parts):
            return [r.id for r in queries.list_runs(session, RunFilter(**parts)).rows]

        assert ids(since=NOW - timedelta(days=1)) == [new]
        assert ids(until=NOW - timedelta(days=1)) == [old]
        assert ids(names=["nap"]) == ids(kinds=["probe.nap"]) == ids(schedule_id=schedule) == [new]
        assert ids(states=[RunState.SUCCEEDED]) == [new, old]
        assert queries.names(session) == ["nap", "noop"]


def test_strip_gives_each_schedule_its_own_last_runs_oldest_first(db):
    with database.transaction(STAFF) as session:
        busy, idle = _schedule(session), _schedule(session, "idle", "Idle")
        made = [
            _run(session, schedule_id=busy, due_at=NOW + timedelta(hours=i), started_at=NOW, finished_at=NOW) for i in range(20)
        ]
        late = _run(session, "cancelled", "missed", schedule_id=busy, due_at=NOW)
        strips = queries.strip(session, [busy, idle])
        assert [o.run_id for o in strips[busy]] == [*made[-13:], late]
        assert strips[busy][-1].word == "Missed"
        assert strips[busy][-1].duration_s is None
        assert strips[idle] == ()
        assert queries.strip(session, []) == {}


def test_days_are_local_days_and_empty_days_are_there(db):
    with database.transaction(STAFF) as session:
        # 03:30 UTC is still the evening before in Chicago
        local = NOW.astimezone(UTC).replace(hour=3, minute=30) - timedelta(days=2)
        _run(session, created_at=local)
        _run(session, "failed", "timed_out", created_at=local)
        days = queries.daily_outcomes(session, 7, "America/Chicago")
        by_day = {d.day: d.by_word for d in days}
        assert len(days) == 7
        assert by_day[(local - timedelta(days=1)).date()] == {"Succeeded": 1, "Timed out": 1}
        assert sum(len(w) for w in by_day.values()) == 2
        utc = {d.day: d.by_word for d in queries.daily_outcomes(session, 7, "UTC")}
        assert utc[local.date()] == {"Succeeded": 1, "Timed out": 1}


def test_oldest_runnable_counts_only_what_could_run_now(db):
    with database.transaction(STAFF) as session:
        assert queries.oldest_runnable_s(session) == 0.0
        _run(session, "queued", run_after=NOW + timedelta(hours=1))
        _run(session, "running", run_after=NOW - timedelta(hours=1))
        assert queries.oldest_runnable_s(session) == 0.0
        _run(session, "waiting", run_after=datetime.now(UTC) - timedelta(seconds=90))
        assert 90 <= queries.oldest_runnable_s(session) < 120


def test_detail_tells_the_whole_story_in_six_queries(db):
    dave = Actor("Dave", "user", 1)
    with database.transaction(STAFF) as session:
        schedule = _schedule(session)
        first = _run(session, schedule_id=schedule, cause_kind="schedule", cause_id=schedule, cause_label="schedule")
        told = events.publish(session, "deal.won", "Tony won a deal.", cause_run_id=first)
        second = _run(session, "failed", "error", cause_kind="event", cause_id=told, error={"message": "No.", "trace": "t"})
        third = service.replay(session, second, dave)
        session.execute(insert(RunStep).values(org_id=AGENCY_ID, run_id=second, name="collect", label="Collect", state="running",
                                               attempt=1, started_at=NOW - timedelta(seconds=30)))  # fmt: skip
        session.execute(insert(RunLog).values(org_id=AGENCY_ID, run_id=second, level="info", message="Hello"))
        session.flush()
        with plans.statements() as asked:
            found = queries.run_detail(session, second)
        assert len(asked) == 6
    assert [(c.kind, c.label) for c in found.causes] == [
        ("event", "Tony won a deal."), ("run", "noop"), ("schedule", "Build queue check"),
    ]  # fmt: skip
    assert found.run.word == "Failed"
    assert found.steps[0].duration_s >= 30
    assert [log.message for log in found.logs] == ["Hello"]
    assert [r.id for r in found.related] == [third]
    assert [e.type for e in found.events] == ["run.replayed"]
    with database.transaction(STAFF) as session, pytest.raises(NotFound):
        queries.run_detail(session, 10_000)


def _fill(session, schedule, many):
    session.execute(
        text("""
            INSERT INTO runs (org_id, kind, name, queue, state, reason, schedule_id, created_at, error)
            SELECT :org, 'probe.noop', 'job-' || i % 40, 'background', CASE i % 20 WHEN 0 THEN 'failed' ELSE 'succeeded' END,
                CASE i % 20 WHEN 0 THEN 'error' END, CASE i % 9 WHEN 0 THEN CAST(:schedule AS bigint) END,
                now() - i * interval '1 minute', CASE i % 20 WHEN 0 THEN '{"message": "It broke."}'::jsonb END
            FROM generate_series(1, :many) AS i"""),
        {"org": AGENCY_ID, "schedule": schedule, "many": many},
    )


@pytest.mark.slow
def test_lists_and_strips_read_an_index_and_not_all_runs(db):
    with database.transaction(STAFF) as session:
        schedule = _schedule(session)
        _fill(session, schedule, 20_000)
    plans.learn("runs")
    with database.transaction(STAFF) as session, plans.statements() as asked:
        queries.list_runs(session)
        queries.list_runs(session, RunFilter(before_id=10_000))
        queries.list_runs(session, RunFilter(words=["Quarantined"]))
        queries.strip(session, [schedule])
        queries.daily_outcomes(session, 1)
        queries.oldest_runnable_s(session)
        queries.names(session)
        for plan in plans.plans(session, asked):
            assert "Seq Scan on runs" not in plan, plan
