"""The partner beside `poll`: thingsboard-gateway, the open gateway that most people would take, in its own venv.

It polls the same Modbus server with address ranges of 100 registers, one request each (its fastest way), converts,
and publishes QoS 1 to a mosquitto, where a counter reads the values that really arrived.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

from tests.bench.processes import cpu_s, free_port, running

VERSION = "3.8.5"
HOME = Path(__file__).parents[2] / ".bench" / "thingsboard"
START_S = 90.0  # it takes some seconds to connect to 50 devices
LIMITS = {"rateLimits": {}, "maxInflightMessages": 1000, "maxPayloadSize": 65536}  # what a ThingsBoard server says
COUNTER = """
import json, sys
import paho.mqtt.client as mqtt
count = 0
def arrived(client, _, message):
    global count
    if message.topic.startswith("v1/devices/me/rpc/request/"):
        client.publish(message.topic.replace("request", "response"), sys.argv[2], 1)
    elif message.topic == "v1/gateway/telemetry":
        for device in json.loads(message.payload).values():
            count += sum(len(row["values"]) for row in device)
        print(count, flush=True)
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
client.on_message = arrived
client.on_connect = lambda c, *_: c.subscribe("v1/#", 1)
client.connect("127.0.0.1", int(sys.argv[1]))
client.loop_forever()
"""


def installed() -> Path:
    """Its interpreter; made on the first call."""
    python = HOME / "venv" / "bin" / "python"
    if not (HOME / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", str(HOME / "venv")], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", f"thingsboard-gateway=={VERSION}"], check=True)
        (HOME / "ready").touch()
    return python


def slave(host: str, port: int, unit: int, registers: int, period_ms: int) -> dict[str, object]:
    values = {
        "tag": "r${address}",
        "type": "16uint",
        "functionCode": 3,
        "address": f"0-{registers - 1}",
        "objectsCount": 1,
        "maxRegistersPerRequest": 125,
    }
    return {
        "host": host,
        "port": port,
        "type": "tcp",
        "method": "socket",
        "unitId": unit,
        "deviceName": f"d{port}-{unit}",
        "deviceType": "default",
        "timeout": 5,
        "byteOrder": "BIG",
        "wordOrder": "BIG",
        "retries": 1,
        "retryOnEmpty": False,
        "retryOnInvalid": False,
        "pollPeriod": period_ms,
        "connectAttemptTimeMs": 5000,
        "connectAttemptCount": 5,
        "waitAfterFailedAttemptsMs": 30000,
        "attributes": [],
        "timeseries": [values],
        "attributeUpdates": [],
        "rpc": [],
    }


def configure(folder: Path, broker: int, slaves: list[dict[str, object]]) -> None:
    shipped = next((HOME / "venv").glob("lib/python*/site-packages/thingsboard_gateway/config"))
    main = json.loads((shipped / "tb_gateway.json").read_text())
    main["thingsboard"] |= {"host": "127.0.0.1", "port": broker, "remoteConfiguration": False}
    main["thingsboard"]["statistics"]["enable"] = False
    main["thingsboard"] |= {"security": {"type": "accessToken", "accessToken": "bench"}, "maxPayloadSizeBytes": 65536}
    for key in list(main["thingsboard"]):
        if key.lower().endswith("ratelimits"):
            main["thingsboard"][key] = "0:0,"
    main["connectors"] = [{"type": "modbus", "name": "bench", "configuration": "modbus.json"}]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tb_gateway.json").write_text(json.dumps(main))
    (folder / "modbus.json").write_text(json.dumps({"master": {"slaves": slaves}, "slave": None}))
    logs = json.loads((shipped / "logs.json").read_text())
    logs["handlers"] = {"consoleHandler": logs["handlers"]["consoleHandler"]}
    for logger in (logs["root"], *logs["loggers"].values()):
        logger |= {"handlers": ["consoleHandler"], "level": "ERROR"}
    (folder / "logs.json").write_text(json.dumps(logs))


def values_per_cpu_s(slaves: list[dict[str, object]], folder: Path, seconds: float) -> tuple[float, float]:
    """Run it against `slaves` for `seconds` once values flow: (values per CPU-second, values per second)."""
    python, broker = installed(), free_port()
    configure(folder / "config", broker, slaves)
    (folder / "mosquitto.conf").write_text(
        f"listener {broker} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n"
    )
    seen = folder / "count"
    seen.touch()
    with (
        running(
            ["mosquitto", "-c", folder / "mosquitto.conf"], folder / "mosquitto.log", {"PATH": "/usr/sbin:/usr/bin"}
        ),
        running([sys.executable, "-c", COUNTER, str(broker), json.dumps(LIMITS)], seen),
        running(
            [python, "-m", "thingsboard_gateway.tb_gateway"],
            folder / "gateway.log",
            {"TB_GW_CONFIG_DIR": str(folder / "config")},
            cwd=folder,
        ) as gateway,
    ):
        deadline = time.monotonic() + START_S
        while count_of(seen) == 0:
            if time.monotonic() > deadline or gateway.poll() is not None:
                raise RuntimeError(f"thingsboard-gateway sent nothing; see {folder}/gateway.log")
            gateway_wait(gateway, 0.5)
        gateway_wait(gateway, 5.0)  # let it settle
        count, cpu, begun = count_of(seen), cpu_s(gateway.pid), time.monotonic()
        gateway_wait(gateway, seconds)
        count, cpu, begun = count_of(seen) - count, cpu_s(gateway.pid) - cpu, time.monotonic() - begun
    return count / cpu, count / begun


def gateway_wait(gateway: "subprocess.Popen[bytes]", seconds: float) -> None:
    """Let time pass, or the process end."""
    try:
        gateway.wait(seconds)
    except subprocess.TimeoutExpired:
        return


def count_of(seen: Path) -> int:
    lines = seen.read_text().splitlines()
    return int(lines[-1]) if lines and lines[-1].isdigit() else 0
