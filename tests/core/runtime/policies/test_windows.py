"""The arithmetic of windows: no sequence of allowed actions passes a ceiling, and those that wait get moments of their own."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.runtime.policies.rules import CONTACT_CEILING, MONEY_CEILINGS, RATE_LIMIT
from core.runtime.policies.situation import Window
from core.runtime.policies.windows import apart, next_free, quiet_until
from tests.core.runtime.policies.facing import ANN, NOW, ask

HOUR = timedelta(hours=1)
seconds = st.integers(0, 20_000)


def most_within(instants: list[datetime], length: timedelta) -> int:
    """The most within any window of that length, by brute force."""
    return max((sum(1 for t in instants if first <= t < first + length) for first in instants), default=0)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 3600), max_size=60), st.integers(1, 12), st.integers(1, 60))
def test_a_thousand_that_wait_get_different_moments_and_never_too_many(ago: list[int], cap: int, waiting: int) -> None:
    taken = sorted(NOW - timedelta(seconds=s) for s in ago)[-cap:]
    booked: list[datetime] = []
    for _ in range(waiting):
        at = next_free(taken, booked, cap, HOUR, NOW)
        assert at is not None
        assert at >= NOW
        booked.append(at)
    assert len(set(booked)) == waiting
    assert most_within([*taken, *booked], HOUR) <= cap
    windows = waiting // cap + 2
    assert max(booked) <= NOW + HOUR * windows * 1.1, "nobody waits much longer than the windows before them take"


@pytest.mark.slow
def test_a_full_hour_of_fifty_spreads_a_thousand_over_twenty_hours() -> None:
    taken = [NOW] * 50
    booked: list[datetime] = []
    for _ in range(950):
        booked.append(next_free(taken, booked, 50, HOUR, NOW))  # type: ignore[arg-type]
    assert len(set(booked)) == 950
    assert most_within([*taken, *booked], HOUR) == 50
    assert timedelta(hours=18) < max(booked) - NOW < timedelta(hours=21)
    assert next_free(taken, booked, 0, HOUR, NOW) is None


def test_what_is_booked_for_tomorrow_does_not_hold_up_today() -> None:
    taken, tomorrow = [NOW] * 50, [NOW + timedelta(hours=20, seconds=n) for n in range(900)]
    at = next_free(taken, tomorrow, 50, HOUR, NOW)
    assert at is not None
    assert at < NOW + HOUR * 1.1


@settings(max_examples=80, deadline=None)
@given(st.lists(seconds, min_size=1, max_size=80), st.integers(1, 8))
def test_no_sequence_of_allowed_mails_passes_the_rate(arrivals: list[int], cap: int) -> None:
    sent: list[datetime] = []
    for offset in sorted(arrivals):
        at = NOW + timedelta(seconds=offset)
        within = [t for t in sent if t > at - HOUR]
        said = ask(RATE_LIMIT, {"kinds": {"mail.send": cap}}, now=at, rate=Window(len(within)))
        assert said is not None
        if said.verdict.value == "allow":
            sent.append(at)
    assert most_within(sent, HOUR) <= cap


@settings(max_examples=80, deadline=None)
@given(st.lists(st.integers(0, 40 * 24), min_size=1, max_size=60), st.integers(1, 4), st.integers(1, 6))
def test_no_sequence_of_allowed_messages_passes_a_persons_ceilings(arrivals: list[int], week: int, month: int) -> None:
    reached: list[datetime] = []
    for offset in sorted(arrivals):
        at = NOW + timedelta(hours=offset)
        known = tuple(t for t in reached if t > at - timedelta(days=31))
        said = ask(CONTACT_CEILING, {"week": week, "month": month, "quiet": False}, now=at, contacts={ANN: known})
        assert said is not None
        if said.verdict.value == "allow":
            reached.append(at)
        elif said.until is not None:
            assert said.until > at
    assert most_within(reached, timedelta(days=7)) <= week
    assert most_within(reached, timedelta(days=30)) <= month


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 20 * 24), st.integers(1, 60)), min_size=1, max_size=60))
def test_no_sequence_of_allowed_spending_passes_a_ceiling(wanted: list[tuple[int, int]]) -> None:
    values = {"action": {"USD": 50}, "day": {"USD": 90}, "week": {"USD": 200}}
    zone = ZoneInfo("America/Chicago")
    spent: list[tuple[datetime, int]] = []
    for offset, cost in sorted(wanted):
        at = NOW + timedelta(hours=offset)
        today = sum(c for t, c in spent if t.astimezone(zone).date() == at.astimezone(zone).date())
        week = sum(c for t, c in spent if t > at - timedelta(days=7))
        said = ask(MONEY_CEILINGS, values, now=at, cost_minor=cost, spent_today_minor=today, spent_week_minor=week)
        if said is not None and said.verdict.value == "allow":
            spent.append((at, cost))
    for at, cost in spent:
        assert cost <= 50
        assert sum(c for t, c in spent if t.astimezone(zone).date() == at.astimezone(zone).date()) <= 90
        assert sum(c for t, c in spent if at - timedelta(days=7) < t <= at) <= 200


ZONES = st.sampled_from(["America/Chicago", "Europe/London", "Australia/Lord_Howe", "Asia/Kolkata", "UTC"])
clocks = st.times().map(lambda t: t.replace(second=0, microsecond=0))


def is_quiet(at: datetime, zone: ZoneInfo, start: time, end: time, weekends: bool) -> bool:
    """The definition, as plainly as it can be said."""
    local = at.astimezone(zone)
    clock = local.time().replace(tzinfo=None)
    night = start <= clock < end if start < end else (start != end and (clock >= start or clock < end))
    return night or (weekends and local.weekday() >= 5)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(st.datetimes(datetime(2025, 1, 1), datetime(2028, 1, 1)), ZONES, clocks, clocks, st.booleans())
def test_quiet_hours_end_when_it_is_no_longer_quiet(naive: datetime, name: str, start: time, end: time, weekends: bool) -> None:
    at, zone = naive.replace(tzinfo=UTC), ZoneInfo(name)
    until = quiet_until(at, zone, start, end, weekends=weekends)
    if until is None:
        assert not is_quiet(at, zone, start, end, weekends)
        return
    assert is_quiet(at, zone, start, end, weekends)
    assert at < until < at + timedelta(days=5)
    assert not is_quiet(until, zone, start, end, weekends)


def test_those_that_wait_for_one_moment_go_on_one_after_the_other() -> None:
    moments = {apart(NOW, action_id) for action_id in range(1000, 2000)}
    assert len(moments) == 1000
    assert max(moments) - NOW < timedelta(minutes=15)
    assert min(moments) >= NOW
