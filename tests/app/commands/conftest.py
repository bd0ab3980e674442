"""The `ops` command in this process, which is a hundred times as fast as a process of its own, and as a process."""

import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner, Result

from app.cli import cli
from core.errors import OpsError

OPS = str(Path(sys.executable).with_name("ops"))


def run(*arguments: str, stdin: str | None = None) -> Result:
    """The command in this process. An error of ours is its `exception`; `main` makes a sentence of it."""
    return CliRunner().invoke(cli, list(arguments), input=stdin)


def ops(*arguments: str, stdin: str | None = None, fails: bool = False) -> str:
    """What the command printed in this process, or the sentence it failed with."""
    done = run(*arguments, stdin=stdin)
    assert done.exception is None or isinstance(done.exception, OpsError | SystemExit), done.exception
    assert (done.exit_code != 0) == fails, done.output or str(done.exception)
    return str(done.exception) if isinstance(done.exception, OpsError) else done.output


def shell(*arguments: str, code: int = 0) -> str:
    """The command as a shell runs it: what it printed, or what it said on standard error."""
    done = subprocess.run([OPS, *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == code, done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    return done.stderr if code else done.stdout
