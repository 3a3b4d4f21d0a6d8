"""What the agent makes of its file before it runs; a running one is in tests/scenarios/test_agent.py."""

from pathlib import Path

import pytest

from edge_agent.agent import METERED_COMMIT_MS, pace_of
from edge_agent.config import load


@pytest.mark.parametrize(
    ("metered", "commit_ms", "used_ms"),
    [("false", 1000, 1000), ("true", 1000, METERED_COMMIT_MS), ("true", 30_000, 30_000)],
)
def test_a_metered_line_pays_for_few_batches(tmp_path: Path, metered: str, commit_ms: int, used_ms: int) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(
        f'[gateway]\nid = "north-1"\ndistrict = "north"\n[buffer]\ncommit_ms = {commit_ms}\n'
        f"commit_readings = 500\n[sync]\nmetered = {metered}\n"
        '[[device]]\nname = "a"\nprofile = "eastron-sdm120"\nconnection = "tcp://127.0.0.1:502"\n'
    )
    pace = pace_of(load(file))
    assert (pace.commit_ms, pace.commit_readings) == (used_ms, 500)
