"""Our own people, as suppression and ceilings know people."""

from contextlib import suppress

from sqlalchemy.orm import Session

from core.errors import BadInput
from core.runtime.contacts.rules import person_key
from core.runtime.orgs import people


def staff_keys(session: Session) -> tuple[str, ...]:
    """The keys of all who may sign in; one whose address can't be read has none, and counts as a stranger."""
    found = []
    for person in people.everybody(session):
        with suppress(BadInput):
            found.append(person_key(person.email))
    return tuple(found)
