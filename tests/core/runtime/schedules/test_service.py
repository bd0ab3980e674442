"""Commands on jobs: what is saved, what is refused in which words, and what two people at once get."""

import threading
from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import func, select, update

from core import registry
from core.errors import BadInput, Conflict, NotFound
from core.kit import db as database
from core.kit.actor import Actor
from core.kit.db import STAFF
from core.runtime.agents import facts, specs
from core.runtime.agents.facts import Section, section
from core.runtime.orgs.models import Organisation
from core.runtime.runs.models import Run, RunState
from core.runtime.schedules import service
from core.runtime.schedules.models import Schedule
from core.runtime.schedules.schemas import JobEdit, NewJob
from core.runtime.schedules.words import describe
from tests.core.runtime.schedules.helpers import at, events_of, get, make, slots_of

pytestmark = pytest.mark.usefixtures("db")
DAVE, BRIAN = Actor("Dave", "user", 1), Actor("Brian", "user", 2)
NOON = at("2027-06-01T12:00Z")
JOB = NewJob(
    name="friday-numbers", title="Friday numbers", department="ceo", agent="Executive AI", cron="0 16 * * 5",
    task="Report the week.", facts=("test.one",),
)  # fmt: skip


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    registry.load()  # once a process: what it registered into the copies would be gone for every later test
    monkeypatch.setattr(facts, "_sections", dict(facts._sections))
    monkeypatch.setattr(specs, "_specs", {})
    section("test.one", "One", "A section for tests.")(lambda session, when: Section("test.one", "One", (), ()))


class TestAdd:
    def test_it_is_saved_with_the_organisations_zone_and_starts_from_now(self) -> None:
        with time_machine.travel(NOON, tick=False), database.transaction(STAFF) as session:
            job = service.add(session, JOB, DAVE)
        assert (job.name, job.time_zone, job.created_by, job.builtin) == ("friday-numbers", "America/Chicago", "Dave", False)
        assert (job.cursor, job.next_due_at) == (NOON, at("2027-06-04T16:00-05:00"))
        (told,) = events_of("schedule.added")
        assert (told.summary, told.actor_user_id) == ("Dave added the job Friday numbers.", 1)
        assert (told.subject_type, told.subject_id) == ("schedule", job.id)

    @pytest.mark.parametrize(
        ("change", "says"),
        [
            ({"name": "Friday Numbers"}, "can't be the name of a job"),
            ({"name": "a--b"}, "can't be the name of a job"),
            ({"name": ""}, "can't be the name of a job"),
            ({"name": "a" * 61}, "can't be the name of a job"),
            ({"title": "  "}, "needs a title"),
            ({"agent": ""}, "needs an agent"),
            ({"task": "\n"}, "needs a task"),
            ({"task": "x" * 8001}, "8,001 characters"),
            ({"cron": "soon"}, "“soon” is not a schedule"),
            ({"cron": "*/5 * * * * *"}, "at most once a minute"),
            ({"cron": "0 0 31 2,4 *"}, "day field"),
            ({"time_zone": "Mars/Olympus"}, "no time zone called “Mars/Olympus”"),
            ({"time_zone": "../etc/passwd"}, "no time zone called"),
            ({"facts": ("test.one", "test.two")}, "no facts called “test.two”"),
            ({"overlap": "maybe"}, "“maybe” is no overlap policy"),
            ({"catch_up": "some"}, "“some” is no catch-up policy"),
            ({"grace_s": 5}, "A grace of 5 seconds is not possible"),
            ({"timeout_s": 10**9}, "A time limit of 1,000,000,000 seconds"),
        ],
    )
    def test_what_cant_be_used_is_refused_in_one_sentence(self, change: dict[str, object], says: str) -> None:
        with pytest.raises(BadInput) as caught, database.transaction(STAFF) as session:
            service.add(session, NewJob(**(JOB.model_dump() | change)), DAVE)
        assert says in caught.value.message
        assert caught.value.next_step
        assert events_of("schedule.added") == []

    def test_a_taken_name_is_refused_and_the_transaction_goes_on(self) -> None:
        with database.transaction(STAFF) as session:
            service.add(session, JOB, DAVE)
        with database.transaction(STAFF) as session:
            with pytest.raises(BadInput, match="already a job called “friday-numbers”"):
                service.add(session, JOB, BRIAN)
            assert session.execute(select(func.count()).select_from(Schedule)).scalar_one() == 1


class TestEdit:
    def test_it_starts_from_now_and_says_what_changed(self) -> None:
        with database.transaction(STAFF) as session:
            make(session, cursor=NOON - timedelta(hours=3))
        with time_machine.travel(NOON, tick=False), database.transaction(STAFF) as session:
            job = service.edit(session, "five-minutes", JobEdit(cron="*/10 * * * *", title="Tens"), 1, BRIAN)
            assert service.tick(session) == 0
        assert (job.version, job.cursor, job.next_due_at) == (2, NOON, NOON + timedelta(minutes=10))
        (told,) = events_of("schedule.edited")
        assert told.summary == "Brian edited Tens: schedule, title."
        assert told.payload["changed"] == ["cron", "title"]

    def test_a_stale_edit_is_told_who_changed_what(self) -> None:
        with database.transaction(STAFF) as session:
            make(session)
            service.edit(session, "five-minutes", JobEdit(cron="0 * * * *"), 1, BRIAN)
            service.edit(session, "five-minutes", JobEdit(time_zone="Europe/London"), 2, DAVE)
        with pytest.raises(Conflict) as caught, database.transaction(STAFF) as session:
            service.edit(session, "five-minutes", JobEdit(title="Mine"), 1, DAVE)
        assert caught.value.message == "Brian and Dave changed Five minutes since you opened it: schedule, time zone."
        assert get("five-minutes").title == "Five minutes"

    def test_two_edits_at_once_give_one_and_one_conflict(self) -> None:
        with database.transaction(STAFF) as session:
            make(session)
        outcomes: list[str] = []
        together = threading.Barrier(2)

        def save(title: str) -> None:
            try:
                with database.transaction(STAFF) as session:
                    together.wait(10)
                    service.edit(session, "five-minutes", JobEdit(title=title), 1, DAVE)
                outcomes.append("saved")
            except Conflict:
                outcomes.append("conflict")

        threads = [threading.Thread(target=save, args=(t,)) for t in ("One", "Two")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(outcomes) == ["conflict", "saved"]

    def test_nothing_changed_leaves_the_version(self) -> None:
        with database.transaction(STAFF) as session:
            make(session)
            assert service.edit(session, "five-minutes", JobEdit(title="Five minutes"), 1, DAVE).version == 1
        assert events_of("schedule.edited") == []

    def test_a_bad_value_changes_nothing(self) -> None:
        with database.transaction(STAFF) as session:
            make(session)
        with pytest.raises(BadInput), database.transaction(STAFF) as session:
            service.edit(session, "five-minutes", JobEdit(title="New", cron="x"), 1, DAVE)
        assert get("five-minutes").title == "Five minutes"

    def test_mending_a_broken_schedule_switches_it_on_again(self) -> None:
        with database.transaction(STAFF) as session:
            make(session, cron="x", cursor=NOON)
        with database.transaction(STAFF) as session:
            service.tick(session, NOON + timedelta(hours=1))
        assert get("five-minutes").enabled is False
        with pytest.raises(BadInput, match="“x”"), database.transaction(STAFF) as session:
            service.set_enabled(session, "five-minutes", True, DAVE)
        with database.transaction(STAFF) as session:
            job = service.edit(session, "five-minutes", JobEdit(cron="0 * * * *"), 1, DAVE)
        assert (job.enabled, job.error) == (True, None)


class TestOnOffAndPause:
    def test_switching_on_starts_from_now_without_a_burst(self) -> None:
        with database.transaction(STAFF) as session:
            make(session, cursor=NOON)
            service.set_enabled(session, "five-minutes", False, DAVE)
            assert service.tick(session, NOON + timedelta(days=1)) == 0
        later = NOON + timedelta(days=1, minutes=2)
        with time_machine.travel(later, tick=False), database.transaction(STAFF) as session:
            job = service.set_enabled(session, "five-minutes", True, DAVE)
            service.set_enabled(session, "five-minutes", True, DAVE)
            assert service.tick(session) == 0
        assert (job.cursor, job.next_due_at) == (later, NOON + timedelta(days=1, minutes=5))
        assert [e.summary for e in events_of("schedule.disabled")] == ["Dave switched off Five minutes."]
        assert [e.summary for e in events_of("schedule.enabled")] == ["Dave switched on Five minutes."]

    def test_pause_and_end_of_pause(self) -> None:
        until = NOON + timedelta(days=2)
        with database.transaction(STAFF) as session:
            make(session, cursor=NOON, time_zone="America/Chicago")
        with time_machine.travel(NOON, tick=False), database.transaction(STAFF) as session:
            job = service.pause_until(session, "five-minutes", until, DAVE)
            assert (job.paused_until, job.next_due_at) == (until, until)
        with time_machine.travel(NOON + timedelta(hours=9), tick=False), database.transaction(STAFF) as session:
            assert service.tick(session) == 0
            service.pause_until(session, "five-minutes", None, BRIAN)
            assert service.tick(session) == 0
        assert get("five-minutes").next_due_at == NOON + timedelta(hours=9, minutes=5)
        assert [e.summary for e in events_of("schedule.paused")] == [
            "Dave paused Five minutes until Thursday 3 June 2027, 7:00 AM."
        ]
        assert [e.summary for e in events_of("schedule.resumed")] == ["Brian ended the pause of Five minutes."]

    @pytest.mark.parametrize(
        ("until", "says"),
        [
            (NOON - timedelta(seconds=1), "already passed"),
            (NOON.replace(tzinfo=None) + timedelta(days=1), "no time zone"),
            (NOON + timedelta(days=900), "longer than two years"),
        ],
    )
    def test_an_impossible_pause(self, until: object, says: str) -> None:
        with database.transaction(STAFF) as session:
            make(session, cursor=NOON)
        with (
            time_machine.travel(NOON, tick=False),
            pytest.raises(BadInput, match=says),
            database.transaction(STAFF) as session,
        ):
            service.pause_until(session, "five-minutes", until, DAVE)  # type: ignore[arg-type]

    def test_an_unknown_job_is_answered_with_the_nearest_names(self) -> None:
        with database.transaction(STAFF) as session:
            make(session, "ceo-morning-brief")
            make(session, "weekly-ceo-report")
            with pytest.raises(NotFound) as caught:
                service.set_enabled(session, "ceo-mourning-brief", True, DAVE)
        assert caught.value.message == "There is no job called “ceo-mourning-brief”."
        assert caught.value.next_step.startswith("Did you mean ceo-morning-brief")


class TestRunNow:
    def press(self, by: Actor = DAVE, **payload: object) -> int:
        with database.transaction(STAFF) as session:
            return service.run_now(session, "five-minutes", by, payload or None)

    def test_it_goes_ahead_of_scheduled_work_also_when_the_job_is_off(self) -> None:
        with database.transaction(STAFF) as session:
            schedule = make(session, enabled=False, payload={"client": 1}, timeout_s=99)
        run_id = self.press(client=2)
        with database.transaction(STAFF) as session:
            run = session.get_one(Run, run_id)
        assert (run.queue, run.priority, run.schedule_id, run.due_at) == ("interactive", 10, schedule.id, None)
        assert (run.payload, run.timeout_s) == ({"agent": "Engineering AI", "client": 2}, 99)
        assert (run.cause_kind, run.cause_id, run.cause_label) == ("user", 1, "Dave")
        (told,) = events_of("job.run_requested")
        assert (told.summary, told.cause_run_id) == ("Dave started Five minutes.", run_id)

    def test_a_double_click_is_one_run_wherever_the_second_falls(self) -> None:
        with database.transaction(STAFF) as session:
            make(session)
        ids: list[int] = []
        together = threading.Barrier(8)

        def click() -> None:
            together.wait(10)
            ids.append(self.press())

        threads = [threading.Thread(target=click) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(ids) == 8
        assert len(set(ids)) == 1
        assert len(events_of("job.run_requested")) == 1

    def test_other_people_other_payloads_later_clicks_and_ended_runs_are_new_runs(self) -> None:
        with database.transaction(STAFF) as session:
            make(session)
        ids = [self.press(), self.press(BRIAN), self.press(client=2), self.press(Actor("CLI")), self.press(Actor("CLI"))]
        with database.transaction(STAFF) as session:
            session.execute(update(Run).values(created_at=Run.created_at - timedelta(seconds=2.1)))
        ids.append(self.press())
        with database.transaction(STAFF) as session:
            session.execute(update(Run).values(state=RunState.SUCCEEDED))
        ids.append(self.press())
        assert len(set(ids)) == 7

    def test_a_manual_run_does_not_stop_the_slot_from_being_written_down(self) -> None:
        with database.transaction(STAFF) as session:
            make(session, cursor=NOON)
        self.press()
        with database.transaction(STAFF) as session:
            service.tick(session, NOON + timedelta(minutes=5))
        assert slots_of("five-minutes") == {NOON + timedelta(minutes=5): "coalesced"}


class TestBuiltin:
    def spec(self, **values: object) -> specs.JobSpec:
        given = {
            "name": "ceo-morning-brief", "title": "CEO Morning Brief", "department": "ceo", "agent": "Executive AI",
            "cron": "0 7 * * 1-5", "task": "Brief Dave.", "sections": ("test.one",), "event_type": "morning_brief",
        }  # fmt: skip
        return specs.JobSpec(**(given | values))  # type: ignore[arg-type]

    def sync(self, *wanted: specs.JobSpec) -> int:
        specs._specs.clear()
        for spec in wanted:
            specs.register(spec)
        with database.transaction(STAFF) as session:
            return service.sync_builtin(session)

    def test_missing_ones_are_made_once_in_the_organisations_zone(self) -> None:
        with database.transaction(STAFF) as session:
            session.execute(update(Organisation).values(time_zone="Europe/London"))
        try:
            assert (self.sync(self.spec()), self.sync(self.spec())) == (1, 0)
        finally:
            with database.transaction(STAFF) as session:
                session.execute(update(Organisation).values(time_zone="America/Chicago"))
        job = get("ceo-morning-brief")
        assert (job.builtin, job.enabled, job.time_zone, job.facts, job.kind) == (
            True, True, "Europe/London", ["test.one"], "agent.job",
        )  # fmt: skip
        assert len(events_of("schedule.added")) == 1

    def test_a_persons_edit_stays_and_an_unedited_job_follows_the_software(self) -> None:
        self.sync(self.spec(), self.spec(name="weekly-ceo-report"))
        with database.transaction(STAFF) as session:
            service.edit(session, "ceo-morning-brief", JobEdit(cron="30 6 * * *"), 1, DAVE)
            service.set_enabled(session, "weekly-ceo-report", False, DAVE)
        assert self.sync(self.spec(task="New."), self.spec(name="weekly-ceo-report", cron="0 8 * * 1", task="New.")) == 1
        assert (get("ceo-morning-brief").cron, get("ceo-morning-brief").task) == ("30 6 * * *", "Brief Dave.")
        weekly = get("weekly-ceo-report")
        assert (weekly.cron, weekly.task, weekly.enabled, weekly.next_due_at) == ("0 8 * * 1", "New.", False, None)

    def test_all_at_once(self) -> None:
        specs._specs.clear()
        specs.register(self.spec())
        made: list[int] = []

        def start() -> None:
            with database.transaction(STAFF) as session:
                made.append(service.sync_builtin(session))

        threads = [threading.Thread(target=start) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum(made) == 1


@pytest.mark.parametrize(
    ("cron", "reading"),
    [
        ("0 7 * * 1-5", "Weekdays at 7:00 AM"),
        ("0 8 * * 1", "Mondays at 8:00 AM"),
        ("0 9 1 * *", "On the 1st of the month at 9:00 AM"),
        ("0 */4 * * *", "Every 4 hours"),
        ("0 * * * *", "Every hour"),
        ("30 2 * * *", "Every day at 2:30 AM"),
        ("15 10 * * 6,0", "Saturdays and Sundays at 10:15 AM"),
        ("0 9-17 * * *", "Every hour from 9:00 AM to 5:00 PM"),
        ("5 4 1 * 1", "At 4:05 AM on the 1st of the month, or on Monday"),
        ("0 9 * * 5L", "On the last Friday of the month at 9:00 AM"),
        ("junk", "Not a schedule: junk"),
    ],
)
def test_a_schedule_in_words(cron: str, reading: str) -> None:
    assert describe(cron) == reading


def test_the_next_times() -> None:
    assert service.next_times("0 7 * * 1-5", "America/Chicago", 3, at("2027-06-04T12:00-05:00")) == [
        at("2027-06-07T07:00-05:00"), at("2027-06-08T07:00-05:00"), at("2027-06-09T07:00-05:00"),
    ]  # fmt: skip
