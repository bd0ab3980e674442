"""`ops connections` and `ops secrets`, and what `ops doctor` says of them."""

import base64
import json
from pathlib import Path

import pytest
from click.testing import Result

from core.errors import BadInput, Conflict, NotFound
from core.kit import db as database
from core.kit import keyring
from core.kit.db import STAFF
from core.runtime.connections import checks, queries, service
from core.runtime.orgs.models import AGENCY_ID
from core.runtime.system.checks import Verdict
from tests.app.commands import conftest

CANARY = "xoxb-CANARY-on-the-command-line"


@pytest.fixture(autouse=True)
def folder(db: None, state_folder: Path) -> Path:
    keyring.create()
    return state_folder


def run(*arguments: str, stdin: str = "") -> Result:
    result = conftest.run(*arguments, stdin=stdin)
    assert CANARY not in result.output
    return result


def connect() -> None:
    assert run("connections", "set", "slack", stdin=f"{CANARY}\n").exit_code == 0


def said_by_doctor() -> dict[str, checks.Check]:
    with database.transaction(STAFF) as session:
        return {c.name: c for c in checks.check_all(session)}


def test_a_secret_is_read_from_standard_input_and_never_printed() -> None:
    result = run("connections", "set", "slack", stdin=f"{CANARY}\n")
    assert "Slack is connected. Try it: `ops connections test slack`." in result.output
    with database.transaction(STAFF) as session:
        account = service.account_for(session, AGENCY_ID, ("slack",))
        assert account is not None
        assert service.open_account(session, account.id, "test").secret == CANARY
    shown = run("connections", "list").output
    assert "…line" in shown
    assert "not tested" in shown
    assert "Dry run (written down and shown, never sent): Resend, Mail server (SMTP), Pipedrive." in shown
    (told,) = json.loads(run("connections", "list", "--json").output)
    assert (told["vendor"], told["hint"], told["version"]) == ("slack", "line", 1)
    assert "secret" not in told


def test_settings_can_change_without_the_secret() -> None:
    run("connections", "set", "resend", "--set", "from=a@manageai.example", stdin="re_123456789012")
    assert run("connections", "set", "resend", "--keep-secret", "--set", "from=b@manageai.example").exit_code == 0
    with database.transaction(STAFF) as session:
        (found,) = queries.connections(session)
    assert (found.config, found.has_secret, found.version) == ({"from": "b@manageai.example"}, True, 2)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("connections", "set", "fax"), BadInput),
        (("connections", "set", "slack"), BadInput),
        (("connections", "set", "resend", "--set", "from"), BadInput),
        (("connections", "test", "slack"), NotFound),
        (("connections", "remove", "slack", "--yes"), NotFound),
        (("secrets", "drop", "k123"), NotFound),
    ],
)
def test_what_can_not_be_is_one_sentence(arguments: tuple[str, ...], error: type[Exception]) -> None:
    assert isinstance(run(*arguments).exception, error)


def test_removing_asks_first_and_says_what_follows() -> None:
    connect()
    assert run("connections", "remove", "slack", stdin="n\n").exit_code != 0
    result = run("connections", "remove", "slack", stdin="y\n")
    assert "Posts are written down and shown, and go to nobody." in result.output
    with database.transaction(STAFF) as session:
        assert queries.connections(session) == []


def test_a_key_from_beginning_to_end() -> None:
    connect()
    first = keyring.keyring().current
    told = json.loads(run("secrets", "status", "--json").output)
    assert told["keys"] == [{"id": first, "here": True, "current": True, "secrets": 1}]
    assert isinstance(run("secrets", "drop", first).exception, Conflict)
    second = keyring.add()
    assert isinstance(run("secrets", "drop", first).exception, Conflict)
    assert f"1 secret is sealed with {second}" in run("secrets", "rotate").output
    table = run("secrets", "status").output
    assert f"free: `ops secrets drop {first}`" in table
    assert "is gone" in run("secrets", "drop", first).output
    told = json.loads(run("secrets", "status", "--json").output)
    assert [k["id"] for k in told["keys"]] == [second]
    assert [r["to_key"] for r in told["rotations"]] == [second, first]
    for key in keyring.keyring().keys.values():
        assert base64.b64encode(key).decode() not in table


def test_lost_keys(folder) -> None:
    connect()
    (folder / "secret.keys").unlink()
    assert "MISSING: these secrets can't be opened" in run("secrets", "status").output
    assert "Forget 1 stored secrets" in run("secrets", "reset", stdin="n\n").output
    assert run("secrets", "reset", stdin="y\n").exit_code == 0
    connect()


# -- ops doctor --------------------------------------------------------------------------------------------------------------


def test_doctor_says_plainly_what_is_a_dry_run() -> None:
    said = said_by_doctor()
    assert {n: c.verdict for n, c in said.items() if n != "Keys of secrets"} == dict.fromkeys(
        ("Slack", "Slack buttons", "Resend", "Bounces and complaints", "Mail server (SMTP)", "Pipedrive"), Verdict.WARNING
    )
    assert said["Slack"].said == "Dry run: not connected. Posts are written down and shown, and go to nobody."
    assert said["Slack buttons"].said == "Closed: not connected. Clicks on buttons in Slack are refused."
    assert said["Keys of secrets"].verdict == Verdict.OK
    connect()
    assert said_by_doctor()["Slack"].said == "Connected, entered by The server's command line; not tested yet."


def test_doctor_says_when_a_test_failed() -> None:
    connect()
    with database.transaction(STAFF) as session:
        (found,) = queries.connections(session)
        service.record_test(session, found.id, found.version, works=False, said="Slack says invalid_auth.")
    slack = said_by_doctor()["Slack"]
    assert (slack.verdict, slack.said) == (Verdict.PROBLEM, "The last test failed: Slack says invalid_auth.")


def test_doctor_follows_the_keys(folder) -> None:
    connect()

    def keys() -> checks.Check:
        return said_by_doctor()["Keys of secrets"]

    file = folder / "secret.keys"
    assert keys().said.startswith("1 stored secret is sealed with the key k")
    first = keyring.keyring().current
    keyring.add()
    assert (keys().verdict, keys().next_step) == (Verdict.WARNING, "Run `ops secrets rotate`.")
    run("secrets", "rotate")
    assert "1 old key seals nothing any more" in keys().said
    run("secrets", "drop", first)
    assert keys().verdict == Verdict.OK
    file.chmod(0o644)
    assert (keys().verdict, keys().next_step) == (Verdict.PROBLEM, f"Run `chmod 600 {file}`.")
    right = file.read_bytes()
    file.unlink()
    assert (keys().verdict, "The database needs k" in keys().next_step) == (Verdict.PROBLEM, True)
    keyring.create()
    assert "is not in" in keys().said
    file.write_bytes(right.replace(b"\nk", b"\nno key: k"))
    assert (keys().verdict, "is not a key" in keys().said) == (Verdict.PROBLEM, True)


def test_doctor_before_any_secret(folder) -> None:
    (folder / "secret.keys").unlink()
    assert said_by_doctor()["Keys of secrets"].said == "No secret is stored yet; the first one makes the keys."
