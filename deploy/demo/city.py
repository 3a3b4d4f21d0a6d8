"""A small city on this machine: simulated devices on real Modbus and MQTT, three gateways, one aggregator, a live view.

    python deploy/demo/city.py [--seconds N | --until-acted N] [--folder .demo] [--incident S] [--think S]

The devices show one coupled city (world.py, city.toml). After a minute and a half a cable fails: watch it being
detected, explained, planned for and acted on.

Everything is a process of its own and talks over real sockets; all state is below the folder, which is made anew.
Ctrl-C ends all of them. With --seconds it ends by itself, prints a last look and fails if a gateway brought nothing.
"""

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from aggregator.cli import main as aggregator

BIN = Path(sys.executable).parent
START_S = 30.0  # what a process gets to say that it is ready
END_S = 20.0
DOORS = os.environ.get("PATH", "") + ":/usr/sbin"  # Debian keeps mosquitto where users do not look


@dataclass(frozen=True)
class Site:
    """A gateway and what stands around it: profiles by the way they are connected."""

    district: str
    tcp: Sequence[str]
    rtu: Sequence[str]
    mqtt: Sequence[str]  # profile=topic


SITES = {
    "gw-north": Site(
        "north",
        ["eastron-sdm630", "sunspec-inverter", "keba-kecontact", "moxa-iologik-e1214"],
        ["eastron-sdm120", "carlo-gavazzi-em24"],
        ["shelly-pro-3em=shellypro3em-north", "tasmota-energy=lamp-north"],
    ),
    "gw-centre": Site(
        "centre",
        ["moxa-iologik-e1214", "seeed-sensecap-one", "vaisala-wxt530", "citytwin-cabinet"],
        ["advantech-adam-4150", "vaisala-wm80"],
        [
            "milesight-ws302=application/centre/device/24e124743d000001",
            "bosch-tps110=application/centre/device/d00d",
            "milesight-am319=application/centre/device/24e124707c000001",
        ],
    ),
    "gw-harbour": Site(
        "harbour",
        ["grundfos-cim", "danfoss-vlt-fc", "moxa-iologik-e1214"],
        ["tuf-2000f", "abb-aquamaster-3", "carlo-gavazzi-em340"],
        [
            "milesight-em400-udl=application/harbour/device/24e124713b000001",
            "milesight-em500-swl=application/harbour/device/24e124715c000002",
            "milesight-am319=application/harbour/device/24e124707c000002",
            "milesight-em500-udl=application/harbour/device/24e124713b000003",
        ],
    ),
}


HERE = Path(__file__).parent
TIE = """[[output]]
name = "tie"
point = "iologik_e1214/do0"
safe = 0                          # open: as it normally stands
ttl_s = 300
min = 0
max = 1
slew_per_s = 0
min_on_s = 5
min_off_s = 5
refresh_s = 30
lifetime_writes = 100000
readback_s = 5"""
ACTS = {"gw-harbour": ["[control]\nperiod_ms = 1000", TIE]}  # what the city may set
CITY = """

[city]
file = "{city}"

[decisions]
approve_s = 300.0
watch_s = 5.0

[web]
listen = "127.0.0.1:{page}"
public = ["environment/pm25", "traffic/vehicles", "safety/*"]
public_delay_s = 60.0
"""
PAGE = 7480  # where it is looked for; any other where something else is there already


def say(text: str) -> None:
    print(f"▸ {text}", flush=True)


@contextmanager
def running(name: str, words: Sequence[object], folder: Path, *, read: int = 0) -> Iterator[list[str]]:
    """Start a process in a session of its own, so that Ctrl-C reaches only us; yields its first `read` lines."""
    log = (folder / f"{name}.log").open("ab")
    process = subprocess.Popen(
        [str(word) for word in words],
        stdout=subprocess.PIPE if read else log,
        stderr=log,
        stdin=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        lines = []
        for _ in range(read):
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                raise SystemExit(f"error: {name} did not start; see {log.name}")
            lines.append(line.strip())
        yield lines
    finally:
        process.terminate()
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        log.close()


def verb(*words: object) -> str:
    done = subprocess.run([str(BIN / str(words[0])), *map(str, words[1:])], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, words[:2]))} failed:\n{done.stdout}{done.stderr}")
    return done.stdout.strip()


def free(port: int) -> int:
    """This port, or 0, any, where something listens on it."""
    try:
        with socket.create_server(("127.0.0.1", port)):
            return port
    except OSError:
        return 0


def broker(stack: ExitStack, folder: Path) -> int:
    """A mosquitto on a free port; 0 where there is none."""
    program = shutil.which("mosquitto", path=DOORS)
    if program is None:
        say("no mosquitto here: the MQTT devices stay out (apt install mosquitto)")
        return 0
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    conf = folder / "mosquitto.conf"
    conf.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n")
    stack.enter_context(running("mosquitto", [program, "-c", conf], folder))
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return port
        time.sleep(0.05)
    raise SystemExit(f"error: mosquitto did not start; see {folder}/mosquitto.log")


def devices(stack: ExitStack, name: str, site: Site, port: int, folder: Path) -> list[dict[str, object]]:
    """Start the simulators of one site; what they say of themselves is what a gateway's file needs."""
    found: list[dict[str, object]] = []
    ways = [("tcp", site.tcp, ["--listen", "tcp://127.0.0.1:0"]), ("rtu", site.rtu, ["--listen", "rtu"])]
    if port:
        ways.append(("mqtt", site.mqtt, ["--broker", f"127.0.0.1:{port}", "--period", "2"]))
    for way, profiles, options in ways:
        words = [BIN / "edge-agent", "simulate", *profiles, *options, "--seed", str(len(name))]
        words += ["--actuator-log", folder / f"{name}-{way}-writes.jsonl", "--follow", folder / f"{name}.values.json"]
        lines = stack.enter_context(running(f"{name}-{way}", words, folder, read=len(profiles)))
        found += [json.loads(line) for line in lines]
    return found


def gateway_file(
    name: str, site: Site, found: list[dict[str, object]], port: int, ends: dict[str, str], to: Path
) -> Path:
    parts = [
        f'[gateway]\nid = "{name}"\ndistrict = "{site.district}"\nstate_dir = "{to / name}"',
        f'[aggregator]\naddress = "{ends["sync"]}"\nenrol_address = "{ends["enrolment"]}"',
        "[buffer]\ncommit_ms = 1000\nmax_mb = 200",
    ]
    if port:
        parts.append(f'[[broker]]\nname = "cabinet"\nhost = "127.0.0.1"\nport = {port}')
    for one in found:
        mqtt = "topic" in one
        place = f'topic = "{one["topic"]}"' if mqtt else f"unit = {one['unit']}"
        device = str(one["profile"]).split("-", 1)[1].replace("-", "_")
        connection = "cabinet" if mqtt else one["connection"]
        parts.append(
            f'[[device]]\nname = "{device}"\nprofile = "{one["profile"]}"\nconnection = "{connection}"\n{place}'
        )
    parts += ACTS.get(name, [])
    file = to / f"{name}.toml"
    file.write_text("\n\n".join(parts) + "\n")
    return file


def start(stack: ExitStack, folder: Path, incident_s: float, think_s: float) -> Path:
    """Bring the whole city up; returns the aggregator's configuration."""
    state = folder / "aggregator"
    config = state / "aggregator.toml"
    say("aggregator: its own authority, catalogue and configuration")
    verb("aggregator", "init", state)
    lines = (
        config.read_text().replace(":7443", ":0").replace(":7444", ":0").replace(":7480", ":0").partition("[city]")[0]
    )
    config.write_text(lines + CITY.format(city=HERE / "city.toml", page=free(PAGE)))
    stack.enter_context(running("aggregator", [BIN / "aggregator", "serve", config], folder, read=1))
    ends = json.loads((state / "endpoints.json").read_text())
    port = broker(stack, folder)
    with ThreadPoolExecutor() as pool:  # most of it is waiting for processes to start
        files = dict(pool.map(lambda site: (site[0], played(stack, *site, port, ends, folder)), SITES.items()))
        behave(stack, folder, incident_s)
        list(pool.map(lambda one: enrolled(stack, *one, config, folder), files.items()))
    say("gateways: enrolled, running")
    planning = [BIN / "aggregator", "decisions", "propose", "--every", "5s", "--horizon", "10m", "-c", config]
    stack.enter_context(running("planning", planning, folder))
    desk = [sys.executable, HERE / "desk.py", config, "--think", think_s]
    stack.enter_context(running("desk", desk, folder))
    return config


def played(stack: ExitStack, name: str, site: Site, port: int, ends: dict[str, str], folder: Path) -> Path:
    """One site's devices, and the file of its gateway."""
    found = devices(stack, name, site, port, folder)
    say(f"{name}: {len(found)} devices on Modbus TCP, Modbus RTU{' and MQTT' if port else ''}")
    return gateway_file(name, site, found, port, ends, folder)


def enrolled(stack: ExitStack, name: str, file: Path, config: Path, folder: Path) -> None:
    verb("edge-agent", "enrol", file, "--token", verb("aggregator", "enrol-token", name, "-c", config))
    stack.enter_context(running(name, [BIN / "edge-agent", "run", file], folder))


def behave(stack: ExitStack, folder: Path, incident_s: float) -> None:
    """Have the devices show one coupled city, in which something happens."""
    incident = {
        "at_s": incident_s,
        "until_s": 1e9,
        "domain": "energy",
        "flow": "line_out",
        "asset": "feeder-b",
        "value": 1,
    }
    (folder / "incidents.json").write_text(json.dumps([incident | {"what": "the cable to the harbour fails"}]))
    words = [sys.executable, HERE / "world.py", folder, "--city", HERE / "city.toml"]
    stack.enter_context(running("world", [*words, "--incidents", folder / "incidents.json"], folder))


def acted(folder: Path, within_s: float) -> int:
    """Wait until the tie has been closed by a decision, or say after `within_s` that it was not."""
    writes, until = folder / "gw-harbour-tcp-writes.jsonl", time.monotonic() + within_s
    while time.monotonic() < until:
        lines = [json.loads(line) for line in writes.read_text().splitlines()] if writes.exists() else []
        if any("do0" in one["points"] and one["values"] == [1] for one in lines):
            say("the decision has reached the relay")
            return 0
        time.sleep(1.0)
    say(f"nobody has closed the tie within {within_s:g} s")
    return 1


def look(config: Path, seconds: float) -> int:
    """The live view until Ctrl-C, or a last look after `seconds`; fails if a gateway brought nothing."""
    if not seconds:
        aggregator(["watch", "-c", str(config)])
        return 0
    time.sleep(seconds)
    print(verb("aggregator", "watch", "--once", "-c", config))
    fleet = json.loads(verb("aggregator", "watch", "--once", "--json", "-c", config))["gateways"]
    silent = [one["gateway"] for one in fleet if not one["readings"]] or (set(SITES) - {g["gateway"] for g in fleet})
    return 1 if silent else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=0, help="end by itself after so long; 0 runs until Ctrl-C")
    parser.add_argument(
        "--until-acted", type=float, metavar="S", help="end once the incident is dealt with; fail after S"
    )
    parser.add_argument("--folder", type=Path, default=Path(".demo"))
    parser.add_argument("--incident", type=float, default=90.0, metavar="S", help="when the cable fails (%(default)s)")
    parser.add_argument("--think", type=float, default=20.0, metavar="S", help="what the operator takes (%(default)s)")
    args = parser.parse_args()
    folder: Path = args.folder.resolve()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    code = 0
    try:
        with ExitStack() as stack:
            config = start(stack, folder, args.incident, args.think)
            say(f"the city runs; its state and logs are in {folder}")
            (link,) = json.loads(verb("aggregator", "users", "invite", "operator", "admin", "--json", "-c", config))
            say(f"the page, once: {link['link']}")
            code = acted(folder, args.until_acted) if args.until_acted else look(config, args.seconds)
            say("ending all of it")
    except KeyboardInterrupt:
        code = 0
    say(f"ended; look around with: .venv/bin/aggregator points -c {folder}/aggregator/aggregator.toml")
    return code


if __name__ == "__main__":
    sys.exit(main())
