"""`ops connections` and `ops secrets`: accounts at vendors, and the keys their secrets are sealed with."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from app.commands.output import as_json, json_option, table


@contextmanager
def _database() -> Iterator[None]:
    """The database that runs, or the embedded one for as long as the command takes: keys are mended while the app can't start."""
    import os

    from core.config import get_settings
    from core.kit.embedded.borrow import owner_url

    with owner_url() as url:
        if get_settings().database_url is None:
            os.environ["DATABASE_URL"] = url
            get_settings.cache_clear()
        yield


# -- connections ---------------------------------------------------------------------------------------------------------


@click.group()
def connections() -> None:
    """Accounts at vendors: list, set, test, remove."""


@connections.command("list")
@json_option
def list_command(as_json_: bool) -> None:
    """All connections; never their secrets. A vendor that is missing works as a dry run."""
    from dataclasses import asdict

    from app.ui.words import ago
    from core.kit import db
    from core.kit.db import STAFF
    from core.runtime.connections import queries
    from core.runtime.connections.vendors import VENDORS

    with db.transaction(STAFF) as session:
        found = queries.connections(session)
    if as_json_:
        as_json([asdict(c) for c in found])
        return
    words = {"untested": "not tested", "working": "works", "failing": "FAILING"}
    rows = [
        (
            c.vendor, c.name, f"…{c.hint}" if c.hint else "set" if c.has_secret else "none", words[c.state],
            ago(c.tested_at) if c.tested_at else "never", c.edited_by, c.said or "",
        )
        for c in found
    ]  # fmt: skip
    table(("Vendor", "Name", "Secret", "State", "Tested", "Entered by", "The test said"), rows, empty="Nothing is connected.")
    missing = [v.title for v in VENDORS.values() if v.key not in {c.vendor for c in found} and not v.belongs_to]
    if missing:
        click.echo(f"\nDry run (written down and shown, never sent): {', '.join(missing)}.")


@connections.command("set")
@click.argument("vendor")
@click.option("--name", default="main", help="When there are several at one vendor.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="A setting that is no secret; repeat for several.")
@click.option("--keep-secret", is_flag=True, help="Change settings only.")
@json_option
def set_command(vendor: str, name: str, settings: tuple[str, ...], keep_secret: bool, as_json_: bool) -> None:
    """Enter a connection, or change it. The secret is asked for, or read from standard input; it is never an argument.

    Vendors: slack, slack_signing, resend, resend_webhook, smtp, pipedrive.
    """
    from app.commands.users import _by
    from core.errors import BadInput
    from core.kit import db
    from core.kit.db import STAFF
    from core.runtime.connections import queries, service, vendors
    from core.runtime.orgs.models import AGENCY_ID

    known = vendors.get(vendor)
    if any("=" not in s for s in settings):
        raise BadInput("A setting is NAME=VALUE.", f"{known.title} has: {', '.join(s.name for s in known.settings) or 'none'}.")
    given = dict(s.split("=", 1) for s in settings)
    secret = None if keep_secret else _secret(known.title, known.secret)
    with db.transaction(STAFF) as session:
        before = next((c for c in queries.connections(session, AGENCY_ID) if (c.vendor, c.name) == (vendor, name)), None)
        config = {**(before.config if before else {}), **given}
        saved = service.save(session, vendor, name, config, secret, _by())
    if as_json_:
        as_json({"id": saved.id, "vendor": vendor, "name": name, "version": saved.version})
        return
    test = f" Try it: `ops connections test {vendor}`." if known.checked_by else ""
    click.echo(f"{known.title} is connected.{test}")


def _secret(title: str, word: str) -> str | None:
    if sys.stdin.isatty():
        return str(click.prompt(f"{title}: {word}", hide_input=True, default="", show_default=False)) or None
    return sys.stdin.read().strip() or None


def _one(vendor: str, name: str) -> int:
    from core.errors import NotFound
    from core.kit import db
    from core.kit.db import STAFF
    from core.runtime.connections import queries, vendors
    from core.runtime.orgs.models import AGENCY_ID

    title = vendors.get(vendor).title
    with db.transaction(STAFF) as session:
        mine = [c for c in queries.connections(session, AGENCY_ID) if c.vendor == vendor and (not name or c.name == name)]
    if not mine:
        raise NotFound(
            f"{title} is not connected{f' as {name}' if name else ''}.", f"`ops connections set {vendor}` connects it."
        )
    return mine[0].id


@connections.command("test")
@click.argument("vendor")
@click.option("--name", default="", help="Which of several; else the one that is used.")
@json_option
def test_command(vendor: str, name: str, as_json_: bool) -> None:
    """Ask the vendor whether the account works. Nothing is sent to anybody. Exits with 1 when it does not."""
    from app.commands.users import _by
    from core.runtime.connections import testing

    done = testing.check(_one(vendor, name), _by())
    as_json({"vendor": vendor, "works": done.works, "said": done.said}) if as_json_ else click.echo(done.said)
    sys.exit(0 if done.works else 1)


@connections.command("remove")
@click.argument("vendor")
@click.option("--name", default="", help="Which of several; else the one that is used.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def remove_command(vendor: str, name: str, yes: bool, as_json_: bool) -> None:
    """Remove a connection with its secret, for good."""
    from app.commands.users import _by
    from core.kit import db
    from core.kit.db import STAFF
    from core.runtime.connections import service, vendors

    known, connection_id = vendors.get(vendor), _one(vendor, name)
    if not yes:
        click.confirm(f"Remove {known.title} with its secret? {known.without}", abort=True)
    with db.transaction(STAFF) as session:
        title = service.remove(session, connection_id, _by())
    as_json({"vendor": vendor, "removed": True}) if as_json_ else click.echo(f"{title} is removed. {known.without}")


# -- keys ------------------------------------------------------------------------------------------------------------------


@click.group()
def secrets() -> None:
    """Keys of stored secrets: status, rotate, drop, reset."""


@secrets.command("status")
@json_option
def status_command(as_json_: bool) -> None:
    """Which keys there are, what is sealed with which, and the rotations so far."""
    from dataclasses import asdict

    from app.ui.words import ago
    from core.kit import db, keyring
    from core.kit.db import STAFF
    from core.runtime.connections import queries

    with _database(), db.transaction(STAFF) as session:
        counts, rotations = queries.key_counts(session), queries.rotations(session)
        ring = keyring.keyring() if keyring.present() else None
    ids = list(dict.fromkeys([*(ring.ids if ring else ()), *counts]))
    if as_json_:
        here = ring.ids if ring else ()
        keys = [{"id": k, "here": k in here, "current": k in here[:1], "secrets": counts.get(k, 0)} for k in ids]
        as_json({"source": ring.source if ring else None, "keys": keys, "rotations": [asdict(r) for r in rotations]})
        return
    none = "There are no keys here." if counts else "There are no keys yet; the first secret makes them."
    click.echo(f"Keys come from {ring.source}." if ring else none)
    rows = [(k, _state(k, ring.ids if ring else (), counts.get(k, 0)), counts.get(k, 0)) for k in ids]
    table(("Key", "State", "Secrets"), rows, empty="")
    if rotations:
        click.echo()
        went = [
            (r.to_key, r.rows, sum(r.left.values()), r.by, ago(r.started_at), ago(r.finished_at) if r.finished_at else "goes on")
            for r in rotations
        ]
        table(("To key", "Sealed anew", "Left", "By", "Began", "Ended"), went, empty="")


def _state(key_id: str, here: tuple[str, ...], many: int) -> str:
    if key_id not in here:
        return "MISSING: these secrets can't be opened"
    if key_id == here[0]:
        return "current"
    return "old: `ops secrets rotate` frees it" if many else f"free: `ops secrets drop {key_id}`"


def _many(secrets: int) -> str:
    return f"{secrets:,} {'secret is' if secrets == 1 else 'secrets are'}"


@secrets.command("rotate")
@json_option
def rotate_command(as_json_: bool) -> None:
    """Seal every secret with a new key, while the app works. Cut off, it goes on where it stood when you call it again.

    With OPS_SECRET_KEYS: add the new key at the end and start every process again, put it first and start them again, then
    call this.
    """
    from app.commands.users import _by
    from core.runtime.connections import rotation

    def moved(rows: int) -> None:
        if not as_json_ and sys.stderr.isatty():
            click.echo(f"\r{rows:,} secrets …", nl=False, err=True)

    with _database():
        done = rotation.rotate(_by(), on_rows=moved)
    if as_json_:
        as_json({"to_key": done.to_key, "rows": done.rows, "left": dict(done.left), "unopened": list(done.unopened)})
    else:
        how = "" if done.new_key else " (a rotation that was cut off, or the first key of OPS_SECRET_KEYS)"
        click.echo(f"{_many(done.rows)} sealed with {done.to_key}{how}. Drop the old key with `ops secrets drop KEYID`.")
        if done.left:
            click.echo(f"{_many(sum(done.left.values()))} still under another key: see `ops doctor`.", err=True)
    sys.exit(0 if done.complete else 1)


@secrets.command("drop")
@click.argument("key_id")
@json_option
def drop_command(key_id: str, as_json_: bool) -> None:
    """Take an old key away for good; refused while a single secret is sealed with it."""
    from app.commands.users import _by
    from core.kit import db
    from core.kit.db import STAFF
    from core.runtime.connections import rotation

    with _database(), db.transaction(STAFF) as session:
        said = rotation.drop(session, key_id, _by())
    as_json({"key": key_id, "said": said}) if as_json_ else click.echo(said)


@secrets.command("reset")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def reset_command(yes: bool, as_json_: bool) -> None:
    """The keys are lost for good: forget the secrets that nothing here opens, so that they can be entered anew."""
    from app.commands.users import _by
    from core.kit import db
    from core.kit.db import STAFF
    from core.runtime.connections import rotation

    with _database():
        with db.transaction(STAFF) as session:
            many = len(rotation.unopenable(session))
        if not yes:
            click.confirm(f"Forget {many:,} stored secrets that no key here opens?", abort=True)
        with db.transaction(STAFF) as session:
            forgotten = rotation.give_up(session, _by())
    if as_json_:
        as_json({"forgotten": forgotten})
    else:
        click.echo(f"{_many(forgotten)} forgotten. Enter them anew in Settings → Connections.")
