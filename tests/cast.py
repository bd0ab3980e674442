"""The fixed cast: Dave, Brian, Dan, Tony and Robert at the agency; the clients Cornerstone and Northwind."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.orm import Session

from core.domains.clients.models import Client
from core.domains.users.models import Role, User
from core.kit.actor import Actor
from core.runtime.orgs.models import AGENCY_ID, Organisation, OrgKind

CORNERSTONE_ORG = UUID("00000000-0000-4000-8000-0000000000c0")
NORTHWIND_ORG = UUID("00000000-0000-4000-8000-0000000000d0")
ROLES = {"Dave": Role.ADMIN, "Brian": Role.ENGINEERING, "Dan": Role.DELIVERY, "Tony": Role.SALES, "Robert": Role.MARKETING}


@dataclass(frozen=True)
class Cast:
    """Ids of the people and of the two clients."""

    users: dict[str, int]
    cornerstone: int
    northwind: int

    def actor(self, name: str) -> Actor:
        return Actor(name, "user", self.users[name])


def make_cast(session: Session) -> Cast:
    """Create everybody; flushes, does not commit."""
    people = {
        name: User(org_id=AGENCY_ID, name=name, email=f"{name.lower()}@manageai.example", role=role)
        for name, role in ROLES.items()
    }
    session.add_all(people.values())
    clients = []
    for org_id, name in ((CORNERSTONE_ORG, "Cornerstone"), (NORTHWIND_ORG, "Northwind")):
        session.add(Organisation(id=org_id, name=name, kind=OrgKind.CLIENT))
        session.flush()
        clients.append(Client(org_id=org_id, name=name))
    session.add_all(clients)
    session.flush()
    return Cast({n: u.id for n, u in people.items()}, clients[0].id, clients[1].id)
