"""Accounts at vendors: entered by people or the environment, opened for a reason, and never shown."""

import logging
import subprocess
import traceback
from uuid import uuid4

import pytest
from sqlalchemy import select, update

from core.config import get_settings
from core.errors import BadInput, Conflict, NotFound
from core.kit import crypto, dump, keyring
from core.kit import db as database
from core.kit.actor import Actor
from core.kit.db import STAFF
from core.runtime.audit import service as audit
from core.runtime.audit.models import AuditEntry
from core.runtime.connections import queries, service
from core.runtime.connections.models import Connection
from core.runtime.orgs.models import AGENCY_ID
from tests.cast import CORNERSTONE_ORG, NORTHWIND_ORG
from tests.core.runtime.connections.conftest import CANARY, DAVE, SENDER, connect, key, opened

BRIAN = Actor("Brian", "user", 2)


def rows(statement):
    with database.transaction(STAFF) as session:
        return session.execute(statement).all()


def audited(what=None):
    found = rows(select(AuditEntry.what, AuditEntry.actor, AuditEntry.detail, AuditEntry.subject_id).order_by(AuditEntry.id))
    return [r for r in found if what is None or r.what == what]


def test_a_secret_comes_back_only_through_open_account(folder):
    made = connect()
    with database.transaction(STAFF) as session:
        account = service.account_for(session, AGENCY_ID, ("slack",))
        assert (account.id, account.vendor, account.secret) == (made, "slack", "")
        full = service.open_account(session, made, "action 12", 34)
        shown = queries.connections(session)[0]
    assert full.secret == CANARY
    assert CANARY not in repr(full) + repr(shown) + str(account)
    assert shown.hint == "tail"
    assert shown.has_secret
    (entry,) = audited("secret.read")
    assert entry.detail == {"why": "action 12", "vendor": "slack", "connection": made, "run": 34}
    assert (entry.actor, entry.subject_id) == ("System", made)


def test_a_short_secret_shows_no_end_of_itself(folder):
    connect("smtp", "hunter2", host="smtp.example.com", **SENDER)
    with database.transaction(STAFF) as session:
        assert queries.connections(session)[0].hint is None


def test_every_change_is_in_the_audit_chain(folder):
    made = connect()
    connect(secret=None)
    connect(secret="xoxb-another-one")
    with database.transaction(STAFF) as session:
        assert service.remove(session, made, BRIAN) == "Slack"
    assert [(e.what, e.actor, e.detail.get("secret")) for e in audited()] == [
        ("connection.added", "Dave", "replaced"),
        ("connection.changed", "Dave", "kept"),
        ("connection.changed", "Dave", "replaced"),
        ("connection.removed", "Brian", None),
    ]
    with database.transaction(STAFF) as session:
        assert audit.broken(session) == []
        assert session.scalar(select(Connection.id)) is None


def test_a_removed_connection_says_so(folder):
    made = connect()
    with database.transaction(STAFF) as session:
        service.remove(session, made, DAVE)
    for act in (
        lambda s: service.remove(s, made, DAVE),
        lambda s: service.open_account(s, made, "x"),
        lambda s: service.version_of(s, made),
    ):
        with database.transaction(STAFF) as session, pytest.raises(NotFound, match="removed"):
            act(session)


def test_who_was_first_is_named(folder):
    with database.transaction(STAFF) as session:
        first = service.save(session, "slack", "main", {}, CANARY, DAVE, version=0)
    assert first.version == 1
    for version in (0, 2):
        with database.transaction(STAFF) as session, pytest.raises(Conflict, match="Dave changed it meanwhile"):
            service.save(session, "slack", "main", {}, "xoxb-of-brian", BRIAN, version=version)
    with database.transaction(STAFF) as session, pytest.raises(Conflict, match="Dave changed it meanwhile"):
        service.remove(session, first.id, BRIAN, version=7)
    with database.transaction(STAFF) as session:
        assert service.save(session, "slack", "main", {}, None, BRIAN, version=1).version == 2
    assert opened(first.id) == CANARY


def test_own_account_before_the_agencys_and_the_preferred_vendor_first(cast):
    agency_smtp = connect("smtp", None, host="localhost", security="none", **SENDER)
    theirs = connect("smtp", None, org_id=CORNERSTONE_ORG, host="127.0.0.1", security="none", **SENDER)
    agency_resend = connect("resend", "re_agency_0001", **SENDER)
    connect("resend", "re_agency_0002", name="second", **SENDER)
    mail = ("resend", "smtp")
    with database.transaction(STAFF) as session:

        def chosen(org, vendors=mail):
            found = service.account_for(session, org, vendors)
            return found and found.id

        assert chosen(CORNERSTONE_ORG) == theirs
        assert chosen(NORTHWIND_ORG) == chosen(AGENCY_ID) == agency_resend
        assert chosen(NORTHWIND_ORG, ("smtp",)) == agency_smtp
        assert chosen(AGENCY_ID, ("slack",)) is None
        assert chosen(AGENCY_ID, ()) is None


def test_one_organisation_sees_neither_the_others_nor_the_agencys(cast):
    connect()
    theirs = connect(org_id=CORNERSTONE_ORG)
    with database.transaction(NORTHWIND_ORG) as session:
        assert queries.connections(session) == []
        assert service.account_for(session, CORNERSTONE_ORG, ("slack",)) is None
        with pytest.raises(NotFound):
            service.open_account(session, theirs, "curiosity")
    with database.transaction(CORNERSTONE_ORG) as session:
        assert [c.id for c in queries.connections(session)] == [theirs]


@pytest.mark.parametrize(
    ("vendor", "config", "secret", "said"),
    [
        ("fax", {}, "x", "There is no vendor"),
        ("slack", {}, None, "the bot token is missing"),
        ("slack", {}, "xapp-1-abc", "That is an app-level token"),
        ("slack", {}, "xoxb-a\nb", "can't be the bot token"),
        ("slack", {}, "x" * 5000, "can't be the bot token"),
        ("slack", {"color": "red"}, "xoxb-1", "no setting “color”"),
        ("resend", {}, "re_1", "Sender is missing"),
        ("resend", {"from": "nobody"}, "re_1", "not an e-mail address"),
        ("resend", {"from": "a@b.example\nBcc: c@d.example"}, "re_1", "not an e-mail address"),
        ("smtp", {**SENDER, "host": "mail host"}, None, "server's name is not valid"),
        ("smtp", {**SENDER, "host": "a.example", "port": "99999"}, None, "port is not valid"),
        ("smtp", {**SENDER, "host": "a.example", "security": "maybe"}, None, "Encryption is one of"),
        ("smtp", {**SENDER, "host": "a.example", "security": "none"}, None, "needs encryption"),
    ],
)
def test_what_can_not_work_is_refused(folder, vendor, config, secret, said):
    with pytest.raises(BadInput, match=said) as error:
        connect(vendor, secret, **config)
    assert not secret or len(secret) < 3 or secret not in str(error.value)
    assert rows(select(Connection.id)) == []


def test_a_stored_password_never_follows_the_server_elsewhere(folder):
    connect("smtp", "hunter2", host="smtp.example.com", username="dave", **SENDER)
    for change in ({"host": "evil.example"}, {"username": "brian"}, {"port": 2525}, {"security": "tls"}):
        with pytest.raises(BadInput, match="is for another server or user"):
            connect("smtp", None, **({"host": "smtp.example.com", "username": "dave"} | SENDER | change))
    connect("smtp", None, host="smtp.example.com", username="dave", **{"from": "other@manageai.example"})
    made = connect("smtp", "hunter3", host="smtp2.example.com", username="dave", **SENDER)
    assert opened(made) == "hunter3"


# -- bound to its row ------------------------------------------------------------------------------------------------------


def test_a_ciphertext_that_was_moved_or_changed_is_rejected(cast):
    places = [connect(org_id=o, name=n) for o in (AGENCY_ID, CORNERSTONE_ORG, NORTHWIND_ORG) for n in ("one", "two")]
    sealed = {r.id: bytes(r.secret) for r in rows(select(Connection.id, Connection.secret))}
    refused = 0
    for source in places:
        for target in places:
            if source != target:
                rows_written(target, sealed[source])
                with pytest.raises(crypto.Rejected):
                    opened(target)
                refused += 1
        rows_written(source, sealed[source])
    assert refused == 30
    for target in places:
        rows_written(target, sealed[target])
        assert opened(target) == CANARY


def rows_written(connection_id, secret=None, **values):
    with database.transaction(STAFF) as session:
        changes = ({"secret": secret} if secret else {}) | values
        session.execute(update(Connection).where(Connection.id == connection_id).values(changes))


def test_a_row_that_changes_its_organisation_or_number_is_rejected(cast):
    made = connect()
    rows_written(made, org_id=CORNERSTONE_ORG)
    with pytest.raises(crypto.Rejected):
        opened(made)
    rows_written(made, org_id=AGENCY_ID)
    assert opened(made) == CANARY
    rows_written(made, id=made + 1000)
    with pytest.raises(crypto.Rejected):
        opened(made + 1000)


# -- keys ----------------------------------------------------------------------------------------------------------------


def test_the_first_secret_makes_the_keys_but_never_over_others(folder):
    (folder / "secret.keys").unlink()
    made = connect()
    assert (folder / "secret.keys").stat().st_mode & 0o777 == 0o600
    kept = (folder / "secret.keys").read_bytes()
    (folder / "secret.keys").unlink()
    with pytest.raises(keyring.KeyMissing, match="There are no keys"):
        connect(name="second")
    with pytest.raises(keyring.KeyMissing):
        opened(made)
    assert not (folder / "secret.keys").exists()
    (folder / "secret.keys").write_bytes(kept)
    assert opened(made) == CANARY


def test_a_machine_with_keys_of_its_own_seals_nothing_here(folder, env):
    connect()
    env(OPS_SECRET_KEYS=f"other:{key('o')}")
    with pytest.raises(keyring.BadKeys, match="does not hold"):
        connect(name="second")
    assert len(rows(select(Connection.id))) == 1


# -- from the environment ------------------------------------------------------------------------------------------------


def test_the_environment_becomes_a_connection_at_first_use(env):
    env(SLACK_BOT_TOKEN=CANARY)
    with database.transaction(STAFF) as session:
        account = service.account_for(session, AGENCY_ID, ("slack",))
        assert service.open_account(session, account.id, "test").secret == CANARY
        (shown,) = queries.connections(session)
    assert shown.from_environment
    assert ("connection.added", "The environment") in [(e.what, e.actor) for e in audited()]


def test_what_a_person_entered_wins_over_the_environment(env):
    env(SLACK_BOT_TOKEN="xoxb-of-the-environment")
    with database.transaction(STAFF) as session:
        service.sync_environment(session)
    made = connect()
    with database.transaction(STAFF) as session:
        assert service.account_for(session, AGENCY_ID, ("slack",)).id == made


def test_the_environment_is_followed(env):
    env(SLACK_BOT_TOKEN="xoxb-first-of-all", RESEND_API_KEY="re_first_of_all", MAIL_FROM="a@manageai.example")

    def sync(**how):
        with database.transaction(STAFF) as session:
            return service.sync_environment(session, **how)

    assert sync() == ["slack", "resend"]
    assert sync() == []
    env(SLACK_BOT_TOKEN="xoxb-second", MAIL_FROM="b@manageai.example")
    assert sync() == ["slack", "resend"]
    with database.transaction(STAFF) as session:
        account = service.account_for(session, AGENCY_ID, ("slack",))
        assert service.open_account(session, account.id, "test").secret == "xoxb-second"
        with pytest.raises(Conflict, match="comes from SLACK_BOT_TOKEN"):
            service.remove(session, account.id, DAVE)
    env(SLACK_BOT_TOKEN=None)
    assert sync() == []  # another process may still have it
    assert sync(remove_gone=True) == ["slack"]
    assert [r.vendor for r in rows(select(Connection.vendor))] == ["resend"]


@pytest.mark.parametrize(
    ("url", "config", "secret"),
    [
        ("smtp://dave%40x:p%3Aw@Mail.example.com:2525", ("mail.example.com", 2525, "starttls", "dave@x"), "p:w"),
        ("smtps://u:pw@mail.example.com", ("mail.example.com", 465, "tls", "u"), "pw"),
        ("smtp+none://127.0.0.1:1025", ("127.0.0.1", 1025, "none", None), ""),
    ],
)
def test_a_mail_server_from_one_address(env, url, config, secret):
    env(SMTP_URL=url, MAIL_FROM="a@manageai.example")
    with database.transaction(STAFF) as session:
        account = service.account_for(session, AGENCY_ID, ("resend", "smtp"))
        found = account.config
        assert (found["host"], found["port"], found["security"], found.get("username")) == config
        assert service.open_account(session, account.id, "test").secret == secret


@pytest.mark.parametrize("url", ["mail.example.com", "http://a:hush@mail.example.com", "smtp://", "smtp://a:hush@h:port"])
def test_an_address_of_no_mail_server_is_said_without_repeating_it(env, url):
    env(SMTP_URL=url, MAIL_FROM="a@manageai.example")
    with database.transaction(STAFF) as session, pytest.raises(BadInput, match="SMTP_URL can't be read") as error:
        service.account_for(session, AGENCY_ID, ("smtp",))
    assert "hush" not in str(error.value)


def test_a_mistake_with_one_vendor_does_not_stop_another(env):
    env(RESEND_API_KEY="re_without_sender", SLACK_BOT_TOKEN=CANARY)
    with database.transaction(STAFF) as session:
        assert service.account_for(session, AGENCY_ID, ("slack",)) is not None
        with pytest.raises(BadInput, match="MAIL_FROM is not"):
            service.account_for(session, AGENCY_ID, ("resend", "smtp"))


# -- secrets that requests are proved with ------------------------------------------------------------------------------------


def test_incoming_secrets_are_opened_once_and_follow_changes(folder):
    def now():
        with database.transaction(STAFF) as session:
            return service.incoming_secrets(session, "slack_signing")

    assert now() == ()
    made = connect("slack_signing", "first-signing-secret")
    assert [now() for _ in range(5)] == [("first-signing-secret",)] * 5
    assert len(audited("secret.read")) == 1
    connect("slack_signing", "second-signing-secret first-signing-secret")
    assert now() == ("second-signing-secret", "first-signing-secret")
    with database.transaction(STAFF) as session:
        service.remove(session, made, DAVE)
    assert now() == ()


# -- nowhere else ----------------------------------------------------------------------------------------------------------


def test_the_canary_is_in_no_dump_no_log_and_no_traceback(folder, tmp_path, capfd, caplog):
    caplog.set_level(logging.DEBUG)
    logging.getLogger("sqlalchemy.engine").setLevel(logging.DEBUG)
    told = []
    try:
        made = connect()
        opened(made)
        for broken in (
            lambda: connect("smtp", CANARY, host="not a host", **SENDER),
            lambda: connect("resend", CANARY, org_id=uuid4(), **SENDER),
            lambda: (rows_written(made, id=made + 5), opened(made + 5)),
        ):
            try:
                broken()
            except Exception:
                told.append("".join(traceback.format_exc()))
    finally:
        logging.getLogger("sqlalchemy.engine").setLevel(logging.NOTSET)
    assert len(told) == 3
    file = tmp_path / "backup"
    dump.backup(str(get_settings().database_admin_url), file, force=False, progress=lambda *_: None)
    text_of_it = subprocess.run([dump._tool("pg_restore"), "--file=-", str(file)], capture_output=True, check=True).stdout
    assert b"COPY public.connections" in text_of_it
    everything = "".join(told).encode() + text_of_it + file.read_bytes() + "".join(capfd.readouterr()).encode()
    everything += "".join(r.getMessage() for r in caplog.records).encode()
    assert len(caplog.records) > 10
    for part in (CANARY, CANARY[:20], CANARY[5:]):
        assert part.encode() not in everything
        assert part.encode().hex() not in everything.decode(errors="replace")


def test_the_canary_test_would_see_it(folder, tmp_path):
    connect(name=CANARY)
    file = tmp_path / "backup"
    dump.backup(str(get_settings().database_admin_url), file, force=False, progress=lambda *_: None)
    assert (
        CANARY.encode()
        in subprocess.run([dump._tool("pg_restore"), "--file=-", str(file)], capture_output=True, check=True).stdout
    )
