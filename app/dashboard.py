"""The entry script: who is it, which pages may they see, and the frame around the page. It runs at each rerun."""

import streamlit as st

from app.auth.current import current_user
from app.ui import chrome, nav

st.set_page_config(page_title="ManageAI Ops", layout="wide", initial_sidebar_state="auto")

user = current_user()
page = st.navigation(nav.build(user.role), position="sidebar", expanded=True)
chrome.menu_head()
chrome.menu_foot(user)
chrome.mount(user)
page.run()
