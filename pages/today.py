"""Today."""
import streamlit as st
from app.auth.current import current_user
from app.ui import page
user = current_user()
page.head(f"Good morning, {user.name}", "What needs you now?")
