"""Policy: what does this rule do, with which numbers, and what would others have decided?"""

from typing import Any
from uuid import UUID

import streamlit as st

from app.auth.current import require
from app.ui import chips, page, policy_form, policy_view, table
from app.ui.who import me
from core.config import get_settings
from core.errors import NotFound, OpsError
from core.kit import db
from core.kit.db import STAFF
from core.runtime.orgs.models import AGENCY_ID
from core.runtime.policies import numbers, queries, settings
from core.runtime.policies.backtest import DAYS, Backtest, backtest
from core.runtime.policies.models import Verdict
from core.runtime.policies.queries import PolicyView

COLUMNS = (
    table.Column("Action", phone="first"),
    table.Column("Decided", "state", phone="corner", width="110px"),
    table.Column("Why", phone="wide"),
    table.Column("For", phone="label", width="150px"),
    table.Column("When", "ago", phone="label", width="110px"),
)
_ASKED = "_backtest_asked"


def organisation() -> UUID:
    """Whose numbers the address asks for."""
    try:
        return UUID(chips.param("org")) if chips.param("org") else AGENCY_ID
    except ValueError:
        return AGENCY_ID


def save(view: PolicyView, changes: dict[str, Any]) -> None:
    user = require("admin")

    def work() -> str:
        with db.transaction(STAFF) as session:
            done = settings.change(session, view.policy.key, changes, user.actor, view.version, view.org_id)
        st.session_state.pop(_ASKED, None)
        return done.sentence if done.pending else "Saved. It holds from the next action on."

    page.attempt(work)


def answer(view: PolicyView, confirmed: bool) -> None:
    user = require("admin")

    def work() -> str:
        with db.transaction(STAFF) as session:
            do = settings.confirm if confirmed else settings.drop
            return do(session, view.policy.key, user.actor, view.version, view.org_id).sentence

    page.attempt(work)


def ask() -> None:
    st.session_state[_ASKED] = True


def waiting(view: PolicyView, admin: bool, user_id: int) -> None:
    """A change that a second admin has to confirm."""
    if view.pending is None:
        return
    page.note(policy_view.pending(view), "amber", f"{view.pending['by']} wants to change it; a second admin has to confirm.")
    if not admin:
        return
    own = view.pending.get("by_id") == user_id
    with st.container(horizontal=True, gap="small", key="pol_pending"):
        if not own:
            st.button("Confirm the change", type="primary", key="pol_confirm", on_click=answer, args=(view, True))
        st.button("Take it back" if own else "Drop it", key="pol_drop", on_click=answer, args=(view, False))


def edit(view: PolicyView) -> dict[str, Any] | None:
    """The numbers as fields with what would change, and what to do with it. Returns the changes, None when they can't be."""
    with st.container(border=True, key="pol_form"):
        st.html('<div class="h2">Numbers</div>')
        policy_form.fields(view)
        try:
            changes = policy_form.read(view)
        except OpsError as error:
            page.problem(error)
            return None
        if changes:
            st.html(policy_view.preview(numbers.differences(view.policy, view.values, changes)))
        if view.policy.two_people:
            st.caption("A change holds once a second admin has confirmed it.")
        with st.container(horizontal=True, gap="small", key="pol_do"):
            word = "Ask a second admin" if view.policy.two_people else "Save"
            st.button(word, type="primary", key="pol_save", disabled=not changes, on_click=save, args=(view, changes))
            if view.line.judges:
                st.button(
                    f"Try on the last {DAYS} days", key="pol_try", icon=":material/history:", disabled=not changes, on_click=ask
                )
            if view.own and view.org_id != AGENCY_ID:
                back = dict.fromkeys(view.own)
                st.button("Back to everybody's numbers", key="pol_back", on_click=save, args=(view, back))
        return changes


@st.cache_data(ttl=120, max_entries=20, show_spinner=False)
def tried(policy: str, org: str, version: int, changes: dict[str, Any]) -> Backtest:
    """The backtest of exactly these numbers, kept for two minutes."""
    with db.transaction(STAFF) as session:
        return backtest(session, policy, changes, org_id=UUID(org))


def trial(view: PolicyView, changes: dict[str, Any]) -> None:
    """What the changed numbers would have decided; it follows the fields once it was asked for."""
    if not changes or st.session_state.get(_ASKED) is not True:
        return
    with st.spinner(f"Asking the rule again about the last {DAYS} days …"):
        told = tried(view.policy.key, str(view.org_id), view.version, changes)
    with st.container(border=True, key="pol_trial"):
        st.html(f'<div class="h2">What these numbers would have decided</div>{policy_view.backtest(told, DAYS)}')
    for flip in told.flips:
        st.html(policy_view.flip(flip))


def verdicts(view: PolicyView) -> None:
    """What it decided lately, with links to the actions."""
    if not view.line.judges:
        return
    chosen = chips.param("verdict")
    verdict = Verdict(chosen) if chosen in set(Verdict) else None
    page.section("Verdicts of the last 7 days", "each action with its last word")
    others = {"policy": view.policy.key, "org": chips.param("org")}
    made = [
        chips.Chip(
            word.capitalize(), view.line.decided.get(v, 0),
            chips.href("/policy", {**others, "verdict": None if verdict == v else v.value}), verdict == v, tone,
        )
        for v, word, tone in policy_view.DECIDED
    ]  # fmt: skip
    st.html(chips.links(made, "Filter by verdict"))
    with db.transaction(STAFF) as session:
        rows = queries.verdicts(session, view.policy.key, verdict=verdict)
    table.show(
        "policy_verdicts", COLUMNS,
        [
            table.Row(
                r.action_id, [r.title, policy_view.chip_cell(r.verdict), r.reason, r.org, table.ago(r.at)],
                f"{r.title}: {r.verdict.value}", href=f"/action?action={r.action_id}",
            )
            for r in rows
        ],
        label="Verdicts", empty="It had nothing to decide in the last 7 days.",
    )  # fmt: skip


def draw() -> None:
    user, org = me(), organisation()
    crumbs = [("Policies", "/policies")]
    try:
        with db.transaction(STAFF) as session:
            view = queries.one(session, chips.param("policy"), org, zone=get_settings().time_zone)
    except NotFound as error:
        page.head("Policy", "Which rule?", crumbs=crumbs)
        page.problem(error)
        return
    with page.header(view.policy.title, view.policy.purpose, crumbs=crumbs):
        if view.policy.numbers:
            named = {name: str(o) for o, name in view.organisations if o != AGENCY_ID}
            chips.choice("pol_org", "Whose numbers", named, "Everybody's numbers", name="org", width=220)
    if org != AGENCY_ID:
        name = next(n for o, n in view.organisations if o == org)
        page.note(f"What is changed here holds for {name} alone; all else is as for everybody.", "blue")
    waiting(view, user.is_admin, user.id)
    left, right = st.columns([1.35, 1], gap="small")
    with left:
        changes = edit(view) if user.is_admin and view.policy.numbers else None
        if changes is None and not (user.is_admin and view.policy.numbers):
            st.html(policy_view.read_only(view))
        if changes:
            trial(view, changes)
    with right:
        st.html(
            f'<div class="stack">{policy_view.week(view)}{policy_view.history(view.changes, len(view.organisations) > 1)}</div>'
        )
    verdicts(view)


draw()
