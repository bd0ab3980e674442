"""Secrets at rest: AES-256-GCM, each ciphertext bound to the one place it lies in.

Format, version 1: byte 1, one byte length of the key's id, the id, 12 random bytes (nonce), ciphertext with its 16-byte
tag. Version and id are authenticated together with the place (organisation, table, column, row), every part with its
length before it. So a ciphertext that was changed, or moved to another row, does not open.
"""

import os
import struct
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from core.errors import OpsError
from core.kit.keyring import KeyMissing, Keyring, keyring

__all__ = ["KeyMissing", "Rejected", "Where", "derive", "key_id_of", "open_", "seal"]
VERSION: Final = 1
_NONCE: Final = 12
_TAG: Final = 16


class Rejected(OpsError):
    """What is stored is not what was sealed there: changed, moved from elsewhere, or sealed with a key that is not ours."""

    def __init__(self, place: str) -> None:
        super().__init__(
            f"The stored secret of {place} can't be opened: it was changed or moved, or its key is another one.",
            "Run `ops doctor`; if the keys are right, enter the secret anew.",
        )


@dataclass(frozen=True, slots=True)
class Where:
    """The place a secret lies in. `row` is the primary key."""

    org_id: UUID
    table: str
    column: str
    row: int

    def __str__(self) -> str:
        return f"{self.table} {self.row}"

    def bound(self) -> bytes:
        """The place as bytes; no two places give the same."""
        parts = (str(self.org_id), self.table, self.column, str(self.row))
        return b"".join(struct.pack(">I", len(p)) + p for p in (part.encode() for part in parts))


def seal(plain: str, where: Where, ring: Keyring | None = None) -> tuple[bytes, str]:
    """(ciphertext, id of the key), sealed with the current key. Raises KeyMissing, BadKeys."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    used = ring or keyring()
    head = bytes((VERSION, len(used.current))) + used.current.encode()
    nonce = os.urandom(_NONCE)
    return head + nonce + AESGCM(used.key(used.current)).encrypt(nonce, plain.encode(), head + where.bound()), used.current


def key_id_of(cipher: bytes, where: Where) -> str:
    """The id of the key it was sealed with. Raises Rejected when it has no such form."""
    size = cipher[1] if len(cipher) > 1 else 0
    if not size or cipher[0] != VERSION or len(cipher) < 2 + size + _NONCE + _TAG:
        raise Rejected(str(where))
    try:
        return cipher[2 : 2 + size].decode("ascii")
    except UnicodeDecodeError:
        raise Rejected(str(where)) from None


def open_(cipher: bytes, where: Where, ring: Keyring | None = None) -> str:
    """The secret. Raises Rejected, and KeyMissing when its key is not here."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    cipher = bytes(cipher)
    key_id = key_id_of(cipher, where)
    head, rest = cipher[: 2 + cipher[1]], cipher[2 + cipher[1] :]
    key = (ring or keyring()).key(key_id)
    try:
        plain = AESGCM(key).decrypt(rest[:_NONCE], rest[_NONCE:], head + where.bound())
    except InvalidTag:
        raise Rejected(str(where)) from None
    return plain.decode()


def derive(purpose: str) -> bytes:
    """32 bytes for one purpose (HMAC of opt-out links …), the same for ever: rotation does not change them. Raises KeyMissing."""
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    root = keyring().root
    return HKDF(SHA256(), 32, salt=None, info=b"manageai-ops\n" + purpose.encode()).derive(root)
