"""The demo's five people and its clients, each client with an organisation of its own."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import select

from core.domains.demo import words
from core.domains.demo.world import DemoClient, World


def build(world: World) -> None:
    """People and clients. A person or client of that name who is there already is left alone."""
    _people(world)
    _clients(world)


def _people(world: World) -> None:
    rows = [{"email": f"{name.lower()}@{words.DOMAIN}", "name": name, "role": role} for name, role in words.PEOPLE]
    by_email = world.put_named("users", "email", rows)
    world.users = {name: by_email[f"{name.lower()}@{words.DOMAIN}"] for name, _ in words.PEOPLE}


def _clients(world: World) -> None:
    known_table = world.table("clients")
    known = set(world.session.scalars(select(known_table.c.name)))
    wanted = [c for c in words.CLIENTS if c[0] not in known]
    # the id comes from the dice, so that the same seed gives the same agency
    orgs = [UUID(int=world.rng.getrandbits(128), version=4) for _ in wanted]
    taken = set(world.session.scalars(select(world.table("organisations").c.id)))
    orgs = [o if o not in taken else UUID(int=world.rng.getrandbits(128), version=4) for o in orgs]
    world.put(
        "organisations",
        [{"id": o, "name": c[0], "kind": "client", "time_zone": str(world.zone)} for o, c in zip(orgs, wanted, strict=True)],
    )
    rows = []
    for org, (name, industry, plan, retainer, health, status) in zip(orgs, wanted, strict=True):
        host = "".join(c for c in name.lower() if c.isalnum())
        since = (world.now - timedelta(days=world.rng.randint(70, 600))).astimezone(world.zone).date()
        rows.append(
            {
                "org_id": org, "name": name, "industry": industry, "plan": plan, "retainer_minor": retainer * 100,
                "currency": "USD", "health_score": health, "status": status, "owner_user_id": world.users["Dan"],
                "contact_email": f"office@{host}.example", "since": since,
            }
        )  # fmt: skip
    ids = world.put("clients", rows)
    world.clients = [DemoClient(i, o, c[0], c[1]) for i, o, c in zip(ids, orgs, wanted, strict=True)]
    _trouble_events(world)


def _trouble_events(world: World) -> None:
    for client in world.clients:
        status = next(c[5] for c in words.CLIENTS if c[0] == client.name)
        if status == "at_risk":
            at = world.office_time(world.now - timedelta(days=12), world.now - timedelta(days=2))
            world.tell(
                "client.at_risk", f"Dan marked {client.name} as at risk.", at, org_id=client.org_id, actor="Dan",
                subject=("client", client.id), to_agents=("Delivery AI", "Sales AI", "Executive AI"), priority="high",
            )  # fmt: skip
