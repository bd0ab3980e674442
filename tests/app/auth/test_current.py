"""`current_user()` in a page: asked anew in reruns, callbacks and fragments."""

from streamlit.testing.v1 import AppTest

from app.auth import current
from core.domains.users import service
from core.kit import db as database
from core.kit.db import STAFF
from tests.cast import make_cast


def page():
    import streamlit as st

    from app.auth.current import current_user, require

    user = current_user()
    st.title(f"{user.name}, {user.role}")

    def approve():
        require("delivery")
        st.session_state.done = st.session_state.get("done", 0) + 1

    st.button("approve", on_click=approve)

    @st.fragment
    def part():
        if st.button("in part"):
            require("delivery")
            st.session_state.done = st.session_state.get("done", 0) + 1

    part()


def signed_in(monkeypatch, email="dan@manageai.example"):
    with database.transaction(STAFF) as session:
        make_cast(session)
        _, token = service.redeem_link(session, service.create_login_link(session, email))
    monkeypatch.setattr(current, "session_token", lambda: token)
    return AppTest.from_function(page, default_timeout=20)


def said(at):
    return " ".join(h.proto.body for h in at.get("html"))


def test_a_page_knows_who_looks_and_sees_a_new_role_at_the_next_rerun(db, monkeypatch):
    at = signed_in(monkeypatch).run()
    assert at.title[0].value == "Dan, delivery"
    with database.transaction(STAFF) as session:
        service.set_role(session, "dan@manageai.example", "sales")
    assert at.run().title[0].value == "Dan, sales"


def test_a_callback_of_somebody_who_may_not_does_nothing(db, monkeypatch):
    at = signed_in(monkeypatch).run()
    at.button[0].click().run()
    assert at.session_state.done == 1
    with database.transaction(STAFF) as session:
        service.set_role(session, "dan@manageai.example", "sales")
    at.button[0].click().run()
    at.button[1].click().run()
    assert at.session_state.done == 1
    assert not at.exception


def test_somebody_signed_out_elsewhere_can_do_nothing_and_is_told(db, monkeypatch):
    at = signed_in(monkeypatch).run()
    with database.transaction(STAFF) as session:
        service.disable(session, "dan@manageai.example")
    at.button[0].click().run()
    assert "done" not in at.session_state
    assert not at.title
    assert "You are signed out." in said(at)
    assert "/auth/sign-in" in said(at)


def test_an_admin_may_everything_and_nobody_is_nobody(db, monkeypatch):
    at = signed_in(monkeypatch, "dave@manageai.example").run()
    at.button[0].click().run()
    assert at.session_state.done == 1
    monkeypatch.setattr(current, "session_token", lambda: None)
    assert not at.run().title
