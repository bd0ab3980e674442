"""What `ops doctor` and the System page say of keys and connections."""

from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.orm import Session

from core.errors import OpsError
from core.kit import crypto, keyring
from core.runtime.connections import environment, keycheck, queries
from core.runtime.connections.queries import ConnectionView
from core.runtime.connections.vendors import VENDORS, Vendor
from core.runtime.system.checks import Check, Verdict

ENTER = "Enter it in Settings → Connections, or with `ops connections set {}`."


def check_all(session: Session) -> list[Check]:
    """The keys first: without them no connection works."""
    return [keys(session), *vendors(session)]


def keys(session: Session) -> Check:
    """Do the keys here open what is stored, and are they safe?"""
    name = "Keys of secrets"
    counts = queries.key_counts(session)
    stored = sum(counts.values())
    try:
        ring = keyring.keyring()
        keycheck.open_samples([(r.id, r.org_id, r.secret) for r in session.execute(text(keycheck.SAMPLES))])
    except crypto.Rejected as error:
        return Check(name, Verdict.PROBLEM, error.message, "Bring back the right key, or enter that secret anew.")
    except OpsError as error:
        if not stored and not keyring.present():
            return Check(name, Verdict.OK, "No secret is stored yet; the first one makes the keys.")
        needed = f"The database needs {', '.join(sorted(counts))}. " if counts else ""
        return Check(
            name, Verdict.PROBLEM, error.message, f"{needed}If they are lost: `ops secrets reset`, then enter them anew."
        )
    if keyring.from_environment() is None and keyring.path().stat().st_mode & 0o077:
        return Check(name, Verdict.PROBLEM, f"Others on this machine can read {ring.source}.", f"Run `chmod 600 {ring.source}`.")
    old = {k: n for k, n in counts.items() if k != ring.current}
    if old:
        many = sum(old.values())
        noun = "secret is" if many == 1 else "secrets are"
        said = f"{many:,} of {stored:,} stored {noun} under an older key."
        return Check(name, Verdict.WARNING, said, "Run `ops secrets rotate`.")
    spare = len(ring.ids) - 1
    if spare:
        noun = "key seals" if spare == 1 else "keys seal"
        return Check(
            name, Verdict.WARNING, f"{spare} old {noun} nothing any more.", "Drop it: `ops secrets status`, `ops secrets drop`."
        )
    noun = "secret is" if stored == 1 else "secrets are"
    return Check(
        name, Verdict.OK, f"{stored:,} stored {noun} sealed with the key {ring.current}; keep a copy of it apart from backups."
    )


def vendors(session: Session) -> list[Check]:
    """Each vendor: connected, or what happens without it. The agency's own accounts."""
    found = [c for c in queries.connections(session) if c.org_id == queries.AGENCY_ID]
    return [_vendor(v, [c for c in found if c.vendor == v.key]) for v in VENDORS.values()]


def _vendor(vendor: Vendor, mine: Sequence[ConnectionView]) -> Check:
    usable = [c for c in mine if c.has_secret or not vendor.secret_required]
    if not usable:
        if environment.given((vendor.key,)):
            return Check(vendor.title, Verdict.OK, f"{vendor.variable} is set; it is taken at first use.")
        what = "Closed" if vendor.belongs_to else "Dry run"
        return Check(vendor.title, Verdict.WARNING, f"{what}: not connected. {vendor.without}", ENTER.format(vendor.key))
    used = usable[0]
    if used.is_failing:
        return Check(vendor.title, Verdict.PROBLEM, f"The last test failed: {used.said}", "Replace the key, then test again.")
    since = "from the environment" if used.from_environment else f"entered by {used.edited_by}"
    tested = "its test worked" if used.tested_at else "not tested yet" if vendor.checked_by else "proves itself with requests"
    return Check(vendor.title, Verdict.OK, f"Connected, {since}; {tested}.")
