"""Commands on connections: enter, replace and remove accounts at vendors, and open one for a purpose that is written down."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.errors import BadInput, Conflict, NotFound
from core.kit.actor import SYSTEM, Actor
from core.runtime.actions.kinds import Account
from core.runtime.audit import service as audit
from core.runtime.connections import environment, vault, vendors
from core.runtime.connections.models import Connection, ConnectionState
from core.runtime.connections.queries import ENVIRONMENT, MAIN, connection, connections
from core.runtime.events import service as events
from core.runtime.orgs.models import AGENCY_ID

__all__ = ["Saved", "account_for", "connections", "incoming_secrets", "open_account", "remove", "save", "sync_environment"]


@dataclass(frozen=True, slots=True)
class Saved:
    """A saved connection; `version` is what the next save must name."""

    id: int
    version: int


def account_for(session: Session, org_id: UUID, names: Sequence[str]) -> Account | None:
    """Whose account carries it out: the organisation's own at the first of these vendors, else the agency's. Without its secret.

    None when there is none: what was to be sent is only written down (dry run).
    """
    found = _best(session, org_id, names)
    if found is None and environment.given(names):
        sync_environment(session, names)
        found = _best(session, org_id, names)
    return found


# each effect asks it: built anew each time it would cost more than it takes to run
_BEST = text(f"""
    SELECT id, vendor, config FROM connections
    WHERE org_id IN (CAST(:org AS uuid), CAST(:agency AS uuid)) AND vendor = ANY(CAST(:vendors AS text[]))
        AND (secret IS NOT NULL OR vendor = ANY(CAST(:optional AS text[])))
    ORDER BY org_id <> CAST(:org AS uuid), array_position(CAST(:vendors AS text[]), vendor), name = '{ENVIRONMENT}',
        name <> '{MAIN}', id
    LIMIT 1
""")  # noqa: S608 - two constants


def _best(session: Session, org_id: UUID, names: Sequence[str]) -> Account | None:
    if not names:
        return None
    optional = [v.key for v in vendors.VENDORS.values() if not v.secret_required]
    params = {"org": org_id, "agency": AGENCY_ID, "vendors": list(names), "optional": optional}
    row = session.execute(_BEST, params).first()
    return Account(row.id, row.vendor, row.config) if row else None


_SECRET = select(Connection.org_id, Connection.vendor, Connection.config, Connection.secret).where(
    Connection.id == bindparam("id")
)


def open_account(session: Session, connection_id: int, why: str, run_id: int | None = None, *, by: Actor = SYSTEM) -> Account:
    """The account with its secret, for one purpose; the audit chain keeps who opened it and why.

    The entry locks the organisation's chain until the transaction ends. Raises NotFound, KeyMissing, Rejected.
    """
    row = session.execute(_SECRET, {"id": connection_id}).first()
    if row is None:
        raise NotFound("The connection was removed.", "Enter it again in Settings → Connections.")
    secret = vault.unseal(session, connection_id, row)
    detail = {"why": why, "vendor": row.vendor, "connection": connection_id} | ({"run": run_id} if run_id else {})
    audit.write(session, "secret.read", ("connection", connection_id), by, detail, org_id=row.org_id)
    return Account(connection_id, row.vendor, row.config, secret)


_incoming: dict[int, tuple[bytes, tuple[str, ...]]] = {}


def incoming_secrets(session: Session, vendor: str, org_id: UUID = AGENCY_ID) -> tuple[str, ...]:
    """The secrets that requests from a vendor (`slack_signing`, `resend_webhook`) are proved with; empty: refuse all.

    Two, divided by a blank, are both good while the vendor changes from one to the other. A process opens a stored secret once
    and keeps it until it is replaced: one audit entry for each, not one for each request.
    """
    found = account_for(session, org_id, (vendor,))
    if found is None:
        return ()
    cipher = session.execute(select(Connection.secret).where(Connection.id == found.id)).scalar_one() or b""
    kept = _incoming.get(found.id)
    if kept is None or kept[0] != cipher:
        opened = open_account(session, found.id, f"prove requests from {vendors.get(vendor).title}")
        kept = _incoming[found.id] = (bytes(cipher), tuple(opened.secret.split()))
    return kept[1]


def save(
    session: Session, vendor: str, name: str, config: Mapping[str, Any], secret: str | None, by: Actor,
    org_id: UUID = AGENCY_ID, *, version: int | None = None,
) -> Saved:  # fmt: skip
    """Enter a connection, or change it. `secret` None keeps the stored one.

    `version` is the one the person saw, 0 when there was none; None asks for no such check. Raises Conflict naming who was
    first, BadInput (also when server or user change and the secret is not entered again: it would go elsewhere).
    """
    known = vendors.get(vendor)
    clean = known.clean(config)
    secret = known.clean_secret(secret) if secret else None
    now = _locked(session, vendor, name, org_id)
    if version is not None and (now.version if now else 0) != version:
        who = f"{now.edited_by} changed it meanwhile" if now else "it was removed meanwhile"
        raise Conflict(f"{known.title} was not saved: {who}.", "Look at it again, then save.")
    if now is None or now.secret is None:
        if known.secret_required and not secret:
            raise BadInput(f"{known.title}: the {known.secret} is missing.", known.where)
    elif not secret and any(s.binds and now.config.get(s.name) != clean.get(s.name) for s in known.settings):
        raise BadInput(
            f"{known.title}: the stored {known.secret} is for another server or user.", f"Enter the {known.secret} again."
        )
    saved = _store(session, now, (org_id, vendor, name), clean, secret, by)
    _tell(session, "changed" if now else "added", saved.id, known, by, org_id, {"secret": "replaced" if secret else "kept"})
    return saved


def _locked(session: Session, vendor: str, name: str, org_id: UUID) -> Connection | None:
    mine = (Connection.org_id == org_id, Connection.vendor == vendor, Connection.name == name)
    return session.scalar(select(Connection).where(*mine).with_for_update().execution_options(populate_existing=True))


def _store(
    session: Session, now: Connection | None, key: tuple[UUID, str, str], config: Mapping[str, Any], secret: str | None, by: Actor
) -> Saved:
    """Write it. The row comes before its secret, because the secret is bound to the row's id."""
    org_id, vendor, name = key
    if now is None:
        values = {"org_id": org_id, "vendor": vendor, "name": name, "config": dict(config), "edited_by": by.label, "version": 0}
        made = session.execute(
            insert(Connection).values(values).on_conflict_do_nothing(constraint="connections_once").returning(Connection.id)
        ).scalar_one_or_none()
        if made is None:
            raise Conflict(f"{vendors.get(vendor).title} was entered by somebody else just now.", "Look at it again, then save.")
    connection_id = now.id if now else int(made or 0)
    changed: dict[str, Any] = {
        "config": dict(config), "edited_by": by.label, "edited_at": func.clock_timestamp(), "version": Connection.version + 1,
        "state": ConnectionState.UNTESTED.value, "tested_at": None, "said": None,
    }  # fmt: skip
    if secret:
        changed |= vault.seal(session, org_id, connection_id, secret)
    statement = update(Connection).where(Connection.id == connection_id).values(changed).returning(Connection.version)
    version = session.execute(statement, execution_options={"synchronize_session": False}).scalar_one()
    return Saved(connection_id, version)


def remove(session: Session, connection_id: int, by: Actor, *, version: int | None = None) -> str:
    """Remove a connection and its secret for good. Returns the vendor's name. Raises NotFound, Conflict."""
    row = session.scalar(select(Connection).where(Connection.id == connection_id).with_for_update())
    if row is None:
        raise NotFound("The connection was already removed.", "Nothing is left to do.")
    known = vendors.VENDORS.get(row.vendor)
    title = known.title if known else row.vendor
    if version is not None and row.version != version:
        raise Conflict(f"{title} was not removed: {row.edited_by} changed it meanwhile.", "Look at it again.")
    if row.name == ENVIRONMENT and environment.given((row.vendor,)) and known:
        raise Conflict(f"{title} comes from {known.variable}.", "Take it out of the environment and start the app again.")
    _remove(session, row, by)
    return title


def _remove(session: Session, row: Connection, by: Actor) -> None:
    connection_id, vendor, org_id = row.id, row.vendor, row.org_id
    session.execute(delete(Connection).where(Connection.id == connection_id), execution_options={"synchronize_session": False})
    session.expunge(row)
    _incoming.pop(connection_id, None)
    known = vendors.VENDORS.get(vendor)
    title = known.title if known else vendor
    events.publish(
        session, "connection.removed", f"{by.label} removed the connection to {title}.", org_id=org_id, actor=by,
        subject=("connection", connection_id),
    )  # fmt: skip
    audit.write(session, "connection.removed", ("connection", connection_id), by, {"vendor": vendor}, org_id=org_id)


def _tell(
    session: Session, done: str, connection_id: int, known: vendors.Vendor, by: Actor, org_id: UUID, detail: Mapping[str, Any]
) -> None:
    events.publish(
        session, f"connection.{done}", f"{by.label} {done} the connection to {known.title}.", org_id=org_id, actor=by,
        subject=("connection", connection_id),
    )  # fmt: skip
    what = {"vendor": known.key, **detail}
    audit.write(session, f"connection.{done}", ("connection", connection_id), by, what, org_id=org_id)


def sync_environment(session: Session, names: Iterable[str] = tuple(vendors.VENDORS), *, remove_gone: bool = False) -> list[str]:
    """Make the agency's connections named “environment” say what this process's environment says. Returns vendors changed.

    `remove_gone` also removes those whose variable is no longer there; only `ops up` may know that. Raises BadInput for a
    variable that can't be used.
    """
    changed = []
    for vendor in (vendors.VENDORS[n] for n in names if n in vendors.VENDORS):
        wanted = environment.read(vendor)
        now = _locked(session, vendor.key, ENVIRONMENT, AGENCY_ID)
        if wanted is None:
            if now is not None and remove_gone:
                _remove(session, now, environment.ACTOR)
                changed.append(vendor.key)
            continue
        if now is not None and now.config == wanted.config and _same_secret(session, now, wanted.secret):
            continue
        saved = _store(session, now, (AGENCY_ID, vendor.key, ENVIRONMENT), wanted.config, wanted.secret, environment.ACTOR)
        _tell(session, "changed" if now else "added", saved.id, vendor, environment.ACTOR, AGENCY_ID, {"from": vendor.variable})
        changed.append(vendor.key)
    return changed


def _same_secret(session: Session, row: Connection, wanted: str | None) -> bool:
    if row.secret is None:
        return not wanted
    return vault.unseal(session, row.id) == (wanted or "")


def record_test(session: Session, connection_id: int, version: int, *, works: bool, said: str) -> bool:
    """Write down what a test said, unless the connection was changed since it began. True when it was written."""
    state = ConnectionState.WORKING if works else ConnectionState.FAILING
    statement = update(Connection).where(Connection.id == connection_id, Connection.version == version)
    statement = statement.values(state=state.value, said=said[:500], tested_at=func.clock_timestamp()).returning(Connection.id)
    return session.execute(statement, execution_options={"synchronize_session": False}).first() is not None


def version_of(session: Session, connection_id: int) -> int:
    """The connection's version. Raises NotFound."""
    found = connection(session, connection_id)
    if found is None:
        raise NotFound("The connection was removed.", "Enter it again in Settings → Connections.")
    return found.version
