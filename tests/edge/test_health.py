"""Health: progress per task, late tasks by name, gauges for people and for Prometheus."""

import re

from edge_agent.health import Health
from protos.clock import NS, SteppedClock


async def test_a_task_without_progress_is_late_by_name() -> None:
    clock = SteppedClock()
    health = Health(clock)
    health.watch("intake", 5.0)
    health.watch("sync")
    await clock.advance(4 * NS)
    assert health.late() == []
    await clock.advance(2 * NS)
    assert health.late() == ["intake"]
    health.progress("intake")
    assert health.late() == []


def test_a_failure_is_counted_and_told() -> None:
    health = Health(SteppedClock())
    health.watch("sync")
    health.failed("sync", OSError("no route"))
    assert health.tasks["sync"].restarts == 1
    assert health.tasks["sync"].error == "OSError: no route"
    health.progress("sync")
    assert health.tasks["sync"].error == ""


def test_prometheus_text_is_well_formed() -> None:
    health = Health(SteppedClock())
    health.watch("intake", 1)
    health.parts["buffer"] = lambda: {"stored_total": 3, "backlog_bytes": 10.5}
    lines = health.prometheus().splitlines()
    assert "citytwin_buffer_stored_total 3" in lines
    assert "# TYPE citytwin_buffer_stored_total counter" in lines
    for line in lines:
        assert line.startswith("# TYPE") or re.fullmatch(r'[a-z_]+(\{task="\w+"\})? [-+0-9.e]+', line), line
