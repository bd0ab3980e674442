import json

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from app.cli import cli
from core.kit import db as database
from core.kit.db import STAFF


def ops(*words, answer=None):
    return CliRunner().invoke(cli, ["demo", *words], input=answer, catch_exceptions=False)


def clients():
    with database.transaction(STAFF) as session:
        return session.scalar(text("SELECT count(*) FROM clients"))


def test_load_and_clear_for_programs(db):
    made = json.loads(ops("load", "--yes", "--json").stdout)
    assert made["made"]["clients"] == clients() == 13
    assert made["rows"] == sum(made["made"].values())
    assert made["kept"] == {}
    gone = json.loads(ops("clear", "--yes", "--json").stdout)
    assert gone["removed"] == {k: v for k, v in made["made"].items() if v}
    assert clients() == 0


def test_load_and_clear_for_people(db):
    first = ops("load")  # an empty agency needs no question
    assert first.exit_code == 0
    assert first.stdout.startswith("The demo agency is loaded: 13 clients, 180 deals, ")
    assert first.stdout.count("\n") == 1
    no = ops("clear", answer="n\n")
    assert no.exit_code == 1
    assert clients() == 13
    yes = ops("clear", answer="y\n")
    assert "Removed " in yes.stdout
    assert clients() == 0
    assert ops("clear", "--yes").stdout == "There is no demo agency to remove.\n"


def test_replacing_asks_first(db):
    ops("load", "--yes")
    asked = ops("load", answer="n\n")
    assert asked.exit_code == 1
    assert "Replace it?" in asked.stderr
    assert ops("load", answer="y\n").exit_code == 0
    assert clients() == 13


def test_what_is_kept_is_said(db):
    ops("load", "--yes")
    with database.transaction(STAFF) as session:
        session.execute(
            text("INSERT INTO deals (org_id, source, external_id, title, stage_id, status) "
                 "SELECT org_id, 'csv', '1', 'Mine', id, 'open' FROM stages ORDER BY id LIMIT 1")
        )  # fmt: skip
    said = ops("clear", "--yes").stdout
    assert "Kept, because your own records refer to them: 1 in stages." in said
    assert json.loads(ops("clear", "--yes", "--json").stdout)["kept"] == {"stages": 1}


@pytest.mark.parametrize("words", [("--help",), ("load", "--help"), ("clear", "--help")])
def test_help(words):
    assert ops(*words).exit_code == 0
