"""Letting people and programs in from the command line."""

import json
from pathlib import Path

import pytest

from aggregator.access.throttle import Throttle
from aggregator.cli import main
from aggregator.stores.catalogue import Catalogue
from aggregator.verbs.users import doors_of
from tests.aggregator.serving import prepare

WORDS = "seven herons on the lock gate"


@pytest.fixture
def config(tmp_path: Path) -> str:
    settings = prepare(tmp_path)
    settings.path.write_text(f'[aggregator]\nstate_dir = "{tmp_path}"\n[web]\nlisten = "127.0.0.1:7480"\n')
    return str(settings.path)


def told(capsys: pytest.CaptureFixture[str]) -> list[dict[str, str]]:
    return list(json.loads(capsys.readouterr().out))


def enter(config: str, link: str) -> None:
    """As the page does with the link's secret."""
    from aggregator.config import load

    with doors_of(load(Path(config))) as (_, doors):
        doors.throttle = Throttle()
        assert doors.session(doors.welcome(link.partition("#")[2], "", WORDS, "test"))


def test_a_user_from_invitation_to_removal(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    for name, role in (("ada", "admin"), ("mei", "operator")):
        assert main(["users", "invite", name, role, "--json", "-c", config]) == 0
        link = told(capsys)[0]["link"]
        assert link.startswith("http://127.0.0.1:7480/welcome#")
        enter(config, link)
    assert main(["users", "role", "mei", "engineer", "--json", "-c", config]) == 0
    assert {one["name"]: one["role"] for one in told(capsys)} == {"ada": "admin", "mei": "engineer"}
    assert main(["users", "disable", "mei", "--json", "-c", config]) == 0
    assert [one["enabled"] for one in told(capsys)] == ["yes", "no"]
    assert main(["users", "remove", "ada", "-c", config]) == 1
    assert "last admin" in capsys.readouterr().err
    assert main(["users", "remove", "mei", "--json", "-c", config]) == 0
    assert [one["name"] for one in told(capsys)] == ["ada"]
    catalogue = Catalogue(Path(config).parent / "catalogue.sqlite")
    acts = [one.act for one in catalogue.audit()]
    catalogue.close()
    assert acts == ["invite", "welcome", "invite", "welcome", "set role", "disable user", "remove user"]


def test_a_token_is_told_once(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tokens", "make", "grafana", "viewer", "--days", "7", "--json", "-c", config]) == 0
    secret = told(capsys)[0]["token"]
    assert main(["tokens", "list", "--json", "-c", config]) == 0
    shown = capsys.readouterr().out
    assert "grafana" in shown
    assert secret not in shown
    assert main(["tokens", "revoke", "grafana", "--json", "-c", config]) == 0
    assert told(capsys) == []


def test_a_link_to_nowhere_is_not_made(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = Path(config)
    path.write_text(path.read_text().replace("127.0.0.1:7480", ""))
    assert main(["users", "invite", "mei", "viewer", "-c", config]) == 1
    assert "there is no page" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["users", "role", "nobody", "viewer"], "no user nobody"),
        (["users", "invite", "Mei!", "viewer"], "a name is"),
        (["users", "invite", "mei", "viewer", "--hours", "1000"], "at most"),
        (["tokens", "make", "x", "viewer", "--days", "0"], "at most"),
        (["tokens", "revoke", "x"], "no token x"),
    ],
)
def test_words_that_help(config: str, capsys: pytest.CaptureFixture[str], words: list[str], said: str) -> None:
    assert main([*words, "-c", config]) == 1
    assert said in " ".join(capsys.readouterr().err.split())
