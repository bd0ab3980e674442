"""Approvals: what needs my yes or no, and what happens if I do nothing?"""

import streamlit as st

from app.ui import action_batch, action_item, action_rows, action_words, chips, live, page, table, words
from app.ui.chips import Chip
from app.ui.who import me
from core.kit import db
from core.kit.db import STAFF
from core.runtime.actions import queries
from core.runtime.actions.queries import ActionFilter

PER_PAGE = 40
ALWAYS = ("waiting", "unknown", "scheduled", "done", "denied", "dismissed")
USUAL = "needs"
KEPT = ("kind", "agent", "mine", "q")


def chosen() -> str:
    """The group of states the address asks for; without one, what needs a person."""
    return chips.param("state") if chips.param("state") in queries.GROUPS else USUAL


def wanted() -> ActionFilter:
    """The filter the address asks for."""
    kind = chips.param("kind")
    return ActionFilter(
        group=chosen(),
        kinds=(kind,) if kind else (),
        agent=chips.param("agent"),
        mine=(user.id, user.role) if chips.param("mine") else None,
        text=chips.param("q"),
        after=chips.param("after"),
    )


def kept(**over: str | None) -> dict[str, str | None]:
    """The address's other filters, for links."""
    return {k: chips.param(k) or None for k in KEPT} | over


def states(counts: dict[str, int]) -> str:
    """One chip a group, with its count; what needs a person is the usual view."""
    now, made = chosen(), []
    for group, (said, state) in action_words.GROUPS.items():
        if group in ALWAYS or group in (USUAL, now) or counts[group]:
            target = chips.href("/approvals", kept(state=None if group in (USUAL, now) else group))
            tone = words.state(state).tone if state else ""
            made.append(Chip(said, counts[group], target, group == now, tone))
    on = bool(chips.param("mine"))
    same = None if now == USUAL else now
    made.append(Chip("Mine to decide", None, chips.href("/approvals", kept(state=same, mine=None if on else "1")), on))
    return chips.links(made, "Filter by state")


def read() -> queries.ActionPage:
    with db.transaction(STAFF) as session:
        return queries.page(session, wanted(), PER_PAGE)


def body() -> None:
    """The part that follows the ledger: counts and changed rows."""
    with slot:
        live.pulse("approvals")
    with db.transaction(STAFF) as session:
        counts = queries.counts(session, wanted())
    st.html(states(counts))
    if not chips.param("after"):
        table.patch("approvals", [action_rows.row(r, user) for r in read().rows])


def filters(known: queries.Choices) -> None:
    """Search, kind and agent."""
    chips.find("approvals_q", "Search what, to whom, why or #number", width=220)
    chips.choice("approvals_kind", "Kind", {action_words.noun(k): k for k in known.kinds}, "Every kind", name="kind", width=140)
    chips.choice("approvals_agent", "Who asks", {a: a for a in known.agents}, "Everybody", name="agent", width=140)


def empty() -> str:
    """What an empty list means."""
    if any(chips.param(k) for k in KEPT):
        return "Nothing matches. Clear a filter to see more."
    if chosen() in (USUAL, "waiting"):
        return "Nothing waits for a yes or no. Agents put here what they want to send; nothing leaves without it."
    return "Nothing stands here."


user = me()
with db.transaction(STAFF) as opened:
    known = queries.choices(opened)
with page.header("Approvals", "What needs my yes or no, and what happens if I do nothing?"):
    slot = st.container(width=150, key="corner")
    filters(known)
live.watch("approvals", body)
found = read()
more = [("First page", chips.href("/approvals", kept(state=chips.param("state") or None)))] if chips.param("after") else []
if found.after:
    more.append(("More", chips.href("/approvals", kept(state=chips.param("state") or None, after=found.after))))
table.show(
    "approvals",
    action_rows.COLUMNS,
    [action_rows.row(r, user) for r in found.rows],
    label="Actions, the most urgent first",
    empty=empty(),
    on_open=action_item.choose,
    on_action=action_batch.ask,
    select=action_rows.bulk(found.rows, user),
    dense=True,
    more=more,
)
if not action_batch.open_if_asked():
    action_item.from_address()
