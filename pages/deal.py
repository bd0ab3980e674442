"""Deal: where does it stand, how did it get there, and what to do next?"""

import streamlit as st

from app.ui import activity, chips, deal_view, page, pipeline, table, words
from app.ui.who import me
from core.domains.crm import queries
from core.domains.drafts import queries as drafts
from core.errors import NotFound
from core.kit import db
from core.kit.db import STAFF
from core.runtime.events import queries as events
from core.runtime.events.queries import EventFilter

me()
wanted = chips.param("deal")
try:
    if not wanted.isdigit() or len(wanted) > 15:
        raise NotFound("The address names no deal.", "Open one from the Pipeline page.")
    with db.transaction(STAFF) as session:
        detail = queries.deal_detail(session, int(wanted))
        written = drafts.about(session, "deal", int(wanted))
        happened = events.list_events(session, EventFilter(subject=("deal", int(wanted))), 20)
except NotFound as error:
    page.head("Deal", "Where does it stand?", crumbs=(("Pipeline", "/pipeline"),))
    page.problem(error)
    st.stop()

deal = detail.deal
marks = page.tag(deal.status, deal.stage) + (page.tag("draft", "Demo data") if detail.demo else "")
page.head(words.short(deal.title, 200), deal_view.where_it_stands(detail), crumbs=(("Pipeline", "/pipeline"),), chips=f" {marks}")
deal_view.figures(detail)
page.section("Its way through the pipeline")
deal_view.way(detail)
# nobody follows up a deal that is closed
if deal.status == "open" or written:
    left, right = st.columns(2, gap="small")
    with left:
        deal_view.account_card(detail)
    with right:
        deal_view.drafts_card(written)
else:
    deal_view.account_card(detail)
if detail.account_deals:
    page.section(f"Other deals of {words.short(detail.account.name, 80) if detail.account else 'this account'}")
    table.show(
        "account_deals",
        pipeline.COLUMNS,
        [pipeline.row(d) for d in detail.account_deals],
        label="Other deals",
        dense=True,
        reserve=28,
    )
page.section("What happened", "newest first")
if happened.rows:
    items = "".join(
        f'<li><span><a href="/activity?event={e.id}">{words.esc(words.short(e.summary))}</a></span>'
        f'<small title="{words.esc(words.when(e.at))}">{words.esc(words.ago(e.at))}, {words.esc(e.actor)}</small></li>'
        for e in happened.rows
    )
    st.html(f'<div class="card"><ul class="rows">{items}</ul></div>')
else:
    page.empty("Nothing yet", "Follow-ups, stage changes and agents' findings about this deal will be listed here.")
activity.from_address()
