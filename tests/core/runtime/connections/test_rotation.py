"""Rotation of the key: under load, killed anywhere, and never a key gone that something needs."""

import os
import secrets
import signal
import subprocess
import sys
import threading

import pytest
from sqlalchemy import select, update

from core.errors import BadInput, Conflict, NotFound
from core.kit import crashpoints, crypto, keyring
from core.kit import db as database
from core.kit.db import STAFF
from core.runtime.connections import keycheck, queries, rotation, service, vault
from core.runtime.connections.models import Connection, KeyRotation
from tests.core.runtime.connections.conftest import DAVE, SENDER, connect, connect_many, key, opened, secret_of

KILLED_AT = [
    ("keyring.before_replace", 1), ("rotation.after_key_written", 1), ("rotation.after_evidence", 1),
    ("rotation.after_sealed", 1), ("rotation.after_sealed", 2), ("rotation.after_updated", 1), ("rotation.after_updated", 2),
    ("rotation.after_batch", 1), ("rotation.after_batch", 2), ("rotation.before_finish", 1),
]  # fmt: skip
"""Every crash point of a rotation, and at which passing."""


def run(*argv: str, crash: str | None = None, stdin: int | None = None) -> subprocess.Popen[str]:
    environment = {**os.environ}
    if crash:
        counter = os.path.join(os.environ["OPS_STATE_DIR"], "crash." + secrets.token_hex(4))
        environment |= {crashpoints.SETTING: crash, crashpoints.COUNTER: counter}
    return subprocess.Popen(
        [sys.executable, "-m", "tests.core.runtime.connections.rotator", *argv],
        stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip


def counts():
    with database.transaction(STAFF) as session:
        return queries.key_counts(session)


def drop(key_id):
    with database.transaction(STAFF) as session:
        return rotation.drop(session, key_id, DAVE)


def all_open(ids):
    with database.transaction(STAFF) as session:
        return [vault.unseal(session, i) for i in ids] == [secret_of(n) for n in range(len(ids))]


def test_every_secret_gets_the_new_key_and_the_evidence_says_so(folder):
    ids = connect_many(7)
    old = keyring.keyring().current
    with database.transaction(STAFF) as session:
        before = {c.id: (c.version, c.edited_by) for c in queries.connections(session)}
    told = []
    made = rotation.rotate(DAVE, batch=3, on_rows=told.append)
    assert (made.rows, made.left, made.new_key, made.complete) == (7, {}, True, True)
    assert told == [3, 6, 7]
    assert counts() == {made.to_key: 7}
    assert made.to_key != old
    assert all_open(ids)
    with database.transaction(STAFF) as session:
        newest, first = queries.rotations(session)
        assert {c.id: (c.version, c.edited_by) for c in queries.connections(session)} == before
    assert (newest.to_key, newest.rows, newest.left, newest.by) == (made.to_key, 7, {}, "Dave")
    assert newest.finished_at is not None
    assert first.to_key == old


def test_an_old_key_goes_only_when_nothing_needs_it(folder):
    ids = connect_many(3)
    first = keyring.keyring().current
    second = keyring.add()
    for wrong, said in ((second, BadInput), ("root", BadInput), ("nokey", NotFound)):
        with pytest.raises(said):
            drop(wrong)
    with pytest.raises(Conflict, match="3 stored secrets are sealed with"):
        drop(first)
    assert all_open(ids)
    rotation.rotate(DAVE)
    assert "is gone" in drop(first)
    assert keyring.keyring().ids == (second,)
    assert all_open(ids)


@pytest.mark.slow
def test_who_seals_holds_up_who_drops(folder):
    """A secret sealed with a key in a transaction that is not committed yet is not counted: dropping waits for it."""
    connect_many(1)
    slow = connect("smtp", None, host="localhost", security="none", **SENDER)
    first = keyring.keyring().current
    sealed, go_on, dropped = threading.Event(), threading.Event(), []

    def save():
        with database.transaction(STAFF) as session:
            sealed_now = vault.seal(session, service.AGENCY_ID, slow, "xoxb-slow-secret")
            session.execute(update(Connection).where(Connection.id == slow).values(sealed_now))
            sealed.set()
            go_on.wait(20)

    def try_drop():
        try:
            dropped.append(drop(first))
        except Conflict as error:
            dropped.append(error)

    saver = threading.Thread(target=save)
    saver.start()
    assert sealed.wait(20)
    made = rotation.rotate(DAVE)
    assert made.complete  # it can't see the secret that is not committed
    dropper = threading.Thread(target=try_drop)
    dropper.start()
    dropper.join(0.5)
    assert dropper.is_alive()
    go_on.set()
    saver.join(20)
    dropper.join(20)
    assert isinstance(dropped[0], Conflict), dropped
    again = rotation.rotate(DAVE)
    assert (again.new_key, again.rows, again.to_key) == (False, 1, made.to_key)
    assert "is gone" in drop(first)


def test_a_secret_saved_meanwhile_stands(folder, monkeypatch):
    (made,) = connect_many(1)
    real = crypto.open_

    def open_then_somebody_saves(cipher, where, ring=None):
        plain = real(cipher, where, ring)
        if plain == secret_of(0):
            monkeypatch.setattr(crypto, "open_", real)
            connect(secret="xoxb-entered-meanwhile", name="n0")
        return plain

    monkeypatch.setattr(crypto, "open_", open_then_somebody_saves)
    assert rotation.rotate(DAVE).complete
    assert opened(made) == "xoxb-entered-meanwhile"


def test_who_read_a_row_before_its_key_went_reads_it_again(folder, monkeypatch):
    ids = connect_many(1)
    first = keyring.keyring().current
    real = crypto.open_

    def rotated_in_between(cipher, where, ring=None):
        monkeypatch.setattr(crypto, "open_", real)
        rotation.rotate(DAVE)
        drop(first)
        return real(cipher, where, ring)

    monkeypatch.setattr(crypto, "open_", rotated_in_between)
    assert opened(ids[0]) == secret_of(0)


def test_one_that_can_not_be_opened_stops_no_other(folder):
    ids = connect_many(4)
    with database.transaction(STAFF) as session:
        session.execute(update(Connection).where(Connection.id == ids[1]).values(secret=Connection.secret.op("||")(b"x")))
    first = keyring.keyring().current
    made = rotation.rotate(DAVE, batch=1)
    assert (made.rows, made.left, made.unopened) == (3, {first: 1}, (ids[1],))
    with pytest.raises(Conflict, match="1 stored secret is sealed with"):
        drop(first)
    with database.transaction(STAFF) as session:
        service.save(session, "slack", "n1", {}, secret_of(1), DAVE)
    assert rotation.rotate(DAVE).complete
    assert all_open(ids)


def test_two_rotations_at_once_are_one(folder):
    connect_many(2)
    with keyring.one_rotation(), pytest.raises(Conflict, match="going on already"):
        rotation.rotate(DAVE)
    assert len(keyring.keyring().ids) == 1


def test_a_rotation_with_nothing_stored(folder):
    made = rotation.rotate(DAVE)
    assert (made.rows, made.left) == (0, {})
    assert drop(keyring.keyring().ids[1])


def test_keys_of_the_environment_are_rotated_to_the_first(folder, env):
    (folder / "secret.keys").unlink()
    env(OPS_SECRET_KEYS=f"one:{key('a')}")
    ids = connect_many(3)
    assert rotation.rotate(DAVE).rows == 0
    env(OPS_SECRET_KEYS=f"one:{key('a')},two:{key('b')}")
    assert all_open(ids)
    env(OPS_SECRET_KEYS=f"two:{key('b')},one:{key('a')}")
    with pytest.raises(Conflict, match="3 stored secrets"):
        drop("one")
    made = rotation.rotate(DAVE)
    assert (made.to_key, made.rows, made.new_key) == ("two", 3, False)
    assert "take it out of OPS_SECRET_KEYS" in drop("one")
    env(OPS_SECRET_KEYS=f"two:{key('b')}")
    assert all_open(ids)


# -- killed anywhere -------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.parametrize(("name", "turn"), KILLED_AT)
def test_killed_at_any_point_it_is_taken_up_again(folder, name, turn):
    ids = connect_many(9)
    first = keyring.keyring().current
    killed = run("rotate", "3", crash=f"{name}:{turn}")
    _, said = killed.communicate(timeout=60)
    assert killed.returncode == -signal.SIGKILL, said
    assert all_open(ids)
    before = counts()
    whole = run("rotate", "3")
    out, said = whole.communicate(timeout=60)
    assert whole.returncode == 0, said
    assert out.splitlines()[-1].split()[0] == "done"
    after = counts()
    assert list(after.values()) == [9]
    assert first not in after
    # what was under way is finished with the key it began with
    assert len(before) == 1 or set(after) < set(before)
    drop(first)
    assert all_open(ids)
    assert list(folder.glob("*.draft")) == []
    with database.transaction(STAFF) as session:
        assert session.scalars(select(KeyRotation.to_key).where(KeyRotation.finished_at.is_(None))).all() == []


@pytest.mark.slow
@pytest.mark.faults
def test_readers_and_writers_notice_nothing(folder):
    ids = connect_many(20)
    first = keyring.keyring().current
    readers = [run("read", ",".join(f"{i}:{n}" for n, i in enumerate(ids)), stdin=subprocess.PIPE) for _ in range(2)]
    for reader in readers:
        assert reader.stdout.readline() == "reading\n"
    for points in ("rotation.after_key_written:1", "rotation.after_updated:4", "rotation.after_batch:5", None):
        rotator = run("rotate", "2", crash=points)
        for n in range(5):
            with database.transaction(STAFF) as session:
                service.save(session, "slack", f"n{n}", {}, f"{secret_of(n)}-again", DAVE)
        _, said = rotator.communicate(timeout=120)
        assert rotator.returncode == (-signal.SIGKILL if points else 0), said
    while first in counts():
        rotation.rotate(DAVE)
    drop(first)
    for reader in readers:
        out, said = reader.communicate(timeout=60)  # closes its stdin: it ends after one more round
        last = out.splitlines()[-1].split()
        assert last[0] == "read", (out, said)
        assert int(last[1]) > 2 * len(ids)
        assert int(last[2]) == 0, out
    assert all(opened(i).startswith(secret_of(n)) for n, i in enumerate(ids))


# -- starting with the wrong keys --------------------------------------------------------------------------------------------


def start_check():
    from core.config import get_settings
    from core.kit import reach

    with reach.connect(str(get_settings().database_url)) as connection:
        keycheck.before_start(connection)


def test_it_starts_with_the_keys_and_not_without_or_with_others(folder, env):
    connect_many(2)
    start_check()
    file = folder / "secret.keys"
    right = file.read_bytes()
    file.unlink()
    with pytest.raises(keyring.KeyMissing, match="There are no keys"):
        start_check()
    assert not file.exists()
    keyring.create()
    with pytest.raises(keyring.KeyMissing, match="The key k"):
        start_check()
    name = right.split(b"\n")[1].split(b":")[0].decode()
    env(OPS_SECRET_KEYS=f"{name}:{key('x')}")  # another key under the right name
    with pytest.raises(crypto.Rejected, match="can't be opened"):
        start_check()
    env(OPS_SECRET_KEYS=f"{name}:nonsense")
    with pytest.raises(keyring.BadKeys):
        start_check()
    env(OPS_SECRET_KEYS=None)
    file.write_bytes(right)
    start_check()


def test_a_first_start_makes_the_keys(folder):
    (folder / "secret.keys").unlink()
    start_check()
    assert keyring.keyring().current


def test_lost_keys_are_given_up_only_on_purpose(folder):
    lost = connect_many(2)
    kept = (folder / "secret.keys").read_bytes()
    (folder / "secret.keys").unlink()
    with database.transaction(STAFF) as session:
        assert rotation.give_up(session, DAVE) == 2
    start_check()
    with database.transaction(STAFF) as session:
        assert [c.has_secret for c in queries.connections(session)] == [False, False]
        assert service.account_for(session, service.AGENCY_ID, ("slack",)) is None
    connect(secret="xoxb-entered-anew", name="n0")
    assert opened(lost[0]) == "xoxb-entered-anew"
    (folder / "secret.keys").write_bytes(kept)
    with pytest.raises(keyring.BadKeys):
        connect(name="n1", secret="xoxb-with-the-old-keys")
