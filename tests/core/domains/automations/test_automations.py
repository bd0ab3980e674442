from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import func, select

from core.domains.automations import queries, rules, service
from core.domains.automations.models import AutomationDay
from core.errors import BadInput, NotFound
from core.kit import db as database
from core.kit.db import STAFF
from core.runtime.agents.facts import FactContext
from core.runtime.orgs.models import AGENCY_ID
from tests.cast import CORNERSTONE_ORG, make_cast
from tests.core.domains.automations.scene import automation
from tests.core.domains.delivery.test_facts import collect, said
from tests.core.domains.jobs import change_client
from tests.tools import counting

OCTOBER = (date(2026, 10, 1), date(2026, 10, 31))
WHEN = FactContext(datetime(2026, 11, 18, 15, tzinfo=UTC), ZoneInfo("America/Chicago"), AGENCY_ID)


def test_a_month_takes_its_first_and_last_day_and_no_other(db):
    with database.transaction(STAFF) as session:
        cast = make_cast(session)
        automation(
            session, cast.cornerstone, (date(2026, 9, 30), 1000, 0), (OCTOBER[0], 10, 1), (OCTOBER[1], 20, 2),
            (date(2026, 11, 1), 1000, 0),
        )  # fmt: skip
        used = queries.by_client(session, *OCTOBER)
        assert [(u.client.name, u.runs, u.errors, u.tasks, u.worked) for u in used] == [("Cornerstone", 30, 3, 27, 1)]
        assert used[0].hours_saved == 0.9
        assert used[0].error_percent == 10.0


def test_switched_off_ones_count_only_when_they_ran(db):
    with database.transaction(STAFF) as session:
        cast = make_cast(session)
        automation(session, cast.cornerstone, (OCTOBER[0], 5, 0), name="ran, then off", active=False)
        automation(session, cast.cornerstone, name="off all month", active=False)
        automation(session, cast.cornerstone, name="on and idle")
        used = queries.by_client(session, *OCTOBER)[0]
        assert {a.name for a in used.automations} == {"ran, then off", "on and idle"}
        assert (used.active, used.worked) == (1, 1)


def test_clients_we_left_and_automations_of_later_are_not_in_it(db):
    after = datetime(2026, 11, 1, 5, tzinfo=UTC)
    with database.transaction(STAFF) as session:
        cast = make_cast(session)
        automation(session, cast.cornerstone, (OCTOBER[0], 5, 0))
        automation(session, cast.northwind, since=after)
        change_client(session, cast.cornerstone, status="churned")
        assert queries.by_client(session, *OCTOBER, existing_before=after) == []
        change_client(session, cast.cornerstone, status="at_risk")
        assert [u.client.name for u in queries.by_client(session, *OCTOBER, existing_before=after)] == ["Cornerstone"]


def test_a_day_is_recorded_once_and_corrected(db):
    with database.transaction(STAFF) as session:
        cast = make_cast(session)
        made = automation(session, cast.cornerstone, (OCTOBER[0], 5, 0), (OCTOBER[0], 9, 2))
        day = session.scalars(select(AutomationDay)).one()
        assert (day.runs, day.errors, day.org_id) == (9, 2, CORNERSTONE_ORG)
        for runs, errors in ((1, 2), (1, -1)):
            with pytest.raises(BadInput):
                service.record_day(session, made, OCTOBER[0], runs, errors)
        with pytest.raises(NotFound):
            service.record_day(session, 99, OCTOBER[0], 1, 0)


def test_hours_are_two_minutes_a_task():
    assert rules.MINUTES_PER_TASK == 2
    assert rules.hours_saved(847) == 28.2
    assert rules.hours_saved(rules.tasks_done(3, 5)) == 0
    assert rules.error_percent(0, 0) is None


def test_the_section_says_what_is_assumed(db):
    with database.transaction(STAFF) as session:
        cast = make_cast(session)
        automation(session, cast.cornerstone, (OCTOBER[0], 61, 1))
        section, found = collect(session, "automations.month", WHEN)
        assert "1 automation ran at 1 client: 61 runs with 1 error." in said(section)
        assert "2 hours saved, assumed at 2 minutes a task and not measured." in said(section)
        assert found["client1"].rows[0]["automation"] == "Invoice intake"


def test_the_number_of_queries_does_not_grow(db):
    with database.transaction(STAFF) as session:
        cast = make_cast(session)
        for n in range(25):
            automation(session, (cast.cornerstone, cast.northwind)[n % 2], (OCTOBER[0], n, 0), name=f"a{n}")
        with counting.queries() as asked:
            assert sum(len(u.automations) for u in queries.by_client(session, *OCTOBER)) == 25
        assert len(asked) == 3
        assert session.scalar(select(func.count()).select_from(AutomationDay)) == 25
