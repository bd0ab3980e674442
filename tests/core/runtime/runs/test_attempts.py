"""One attempt: steps that are done once, every way to end, and what becomes of a run afterwards."""

import contextlib
import time

import pytest
from sqlalchemy import insert, text

from core.errors import BadInput, RateLimited, Unavailable
from core.kit import db as database
from core.kit.actor import Actor
from core.kit.db import STAFF
from core.runtime.orgs.models import AGENCY_ID
from core.runtime.runs import dispatch, handlers, lease, service
from core.runtime.runs.execute import execute
from core.runtime.runs.handlers import Handler
from core.runtime.runs.models import RunLog
from core.runtime.runs.pulse import pulse
from tests.core.runtime.runs.test_claims import claim, enqueue, get, silence
from tests.tools.database import sql
from tests.tools.waiting import until

DAVE = Actor("Dave", "user", 1)


@pytest.fixture
def kind():
    """Registers a handler for the test: kind(fn, **options) → its name."""
    made = []

    def register(fn, **options):
        name = f"test.attempt.{len(made)}"
        handlers.register(Handler(name, fn, **options))
        made.append(name)
        return name

    yield register
    for name in made:
        del handlers._handlers[name]


def _log(message):
    return lambda session: (
        session.execute(insert(RunLog).values(org_id=AGENCY_ID, run_id=1, level="info", message=message)).rowcount
    )


def _messages():
    return [m for (m,) in sql("SELECT message FROM run_logs ORDER BY id")]


class WorkerDied(BaseException):
    """Stands for the end of the process: nothing of ours catches it."""


def test_finished_steps_are_not_redone_by_the_next_attempt(db, kind):
    calls = []

    def handler(ctx):
        first = ctx.step("collect", lambda s: calls.append("collect") or (1, {"a": 2}))
        second = ctx.step_outside("ask", lambda: calls.append("ask") or "answer")
        if ctx.held.attempt == 1:
            raise WorkerDied
        ctx.step("act", lambda s: calls.append("act"))
        return {"first": first, "second": second}

    run_id = enqueue(kind=kind(handler))[0]
    with contextlib.suppress(WorkerDied):
        execute(run_id, "w1")
    silence(run_id)
    dispatch.rescue()
    assert execute(run_id, "w2") == "succeeded"
    assert calls == ["collect", "ask", "act"]
    assert get(run_id).output == {"first": [1, {"a": 2}], "second": "answer"}


def test_a_step_gives_the_same_value_the_first_time_and_after_a_resume(db, kind):
    seen = []
    handler = kind(lambda ctx: seen.append(ctx.step("collect", lambda s: {"pair": (1, 2), 7: "x"})) and None)
    run_id = enqueue(kind=handler)[0]
    execute(run_id, "w1")
    sql("UPDATE runs SET state = 'queued' WHERE id = :id", id=run_id)
    execute(run_id, "w1")
    assert seen == [{"pair": [1, 2], "7": "x"}] * 2


def test_a_steps_writes_and_the_record_that_it_is_done_commit_together(db, kind):
    def cut_off(session):
        _log("written")(session)
        raise WorkerDied

    def handler(ctx):
        if ctx.held.attempt == 1:
            ctx.step("write", cut_off)
        return ctx.step("write", lambda s: {"rows": _log("written")(s)})

    run_id = enqueue(kind=kind(handler))[0]
    with contextlib.suppress(WorkerDied):
        execute(run_id, "w1")
    assert _messages() == []
    silence(run_id)
    dispatch.rescue()
    assert execute(run_id, "w2") == "succeeded"
    assert _messages() == ["written"]
    assert sql("SELECT name, state, attempt FROM run_steps") == [("write", "succeeded", 2)]


def test_a_step_of_a_run_that_was_lost_meanwhile_leaves_nothing(db, kind):
    def steal(session):
        _log("stolen")(session)
        until(lambda: silence(1) or dispatch.rescue())  # its own renewal may come between

    def handler(ctx):
        ctx.step("write", steal)

    run_id = enqueue(kind=kind(handler))[0]
    assert execute(run_id, "w1") is None
    assert _messages() == []
    assert get(run_id).state == "queued"


@pytest.mark.parametrize(
    ("error", "state", "reason", "message"),
    [
        (BadInput("The list is empty.", "Fill it."), "failed", "error", "The list is empty."),
        (ValueError("secret"), "failed", "error", "It stopped on an unexpected ValueError."),
        (SystemExit(3), "failed", "error", "It stopped on an unexpected SystemExit."),
        (Unavailable("The vendor is away."), "waiting", "retry", "The vendor is away."),
        (ConnectionResetError("peer"), "waiting", "retry", "It stopped on an unexpected ConnectionResetError."),
    ],
)
def test_each_kind_of_error_ends_the_attempt_its_own_way(db, kind, error, state, reason, message):
    def handler(ctx):
        raise error

    run_id = enqueue(kind=kind(handler))[0]
    assert execute(run_id, "w1") == state
    run = get(run_id)
    assert (run.state, run.reason, run.error["message"]) == (state, reason, message)
    events = sql("SELECT summary FROM events WHERE type = 'run.failed'")
    assert len(events) == (state == "failed")
    assert "secret" not in str(events)


def test_retries_wait_longer_each_time_and_end_with_the_last_attempt(db, kind):
    def handler(ctx):
        raise Unavailable("The vendor is away.")

    run_id = enqueue(kind=kind(handler, max_attempts=3))[0]
    waits = []
    for _ in range(2):
        assert execute(run_id, "w1") == "waiting"
        waits.append(sql("SELECT extract(epoch FROM run_after - clock_timestamp()) FROM runs")[0][0])
        assert execute(run_id, "w1") is None  # not due yet
        sql("UPDATE runs SET run_after = clock_timestamp()")
    assert 3.5 < waits[0] < 6.1
    assert 7.5 < waits[1] < 12.1
    assert execute(run_id, "w1") == "failed"
    assert get(run_id).attempts == 3


def test_a_vendors_own_figure_is_waited_for_and_dead_workers_cost_no_attempt(db, kind):
    def handler(ctx):
        raise RateLimited("Slow down.", retry_after_s=40)

    run_id = enqueue(kind=kind(handler, max_attempts=2))[0]
    for _ in range(3):
        claim(run_id)
        silence(run_id)
        dispatch.rescue()
        sql("UPDATE runs SET run_after = clock_timestamp()")
    assert execute(run_id, "w1") == "waiting"
    assert 38 < sql("SELECT extract(epoch FROM run_after - clock_timestamp()) FROM runs")[0][0] <= 40
    sql("UPDATE runs SET run_after = clock_timestamp()")
    assert execute(run_id, "w1") == "failed"


@pytest.mark.slow
def test_a_run_that_takes_too_long_is_timed_out_and_not_failed(db, kind):
    def handler(ctx):
        ctx.step("wait", lambda s: s.execute(text("SELECT pg_sleep(30)")) and None)

    run_id = enqueue(kind=kind(handler, timeout_s=1))[0]
    began = time.monotonic()
    assert execute(run_id, "w1") == "failed"
    assert time.monotonic() - began < 5
    run = get(run_id)
    assert (run.reason, run.error["message"]) == ("timed_out", "It took longer than its limit of 1 s.")
    assert sql("SELECT state, note FROM run_steps") == [("failed", "The run took too long.")]


@pytest.mark.slow
def test_a_handler_that_swallows_the_timeout_meets_it_again(db, kind):
    def handler(ctx):
        with contextlib.suppress(Exception):
            time.sleep(10)
        ctx.step("on", lambda s: None)

    run_id = enqueue(kind=kind(handler, timeout_s=1))[0]
    assert execute(run_id, "w1") == "failed"
    assert get(run_id).reason == "timed_out"


@pytest.mark.parametrize("output", [{"x": object()}, {"x": float("nan")}, {1, 2}])
def test_an_output_that_is_not_json_fails_the_run_with_a_sentence(db, kind, output):
    run_id = enqueue(kind=kind(lambda ctx: output))[0]
    assert execute(run_id, "w1") == "failed"
    assert get(run_id).error["message"] == "It finished, but its result can't be written down."


def test_characters_the_database_cannot_hold_are_left_out(db, kind):
    def handler(ctx):
        ctx.log("a\0b\ud800")
        ctx.step("s\u00e9", lambda s: "x\0y")
        return {"text": "a\0b \\u0000 \ud83d \U0001f600"}

    run_id = enqueue(kind=kind(handler))[0]
    assert execute(run_id, "w1") == "succeeded"
    assert get(run_id).output == {"text": "ab \\u0000 ? \U0001f600"}
    assert _messages() == ["ab?"]


def test_a_run_of_an_unknown_kind_is_put_back_for_a_newer_worker(db, kind):
    name = kind(lambda ctx: {})
    run_id = enqueue(kind=name)[0]
    sql("UPDATE runs SET kind = 'from.the.future'")
    assert execute(run_id, "w1") == "waiting"
    assert 25 < sql("SELECT extract(epoch FROM run_after - clock_timestamp()) FROM runs")[0][0] <= 30


def test_cancelling_a_running_run_stops_it_at_its_next_step(db, kind):
    def handler(ctx):
        ctx.step("one", lambda s: 1)
        with database.transaction(STAFF) as session:
            assert service.cancel(session, ctx.run_id, DAVE) == "running"
        pulse.stopped = lease.RunCancelled  # what the pulse does when it renews
        ctx.step("two", lambda s: 2)

    run_id = enqueue(kind=kind(handler))[0]
    assert execute(run_id, "w1") == "cancelled"
    assert (get(run_id).reason, sql("SELECT name FROM run_steps")) == ("by_person", [("one",)])


def test_a_run_that_fails_after_it_was_cancelled_is_cancelled_and_not_retried(db, kind):
    def handler(ctx):
        with database.transaction(STAFF) as session:
            service.cancel(session, ctx.run_id, DAVE)
        raise Unavailable("The vendor is away.")

    run_id = enqueue(kind=kind(handler))[0]
    execute(run_id, "w1")
    assert (get(run_id).state, get(run_id).reason) == ("cancelled", "by_person")


def test_an_open_step_is_closed_when_its_run_ends(db, kind):
    run_id = enqueue(kind=kind(lambda ctx: None))[0]
    for _ in range(4):
        held = claim(run_id)
        sql(
            "INSERT INTO run_steps (org_id, run_id, name, label, state, attempt, started_at) "
            "VALUES (:org, :id, 'a', 'A', 'running', 1, now()) ON CONFLICT (run_id, name) DO UPDATE SET state = 'running'",
            org=AGENCY_ID,
            id=run_id,
        )
        dispatch.give_back(held, "signal 9, SIGKILL", crashed=True)
    assert get(run_id).state == "quarantined"
    assert sql("SELECT state, note FROM run_steps") == [("failed", "It was cut off.")]
