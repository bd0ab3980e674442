import csv
import json

import pytest
from click.testing import CliRunner

from app.commands.imports import imports
from core.errors import OpsError
from tests.tools.database import sql

GOOD = "id,deal_stage,amount,created\n1,Won,$5,2026-01-02\n2,Lead,,\n"
BAD = GOOD + '3,,7,\n4,Lead,=cmd(),\n'  # fmt: skip


@pytest.fixture
def run(db, tmp_path):
    def call(text: str, *arguments: str, input: str | None = None):
        path = tmp_path / "deals.csv"
        path.write_text(text)
        return CliRunner().invoke(imports, ["deals", str(path), *arguments], input=input)

    return call


def test_json_is_exactly_the_five_numbers(run):
    first = run(GOOD, "--yes", "--json")
    assert (first.exit_code, json.loads(first.stdout)) == (
        0, {"rows": 2, "created": 2, "updated": 0, "unchanged": 0, "rejected": 0},
    )  # fmt: skip
    assert json.loads(run(GOOD, "--yes", "--json").stdout) == {
        "rows": 2,
        "created": 0,
        "updated": 0,
        "unchanged": 2,
        "rejected": 0,
    }


def test_rejected_rows_import_nothing_and_exit_with_1(run, tmp_path):
    saved = tmp_path / "rejected.csv"
    result = run(BAD, "--yes", "--json", "--rejected", str(saved))
    assert result.exit_code == 1
    assert json.loads(result.stdout) == {"rows": 4, "created": 0, "updated": 0, "unchanged": 0, "rejected": 2}
    assert "line 4: The row has no “deal_stage”." in result.stderr
    assert sql("SELECT count(*) FROM deals") == [(0,)]
    found = list(csv.DictReader(saved.read_text(encoding="utf-8-sig").splitlines()))
    assert [(r["line"], r["id"], r["amount"]) for r in found] == [("4", "3", "7"), ("5", "4", "'=cmd()")]


def test_keep_good_imports_the_rest_and_exits_with_0(run):
    result = run(BAD, "--yes", "--json", "--keep-good")
    assert (result.exit_code, json.loads(result.stdout)["created"], json.loads(result.stdout)["rejected"]) == (0, 2, 2)


def test_a_person_sees_the_preview_and_is_asked(run):
    refused = run(GOOD, input="n\n")
    assert refused.exit_code == 1
    assert "deal_stage" in refused.stdout
    assert "2 new, 0 changed" in refused.stdout
    assert sql("SELECT count(*) FROM deals") == [(0,)]
    agreed = run(GOOD, input="y\n")
    assert (agreed.exit_code, "Imported: 2 new" in agreed.stdout) == (0, True)


def test_a_person_is_not_asked_to_import_what_can_not_be(run):
    result = run(BAD)
    assert result.exit_code == 1
    assert "Import these deals?" not in result.stdout
    assert "--keep-good" in result.stderr


def test_a_dry_run_changes_nothing(run):
    result = run(GOOD, "--dry-run", "--json")
    assert json.loads(result.stdout)["created"] == 2
    assert sql("SELECT count(*) FROM deals") == [(0,)]


def test_columns_and_stages_can_be_named(run):
    assert (
        run("a,b\n1,Done\n", "--yes", "--map", "external_id=a", "--map", "stage=b", "--stage-status", "Done=won").exit_code == 0
    )
    assert sql("SELECT external_id, status FROM deals") == [("1", "won")]


@pytest.mark.parametrize(
    ("text", "arguments", "message"),
    [
        (GOOD, ["--map", "nonsense"], "not of the form"),
        (GOOD, ["--map", "stage=nope", "--yes"], "no column “nope”"),
        ("", ["--yes"], "empty"),
        (GOOD, ["--json"], "nobody can be asked"),
        (GOOD, ["--yes", "--rejected", "/nowhere/x.csv"], "can't be written"),
    ],
)
def test_a_mistake_is_one_sentence(run, text, arguments, message):
    result = run(text, *arguments)
    assert result.exit_code != 0
    assert message in (result.stderr + str(result.exception))
    assert result.exception is None or isinstance(result.exception, OpsError | SystemExit)


def test_pipedrive_without_a_token_says_what_to_do(db):
    result = CliRunner().invoke(imports, ["pipedrive"])
    assert result.exit_code == 1
    assert "PIPEDRIVE_API_TOKEN" in str(result.exception)
