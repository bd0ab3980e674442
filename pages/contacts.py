"""Contacts: who must not be written to, and why?"""

import streamlit as st

from app.ui import chips, contact_form, contact_view, nav, page, table, words
from app.ui.who import me
from core.errors import BadInput
from core.kit import db
from core.kit.db import STAFF
from core.runtime.contacts import queries, rules
from core.runtime.contacts.models import Why

PATH, PER_PAGE = "/contacts", 50

user = me()
with page.header("Contacts", "Who must not be written to, and why?"):
    chips.find("contacts_q", "Search an address, source or note", width=280)
    if st.button("Put somebody on the list…", key="contacts_add", icon=":material/person_off:"):
        contact_form.add()

asked, chosen = chips.param("q"), chips.param("why")
why = Why(chosen) if chosen in set(Why) else None
with db.transaction(STAFF) as session:
    found = queries.suppressions(session, search=asked, why=why, before=chips.cursor(), limit=PER_PAGE)
    counts = queries.counts(session)
chips.show(
    PATH, [(w.value, words.state(w.value).word, n) for w, n in counts.items()], chosen, {"q": asked or None}, name="why",
    total=("Everybody", sum(counts.values())),
)  # fmt: skip


def person(text: str) -> str | None:
    """The person whose whole address was searched for."""
    try:
        return rules.person_key(text)
    except BadInput:
        return None


whole = person(asked) if asked else None
if whole and not found.rows:
    st.html(
        '<div class="note c-green"><b>Not on the list.</b> '
        f'<a href="{words.esc(chips.href(PATH, {"q": asked, "person": whole}))}">See what reached {words.esc(whole)}</a></div>'
    )
table.show(
    "contacts",
    contact_view.COLUMNS,
    [contact_view.row(r, may_lift=user.role == nav.ADMIN) for r in found.rows],
    label="People who must not be written to, newest first",
    empty="Nobody matches. Clear the filter to see everybody."
    if asked or why
    else "Nobody is on the list. Opt-outs, bounces and complaints come by themselves.",
    on_open=contact_view.choose,
    on_action=contact_form.act,
    more=chips.paging(PATH, {"q": asked or None, "why": chosen or None}, found.next, "entries"),
)
contact_form.from_click()
contact_view.from_address()
