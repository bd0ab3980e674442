"""Runs a built-in agent job the way a worker does, without a model."""

from sqlalchemy import select

from core.domains.clients.models import Client
from core.kit import db as database
from core.kit.db import STAFF
from core.runtime.actions.models import Action
from core.runtime.agents import prose, specs, store
from core.runtime.agents.specs import AGENT_JOB
from core.runtime.events.models import Event
from core.runtime.runs import execute, service
from core.runtime.runs.models import Run, RunState


def run_job(name: str, *, as_of: str | None = None, **payload) -> Run:
    """The finished run of the job; fails the test when it did not succeed."""
    spec = specs.find(name)
    assert spec is not None, f"no job called {name}"
    wanted = {"agent": spec.agent, **payload, **({"as_of": as_of} if as_of else {})}
    with database.transaction(STAFF) as session:
        made = service.enqueue(session, AGENT_JOB, name, payload=wanted)
    return finish(made.run_id)


def finish(run_id: int) -> Run:
    """Work a queued run off."""
    state = execute.execute(run_id, "w1")
    with database.transaction(STAFF) as session:
        run = session.get(Run, run_id)
        assert state == RunState.SUCCEEDED, run.error
        return run


def text_of(run: Run) -> str:
    """The report as people read it."""
    with database.transaction(STAFF) as session:
        return prose.plain(run.output["text"], store.load_facts(session, run.id))


def events_of(run_id: int, type: str | None = None) -> list[Event]:
    """Events the run caused, in order."""
    with database.transaction(STAFF) as session:
        wanted = select(Event).where(Event.cause_run_id == run_id).order_by(Event.id)
        return list(session.scalars(wanted if type is None else wanted.where(Event.type == type)))


def actions_of(run_id: int, kind: str | None = None) -> list[Action]:
    """What the run proposed, in order."""
    with database.transaction(STAFF) as session:
        wanted = select(Action).where(Action.run_id == run_id).order_by(Action.id)
        return list(session.scalars(wanted if kind is None else wanted.where(Action.kind == kind)))


def change_client(session, client_id: int, **values) -> None:
    """Set columns of a client as they are to be for a test."""
    client = session.get(Client, client_id)
    for name, value in values.items():
        setattr(client, name, value)
    session.flush()
