"""Contacts on the screen: rows of the suppression list, and one person's drawer with all that reached them."""

import streamlit as st

from app.auth.current import current_user
from app.ui import chips, nav, page, table, words
from app.ui.table import Column, Row, RowId
from app.ui.words import esc
from core.errors import BadInput, NotFound
from core.kit import db
from core.kit.db import STAFF
from core.runtime.contacts import queries, rules
from core.runtime.contacts.models import Why
from core.runtime.contacts.queries import Contacts, Reached, SuppressionRow
from core.runtime.orgs.models import AGENCY_ID
from core.runtime.policies import settings

COLUMNS = (
    Column("Person", phone="first", width="34%"),
    Column("Why", "state", phone="corner", width="150px"),
    Column("Said by", phone="wide"),
    Column("Since", "ago", phone="label", width="120px"),
    Column("Actions", "buttons", hide_label=True, width="92px"),
)
SAID: dict[Why, str] = {
    Why.COMPLAINT: "complained about our mail",
    Why.OPT_OUT: "opted out",
    Why.BOUNCE: "can't be reached there: mail bounces",
    Why.MANUAL: "was put on the list by hand",
}


def row(entry: SuppressionRow, *, may_lift: bool) -> Row:
    """One entry. Lifting is offered to admins."""
    given = f"as {entry.address}" if entry.address.lower() != entry.person else ""
    said = f"{entry.source}: {entry.note}" if entry.note else entry.source
    cells = [
        table.text(entry.person, " · ".join(filter(None, [given, entry.org]))),
        table.chip(entry.why.value),
        words.short(said, 160),
        table.ago(entry.created_at),
        [["lift", "Lift…"]] if may_lift else [],
    ]
    return Row(entry.id, cells, entry.person)


def choose(entry_id: RowId) -> None:
    """Callback of the table: the person's drawer opens by the address."""
    current_user()
    try:
        with db.transaction(STAFF) as session:
            st.query_params["person"] = queries.suppression(session, int(entry_id)).person
    except NotFound:
        st.query_params.pop("person", None)


def close() -> None:
    """Forget the person in the address."""
    st.query_params.pop("person", None)


def from_address() -> None:
    """Draw the drawer when the address names a person. Call it last on the page."""
    if chips.param("person"):
        _drawer(chips.param("person"))


@st.dialog("Contact", position="right", width=780, on_dismiss=close)
def _drawer(address: str) -> None:
    user = current_user()
    try:
        with db.transaction(STAFF) as session:
            entries = queries.of_person(session, address)
            often = queries.contacts(session, address)
            found = queries.history(session, address, limit=40)
            most = settings.values(session, AGENCY_ID, "contact_ceiling")
    except BadInput as error:
        page.problem(error)
        return
    st.html(f'<div class="pg"><h1>{esc(rules.person_key(address))}</h1><p>{esc(standing(entries))}</p></div>')
    st.html(_often(often, most))
    for entry in entries:
        page.note(_why(entry), "red" if entry.why in (Why.COMPLAINT, Why.OPT_OUT) else "amber")
    page.section("What reached them", "from every sender and for every organisation, newest first")
    if not found:
        page.empty("Nothing yet", "What is sent to this person shows up here.")
        return
    st.html(f'<div class="card"><ul class="rows">{"".join(_line(r, user.role) for r in found)}</ul></div>')


def standing(entries: list[SuppressionRow]) -> str:
    """Whether the person may be written to, in one sentence."""
    if not entries:
        return "May be written to, within the ceiling below."
    return f"Gets nothing from us: {SAID[entries[0].why]}."


def _why(entry: SuppressionRow) -> str:
    where = "" if entry.org_id == AGENCY_ID else f", for {entry.org}"
    note = f" Note: {entry.note}" if entry.note else ""
    return f"{entry.person} {SAID[entry.why]} ({entry.source}{where}), {words.when(entry.created_at)}.{note}"


def _often(often: Contacts, most: dict[str, object]) -> str:
    def part(label: str, now: int, limit: object) -> str:
        full = isinstance(limit, int | float) and now >= limit
        tone = ' class="c-amber"' if full else ""
        return f"<span><small>{esc(label)}</small><b{tone}>{now} of at most {esc(limit)}</b></span>"

    last = words.ago(often.last_at) if often.last_at else "not in the last 31 days"
    return (
        '<div class="facts">'
        + part("Last 7 days", often.week, most["week"])
        + part("Last 30 days", often.month, most["month"])
        + f'<span><small>Last reached</small><b title="{esc(words.when(often.last_at))}">{esc(last)}</b></span></div>'
    )


def _line(reached: Reached, role: str) -> str:
    href = nav.link(f"/action?action={reached.action_id}", role)
    title = esc(words.short(reached.title))
    said = f'<a href="{esc(href)}">{title}</a>' if href else title
    mark = page.tag("outcome_unknown") if reached.state == "unknown" else ""
    who = esc(f"{reached.requested_by}, for {reached.org}")
    return (
        f"<li><span>{said} {mark}<br><small>{who}</small></span>"
        f'<small title="{esc(words.when(reached.at))}">{esc(words.ago(reached.at))}</small></li>'
    )
