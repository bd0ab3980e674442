"""System: is everything running, and what is connected?"""

import streamlit as st

from app.auth.current import current_user, require
from app.ui import demo_view, page, system_view, table

require("admin", "engineering")
page.head("System", "Is everything running, and what is connected?")


@st.fragment(run_every=5)
def live() -> None:
    """Processes and stores, a few seconds old at most."""
    current_user()
    now = system_view.seen()
    for problem in now.problems:
        page.note(problem, "red")
    system_view.tiles(now)
    page.section("Processes", "read every five seconds")
    table.show(
        "processes", system_view.COLUMNS, [system_view.process_row(p) for p in now.processes], label="Processes", dense=True,
        reserve=31,
    )  # fmt: skip
    system_view.stores(now)


live()
page.section("Connections")
system_view.connections()
page.section("Demo agency")
demo_view.show()
