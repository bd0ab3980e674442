"""`ops keys`: keys of the JSON API."""

import click

from app.commands.output import as_json, json_option, table


@click.group()
def keys() -> None:
    """Keys of the JSON API: create, list, revoke."""


@keys.command("create")
@click.argument("name")
@click.option(
    "--scope", "scopes", multiple=True, required=True, help="What the key may do; repeat for several. See `ops keys scopes`."
)
@json_option
def create_command(name: str, scopes: tuple[str, ...], as_json_: bool) -> None:
    """Make a key. It is shown once and never again."""
    from app.commands.users import _by
    from core.config import get_settings
    from core.domains.users import service
    from core.kit import db
    from core.kit.db import STAFF

    with db.transaction(STAFF) as session:
        made = service.create_key(session, name, scopes, by=_by())
    if as_json_:
        as_json({"id": made.id, "name": name, "prefix": made.prefix, "scopes": made.scopes, "key": made.key})
        return
    settings = get_settings()
    click.echo(f"The key {name} may: {', '.join(made.scopes)}. Keep it now, it is not shown again:\n\n  {made.key}\n")
    click.echo(
        f"Try it: curl -H 'Authorization: Bearer {made.key}' http://{settings.bind_host}:{settings.gateway_port}/api/v1/jobs"
    )


@keys.command("list")
@json_option
def list_command(as_json_: bool) -> None:
    """All keys, newest first; never their secrets."""
    from dataclasses import asdict

    from app.ui.words import ago
    from core.domains.users import queries
    from core.kit import db
    from core.kit.db import STAFF

    with db.transaction(STAFF) as session:
        found = queries.keys(session)
    if as_json_:
        as_json([asdict(k) for k in found])
        return
    table(
        ("Name", "Prefix", "May", "State", "Last used", "Made"),
        [
            (
                k.name, k.prefix, ", ".join(k.scopes), "live" if k.revoked_at is None else f"revoked {ago(k.revoked_at)}",
                ago(k.last_used_at), ago(k.created_at),
            )
            for k in found
        ],
        empty="There are no keys yet. `ops keys create NAME --scope jobs:read` makes one.",
    )  # fmt: skip


@keys.command("revoke")
@click.argument("name_or_prefix")
@json_option
def revoke_command(name_or_prefix: str, as_json_: bool) -> None:
    """Revoke a key by its name or prefix; it stops working at once."""
    from app.commands.users import _by
    from core.domains.users import service
    from core.kit import db
    from core.kit.db import STAFF

    with db.transaction(STAFF) as session:
        name = service.revoke_key(session, name_or_prefix, by=_by())
    as_json({"name": name, "revoked": True}) if as_json_ else click.echo(f"The key {name} no longer works.")


@keys.command("scopes")
@json_option
def scopes_command(as_json_: bool) -> None:
    """What a key can be allowed to do."""
    from core.domains.users.rules import SCOPES

    if as_json_:
        as_json(SCOPES)
        return
    table(("Scope", "Allows"), list(SCOPES.items()), empty="")
