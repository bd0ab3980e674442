"""The `ops` command. Each command lives in its own module and is imported only when it is used."""

import sys
from importlib import import_module
from typing import Any

import click

COMMANDS = {
    "up": ("app.commands.up:up", "Start everything: services, web, gateway, workers, clock and watchdog."),
    "status": ("app.commands.status:status", "What runs, and is it well?"),
    "doctor": ("app.commands.doctor:doctor", "Check the installation and say what to do about what is wrong."),
    "jobs": ("app.commands.jobs:jobs", "Scheduled agent jobs: list, show, run, enable, disable, add."),
    "runs": ("app.commands.runs:runs", "The run ledger: list, show, cancel, retry."),
    "actions": ("app.commands.actions:actions", "Actions: what waits for a decision, approve, reject, reply, undo, resolve."),
    "import": ("app.commands.imports:imports", "Bring in records from files and vendors."),
    "demo": ("app.commands.demo:demo", "Load or clear the demo agency."),
    "kill": ("app.commands.kill:kill", "Stop everything that leaves, one organisation or one agent; `kill status` shows it."),
    "resume": ("app.commands.kill:resume", "Let go on what a kill switch stopped."),
    "users": ("app.commands.users:users", "People who may sign in: add, link."),
    "keys": ("app.commands.keys:keys", "Keys of the JSON API: create, list, revoke."),
    "connections": ("app.commands.connections:connections", "Accounts at vendors: list, set, test, remove."),
    "secrets": ("app.commands.connections:secrets", "Keys of stored secrets: status, rotate, drop."),
    "migrate": ("app.commands.migrate:migrate", "Bring the database schema up to date."),
    "backup": ("app.commands.backup:backup", "Write a backup of the database to a file."),
    "restore": ("app.commands.backup:restore", "Restore a backup into an empty database."),
}


class LazyGroup(click.Group):
    """A group whose commands are imported on use; its help needs none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_text) for name, (_, help_text) in COMMANDS.items()])

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError:
            from difflib import get_close_matches

            near = get_close_matches(args[0], COMMANDS, n=1)
            hint = f" Did you mean `ops {near[0]}`?" if near else " `ops --help` lists the commands."
            raise click.UsageError(f"There is no command “{args[0]}”.{hint}") from None


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="manageai-ops", prog_name="ops")
def cli() -> None:
    """ManageAI Ops: the agency's agents, jobs and pipeline."""


def main() -> None:
    """Entry point: expected errors are one sentence with a next step, on standard error, and exit code 1."""
    from core.errors import OpsError

    try:
        # without its standalone mode click returns the code of an exit instead of leaving with it
        code = cli.main(standalone_mode=False)
        if isinstance(code, int):
            sys.exit(code)
    except click.Abort:
        click.echo("Stopped.", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except OpsError as error:
        click.echo(str(error), err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
