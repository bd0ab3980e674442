"""Secrets at rest: bound to their place, and to keys that are read anew when they change."""

import base64
import os
import subprocess
import sys
from itertools import product
from uuid import UUID

import pytest

from core.config import get_settings
from core.errors import BadInput, Conflict, NotFound
from core.kit import crypto, keyring
from core.kit.crypto import Rejected, Where
from core.kit.keyring import BadKeys, KeyMissing

ORG, OTHER = UUID(int=1), UUID(int=2)
HERE = Where(ORG, "connections", "secret", 7)
CANARY = "xoxb-CANARY-4f9a1c"


def key(letter: str) -> str:
    return base64.b64encode(letter.encode() * 32).decode()


@pytest.fixture
def keys(state_folder):
    keyring.create()
    return keyring.keyring()


@pytest.fixture
def in_environment(state_folder, monkeypatch):
    def given(value):
        monkeypatch.setenv(keyring.SETTING, value)
        get_settings.cache_clear()

    return given


def test_what_was_sealed_opens_where_it_lies(keys):
    for plain in ("", "a", CANARY, "ä€𝄞" * 500):
        cipher, key_id = crypto.seal(plain, HERE)
        assert crypto.open_(cipher, HERE) == plain
        assert key_id == keys.current == crypto.key_id_of(cipher, HERE)
        assert plain.encode() not in cipher or plain in ("", "a")
    assert len({crypto.seal(CANARY, HERE)[0] for _ in range(200)}) == 200


def test_a_changed_byte_anywhere_is_rejected(keys):
    cipher, _ = crypto.seal(CANARY, HERE)
    for place, bit in product(range(len(cipher)), (1, 128)):
        changed = bytearray(cipher)
        changed[place] ^= bit
        with pytest.raises((Rejected, KeyMissing)):
            crypto.open_(bytes(changed), HERE)
    for length in range(len(cipher)):
        with pytest.raises((Rejected, KeyMissing)):
            crypto.open_(cipher[:length], HERE)
    with pytest.raises(Rejected):
        crypto.open_(cipher + b"\0", HERE)


def test_it_opens_nowhere_else(keys):
    places = [Where(*p) for p in product((ORG, OTHER), ("connections", "connection", "deals"), ("secret", "hint"), (7, 8, 77, 0))]
    sealed = {place: crypto.seal(CANARY, place)[0] for place in places}
    for cipher_of, opened_at in product(places, places):
        if cipher_of == opened_at:
            assert crypto.open_(sealed[cipher_of], opened_at) == CANARY
        else:
            with pytest.raises(Rejected):
                crypto.open_(sealed[cipher_of], opened_at)


def test_no_two_places_are_bound_alike():
    names = ("a", "aa", "a1", "1", "", "a\0", "\0a", "connections", "connectionssecret")
    bound = [Where(ORG, t, c, r).bound() for t, c, r in product(names, names, (1, 11, 111))]
    assert len(set(bound)) == len(bound)


def test_the_id_of_another_key_does_not_help(in_environment):
    in_environment(f"one:{key('a')},two:{key('b')}")
    cipher, _ = crypto.seal(CANARY, HERE)
    with pytest.raises(Rejected):
        crypto.open_(cipher.replace(b"one", b"two", 1), HERE)
    in_environment(f"two:{key('a')}")  # the right key under another name: the name is authenticated too
    with pytest.raises(Rejected):
        crypto.open_(cipher.replace(b"one", b"two", 1), HERE)


def test_a_wrong_or_missing_key_refuses_in_one_sentence(in_environment, state_folder):
    with pytest.raises(KeyMissing, match="There are no keys for stored secrets") as none:
        crypto.seal(CANARY, HERE)
    assert "ops doctor" in none.value.next_step
    in_environment(f"one:{key('a')}")
    cipher, _ = crypto.seal(CANARY, HERE)
    in_environment(f"one:{key('b')}")
    with pytest.raises(Rejected, match="can't be opened") as wrong:
        crypto.open_(cipher, HERE)
    assert "ops doctor" in wrong.value.next_step
    in_environment(f"two:{key('b')}")
    with pytest.raises(KeyMissing, match="The key one of a stored secret is not in OPS_SECRET_KEYS"):
        crypto.open_(cipher, HERE)


@pytest.mark.parametrize(
    "text",
    ["", ",", "# only a remark", "one", f"one:{key('a')[:-4]}", f":{key('a')}", f"a b:{key('a')}", "one:!!!", f"root:{key('a')}",
     f"one:{key('a')},one:{key('b')}", f"one:{key('a')},two:{key('a')}", f"{'x' * 41}:{key('a')}"],
)  # fmt: skip
def test_a_list_that_is_wrong_is_refused_without_showing_it(text):
    with pytest.raises(BadKeys) as error:
        keyring.parse(text, "the list")
    assert key("a")[:8] not in str(error.value)
    assert error.value.__cause__ is None


def test_nothing_prints_a_key(keys):
    assert str(keys.keys[keys.current]) not in repr(keys)
    assert base64.b64encode(keys.root).decode() not in repr(keys)


def test_the_file_is_private_and_is_made_once(state_folder):
    assert keyring.create()
    file = state_folder / "secret.keys"
    first = file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
    assert not keyring.create()
    assert file.read_text() == first
    assert [p.name for p in state_folder.glob("*.draft")] == []


@pytest.mark.slow
def test_of_many_who_make_it_at_once_one_does(state_folder):
    code = "from core.kit import keyring; keyring.create(); print(keyring.keyring().current)"
    started = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=dict(os.environ)) for _ in range(6)]
    assert len({p.communicate()[0] for p in started}) == 1


def test_a_new_key_is_seen_by_who_had_read_the_old_ones(keys):
    old, _ = crypto.seal(CANARY, HERE)
    made = keyring.add()
    cipher, key_id = crypto.seal(CANARY, HERE)
    assert key_id == made != keys.current
    assert crypto.open_(old, HERE) == crypto.open_(cipher, HERE) == CANARY
    keyring.drop(keys.current)
    with pytest.raises(KeyMissing):
        crypto.open_(old, HERE)
    assert crypto.open_(cipher, HERE) == CANARY


def test_what_a_killed_writer_left_is_taken_away(keys, state_folder):
    (state_folder / "secret.keys.0123456789ab.draft").write_text("half a key")
    keyring.add()
    assert list(state_folder.glob("*.draft")) == []


def test_the_current_key_and_the_root_stay(keys):
    for key_id in (keys.current, "root"):
        with pytest.raises(BadInput):
            keyring.drop(key_id)
    with pytest.raises(NotFound):
        keyring.drop("k0000000000")


def test_keys_of_the_environment_are_changed_there(in_environment):
    in_environment(f"one:{key('a')},two:{key('b')}")
    for change in (keyring.add, lambda: keyring.drop("two")):
        with pytest.raises(Conflict, match="The keys come from OPS_SECRET_KEYS"):
            change()
    assert not keyring.create()


def test_derived_keys_differ_by_purpose_and_outlive_rotation(keys):
    first = crypto.derive("opt-out")
    assert len(first) == 32
    assert first != crypto.derive("opt-in")
    keyring.add()
    keyring.drop(keys.current)
    assert crypto.derive("opt-out") == first


def test_without_a_root_the_oldest_key_is_it(in_environment):
    in_environment(f"one:{key('a')}")
    first = crypto.derive("opt-out")
    in_environment(f"two:{key('b')},one:{key('a')}")
    assert crypto.derive("opt-out") == first
    in_environment(f"two:{key('b')},root:{key('c')}")
    assert crypto.derive("opt-out") != first
