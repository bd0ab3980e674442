"""`ops users`: people who may sign in."""

import sys
from typing import Any

import click

from app.commands.output import as_json, json_option, table


def _by() -> Any:
    """The person at the keyboard of the server."""
    from core.kit.actor import Actor

    return Actor("The server's command line", "system")


def _link(email: str, minutes: int) -> dict[str, Any]:
    from app.auth.paths import link_url
    from core.domains.users import service
    from core.kit import db
    from core.kit.db import STAFF

    with db.transaction(STAFF) as session:
        token = service.create_login_link(session, email, minutes)
    return {"email": email.strip().lower(), "url": link_url(token), "expires_in_minutes": minutes}


def _say_link(made: dict[str, Any]) -> None:
    click.echo(
        f"A one-time sign-in link for {made['email']}, good for {made['expires_in_minutes']} minutes:\n\n  {made['url']}\n"
    )


minutes_option = click.option(
    "--minutes", type=click.IntRange(1, 7 * 24 * 60), default=30, show_default=True, help="How long the link works."
)


@click.group()
def users() -> None:
    """People who may sign in: add, list, link, role, slack, password, disable, enable."""


@users.command("add")
@click.argument("email")
@click.option("--name", help="What people call them; without it, the part before the @.")
@click.option("--role", default="sales", show_default=True, help="admin, engineering, delivery, sales or marketing.")
@minutes_option
@json_option
def add_command(email: str, name: str | None, role: str, minutes: int, as_json_: bool) -> None:
    """Add a person and print a one-time sign-in link for them."""
    from core.domains.users import service
    from core.kit import db
    from core.kit.db import STAFF

    name = name or email.partition("@")[0].replace(".", " ").strip().title()
    with db.transaction(STAFF) as session:
        user_id = service.add(session, email, name, role, by=_by())
    made = {"id": user_id, "name": name, "role": role.lower(), **_link(email, minutes)}
    if as_json_:
        as_json(made)
        return
    click.echo(f"Added {name} ({made['role']}).")
    _say_link(made)


@users.command("list")
@json_option
def list_command(as_json_: bool) -> None:
    """Everybody: role, last seen, browsers signed in."""
    from dataclasses import asdict

    from app.ui.words import ago
    from core.domains.users import queries
    from core.kit import db
    from core.kit.db import STAFF

    with db.transaction(STAFF) as session:
        found = queries.users(session)
    if as_json_:
        as_json([asdict(u) for u in found])
        return
    table(
        ("Id", "Name", "E-mail", "Role", "Signs in by", "Browsers", "Last seen", "Slack"),
        [
            (
                u.id, u.name, u.email, u.role.value if u.enabled else f"{u.role.value}, disabled",
                "password or link" if u.has_password else "link", u.sessions, ago(u.last_seen_at), u.slack_user_id,
            )
            for u in found
        ],
        empty="There is nobody yet. `ops users add EMAIL --role admin` adds the first person.",
    )  # fmt: skip


@users.command("link")
@click.argument("email")
@minutes_option
@json_option
def link_command(email: str, minutes: int, as_json_: bool) -> None:
    """Print a one-time sign-in link. Links made before stop working."""
    made = _link(email, minutes)
    if as_json_:
        as_json(made)
    else:
        _say_link(made)


@users.command("role")
@click.argument("email")
@click.argument("role")
@json_option
def role_command(email: str, role: str, as_json_: bool) -> None:
    """Give a person another role; it holds from their next click."""
    from core.domains.users import service
    from core.kit import db
    from core.kit.db import STAFF

    with db.transaction(STAFF) as session:
        service.set_role(session, email, role, by=_by())
    as_json({"email": email, "role": role.lower()}) if as_json_ else click.echo(f"{email} is {role.lower()} now.")


@users.command("slack")
@click.argument("email")
@click.argument("slack_id", metavar="U123|none")
@json_option
def slack_command(email: str, slack_id: str, as_json_: bool) -> None:
    """Link a person to their Slack account, so that their clicks on Slack's buttons count; `none` unlinks them."""
    from core.domains.users import service
    from core.kit import db
    from core.kit.db import STAFF

    wanted = None if slack_id.strip().lower() == "none" else slack_id
    with db.transaction(STAFF) as session:
        service.set_slack(session, email, wanted, by=_by())
    if as_json_:
        as_json({"email": email.strip().lower(), "slack_user_id": wanted.strip().upper() if wanted else None})
    else:
        click.echo(f"{email} is linked to {wanted.strip().upper()}." if wanted else f"{email} is no longer linked to Slack.")


@users.command("password")
@click.argument("email")
@click.option("--stdin", "from_stdin", is_flag=True, help="Read the password from standard input instead of asking.")
@json_option
def password_command(email: str, from_stdin: bool, as_json_: bool) -> None:
    """Set a password. It is asked for, never an argument, since arguments show in the process list."""
    from core.domains.users import service
    from core.errors import BadInput
    from core.kit import db
    from core.kit.db import STAFF

    if as_json_ and not from_stdin:
        raise BadInput("With --json nothing is asked for.", "Give the password on standard input with --stdin.")
    if from_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    else:
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    with db.transaction(STAFF) as session:
        service.set_password(session, email, password, by=_by())
    if as_json_:
        as_json({"email": email, "password": "set"})
    else:
        click.echo("Saved. Every browser of theirs is signed out.")


@users.command("disable")
@click.argument("email")
@json_option
def disable_command(email: str, as_json_: bool) -> None:
    """Lock a person out at once; their sessions and links end."""
    from core.domains.users import service
    from core.kit import db
    from core.kit.db import STAFF

    with db.transaction(STAFF) as session:
        service.disable(session, email, by=_by())
    as_json({"email": email, "enabled": False}) if as_json_ else click.echo(f"{email} is disabled and signed out everywhere.")


@users.command("enable")
@click.argument("email")
@json_option
def enable_command(email: str, as_json_: bool) -> None:
    """Let a disabled person in again."""
    from core.domains.users import service
    from core.kit import db
    from core.kit.db import STAFF

    with db.transaction(STAFF) as session:
        service.enable(session, email, by=_by())
    as_json({"email": email, "enabled": True}) if as_json_ else click.echo(f"{email} may sign in again.")
