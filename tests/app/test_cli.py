"""The `ops` command as a shell sees it: exit codes, one sentence for what went wrong, lazy imports."""

import subprocess
import sys

import pytest

from app.cli import COMMANDS


def ops(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "app.cli", *argv], capture_output=True, text=True, timeout=60)


@pytest.mark.slow
def test_an_import_that_keeps_nothing_leaves_with_a_code(db, tmp_path):
    file = tmp_path / "deals.csv"
    file.write_text("id,title,stage,value\n1,A,Won,12\n2,B,Won,zzz\n")
    done = ops("import", "deals", str(file), "--yes", "--json")
    assert done.returncode == 1
    assert '"rejected": 1' in done.stdout


def test_an_unknown_command_says_what_was_meant():
    done = ops("job")
    assert done.returncode == 2
    assert "Did you mean `ops jobs`?" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name):
    done = ops(name, "--help")
    assert done.returncode == 0
    assert "Usage: " in done.stdout


def test_the_help_imports_no_heavy_library():
    heavy = {"pandas", "streamlit", "sqlalchemy", "anthropic", "plotly"}
    code = f"import sys, app.cli; sys.exit(str({heavy} & set(sys.modules) or ''))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.strip() == ""
