"""The entry script: who is it, which pages may they see, and the frame around the page. It runs at each rerun."""

import streamlit as st

from app.ui import chrome, nav, page
from app.ui.who import me
from core import registry

st.set_page_config(page_title="ManageAI Ops", layout="wide", initial_sidebar_state="auto")

registry.load()
user = me()
chosen = st.navigation(nav.build(user.role), position="sidebar", expanded=True)
st.session_state["_here"] = f"/{chosen.url_path}"
chrome.menu_head()
chrome.menu_foot(user)
chrome.mount(user)
page.toasts("page")
chosen.run()
