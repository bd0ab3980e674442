"""Due slots: by hand over daylight saving, against a brute-force oracle, and the policies as a table."""

from datetime import UTC, datetime, timedelta
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import BadInput
from core.runtime.schedules import rules
from core.runtime.schedules.models import CatchUp, Overlap
from tests.core.runtime.schedules.oracle import Oracle, year

SEEDS = ["0 7 * * 1-5", "0 8 * * 1-5", "0 9 * * 1-5", "0 8 * * 1", "0 9 1 * *", "0 10 * * 1"]
CRONS = [
    *SEEDS, "0 */4 * * *", "0 * * * *", "30 2 * * *", "*/15 2 * * *", "*/20 * * * *", "0,30 1-3 * * *", "45 1 * * *",
    "15 0 29 2 *", "30 */2 * * *", "5 4 1 * MON", "*/10 0-6 * * 0",
]  # fmt: skip
FAST_ZONES = ["America/New_York", "Australia/Lord_Howe"]
ZONES = [
    *FAST_ZONES,
    pytest.param("Africa/Cairo", marks=pytest.mark.slow),
    *(pytest.param(z, marks=pytest.mark.soak) for z in ("Europe/London", "UTC", "America/Havana")),
]


@cache
def oracle(zone: str) -> Oracle:
    return year(2027, zone, CRONS)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def found(cron: str, zone: str, after: str, until: str) -> list[str]:
    place = rules.clock.zone(zone)
    return [s.astimezone(place).isoformat() for s in rules.slots(cron, zone, at(after), at(until), 1000)]


class TestDaylightSaving:
    def test_gap_time_runs_once_at_the_next_valid_instant(self) -> None:
        assert found("30 2 * * *", "America/New_York", "2027-03-13T12:00-05:00", "2027-03-15T12:00-04:00") == [
            "2027-03-14T03:00:00-04:00",
            "2027-03-15T02:30:00-04:00",
        ]

    def test_several_gap_times_make_one_slot(self) -> None:
        assert found("*/15 2 * * *", "America/New_York", "2027-03-14T00:00-05:00", "2027-03-14T12:00-04:00") == [
            "2027-03-14T03:00:00-04:00"
        ]

    def test_gap_of_half_an_hour(self) -> None:
        assert found("15 2 * * *", "Australia/Lord_Howe", "2027-10-02T12:00+10:30", "2027-10-04T01:00+11:00") == [
            "2027-10-03T02:30:00+11:00"
        ]

    def test_overlap_time_runs_once(self) -> None:
        assert found("30 1 * * *", "America/New_York", "2027-11-06T12:00-04:00", "2027-11-08T12:00-05:00") == [
            "2027-11-07T01:30:00-04:00",
            "2027-11-08T01:30:00-05:00",
        ]

    def test_started_in_the_second_pass_of_the_overlap_it_does_not_run_again(self) -> None:
        assert found("45 1 * * *", "America/New_York", "2027-11-07T01:10-05:00", "2027-11-08T12:00-05:00") == [
            "2027-11-08T01:45:00-05:00"
        ]

    def test_every_hour_follows_elapsed_time(self) -> None:
        hours = rules.slots("0 * * * *", "America/New_York", at("2027-11-07T00:00-04:00"), at("2027-11-08T00:00-05:00"), 99)
        assert len(hours) == 25
        hours = rules.slots("0 * * * *", "America/New_York", at("2027-03-14T00:00-05:00"), at("2027-03-15T00:00-04:00"), 99)
        assert len(hours) == 23

    def test_midnight_in_the_gap(self) -> None:
        assert found("0 0 * * *", "America/Havana", "2027-03-13T12:00-05:00", "2027-03-14T12:00-04:00") == [
            "2027-03-14T01:00:00-04:00"
        ]

    def test_leap_day(self) -> None:
        assert rules.next_after("0 9 29 2 *", "UTC", at("2027-01-01T00:00Z")) == at("2028-02-29T09:00Z")


class TestAgainstTheOracle:
    @pytest.mark.slow
    @pytest.mark.parametrize("zone", ZONES)
    def test_a_whole_year(self, zone: str) -> None:
        start, end = datetime(2027, 1, 1, tzinfo=UTC), datetime(2028, 1, 1, tzinfo=UTC)
        for cron in CRONS:
            expected = oracle(zone).between(cron, start, end)
            assert rules.slots(cron, zone, start, end, 10**6) == expected, cron

    @pytest.mark.slow
    @settings(max_examples=300, deadline=None)
    @given(
        cron=st.sampled_from(CRONS),
        zone=st.sampled_from(FAST_ZONES),
        offset_s=st.integers(0, 320 * 86400),
        length_s=st.integers(0, 40 * 86400),
        around=st.booleans(),
        limit=st.integers(1, 50),
    )
    def test_any_window(self, cron: str, zone: str, offset_s: int, length_s: int, around: bool, limit: int) -> None:
        after = datetime(2027, 1, 2, tzinfo=UTC) + timedelta(seconds=offset_s)
        if around:  # the interesting instants: the nights in which New York changes its clocks
            after = at("2027-11-07T04:00Z") + timedelta(seconds=offset_s % 14400)
        until = after + timedelta(seconds=length_s)
        expected = oracle(zone).between(cron, after, until)
        assert rules.slots(cron, zone, after, until, limit) == expected[:limit]
        if expected:
            assert rules.next_after(cron, zone, after) == expected[0]


NOW = at("2027-06-01T12:00Z")
SLOTS = [NOW - timedelta(minutes=m) for m in (60, 45, 30, 10, 5)]
OLD = SLOTS[:3]


@pytest.mark.parametrize(
    ("due", "catch_up", "overlap", "active", "expected"),
    [
        (SLOTS, "none", "queue", False, (SLOTS[3:], OLD, [])),
        (SLOTS, "latest", "queue", False, (SLOTS[3:], OLD, [])),
        (SLOTS, "all", "queue", False, (SLOTS, [], [])),
        (OLD, "none", "queue", False, ([], OLD, [])),
        (OLD, "latest", "queue", False, (OLD[-1:], OLD[:-1], [])),
        (OLD, "latest", "skip", True, ([], OLD[:-1], OLD[-1:])),
        (OLD, "all", "skip", False, (OLD[:1], [], OLD[1:])),
        (SLOTS, "none", "skip", False, (SLOTS[3:4], OLD, SLOTS[4:])),
        (SLOTS, "none", "skip", True, ([], OLD, SLOTS[3:])),
        (SLOTS, "none", "queue", True, (SLOTS[3:], OLD, [])),
        ([], "all", "queue", False, ([], [], [])),
    ],
)
def test_policies(due: list[datetime], catch_up: str, overlap: str, active: bool, expected: tuple[list[datetime], ...]) -> None:
    made = rules.plan(due, NOW, timedelta(minutes=15), CatchUp(catch_up), Overlap(overlap), active)
    assert (list(made.to_run), list(made.missed), list(made.coalesced)) == expected


def test_latest_is_not_in_a_batch_that_newer_slots_follow() -> None:
    made = rules.plan(OLD, NOW, timedelta(minutes=15), CatchUp.LATEST, Overlap.QUEUE, False, more=True)
    assert (made.to_run, list(made.missed)) == ((), OLD)


@pytest.mark.parametrize(
    ("cron", "says"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("every day", "has 2 of the five"),
        ("0 7 * *", "has 4 of the five"),
        ("*/30 0 7 * * *", "at most once a minute"),
        ("61 7 * * *", "minute field"),
        ("0 25 * * *", "hour field"),
        ("0 7 32 * *", "day field"),
        ("0 7 30 2 *", "day field"),
        ("0 7 * 13 *", "month field"),
        ("0 7 * * 9", "weekday field"),
        ("0 7 * * L", "weekday field"),
        ("*/0 * * * *", "minute field"),
        ("0 7 * * " + "9" * 5000, "longer than"),
        ("0 7 * * '; DROP TABLE runs", "fields"),
    ],
)
def test_a_bad_cron_is_one_sentence(cron: str, says: str) -> None:
    with pytest.raises(BadInput) as caught:
        rules.normal(cron)
    assert says in caught.value.message
    assert caught.value.next_step


@given(st.text(alphabet="0123456789*/,-#LW? MONSU", min_size=1, max_size=30))
def test_any_text_is_either_a_schedule_or_a_sentence(cron: str) -> None:
    try:
        rules.normal(cron)
    except BadInput:
        return
    for slot in rules.slots(cron, "America/New_York", NOW, NOW + timedelta(days=3), 5):
        assert slot > NOW


def test_an_unknown_zone_is_one_sentence() -> None:
    with pytest.raises(BadInput, match="Mars/Olympus"):
        rules.slots("0 7 * * *", "Mars/Olympus", NOW, NOW + timedelta(days=1), 5)


def test_a_pause_that_is_over_starts_at_its_end() -> None:
    end = at("2027-06-03T09:00Z")
    start = rules.start_of(NOW, end)
    assert rules.slots("0 9 * * *", "UTC", start, end, 5) == [end]
    assert rules.start_of(NOW, None) == NOW
