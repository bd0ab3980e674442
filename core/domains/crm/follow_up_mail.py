"""A follow-up note as mail to the deal's contact, for Tony to approve. The address is whatever the deal's source says."""

from collections.abc import Iterable

from sqlalchemy.orm import Session

from core.domains.crm import follow_ups, queries
from core.domains.crm.follow_ups import Note
from core.domains.crm.queries import DealDetail
from core.domains.drafts import following
from core.domains.drafts import service as drafts
from core.errors import BadInput
from core.kit.actor import Actor
from core.runtime.actions.models import Origin
from core.runtime.agents import proposals, prose, staleness
from core.runtime.agents.facts import Fact, FactContext
from core.runtime.agents.proposals import MAIL, Asking, Message, Target
from core.runtime.agents.untrusted import clean

DEAL = "crm.deal"
"""Names the facts of one deal's note, so that they can be collected anew."""
OWNER_ROLE = "sales"
_SOURCES = {"csv": "from a CRM import (CSV file)", "pipedrive": "from CRM import (Pipedrive)", "demo": "from the demo's CRM"}


def target(detail: DealDetail) -> Target | None:
    """The deal's contact; None without an address. Only what a person typed into this app is trusted."""
    if not detail.contact_email:
        return None
    typed = detail.source == "manual"
    words = "typed into the deal by a person" if typed else _SOURCES.get(detail.source, "from CRM import")
    return Target(detail.contact_email, words, Origin.TRUSTED if typed else Origin.UNTRUSTED)


def propose(
    session: Session, by: Actor, draft_id: int, detail: DealDetail, note: Note, body: str, composer: str
) -> str | None:  # fmt: skip
    """Propose the mail of a note, in place of one with an older text. Returns why there is none, or None when there is one."""
    prefix = following.prefix(draft_id)
    key = prefix + drafts.fingerprint(note.title, body)[:16]
    proposals.withdraw_others(session, prefix, key, by, "The note was written anew.")
    whom = target(detail)
    if whom is None:
        return f"“{detail.deal.title}” has no contact address, so its note is a draft only."
    message = Message(
        MAIL, whom, proposals.without_links(prose.unescaped(body)),
        f"“{clean(detail.deal.title)}” fell quiet, and {by.label} wrote a follow-up for Tony to send.", composer,
        proposals.without_links(clean(note.title))[:250], note.facts, {f.key: f"{DEAL}:{detail.deal.id}" for f in note.facts},
    )  # fmt: skip
    try:
        with session.begin_nested():
            proposals.propose(session, message, Asking(by.label, by.id, key, owner_role=OWNER_ROLE, demo=detail.demo))
    except BadInput as error:
        return f"The note for “{detail.deal.title}” is a draft only: {error.message}"
    return None


def _again(session: Session, when: FactContext, which: str) -> Iterable[Fact]:
    detail = queries.deal_detail(session, int(which), now=when.now)
    return follow_ups.note(detail, when.zone).facts


staleness.register(DEAL, _again)
