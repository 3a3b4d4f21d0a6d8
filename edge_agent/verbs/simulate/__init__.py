"""Play devices: serve any profile on real Modbus (TCP, RTU over a pseudo-terminal, RTU over TCP, TLS) or real MQTT.

    edge-agent simulate eastron-sdm630@1 keba-kecontact@2          two units on one TCP port, chosen freely
    edge-agent simulate eastron-sdm630 --listen rtu                on a pseudo-terminal
    edge-agent simulate milesight-ws302=application/1/device/a1b2 --broker 127.0.0.1:1883
    edge-agent simulate moxa-iologik-e1214 --actuator-log writes.jsonl --faults timeout=0.05,garbage=0.01

Each device is PROFILE, PROFILE@UNIT (Modbus) or PROFILE=TOPIC-ROOT (MQTT). One JSON line per device says where it is,
with the words of a gateway's file: {"profile": …, "unit": 1, "connection": "tcp://127.0.0.1:40123"}.
"""

import argparse
import asyncio
from pathlib import Path

from edge_agent.config import ConfigError
from edge_agent.screen import fail


def arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("devices", nargs="+", metavar="PROFILE[@UNIT][=TOPIC]", help="what to play; several share the line or broker")
    add("--listen", default="tcp://127.0.0.1:0", metavar="WHERE", help="tcp://host:port (0 takes a free one), rtu+tcp://, tls://, rtu, rtu:///dev/tty…")  # fmt: skip  # noqa: E501
    add("--each", action="store_true", help="a line of its own for every Modbus device")
    add("--broker", metavar="HOST:PORT", help="the broker of MQTT devices")
    add("--period", type=float, default=0.0, metavar="S", help="seconds between MQTT messages; 0 takes the profile's")
    add("--mode", choices=("signals", "address"), default="signals", help="realistic values, or every register holds its own address")  # fmt: skip  # noqa: E501
    add("--seed", type=int, default=1, help="another seed, other values and faults")
    add("--speed", type=float, default=1.0, help="simulated seconds per second")
    add("--start", metavar="TIME", help="simulated UTC time to begin at, ISO 8601; now if not given")
    add("--follow", type=Path, metavar="FILE", help="values that another program decides: JSON, read again when it changes")  # fmt: skip  # noqa: E501
    add("--faults", default="", metavar="KIND=SHARE,…", help="timeout, exception, garbage, late, duplicate: share of the requests")  # fmt: skip  # noqa: E501
    add("--dead", default="", metavar="UNIT,…", help="units that never answer")
    add("--actuator-log", type=Path, metavar="FILE", help="append each write as a JSON line")
    add("--profiles", type=Path, metavar="DIR", help="directory of own profiles")
    add("--certificate", type=Path, help="PEM chain for tls://")
    add("--key", type=Path, help="PEM key for tls://")


def run(args: argparse.Namespace) -> int:
    try:
        from edge_agent.verbs.simulate.play import play  # late: needs pymodbus and paho

        return asyncio.run(play(args))
    except ImportError as error:
        return fail(f"{error.name} is not installed, and simulators need it: pip install 'citytwin[simulate]'")
    except (ConfigError, ValueError, OSError) as error:
        return fail(error)
