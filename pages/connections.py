"""Connections: what may act outside, and what is only written down?"""

import streamlit as st

from app.auth.current import require
from app.ui import connection_cards, connection_form, page, words
from app.ui.connection_cards import Part
from core.kit import db
from core.kit.db import STAFF
from core.runtime.connections import checks, queries
from core.runtime.orgs.models import AGENCY_ID
from core.runtime.system.checks import Check, Verdict

LEFT, RIGHT = ("slack", "pipedrive"), ("resend", "smtp")

require()
page.head("Connections", "What may act outside, and what is only written down?")
with db.transaction(STAFF) as session:
    found = queries.connections(session, AGENCY_ID)
    keys: Check = checks.keys(session)
    rotations = queries.rotations(session, 1)
made = connection_cards.parts(found)
tone, lead, text = connection_cards.summary(made)
page.note(text, tone, lead)


def card(name: str, group: list[Part]) -> None:
    """A vendor with all its secrets."""
    with st.container(border=True, key=f"conn_{name}"):
        for part in group:
            st.html(connection_cards.body(part))
            connection_form.buttons(part)


left, right = st.columns(2, gap="small")
with left:
    for name in LEFT:
        card(name, made[name])
    with st.container(border=True, key="conn_anthropic"):
        st.html(connection_cards.model())
with right:
    for name in RIGHT:
        card(name, made[name])

page.section("Keys", "what the stored secrets are sealed with")
note_tone = {Verdict.OK: "gray", Verdict.WARNING: "amber", Verdict.PROBLEM: "red"}[keys.verdict]
last = f" Newest key: {words.ago(rotations[0].started_at)}, by {rotations[0].by}." if rotations else ""
page.note(f"{keys.said} {keys.next_step}{last}".replace("`", ""), note_tone)
st.caption("`ops secrets rotate` seals everything with a new key while the app works.")
