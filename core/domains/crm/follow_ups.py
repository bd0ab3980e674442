"""Follow-up notes for quiet deals: which deals get one, what the writer may know, and how it reads without a model."""

from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

from core.domains.crm import links
from core.domains.crm.queries import DealDetail
from core.runtime.agents import facts
from core.runtime.agents.facts import Fact

MAX_NOTES = 10
"""Notes a run writes; the rest of the quiet deals wait for the next run, most valuable first."""
PURPOSE = (
    "A short follow-up note to the contact of a quiet deal, to be signed and sent by its owner: friendly, two or three "
    "sentences, one clear question, no pressure, no discount, no promise. Never mention how valuable the deal is to us."
)
_QUERY = "crm.queries.deal_detail"


@dataclass(frozen=True, slots=True)
class Note:
    """What is needed to write one: the draft's key and title, its facts and the template that cites them."""

    key: str
    title: str
    facts: tuple[Fact, ...]
    template: str


def key(deal_id: int, last_activity: date | None) -> str:
    """One note for each time a deal falls quiet: a new activity makes room for a new note."""
    return f"follow_up:{deal_id}:{last_activity or 'never'}"


def note(detail: DealDetail, zone: ZoneInfo) -> Note:
    """The note for a deal, from nothing but its record."""
    deal, href = detail.deal, links.deal(detail.deal.id)
    known: dict[str, Fact] = {}

    def add(made: Fact) -> str:
        known[made.key] = made
        return f"[[{made.key}]]"

    def text(name: str, label: str, value: str) -> str:
        return add(facts.text(f"deal.{name}", label, value, _QUERY, href=href))

    title = text("title", "Deal", deal.title)
    last = deal.last_activity_at.astimezone(zone).date() if deal.last_activity_at else None
    hello = f"Hello {text('contact', 'Contact', detail.contact_name)}," if detail.contact_name else "Hello,"
    since = ""
    if last is not None:
        since = f" We were last in touch about it on {add(facts.day('deal.last', 'Last activity', last, _QUERY, href=href))}."
    about = f" and {text('product', 'Product', detail.product)}" if detail.product and detail.product not in deal.title else ""
    text("stage", "Stage", deal.stage)  # for the writer's ear, not for the client's
    who = text("owner", "Owner", deal.owner) if deal.owner else ""
    if deal.account and deal.account not in deal.title:
        text("account", "Account", deal.account)
    body = (
        f"{hello}\n\nI wanted to come back to you about {title}{about}.{since} "
        "Is it still something you would like to move forward with, and is there anything you need from me to decide?"
        f"\n\nKind regards{', ' + who if who else ''}"
    )
    return Note(key(deal.id, last), f"Follow-up: {deal.title}"[:200], tuple(known.values()), body)
