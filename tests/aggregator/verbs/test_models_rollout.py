"""`aggregator models`: begin, look, pause, resume, take back; each fault in one line."""

import json
from pathlib import Path

import pytest

from aggregator.cli import main
from tests.simulators.bundles import tank_bundle


def test_a_rollout_by_its_verbs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    state = tmp_path / "aggregator"
    assert main(["init", str(state)]) == 0
    where = ["-c", str(state / "aggregator.toml")]
    file = tank_bundle(tmp_path / "tank-2.ctb", version="2")

    def say(*words: str, code: int = 0) -> str:
        capsys.readouterr()
        assert main(["models", *words, *where]) == code
        out = capsys.readouterr()
        return out.out + out.err

    name = json.loads(say("rollout", str(file), "--twin", "level", "--json"))["id"]
    assert "is under way for level" in say("rollout", str(file), "--twin", "level", code=1)
    assert "tank 2" in say("rollouts")
    assert "shadow" in say("rollouts", name)
    assert "only what is paused" in say("resume", name, code=1)
    assert "paused storm" in say("pause", name, "--why", "storm")
    assert "running" in say("resume", name)
    assert "running" in say("approve", name)
    assert "aborting no good" in say("rollback", "level", "--why", "no good")
    assert "no such rollout" in say("abort", "r-none", code=1)
    (one,) = json.loads(say("rollouts", "--json"))
    assert (one["state"], one["title"], one["twin"]) == ("aborting", "tank 2", "level")
    (tmp_path / "junk.ctb").write_bytes(b"junk")
    assert "no bundle" in say("rollout", str(tmp_path / "junk.ctb"), "--twin", "other", code=1)
