"""Keys of the JSON API: random, scoped, revocable, stored as a hash."""

from dataclasses import dataclass

from sqlalchemy import func, or_, select, text, update
from sqlalchemy.orm import Session

from core.domains.users import rules
from core.domains.users.models import ApiKey
from core.errors import Conflict, NotFound
from core.kit.actor import SYSTEM, Actor
from core.runtime.events import service as events
from core.runtime.orgs.models import AGENCY_ID

_NO_KEY = rules.hash_token("no such key")


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made. `key` is the whole key; it can't be shown again."""

    id: int
    prefix: str
    key: str
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ApiCaller:
    """Whoever presented a valid key."""

    key_id: int
    name: str
    scopes: frozenset[str]

    @property
    def actor(self) -> Actor:
        """The key as the one who does something."""
        return Actor(f"API key {self.name}", "api", self.key_id)


def create_key(session: Session, name: str, scopes: list[str] | tuple[str, ...], *, by: Actor = SYSTEM) -> NewKey:
    """Make a key. Raises BadInput, and Conflict when a live key has that name."""
    name, wanted = rules.clean_name(name), rules.clean_scopes(scopes)
    taken = select(ApiKey.id).where(ApiKey.name == name, ApiKey.revoked_at.is_(None))
    if session.execute(taken).first() is not None:
        raise Conflict(f"There is already a key called “{name}”.", f"Revoke it first: `ops keys revoke {name}`.")
    prefix, secret, whole = rules.new_key()
    key = ApiKey(
        org_id=AGENCY_ID, name=name, prefix=prefix, secret_hash=rules.hash_token(secret), scopes=wanted, created_by=by.label
    )
    session.add(key)
    session.flush()
    events.publish(session, "key.created", f"{by.label} made the API key {name}.", actor=by, subject=("api_key", key.id))
    return NewKey(key.id, prefix, whole, tuple(wanted))


def revoke_key(session: Session, name_or_prefix: str, *, by: Actor = SYSTEM) -> str:
    """Revoke a key by its name or prefix, at once; returns its name. Raises NotFound."""
    wanted = name_or_prefix.strip().removeprefix("ops_")
    revoked = session.execute(
        update(ApiKey)
        .where(or_(ApiKey.name == name_or_prefix.strip(), ApiKey.prefix == wanted), ApiKey.revoked_at.is_(None))
        .values(revoked_at=func.clock_timestamp())
        .returning(ApiKey.id, ApiKey.name)
    ).first()
    if revoked is None:
        raise NotFound(f"There is no live key “{name_or_prefix}”.", "`ops keys list` shows them all.")
    events.publish(
        session, "key.revoked", f"{by.label} revoked the API key {revoked.name}.", actor=by, subject=("api_key", revoked.id)
    )
    return str(revoked.name)


def authenticate_key(session: Session, presented: str) -> ApiCaller | None:
    """Who the key belongs to; None when it is unknown, wrong or revoked."""
    parts = rules.split_key(presented)
    prefix, secret = parts or ("", "")
    row = session.execute(
        select(
            ApiKey.id, ApiKey.name, ApiKey.secret_hash, ApiKey.scopes, ApiKey.revoked_at,
            func.coalesce(ApiKey.last_used_at < func.clock_timestamp() - text("interval '1 minute'"), True).label("stale"),
        ).where(ApiKey.prefix == prefix)
    ).one_or_none()  # fmt: skip
    fits = rules.same_hash(row.secret_hash if row is not None else _NO_KEY, rules.hash_token(secret))
    if row is None or not fits or row.revoked_at is not None:
        return None
    if row.stale:
        _touch(session, row.id)
    return ApiCaller(row.id, row.name, frozenset(row.scopes))


def _touch(session: Session, key_id: int) -> None:
    # at most once a minute, and never waiting for another request with the same key
    free = select(ApiKey.id).where(ApiKey.id == key_id).with_for_update(skip_locked=True).scalar_subquery()
    session.execute(update(ApiKey).where(ApiKey.id == free).values(last_used_at=func.clock_timestamp()))
