"""The systemd units: a narrow sandbox, and what the service needs is let through."""

import subprocess
from pathlib import Path

import pytest

UNITS = sorted((Path(__file__).parents[2] / "deploy" / "systemd").glob("*.service"))
EXPOSURE_MAX = 20  # tenths
NEEDED = ("sched_setscheduler", "setpriority")  # of the gateway: edge_agent/loop.py and rollout/proof.py


def exposed(unit: Path, threshold: int) -> "subprocess.CompletedProcess[str]":
    words = ["systemd-analyze", "security", "--offline=yes", f"--threshold={threshold}", "--no-pager", str(unit)]
    return subprocess.run(words, capture_output=True, text=True, check=False)


@pytest.mark.system("systemd-analyze")
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_exposure(unit: Path) -> None:
    done = exposed(unit, EXPOSURE_MAX)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    assert exposed(unit, 5).returncode != 0, "negative control: a threshold that no service keeps"


def test_the_control_loop_may_have_its_priority() -> None:
    text = next(unit for unit in UNITS if "edge" in unit.stem).read_text()
    allowed = [line.partition("=")[2] for line in text.splitlines() if line.startswith("SystemCallFilter=")]
    for call in NEEDED:
        assert call in allowed[-1].split(), "after the groups that are taken away"
    assert "LimitRTPRIO=20" in text
    assert "RestrictRealtime=no" in text
