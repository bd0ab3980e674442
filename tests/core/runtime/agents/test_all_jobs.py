"""Every built-in job, over every fact section there is: on an agency with nothing in it and on one that looks alive."""

import json

import pytest

from core.kit import clock
from core.kit import db as database
from core.kit.db import STAFF
from core.runtime.agents import facts as F
from core.runtime.agents import prose, sheet, specs, store, template, untrusted, verify
from core.runtime.agents.facts import FactContext
from core.runtime.orgs.models import AGENCY_ID
from core.runtime.runs.models import RunState
from core.runtime.schedules import service as schedules
from tests.cast import make_cast
from tests.core.runtime.agents import lab

NAMES = (
    "ceo-morning-brief", "sales-pipeline-review", "build-queue-check", "delivery-health-check", "weekly-ceo-report",
    "monthly-client-reports", "marketing-content-pipeline",
)  # fmt: skip


@pytest.fixture(params=["empty", pytest.param("alive", marks=pytest.mark.slow)])
def agency_data(request, db):
    from core.domains.demo import service as demo

    with database.transaction(STAFF) as session:
        if request.param == "alive":
            demo.load(session)
        else:
            make_cast(session)
        schedules.sync_builtin(session)
    return request.param


def test_the_seven_jobs_are_there(db):
    assert {s.name for s in specs.specs()} >= set(NAMES)


def test_every_section_passes_as_a_template(agency_data):
    when = FactContext(clock.now(), clock.zone("America/Chicago"), AGENCY_ID)
    for spec in F.sections():
        with database.transaction(STAFF) as session:
            section = store.collect(session, spec, when)
        cleaned = [type(f)(**{**_fields(f), "shown": untrusted.clean(f.shown)}) for f in section.facts]
        wrong = [v for v in verify.check(template.write([section]), cleaned, [section]) if "next to nothing" not in v.why]
        assert not wrong, f"{spec.key}: {wrong[0]}"
        assert all(f.key.startswith(spec.key.split(".")[0]) for f in section.facts)


def _fields(fact):
    return {name: getattr(fact, name) for name in fact.__slots__}


@pytest.mark.slow
def test_every_job_ends_with_a_report_whose_numbers_open_their_rows(agency_data):
    for name in NAMES:
        run = lab.run(name)
        assert run.state == RunState.SUCCEEDED, (name, run.error)
        facts = lab.facts(run.id)
        cited = prose.cited_keys(run.output["text"])
        assert cited, name
        assert set(cited) <= set(facts)
        if agency_data == "alive":
            hollow = [k for k in cited if facts[k].row_count and not facts[k].rows and not facts[k].href]
            assert not hollow, (name, hollow)


def test_with_a_model_every_prompt_stays_in_bounds_and_its_report_is_used(agency_data, fake_anthropic):
    for name in NAMES:
        before = len(fake_anthropic.bodies)
        run = lab.run(name)
        assert run.state == RunState.SUCCEEDED, (name, run.error)
        assert run.output["composer"] == "claude-sonnet-5", (name, run.output["note"], [c.detail for c in lab.calls(run.id)])
        for body in fake_anthropic.bodies[before:]:
            sent = [
                body["system"],
                *(json.dumps(body.get(k), ensure_ascii=False) for k in ("messages", "tools", "output_config")),
            ]
            assert sum(sheet.tokens(s) for s in sent) <= 6_000
