"""Pipeline: what will close, what is stuck, and what to do next?"""

import streamlit as st

from app.auth.current import current_user
from app.ui import chips, deal_charts, deal_import, page, pipeline, table, words
from core.domains.crm import queries
from core.domains.crm.queries import DealFilter
from core.kit import db
from core.kit.db import STAFF

PER_PAGE = 50
SORTS = {"activity": "Last activity", "value": "Value", "newest": "Newest"}


def set_param(name: str, value: object) -> None:
    st.query_params.pop("after", None)
    if value:
        st.query_params[name] = str(value)
    else:
        st.query_params.pop(name, None)


def filters(owners: dict[str, int], f: DealFilter) -> None:
    """Owner, period and search, written to the address."""
    by_id = {i: name for name, i in owners.items()}
    st.session_state["deals_q"] = f.text
    st.session_state["deals_owner"] = by_id.get(f.owner_ids[0]) if f.owner_ids else None
    st.session_state["deals_period"] = period
    st.text_input(
        "Search deals", key="deals_q", placeholder="Search deal, account or id", label_visibility="collapsed", width=220,
        on_change=lambda: set_param("q", st.session_state["deals_q"].strip()),
    )  # fmt: skip
    st.selectbox(
        "Owner", list(owners), key="deals_owner", placeholder="All owners", label_visibility="collapsed", width=170,
        on_change=lambda: set_param("owner", owners.get(st.session_state["deals_owner"])),
    )  # fmt: skip
    st.segmented_control(
        "Period", list(pipeline.PERIODS), key="deals_period", label_visibility="collapsed", required=True,
        on_change=lambda: set_param("period", st.session_state["deals_period"]),
    )  # fmt: skip
    st.button("Import deals", icon=":material/upload:", on_click=lambda: set_param("import", "deals"))


def charts(seen: pipeline.View) -> None:
    left, right = st.columns(2, gap="small")
    shown = (
        (left, "Value by stage", "open deals", "value", seen.stages, deal_charts.value_by_stage),
        (right, "Stage conversion", f"deals opened in the last {period}", "conversion", seen.conversion, deal_charts.conversion),
        (left, "Time in stage", "open deals", "ageing", seen.ages, deal_charts.ageing),
        (right, "Forecast", seen.forecast.basis, "forecast", seen.forecast, deal_charts.forecast),
    )
    for column, title, note, key, data, build in shown:
        with column, st.container(border=True):
            page.section(title, note)
            deal_charts.draw(f"chart_{key}", deal_charts.figure(key, data, build))


def deals(f: DealFilter) -> None:
    """The list itself, a page at a time."""
    sort = chips.param("sort") if chips.param("sort") in SORTS else "activity"
    with db.transaction(STAFF) as session:
        found = queries.deals_page(session, f, sort=sort, after=chips.param("after") or None, limit=PER_PAGE)
    table.show(
        "deals", pipeline.COLUMNS, [pipeline.row(d) for d in found.deals], label="Deals",
        empty="No deal matches. Clear the filter to see all.", dense=True,
    )  # fmt: skip
    links = [
        f'<a href="{words.esc(pipeline.href(f, period, sort=key))}"{" class=on" if key == sort else ""}>{words.esc(said)}</a>'
        for key, said in SORTS.items()
    ]
    if chips.param("after"):
        links.append(f'<a href="{words.esc(pipeline.href(f, period, sort=sort))}">First page</a>')
    if found.next:
        links.append(f'<a href="{words.esc(pipeline.href(f, period, sort=sort, after=found.next))}">Next {PER_PAGE}</a>')
    st.html(f'<nav class="chips" aria-label="Order and pages">{"".join(links)}</nav>')


current_user()
period = chips.param("period") if chips.param("period") in pipeline.PERIODS else "90 d"
wanted = DealFilter.from_params(st.query_params.to_dict())
seen = pipeline.view(wanted, pipeline.PERIODS[period])
with page.header("Pipeline", "What will close, what is stuck, and what to do next?"):
    filters({o.name: o.id for o in seen.owners}, wanted)
if not seen.stages:
    page.empty("No deals yet", "Import your CRM's export with the button above, or run: ops import deals FILE.csv")
else:
    pipeline.tiles(seen, wanted, period)
    pipeline.needs_you(seen, wanted, period)
    charts(seen)
    page.section("Deals")
    pipeline.stage_chips(seen, wanted, period)
    deals(wanted)
deal_import.from_address()
