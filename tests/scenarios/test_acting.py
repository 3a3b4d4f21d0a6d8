"""A gateway that acts, as a process: twin, loop, hand, status, a reload, the end. Real devices, real sockets."""

import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.bench.acting import devices, site
from tests.bench.failsafe import write_register
from tests.bench.gateway import BIN, agent, ask

PATIENCE_S = 30.0
READBACK_S = 2.0  # of the outputs of `site`
LOCAL = '[local.modbus]\nlisten = "127.0.0.1:0"\n'


def until(what: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if found := what():
            return found
        time.sleep(0.1)
    raise AssertionError(f"{what} did not come in {PATIENCE_S:g} s")


def output(config: Path) -> dict[str, Any]:
    control: Any = ask(config)["control"]
    found: dict[str, Any] = control["outputs"][0] if control else {}
    return found


def verb(*words: object) -> str:
    done = subprocess.run([BIN / "edge-agent", *map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_gateway_acts_on_its_twin_and_lets_a_person_take_over(tmp_path: Path) -> None:
    with devices("--echo-ms", "50") as found:
        config = site(tmp_path, found.ports, period_ms=50, outputs=1, twins=1, tail=LOCAL)
        with agent(tmp_path, config) as process:
            until(lambda: output(config).get("authority") == "local")
            report = ask(config)
            assert [one["twin"] for one in report["control"]["twins"]] == ["echo0"]
            assert report["control"]["twins"][0]["slot"] in ("probation", "current")
            assert [one["state"] for one in report["control"]["estimates"]] == ["level"]
            rows = json.loads(verb("models", "list", "--config", config, "--json"))
            assert "echo" in json.dumps(rows)

            verb("hand", "out0", "55", "--for", "5m", "--why", "a test", "--config", config)
            until(lambda: found.ask()["actuators"] == [550])
            assert output(config)["authority"] == "hand"
            assert "a test" in output(config)["why"]
            before = ask(config)["control"]["tick"]
            process.send_signal(signal.SIGHUP)  # a reload leaves the outputs alone, and to whom they belong
            until(lambda: "reloaded" in (tmp_path / "agent.log").read_text())
            until(lambda: output(config).get("authority") == "hand")
            assert ask(config)["control"]["hands"][0]["output"] == "out0"
            done = [value for _, value in found.ask()["log"][0]]
            assert set(done[done.index(550) :]) == {550}
            assert ask(config)["control"]["tick"] > before, "totals never go back"
            assert ask(config)["healthy"]
            config.write_text(config.read_text().replace("max = 100", "max = 50"))
            process.send_signal(signal.SIGHUP)
            until(lambda: "out0 may now be 0 to 50 only" in (tmp_path / "agent.log").read_text())
            until(lambda: output(config).get("authority") == "local")
        assert found.ask()["actuators"] == [0]
    log = verb("buffer", "history", "control/out0", "--config", config, "--json")
    assert log.strip(), "decisions are kept"


def test_a_refused_reload_leaves_twin_and_loop_as_they_were(tmp_path: Path) -> None:
    """What the file and the model disagree in is found only when the new models were taken in hand already."""
    with devices("--echo-ms", "50") as found:
        config = site(tmp_path, found.ports, period_ms=50, outputs=1, twins=1)
        good, log = config.read_text(), tmp_path / "agent.log"
        with agent(tmp_path, config) as process:
            until(lambda: output(config).get("authority") == "local")
            config.write_text(good.replace("speed =", "sped ="))
            process.send_signal(signal.SIGHUP)
            until(lambda: "reload refused" in log.read_text())
            config.write_text(good)
            before = ask(config)
            until(lambda: ask(config)["control"]["tick"] > before["control"]["tick"] + 40)
            now = ask(config)
            assert now["tasks"]["models"]["restarts"] == now["tasks"]["control"]["restarts"] == 0
            assert [one["slot"] for one in now["control"]["twins"]] in (["probation"], ["current"])
            assert output(config)["authority"] == "local"
            process.send_signal(signal.SIGHUP)
            until(lambda: "reloaded" in log.read_text())
            until(lambda: output(config).get("authority") == "local")
        assert "points.sped" in log.read_text()
        assert "Traceback" not in log.read_text()


def test_an_agent_that_was_stopped_goes_on_where_the_device_is(tmp_path: Path) -> None:
    """The device's own timeout has made it safe meanwhile: that is no fault, and nobody waits a minute for it."""
    with devices("--timeout-s", "0.5") as found:
        write_register(found.ports[0], 0, 300)
        config = site(tmp_path, found.ports, period_ms=50, outputs=1, ttl_s=60, refresh_s=0.25, timeout_s=0.5)
        with agent(tmp_path, config) as process:
            until(lambda: found.ask()["actuators"] == [300])
            process.send_signal(signal.SIGSTOP)
            until(lambda: found.ask()["actuators"] == [0])
            time.sleep(1.2 * READBACK_S)  # longer than a device may take to show what it was told
            process.send_signal(signal.SIGCONT)
            begun = time.monotonic()
            until(lambda: found.ask()["actuators"] == [300])
            assert time.monotonic() - begun < READBACK_S
            time.sleep(READBACK_S / 2)
            assert (output(config)["authority"], output(config)["trouble"]) == ("local", "")
            assert ask(config)["gauges"]["control_failsafes_total"] == 0
