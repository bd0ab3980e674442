"""The environment's switch: read anew each time, in the environment and in .env."""

from pathlib import Path

import pytest

from core.runtime.switches.env import REASON, SETTING, env_stop


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(SETTING, raising=False)
    monkeypatch.delenv(REASON, raising=False)
    return tmp_path


def test_nothing_set_stops_nothing() -> None:
    assert env_stop() is None


@pytest.mark.parametrize("value", ["1", "true", "on", "yes", "please stop", " 1 ", "-"])
def test_any_other_value_stops(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv(SETTING, value)
    assert env_stop() == "OPS_KILL_SWITCH is set on the server."
    monkeypatch.setenv(REASON, "A client called.")
    assert env_stop() == "A client called."


@pytest.mark.parametrize("value", ["", "0", "false", "No", "OFF", "  "])
def test_off_is_off(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv(SETTING, value)
    assert env_stop() is None


def test_it_is_read_anew_each_time(monkeypatch: pytest.MonkeyPatch, here: Path) -> None:
    file = here / ".env"
    for _ in range(3):
        monkeypatch.setenv(SETTING, "1")
        assert env_stop() is not None
        monkeypatch.delenv(SETTING)
        assert env_stop() is None
        # the same size, within the same tick of the file system's clock
        file.write_text("OPS_KILL_SWITCH=1\n")
        assert env_stop() is not None
        file.write_text("OPS_KILL_SWITCH=0\n")
        assert env_stop() is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("OPS_KILL_SWITCH=1", "OPS_KILL_SWITCH is set on the server."),
        ("export ops_kill_switch = 'yes'", "OPS_KILL_SWITCH is set on the server."),
        ('OPS_KILL_SWITCH="1" # now\nOPS_KILL_SWITCH_REASON="We look into it."', "We look into it."),
        ("A=1\n\nOPS_KILL_SWITCH=on # why\nOPS_KILL_SWITCH_REASON=Too many mails # x", "Too many mails"),
        ("# OPS_KILL_SWITCH=1", None),
        ("OPS_KILL_SWITCH='0'", None),
        ("OPS_KILL_SWITCH", None),
    ],
)
def test_the_file(here: Path, text: str, reason: str | None) -> None:
    (here / ".env").write_text(text)
    assert env_stop() == reason


def test_the_environment_says_off_and_the_file_says_on(monkeypatch: pytest.MonkeyPatch, here: Path) -> None:
    monkeypatch.setenv(SETTING, "0")
    (here / ".env").write_text("OPS_KILL_SWITCH=1")
    assert env_stop() is not None


def test_a_file_that_cannot_be_read_stops_everything(here: Path) -> None:
    (here / ".env").mkdir()
    assert env_stop() == "The file .env can't be read, so it may hold a stop."
