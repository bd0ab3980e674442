"""Pipeline: what will close, what is stuck, and what to do next?"""

from collections.abc import Callable
from typing import Any

import streamlit as st

from app.ui import chips, deal_charts, deal_import, page, pipeline, table, words
from app.ui.chips import Chip
from app.ui.who import me
from core.domains.crm import queries
from core.domains.crm.queries import DealFilter
from core.kit import clock, db
from core.kit.db import STAFF

PER_PAGE = 50
SORTS = {"activity": "Last activity", "value": "Highest value", "newest": "Newest"}


def filters(owners: dict[str, object], may_import: bool) -> None:
    """Search, owner and period, and the way into an import for those who may."""
    chips.find("deals_q", "Search deals", width=220)
    chips.choice("deals_owner", "Owner", owners, "All owners", name="owner")
    chips.period("deals_period", pipeline.PERIODS, pipeline.USUAL)
    if may_import:
        st.button("Import deals", icon=":material/upload:", on_click=chips.put, args=("import", "deals"))


def charts(seen: pipeline.View) -> None:
    """Four figures, two to a row."""
    shown: tuple[tuple[str, str, str, Any, Callable[[Any, bool], Any]], ...] = (
        ("Value by stage", "open deals", "value", seen.stages, deal_charts.value_by_stage),
        ("Stage conversion", f"deals opened in the last {period}", "conversion", seen.conversion, deal_charts.conversion),
        ("Time in stage", "open deals", "ageing", seen.ages, deal_charts.ageing),
        ("Forecast", seen.forecast.basis, "forecast", seen.forecast, deal_charts.forecast),
    )
    for row in (shown[:2], shown[2:]):
        for column, (title, note, key, data, build) in zip(st.columns(2, gap="small"), row, strict=True):
            with column, st.container(border=True):
                page.section(title, note)
                deal_charts.draw(f"chart_{key}", deal_charts.figure(key, data, build))


def deals(f: DealFilter) -> None:
    """The list itself, a page at a time."""
    sort = chips.param("sort") if chips.param("sort") in SORTS else "activity"
    after = chips.param("after")
    with db.transaction(STAFF) as session:
        found = queries.deals_page(session, f, sort=sort, after=after or None, limit=PER_PAGE)
    kept = sort if sort != "activity" else None
    more = [("First page", pipeline.href(f, period, sort=kept))] if after else []
    if found.next:
        more.append((f"Next {PER_PAGE}", pipeline.href(f, period, sort=kept, after=found.next)))
    table.show(
        "deals", pipeline.COLUMNS, [pipeline.row(d) for d in found.deals], label="Deals",
        empty="No deal matches. Clear the filter to see all.", dense=True, more=more,
    )  # fmt: skip


def heading(f: DealFilter) -> None:
    """The list's name, how fresh it is, and its order."""
    now = chips.param("sort") if chips.param("sort") in SORTS else "activity"
    orders = [
        Chip(said, None, pipeline.href(f, period, sort=None if key == "activity" else key), key == now)
        for key, said in SORTS.items()
    ]
    fresh = f"<small>as of {words.clock_time(clock.now())}</small>"
    st.html(
        f'<div class="bar2"><div class="h2" role="heading" aria-level="2">Deals{fresh}</div>{chips.links(orders, "Order")}</div>'
    )


user = me()
period = chips.chosen_period(pipeline.PERIODS, pipeline.USUAL)
wanted = DealFilter.from_params(st.query_params.to_dict())
seen = pipeline.view(wanted, pipeline.PERIODS[period])
with page.header("Pipeline", "What will close, what is stuck, and what to do next?"):
    filters({o.name: o.id for o in seen.owners}, user.is_admin or user.role in deal_import.IMPORTERS)
if not seen.stages:
    page.empty("No deals yet", "Import your CRM's export with the button above, or run: ops import deals FILE.csv")
else:
    pipeline.tiles(seen, wanted, period)
    pipeline.needs_you(seen, wanted, period)
    charts(seen)
    heading(wanted)
    pipeline.stage_chips(seen, wanted, period)
    deals(wanted)
deal_import.from_address()
