"""One agent job from facts to filed report, resumed wherever it was killed."""

from dataclasses import replace

import pytest
from sqlalchemy import func, select

from core.errors import Unavailable
from core.kit import db as database
from core.kit.db import STAFF
from core.runtime.agents import acting, job, prose, queries, specs
from core.runtime.events import service as events
from core.runtime.events.models import Event
from core.runtime.orgs.models import Organisation
from core.runtime.runs import execute, lease
from core.runtime.runs.models import RunState, RunStep
from tests.core.runtime.agents import lab


class Killed(BaseException):
    """What a kill -9 looks like from inside: nothing below it runs."""


def told(kind: str) -> list[Event]:
    with database.transaction(STAFF) as session:
        return list(session.scalars(select(Event).where(Event.type == kind).order_by(Event.id)))


def produce(production: specs.Production) -> dict[str, int]:
    """Two drafts, each an event in a step of its own."""

    def make(number):
        def work(session):
            text, _ = production.writer.write(
                "A note", production.sections["lab.quiet"].facts, "Call [[lab.quiet.who]] after [[lab.quiet.longest]]."
            )
            return events.publish(session, "lab.drafted", text, cause_run_id=production.run.run_id)

        return production.run.step(f"draft {number}", work)

    return {"drafts": len([make(n) for n in (1, 2)])}


@pytest.fixture
def producing(agency):
    specs._specs[lab.JOB.name] = replace(
        lab.JOB, produce=produce, intents=(*lab.JOB.intents, specs.Intent("slack", "#lab", "[[produced.drafts]] drafts wait."))
    )
    return agency


def test_a_job_collects_writes_checks_and_reports(producing):
    lab.schedule()
    run = lab.run()
    assert run.state == RunState.SUCCEEDED, run.error
    assert run.output["verified"] is True
    assert run.output["produced"] == {"drafts": 2, "actions": 3}
    [report] = told("lab_brief")
    assert report.id == run.output["event_id"]
    assert report.actor == "Lab AI"
    assert report.summary == "Lab brief: 12 deals are open, worth $1,234,567."
    assert report.payload["run_id"] == run.id
    assert "[[" not in report.payload["excerpt"]
    slack, mail, count = lab.actions(run.id)
    assert slack.key == f"run:{run.id}:1"
    assert (slack.kind, slack.state, slack.agent, slack.payload["channel"]) == ("slack.post", "approved", "Lab AI", "#lab")
    assert slack.payload["text"].startswith("# Lab brief\n## Deals open for 7+ days\n12 deals are open, worth $1,234,567.")
    assert slack.provenance["channel"] == {"origin": "trusted", "source": "job settings"}
    assert slack.provenance["text"]["origin"] == "untrusted"  # it cites a deal's title
    assert "by a template from 6 facts, 2 of them text from outside" in slack.provenance["text"]["source"]
    assert [(f["key"], f["shown"], f["section"]) for f in slack.facts][:2] == [
        ("lab.deals.count", "12 deals", "lab.deals"),
        ("lab.deals.value", "$1,234,567", "lab.deals"),
    ]
    assert (mail.kind, mail.payload["to"], mail.payload["text"]) == ("mail.send", "dave@manageai.example", "See 12 deals.")
    assert mail.payload["subject"].startswith("Lab brief, ")
    assert (mail.state, mail.provenance["text"]["origin"]) == ("approved", "trusted")
    assert count.payload["text"] == "2 drafts wait."
    assert told("message.intended") == []
    assert [d.summary for d in told("lab.drafted")] == ["Call Cornerstone after 9 days."] * 2
    with database.transaction(STAFF) as session:
        steps = session.scalars(select(RunStep.name).where(RunStep.run_id == run.id).order_by(RunStep.id)).all()
    assert steps == ["collect", "compose", "verify", "draft 1", "draft 2", "act", "report"]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", ["_collect", "_compose", "_verify", "_produce", "act", "_report"])
def test_a_run_killed_in_any_step_goes_on_and_repeats_nothing(step, when, producing, monkeypatch):
    lab.schedule()
    where = acting if step == "act" else job
    work, dead = getattr(where, step), []

    def killed_once(*given):
        if not dead:
            dead.append(step)
            if when == "after":
                work(*given)
            raise Killed
        return work(*given)

    monkeypatch.setattr(where, step, killed_once)
    run_id = lab.enqueue()
    with pytest.raises(Killed):
        execute.execute(run_id, "w1")
    assert lab.get(run_id).state == RunState.RUNNING
    with database.transaction(STAFF) as session:
        lease.abandon_worker(session, "w1")
    assert execute.execute(run_id, "w2") == RunState.SUCCEEDED
    run = lab.get(run_id)
    assert run.attempts == 2
    assert len(told("lab_brief")) == 1
    assert [a.key for a in lab.actions(run_id)] == [f"run:{run_id}:{n}" for n in (1, 2, 3)]
    assert len(told("action.proposed")) == 3
    assert len(told("lab.drafted")) == 2
    assert len(lab.collected) == (6 if (step, when) == ("_collect", "after") else 3)
    assert set(prose.cited_keys(run.output["text"])) <= set(lab.facts(run_id))


def test_facts_and_words_are_the_same_after_a_restart(agency, monkeypatch):
    lab.schedule()
    monkeypatch.setattr(job, "_verify", lambda *_: (_ for _ in ()).throw(Unavailable("The database is away.")))
    run_id = lab.enqueue()
    execute.execute(run_id, "w1")
    assert lab.get(run_id).state == RunState.WAITING
    first = {k: (f.shown, f.as_of) for k, f in lab.facts(run_id).items()}
    monkeypatch.undo()
    with database.transaction(STAFF) as session:
        session.execute(lease.text("UPDATE runs SET run_after = clock_timestamp()"))
    assert execute.execute(run_id, "w1") == RunState.SUCCEEDED
    assert {k: (f.shown, f.as_of) for k, f in lab.facts(run_id).items()} == first


def test_a_collector_can_not_write(agency):
    lab.schedule(facts=["lab.vandal"])
    run = lab.run()
    assert run.state == RunState.FAILED
    with database.transaction(STAFF) as session:
        assert session.scalar(select(func.count()).where(Organisation.name == "Owned")) == 0
    assert lab.facts(run.id) == {}


def test_facts_are_cleaned_and_keep_their_rows(agency):
    lab.schedule()
    run = lab.run()
    top = lab.facts(run.id)["lab.deals.top"]
    assert "[[" not in top.shown
    assert "\u202e" not in top.shown
    assert top.rows[0]["title"] == "Northwind rollout"
    with database.transaction(STAFF) as session:
        detail = queries.fact(session, run.id, "lab.deals.count")
        assert detail.row_count == 12
        assert len(detail.rows) == 2
        report = queries.latest_report(session, lab.JOB.name)
    keys = [s.key for block in report.blocks for s in block.segments if s.key]
    assert "lab.deals.top" in keys
    assert set(keys) <= set(lab.facts(run.id))
    assert report.headline == "12 deals are open, worth $1,234,567."


def test_a_job_a_person_made_needs_no_code(agency):
    lab.schedule("my-own", title="My own", task="Tell me who is quiet.", facts=["lab.quiet", "lab.gone"])
    run = lab.run("my-own")
    assert run.state == RunState.SUCCEEDED, run.error
    assert "lab.gone" in run.output["note"]
    assert "No model key" in run.output["note"]
    assert len(told("agent.report")) == 1


def test_params_and_as_of_reach_the_collectors(agency):
    lab.schedule()
    run = lab.run(payload={"days": 30, "as_of": "2026-01-31T07:00"})
    assert lab.facts(run.id)["lab.quiet.longest"].shown == "30 days"
    assert lab.collected[0].now.isoformat() == "2026-01-31T13:00:00+00:00"
    assert "as_of" not in lab.collected[0].params


def test_a_report_for_an_earlier_time_says_what_it_can_not_know(agency):
    lab.schedule()
    said = "as the records say now"
    assert said in lab.run(payload={"as_of": "2026-01-31"}).output["note"]
    assert said not in (lab.run().output["note"] or "")


@pytest.mark.parametrize(
    ("name", "more", "words"),
    [
        ("lab-brief", {"payload": {"as_of": "someday"}}, "is no date"),
        ("lab-brief", {"payload": {"as_of": "2999-01-01"}}, "in the future"),
        ("nobody-knows", {}, "no job called"),
    ],
)
def test_bad_input_fails_with_a_sentence(name, more, words, agency):
    lab.schedule()
    run = lab.run(name, **more)
    assert run.state == RunState.FAILED
    assert words in run.error["message"]
    assert run.error["next_step"]
    assert told("lab_brief") == []


def test_a_template_that_lies_fails_loudly(agency):
    from core.runtime.agents import facts as F

    key = "lab.liar"
    F.section(key, key, "x")(
        lambda _s, _w: F.Section(key, "Liar", (F.count("lab.liar.n", "n", 3, "q"),), ("There are 4 of [[lab.liar.n]] deals.",))
    )
    try:
        lab.schedule(facts=[key])
        run = lab.run()
    finally:
        F._sections.pop(key)
    assert run.state == RunState.FAILED
    assert "4" in run.error["message"]
    assert told("lab_brief") == []
