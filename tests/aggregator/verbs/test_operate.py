"""An operator's day: init, serve, a token, the fleet, approve, revoke; each with words that help when it is wrong."""

import asyncio
import json
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from aggregator.cli import main
from aggregator.security import certificates
from aggregator.stores.catalogue import Catalogue
from aggregator.stores.identities import Identities
from protos import tls
from tests.simulators.identity import enrol

START_S = 30


@pytest.fixture
def config(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    assert main(["init", str(tmp_path / "a"), "--name", "twin.example.org"]) == 0
    told = capsys.readouterr().out
    file = tmp_path / "a" / "aggregator.toml"
    assert f"aggregator serve {file}" in told
    assert "move it off" in told
    file.write_text(file.read_text().replace(":7443", ":0").replace(":7444", ":0").replace(":7480", ":0"))
    return file


@contextmanager
def server(config: Path) -> Iterator[subprocess.Popen[str]]:
    words = [sys.executable, "-m", "aggregator.cli", "serve", str(config)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline().startswith("sync ")
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(START_S)
    assert process.returncode == 0


def test_an_address_that_nobody_can_dial_is_told_to_no_gateway(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init", str(tmp_path / "b"), "--listen", "0.0.0.0"]) == 1
    assert "--name" in capsys.readouterr().err
    assert not (tmp_path / "b").exists()
    assert main(["enrol-token", "gw", "-c", str(config), "--address", "0.0.0.0:7444"]) == 1
    assert "no gateway can dial that" in capsys.readouterr().err


def test_init_never_overwrites(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert stat.S_IMODE(config.parent.stat().st_mode) == 0o700
    before = (config.parent / "ca" / "root.pem").read_bytes()
    assert main(["init", str(config.parent)]) == 1
    assert "never overwritten" in capsys.readouterr().err
    assert (config.parent / "ca" / "root.pem").read_bytes() == before


def test_the_root_key_can_go_elsewhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state, stick = tmp_path / "a", tmp_path / "stick"
    assert main(["init", str(state), "--root-offline", str(stick)]) == 0
    assert (stick / "root.key").exists()
    assert not (state / "ca" / "root.key").exists()
    assert main(["init", str(state), "--renew-intermediate", str(stick / "root.key")]) == 0
    assert "restart the aggregator" in capsys.readouterr().out


def test_from_token_to_revocation(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with server(config):
        assert main(["enrol-token", "gw-1", "-c", str(config)]) == 0
        token = tls.Token.decode(capsys.readouterr().out)
        assert token.address == json.loads((config.parent / "endpoints.json").read_text())["enrolment"]
        root = (config.parent / "ca" / "root.pem").read_bytes()
        assert tls.fingerprint(tls.load_chain(root)[0]) == token.root_sha256
        reply = asyncio.run(enrol(token, root, certificates.new_key()))
        assert tls.load_chain(reply.certificate_pem)
        assert main(["gateways", "--json", "-c", str(config)]) == 0
        (row,) = json.loads(capsys.readouterr().out)
        assert (row["gateway"], row["state"], row["received"]) == ("gw-1", "enrolled", 0)
        assert 29.9 < row["cert days"] <= 30.1
        assert main(["gateways", "revoke", "gw-1", "--reason", "stolen", "-c", str(config)]) == 0
        assert main(["gateways", "show", "gw-1", "-c", str(config)]) == 0
        assert "revoked: stolen" in capsys.readouterr().out
    assert not (config.parent / "endpoints.json").exists()


def test_approval(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gateways", "approve", "gw-1", "-c", str(config)]) == 1
    assert "has not asked" in capsys.readouterr().err
    catalogue = Catalogue(config.parent / "catalogue.sqlite")
    with catalogue.act(1, "test", "ask", "gw-1"):
        catalogue.put_gateway("gw-1", "enrolled", 1)
        Identities(catalogue).ask_recovery("gw-1", "k", 1)
    assert main(["gateways", "-c", str(config)]) == 0
    assert "asks" in capsys.readouterr().out
    assert main(["gateways", "approve", "gw-1", "-c", str(config)]) == 0
    assert Identities(catalogue).recovery("gw-1", "k") is not None
    catalogue.close()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["enrol-token", "No Good"], "gateway id"),
        (["enrol-token", "gw-1", "--hours", "0"], "hours"),
        (["gateways", "show"], "name a gateway"),
        (["gateways", "show", "gw-9"], "no gateway"),
        (["gateways", "revoke", "gw-9"], "no gateway"),
    ],
)
def test_what_is_wrong_is_told(words: list[str], told: str, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*words, "-c", str(config)]) == 1
    assert told in capsys.readouterr().err


def test_nothing_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["gateways", "-c"], ["enrol-token", "gw-1", "-c"], ["serve"]):
        assert main([*words, str(tmp_path / "none.toml")]) == 1
        assert "aggregator init" in capsys.readouterr().err


def test_two_servers_on_one_state(config: Path) -> None:
    with server(config):
        words = [sys.executable, "-m", "aggregator.cli", "serve", str(config)]
        second = subprocess.run(words, capture_output=True, text=True, timeout=START_S, check=False)
        assert second.returncode == 1
        assert "another aggregator runs" in second.stderr
