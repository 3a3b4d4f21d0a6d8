"""The two installers, run for real below a directory of their own: what they put where, with which modes.

The Python of the installation is a stand-in that writes down what it is told, so that nothing is downloaded.
"""

import stat
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "deploy" / "install-gateway.sh"
CITY = ROOT / "deploy" / "install-aggregator.sh"
PLACES = {
    "opt/citytwin": 0o755,
    "etc/citytwin": 0o755,
    "etc/citytwin/devices": 0o750,
    "etc/citytwin/gateway.toml": 0o640,
    "etc/systemd/system/citytwin-edge.service": 0o644,
    "var/lib/citytwin": 0o700,
}


@pytest.fixture
def image(tmp_path: Path) -> Path:
    folder = tmp_path / "opt" / "citytwin" / "bin"
    folder.mkdir(parents=True)
    python = folder / "python"
    python.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/told\n')
    python.chmod(0o755)
    (folder / "edge-agent").write_text(f"#!{folder}/python\nprint()\n")
    return tmp_path


def install(*words: object, script: Path = SCRIPT) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["bash", script, *map(str, words)], capture_output=True, text=True, check=False, cwd="/")


def test_files_and_modes(image: Path) -> None:
    done = install("--root", image, "--config", ROOT / "firmware_configs" / "sites" / "north.toml")
    assert done.returncode == 0, done.stderr
    assert {place: stat.S_IMODE((image / place).stat().st_mode) for place in PLACES} == PLACES
    shipped = ROOT / "firmware_configs" / "sites" / "north.toml"
    assert (image / "etc/citytwin/gateway.toml").read_text() == shipped.read_text()
    unit = (image / "etc/systemd/system/multi-user.target.wants/citytwin-edge.service").resolve()
    assert unit == image / "etc/systemd/system/citytwin-edge.service"
    assert unit.read_text() == (ROOT / "deploy/systemd/citytwin-edge.service").read_text()
    assert (image / "usr/local/bin/edge-agent").readlink() == Path("/opt/citytwin/bin/edge-agent")
    assert (image / "opt/citytwin/bin/edge-agent").read_text().startswith("#!/opt/citytwin/bin/python\n")
    told = (image / "told").read_text().splitlines()
    assert len(told) == 2
    assert "--require-hashes -r deploy/gateway.lock" in told[0]
    assert told[1].endswith("--force-reinstall .")
    assert "no user below" in done.stdout


def test_an_upgrade_keeps_the_configuration_that_is_there(image: Path) -> None:
    assert install("--root", image).returncode == 0
    file = image / "etc/citytwin/gateway.toml"
    assert file.read_text() == (ROOT / "firmware_configs/sites/centre.toml").read_text()
    file.write_text("# mine\n")
    done = install("--root", image)
    assert (done.returncode, file.read_text()) == (0, "# mine\n")


def test_the_aggregators_files(image: Path) -> None:
    done = install("--root", image, script=CITY)
    assert done.returncode == 0, done.stderr
    assert stat.S_IMODE((image / "var/lib/citytwin-aggregator").stat().st_mode) == 0o700
    unit = (image / "etc/systemd/system/multi-user.target.wants/citytwin-aggregator.service").resolve()
    assert unit.read_text() == (ROOT / "deploy/systemd/citytwin-aggregator.service").read_text()
    program = (image / "usr/local/bin/aggregator").readlink()
    assert f"ExecStart={program} serve" in unit.read_text()
    state = Path("/var/lib/citytwin-aggregator")
    assert (image / "etc/citytwin/aggregator.toml").readlink() == state / "aggregator.toml"
    assert "--require-hashes -r deploy/aggregator.lock" in (image / "told").read_text()
    both = install("--root", image)  # the same machine may be a gateway
    assert both.returncode == 0, both.stderr


@pytest.mark.parametrize("words", [["--colour"], ["--root", "/nonexistent-place"], ["--name"]])
def test_wrong_words_for_the_aggregator(words: list[str]) -> None:
    assert install(*words, script=CITY).returncode != 0


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        (["--root", "/nonexistent-place"], "No such file"),
        (["--root", "/tmp", "--token", "t"], "--token needs the running system"),
        (["--colour"], "unknown option --colour"),
    ],
)
def test_wrong_words_change_nothing(words: list[str], wrong: str) -> None:
    done = install(*words)
    assert done.returncode != 0
    assert wrong in done.stderr


def test_a_download_that_fails_ends_it(image: Path) -> None:
    """Negative control: nothing is configured or enabled behind software that did not come."""
    (image / "opt/citytwin/bin/python").write_text("#!/bin/sh\nexit 3\n")
    assert install("--root", image).returncode == 3
    assert not (image / "etc/systemd/system/citytwin-edge.service").exists()
