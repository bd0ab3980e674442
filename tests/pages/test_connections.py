"""Connections: who may enter accounts, what is a dry run, and that no secret is ever drawn."""

import pytest
from streamlit.testing.v1 import AppTest

from core.config import get_settings
from core.kit import db as database
from core.kit import keyring
from core.kit.actor import Actor
from core.kit.db import STAFF
from core.runtime.connections import queries, service
from core.runtime.orgs.models import AGENCY_ID
from tests.pages.conftest import ROOT, said
from tests.pages.deals import asked

CANARY = "xoxb-CANARY-77c1-of-the-page"
DAVE = Actor("Dave", "user", 1)
SENDER = {"from": "hello@manageai.example"}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("OPS_STATE_DIR", str(tmp_path))
    get_settings.cache_clear()
    keyring.create()
    yield
    monkeypatch.undo()
    get_settings.cache_clear()


def connect(vendor="slack", secret=CANARY, name="main", **config) -> int:
    with database.transaction(STAFF) as session:
        return service.save(session, vendor, name, config, secret, DAVE).id


def stored(vendor="slack") -> str | None:
    with database.transaction(STAFF) as session:
        account = service.account_for(session, AGENCY_ID, (vendor,))
        return service.open_account(session, account.id, "test").secret if account else None


def everything(at: AppTest) -> str:
    """All the page was sent, and all its session holds."""
    sent = " ".join(str(block.proto) for block in at.main) + " ".join(
        str(e.proto) for kind in ("html", "button") for e in at.get(kind)
    )
    return sent + said(at) + repr(at.session_state)


@pytest.mark.parametrize("who", ["tony", "dan", "robert", "brian"])
def test_it_is_for_admins(open_page, who):
    with pytest.raises(ValueError, match="Could not find a navigation page"):
        open_page("connections", who=who)
    at = AppTest.from_file(str(ROOT / "pages" / "connections.py"), default_timeout=60).run()
    assert not at.exception
    assert "This is for admins." in said(at)
    assert "Slack" not in said(at)


def test_without_accounts_it_says_what_is_a_dry_run(open_page):
    text = said(open_page("connections"))
    assert "Slack messages, mail and new deals in Pipedrive are written down and shown, and go to nobody." in text
    assert text.count(">Dry run</span>") == 4
    assert "Clicks on buttons in Slack are refused." in text
    assert "This key is set in the environment only." in text


def test_what_is_connected_is_told_by_its_end_only(open_page):
    made = connect()
    at = open_page("connections")
    assert "ends in page" in said(at)
    assert "by Dave" in said(at)
    assert "Mail and new deals in Pipedrive are" in said(at)
    assert CANARY not in everything(at)
    with database.transaction(STAFF) as session:
        service.record_test(session, made, 1, works=False, said="Slack does not accept the bot token.")
    text = said(open_page("connections"))
    assert "Slack does not accept the bot token." in text
    assert "Not working:" in text


def test_one_way_for_mail_is_enough(open_page):
    connect("resend", "re_1234567890123", **SENDER)
    text = said(open_page("connections"))
    assert "Mail goes by Resend." in text
    assert "Slack messages and new deals in Pipedrive are" in text


def test_the_environments_account_can_be_replaced_but_not_removed(open_page, monkeypatch):
    monkeypatch.setenv("SLACK_BOT_TOKEN", CANARY)
    get_settings.cache_clear()
    with database.transaction(STAFF) as session:
        service.sync_environment(session)
    at = open_page("connections")
    assert "from SLACK_BOT_TOKEN" in said(at)
    keys = [b.key for b in at.button]
    assert "conn_enter_slack" in keys
    assert "conn_remove_slack" not in keys
    connect(secret="xoxb-of-a-person")
    at = open_page("connections")
    assert "SLACK_BOT_TOKEN is set too; what a person entered is used." in said(at)
    assert "conn_remove_slack" in [b.key for b in at.button]
    assert CANARY not in everything(at)


def test_entering_a_key_saves_it_tests_it_and_forgets_it(open_page, world):
    at = open_page("connections")
    at.button(key="conn_enter_slack").click().run()
    assert not at.exception
    at.text_input(key="conn_field_slack_secret").set_value(world.slack.token)
    at.button(key="conn_save_slack").click().run()
    assert not at.exception
    assert stored() == world.slack.token
    with database.transaction(STAFF) as session:
        (found,) = queries.connections(session)
    assert (found.state, found.edited_by, found.said) == ("working", "Dave", "Works: “ops” in the workspace ManageAI.")
    assert world.slack.token not in everything(at)
    assert "Works: “ops” in the workspace ManageAI." in said(open_page("connections"))


def test_a_key_that_does_not_work_is_told_and_kept(open_page, world):
    connect(secret="xoxb-not-the-right-one")
    at = open_page("connections")
    at.button(key="conn_test_slack").click().run()
    assert not at.exception
    assert "Slack does not accept the bot token." in said(at)
    assert stored() == "xoxb-not-the-right-one"


def test_a_form_that_somebody_else_was_faster_with_changes_nothing(open_page):
    at = open_page("connections")
    at.button(key="conn_enter_slack").click().run()
    connect(secret="xoxb-of-somebody-else")
    at.text_input(key="conn_field_slack_secret").set_value(CANARY)
    at.button(key="conn_save_slack").click().run()
    assert stored() == "xoxb-of-somebody-else"
    assert any("changed it meanwhile" in t.value for t in at.toast)
    assert CANARY not in everything(at)


def test_settings_are_kept_and_the_stored_password_stays(open_page):
    connect("smtp", "hunter2", host="127.0.0.1", port=1, security="none", username="ops", **SENDER)
    at = open_page("connections")
    at.button(key="conn_enter_smtp").click().run()
    assert at.text_input(key="conn_field_smtp_host").value == "127.0.0.1"
    assert at.text_input(key="conn_field_smtp_secret").value == ""
    at.text_input(key="conn_field_smtp_from").set_value("other@manageai.example")
    at.button(key="conn_save_smtp").click().run()
    assert not at.exception
    assert stored("smtp") == "hunter2"
    with database.transaction(STAFF) as session:
        assert queries.connections(session)[0].config["from"] == "other@manageai.example"


def test_removing_asks_first(open_page):
    connect()
    at = open_page("connections")
    at.button(key="conn_remove_slack").click().run()
    assert "Posts are written down and shown, and go to nobody." in said(at)
    assert stored() == CANARY
    at.button(key="conn_remove_do").click().run()
    assert not at.exception
    assert stored() is None


def test_who_is_no_admin_any_more_saves_nothing(open_page):
    at = open_page("connections")
    at.button(key="conn_enter_slack").click().run()
    at.text_input(key="conn_field_slack_secret").set_value(CANARY)
    from core.domains.users import service as users

    with database.transaction(STAFF) as session:
        users.set_role(session, "tony@manageai.example", "admin")
        users.set_role(session, "dave@manageai.example", "sales")
    at.button(key="conn_save_slack").click().run()
    assert stored() is None


def test_the_number_of_statements_does_not_grow(open_page):
    few = asked(open_page("connections"))
    for vendor, config in (("slack", {}), ("resend", SENDER), ("pipedrive", {})):
        connect(vendor, "secret-of-the-vendor", **config)
    assert asked(open_page("connections")) == few
