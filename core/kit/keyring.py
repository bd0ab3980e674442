"""The keys that seal secrets at rest: from OPS_SECRET_KEYS, or from the file `secret.keys` in the state folder.

Both hold the same lines: `id:base64` of 32 bytes, the first is the current one. The file is read again whenever it changed, so
that a process that runs learns of a new key before it meets the first row sealed with it.

The key named `root` seals nothing. Tokens we hand out (opt-out links in mails) are made with it, so they outlive rotations.
"""

import base64
import binascii
import contextlib
import fcntl
import hashlib
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from core.config import get_settings
from core.errors import BadInput, Conflict, NotFound, Unavailable
from core.kit.crashpoints import crashpoint, register

FILE: Final = "secret.keys"
SETTING: Final = "OPS_SECRET_KEYS"
ROOT: Final = "root"
KEY_BYTES: Final = 32
register("keyring.before_replace")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
SEE_DOCTOR: Final = (
    "`ops doctor`, or `ops secrets status` while the app can't start, says which keys the database needs: bring them back. "
    "If they are lost: `ops secrets reset`."
)


class KeyMissing(Unavailable):
    """A key is not here, or none is. It may come with the next reading of the file."""


class BadKeys(Unavailable):
    """The list of keys can't be read. The message never shows any of it."""


@dataclass(frozen=True, slots=True)
class Keyring:
    """Keys by id; `current` seals. `source` says where they come from, for people."""

    current: str
    source: str
    keys: Mapping[str, bytes] = field(repr=False)

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of the keys that seal, the current one first."""
        return tuple(k for k in self.keys if k != ROOT)

    def key(self, key_id: str) -> bytes:
        """The key that sealed something. Raises KeyMissing."""
        found = self.keys.get(key_id) if key_id != ROOT else None
        if found is None:
            raise KeyMissing(f"The key {key_id} of a stored secret is not in {self.source}.", SEE_DOCTOR)
        return found

    @property
    def root(self) -> bytes:
        """What tokens are derived from: the key `root`, or the oldest one where there is none."""
        return self.keys.get(ROOT) or self.keys[self.ids[-1]]


_kept: tuple[object, Keyring] | None = None


def path() -> Path:
    """The file, whether it exists or not."""
    return get_settings().state_dir / FILE


def from_environment() -> str | None:
    """What OPS_SECRET_KEYS holds; None when the file is used."""
    given = get_settings().secret_keys
    text = given.get_secret_value().strip() if given else ""
    return text or None


def present() -> bool:
    """Whether there are keys at all."""
    return from_environment() is not None or path().exists()


def keyring() -> Keyring:
    """The keys as they are now. Raises KeyMissing when there are none, BadKeys when they can't be read."""
    global _kept
    given, file = from_environment(), path()
    stamp: object = given
    if given is None:
        try:
            seen = file.stat()
        except OSError:
            raise KeyMissing(
                f"There are no keys for stored secrets: {SETTING} is not set and {file} is missing.", SEE_DOCTOR
            ) from None
        stamp = (str(file), seen.st_ino, seen.st_mtime_ns, seen.st_size)
    kept = _kept
    if kept is not None and kept[0] == stamp:
        return kept[1]
    made = parse(given, SETTING) if given is not None else parse(_read(file), str(file))
    _kept = (stamp, made)
    return made


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise BadKeys(
            f"{file} can't be read ({type(error).__name__}).", "It must be readable for the user the app runs as."
        ) from None


def parse(text: str, source: str) -> Keyring:
    """The keys in a list (`id:base64`, by comma or line). Raises BadKeys, which names the place and never the content."""
    keys: dict[str, bytes] = {}
    entries = [e.strip() for line in text.splitlines() if not line.lstrip().startswith("#") for e in line.split(",")]
    for number, entry in enumerate((e for e in entries if e), start=1):
        key_id, _, value = entry.partition(":")
        key = _decoded(value)
        if not _NAME.fullmatch(key_id) or key is None:
            raise BadKeys(f"Entry {number} of {source} is not a key.", f"Each is id:base64 of {KEY_BYTES} random bytes.")
        if key_id in keys or key in keys.values():
            raise BadKeys(f"Entry {number} of {source} repeats a key or its id.", "Each key has an id of its own.")
        keys[key_id] = key
    sealing = [k for k in keys if k != ROOT]
    if not sealing:
        raise BadKeys(f"{source} holds no key.", f"It needs at least one id:base64 of {KEY_BYTES} random bytes.")
    return Keyring(sealing[0], source, keys)


def _decoded(value: str) -> bytes | None:
    try:
        key = base64.b64decode(
            value.strip().translate(str.maketrans("-_", "+/")) + "==="[: -len(value.strip()) % 4], validate=True
        )
    except (binascii.Error, ValueError):
        return None
    return key if len(key) == KEY_BYTES else None


def name_of(key: bytes) -> str:
    """The id a key of ours gets: it follows from the key, so another key can never pass for it."""
    return "k" + hashlib.sha256(b"manageai-ops key id\n" + key).hexdigest()[:10]


# -- the file -----------------------------------------------------------------------------------------------------------


def create() -> bool:
    """Make the file with its first key and the root, unless there are keys already. True when it was made."""
    if present():
        return False
    key, root = secrets.token_bytes(KEY_BYTES), secrets.token_bytes(KEY_BYTES)
    file = path()
    file.parent.mkdir(parents=True, exist_ok=True)
    with _alone(file):
        if file.exists():
            return False
        _write(file, {name_of(key): key, ROOT: root})
    return True


def add() -> str:
    """Put a new key first; durable when it returns. Returns its id. Raises Conflict when the keys come from the environment."""
    key = secrets.token_bytes(KEY_BYTES)
    with _changing() as (file, ring):
        _write(file, {name_of(key): key, **ring.keys})
    return name_of(key)


def drop(key_id: str) -> None:
    """Take a key out of the file. Whoever calls has made sure that nothing is sealed with it.

    Raises NotFound, BadInput for the current key and the root, Conflict when the keys come from the environment.
    """
    with _changing() as (file, ring):
        if key_id not in ring.keys:
            raise NotFound(f"There is no key {key_id} in {file}.", "`ops secrets status` lists them.")
        if key_id in (ring.current, ROOT):
            raise BadInput(f"{key_id} is in use.", "Only a key that was replaced can be dropped: `ops secrets rotate` first.")
        _write(file, {k: v for k, v in ring.keys.items() if k != key_id})


@contextlib.contextmanager
def _changing() -> Iterator[tuple[Path, Keyring]]:
    if from_environment() is not None:
        raise Conflict(f"The keys come from {SETTING}.", "Change them there, and start the app's processes again.")
    file = path()
    with _alone(file):
        yield file, keyring()


@contextlib.contextmanager
def one_rotation() -> Iterator[None]:
    """Hold this while rotating: two at once would undo each other's work. A killed holder holds nothing. Raises Conflict."""
    file = path()
    file.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(file.with_suffix(".rotation"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Conflict(
                "A rotation is going on already.", "Wait for it to end; `ops secrets status` shows how far it is."
            ) from None
        yield
    finally:
        os.close(lock)


@contextlib.contextmanager
def _alone(file: Path) -> Iterator[None]:
    """One writer at a time, on this machine. The lock is a file of its own: the keys' file is replaced, never written into."""
    lock = os.open(file.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # what a writer that was killed left behind holds keys too
        for draft in file.parent.glob(f"{FILE}.*.draft"):
            draft.unlink(missing_ok=True)
        yield
    finally:
        os.close(lock)


def _write(file: Path, keys: Mapping[str, bytes]) -> None:
    """Replace the file as a whole, and return once that outlives a power cut."""
    ordered = [k for k in keys if k != ROOT] + [k for k in keys if k == ROOT]
    lines = ["# Keys of stored secrets: without them the connections must be entered anew. Keep a copy apart from backups.\n"]
    lines += [f"{k}:{base64.b64encode(keys[k]).decode()}\n" for k in ordered]
    draft = file.parent / f"{FILE}.{secrets.token_hex(6)}.draft"
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        opened.writelines(lines)
        opened.flush()
        os.fsync(opened.fileno())
    crashpoint("keyring.before_replace")
    draft.replace(file)
    folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
