"""Open alerts: one line each, with who looks after it."""

from collections.abc import Sequence

import streamlit as st

from app.auth.current import current_user
from app.ui import nav, page, words
from app.ui.words import esc
from core.domains.users.service import CurrentUser
from core.kit import db
from core.kit.db import STAFF
from core.runtime.alerts import service
from core.runtime.alerts.models import Severity
from core.runtime.alerts.queries import AlertRow

SHOWN = 5
TONES = {Severity.CRITICAL: "red", Severity.HIGH: "red", Severity.WARNING: "amber", Severity.INFO: "blue"}
WORDS = {Severity.CRITICAL: "Critical", Severity.HIGH: "High", Severity.WARNING: "Warning", Severity.INFO: "Note"}


def show(alerts: Sequence[AlertRow], role: str) -> None:
    """What is wrong now, the unseen first, each with a button for whoever looks after it. Nothing when all is well."""
    if not alerts:
        return
    with st.container(key="alerts", gap="small"):
        for alert in alerts[:SHOWN]:
            with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"alert_{alert.id}"):
                st.html(line(alert, role))
                if alert.acknowledged_by is None:
                    st.button(
                        "I look after it", key=f"ack_{alert.id}", on_click=acknowledge, args=(alert.id,),
                        help="Acknowledges the alert: the others see that you have it. It closes by itself when it is over.",
                    )  # fmt: skip
        rest = len(alerts) - SHOWN
        if rest > 0:
            more = '<a href="/activity?kind=safety">More in Activity</a>'
            st.html(f'<p class="lead">{esc(words.many(rest, "more alert"))}. {more}</p>')


def line(alert: AlertRow, role: str) -> str:
    """One alert in HTML."""
    href = nav.link(alert.href, role) if alert.href else None
    title = f'<a href="{esc(href)}">{esc(alert.title)}</a>' if href else esc(alert.title)
    since = f'since <time title="{esc(words.when(alert.first_at))}">{esc(words.ago(alert.first_at))}</time>'
    often = f", seen {alert.count:,} times" if alert.count > 1 else ""
    who = f" · {esc(alert.acknowledged_by)} looks after it" if alert.acknowledged_by else ""
    demo = " · demo" if alert.demo else ""
    return (
        f'<div class="note c-{TONES[alert.severity]}" role="status"><b>{WORDS[alert.severity]}: {title}</b> {esc(alert.detail)}'
        f"<small> {since}{often}{who}{demo}</small></div>"
    )


def acknowledge(alert_id: int) -> None:
    """Callback: this person looks after it."""
    person: CurrentUser = current_user()

    def work() -> str:
        with db.transaction(STAFF) as session:
            service.acknowledge(session, alert_id, person.actor)
        return "It is yours. It closes by itself when it is over."

    page.attempt(work)
