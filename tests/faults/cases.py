"""The ways an effect can leave: each kind of action on each vendor that carries it out, with a payload to try it by."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from core import registry
from core.runtime.actions import kinds
from core.runtime.orgs.models import AGENCY_ID
from tests.cast import CORNERSTONE_ORG

SAMPLES: dict[str, Callable[[int], dict[str, Any]]] = {
    "slack.post": lambda n: {"channel": "#builds", "text": f"Build {n} of Cornerstone's portal is live."},
    "mail.send": lambda n: {"to": f"person{n}@client{n}.example", "subject": f"Report {n}", "text": f"Here is report {n}."},
    "pipedrive.deal.create": lambda n: {"title": f"Northwind, phase {n}"},
    "task.create": lambda n: {
        "title": f"Call Northwind about report {n}", "reason": "client_asked", "evidence": "Please call me.", "assignee": "sales",
    },
}  # fmt: skip
"""A payload by kind, different for each n. A kind that undoes another needs none: its payload comes from what is undone."""

ENDPOINTS = {
    ("slack.post", "slack"): "slack.chat.postMessage",
    ("slack.delete", "slack"): "slack.chat.delete",
    ("mail.send", "resend"): "resend.emails",
    ("mail.send", "smtp"): "smtp.data",
    ("pipedrive.deal.create", "pipedrive"): "pipedrive.deals.create",
    ("pipedrive.deal.delete", "pipedrive"): "pipedrive.deals.delete",
}
"""What the fake world calls it."""


@dataclass(frozen=True, slots=True)
class Case:
    """One way out. `undoes` is the kind whose effect it takes back; `org_id` has the connection that leads to `vendor`."""

    kind: str
    vendor: str
    undoes: str | None = None
    org_id: UUID = AGENCY_ID

    @property
    def name(self) -> str:
        return f"{self.kind} by {self.vendor}"

    @property
    def endpoint(self) -> str | None:
        """None for what is done in our own database."""
        return None if self.vendor == kinds.INSIDE else ENDPOINTS[self.kind, self.vendor]

    @property
    def can_tell(self) -> bool:
        """Whether it can be found out what became of a call without an answer: by a look-up, or by the vendor's key."""
        kind = kinds.get(self.kind)
        return kind.inside is not None or kind.look_up is not None or self.vendor in kind.key_valid_for


def cases() -> tuple[Case, ...]:
    """All there are, from the registry. KeyError for a kind this module has no payload for."""
    registry.load()
    known = [k for k in kinds.kinds() if not k.name.startswith(("test.", "demo."))]
    undone = {k.undo_kind: k.name for k in known if k.undo_kind}
    made = []
    for kind in known:
        if kind.name not in SAMPLES and kind.name not in undone:
            raise KeyError(f"no payload to try {kind.name!r} by: add one to tests/faults/cases.py")
        for vendor in kind.vendors or (kinds.INSIDE,):
            # the agency has a connection to each other vendor; Cornerstone has a mail server of its own, which comes first
            own = CORNERSTONE_ORG if vendor == "smtp" else AGENCY_ID
            made.append(Case(kind.name, vendor, undone.get(kind.name), own))
    return tuple(made)
