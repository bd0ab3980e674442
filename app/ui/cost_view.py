"""What the model cost, this week against last, by agent, by client or by job."""

import streamlit as st

from app.ui import chips, page, table, words
from app.ui.table import Column, Row
from core.runtime.agents.costs import By, CostLine, Costs

WAYS: dict[str, By] = {"agent": "agent", "client": "client", "job": "job"}
_COLUMNS = (
    Column("Who", "text", phone="first"),
    Column("Share", "bar", phone="wide", width="180px"),
    Column("Last 7 days", "money", phone="label", align="end", width="112px"),
    Column("7 days before", "money", phone="label", align="end", width="112px"),
    Column("Calls", "number", phone="label", align="end", width="80px"),
)


def chosen() -> By:
    """By what the address asks for it."""
    return WAYS.get(chips.param("by"), "agent")


def show(found: Costs) -> None:
    """The section: one line for each agent, client or job, the dearest first."""
    change = page.change(found.this_week, found.last_week, f"{words.cost(found.last_week)} the week before")
    page.section("Model cost", f"{words.cost(found.this_week)} in the last 7 days")
    st.html(f'<p class="byline">{change}</p>')
    kept = {k: v for k in ("state", "week") if (v := chips.param(k))}
    links = ""
    for way in WAYS:
        on = " class=on" if way == found.by else ""
        links += f'<a href="{words.esc(chips.href("/agent-jobs", kept | {"by": way}))}"{on}>By {way}</a>'
    st.html(f'<nav class="chips" aria-label="Model cost by">{links}</nav>')
    table.show(
        "costs", _COLUMNS, [_row(line, found) for line in found.lines], label=f"Model cost by {found.by}",
        empty="No model call in two weeks. Without a model key reports come from templates and cost nothing.", reserve=31,
    )  # fmt: skip


def _row(line: CostLine, found: Costs) -> Row:
    share = 100 * line.this_week / found.this_week if found.this_week else 0.0
    hint = f"{share:.0f} % of the last 7 days, {words.cost(line.this_week)}"
    name = table.text(line.name, href=f"/job?name={line.key}" if found.by == "job" and line.key else None)
    cells = [
        name, table.bar(share, hint, "green"), words.cost(line.this_week), words.cost(line.last_week), f"{line.calls:,}",
    ]  # fmt: skip
    return Row(line.key or "none", cells, line.name)
