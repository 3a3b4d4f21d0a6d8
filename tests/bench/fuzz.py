"""`fuzz`: mutated inputs for every parser that hears something from outside. A crash is any exception but the
parser's own, or the death of its process; a hang is more than HANG_S of processor time for one input.

A new parser is one line in PARSERS. What is found is written to stderr with the input in hex, so that it can become
a test.
"""

import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from itertools import islice
from multiprocessing import get_context
from types import FrameType

from tests.bench import Figure
from tests.bench.mutation import mutants
from tests.bench.parsers import Parser

PARSERS: dict[str, str] = {  # name → function that gives its Parser
    "batch header": "tests.bench.parsers.batches:header",
    "batch": "tests.bench.parsers.batches:sealed",
    "batch body": "tests.bench.parsers.batches:body",
    "modbus tcp": "tests.bench.parsers.modbus:tcp",
    "modbus rtu": "tests.bench.parsers.modbus:rtu",
    "modbus identification": "tests.bench.parsers.modbus:identification",
    "modbus values": "tests.bench.parsers.modbus:values",
    "local modbus": "tests.bench.parsers.local:modbus",
    "mqtt json": "tests.bench.parsers.mqtt:as_json",
    "mqtt csv": "tests.bench.parsers.mqtt:csv",
    "mqtt raw": "tests.bench.parsers.mqtt:raw",
    "mqtt packed": "tests.bench.parsers.mqtt:packed",
    "mqtt tasmota": "tests.bench.parsers.mqtt:tasmota",
    "mqtt shelly": "tests.bench.parsers.mqtt:shelly",
    "mqtt zigbee2mqtt": "tests.bench.parsers.mqtt:zigbee2mqtt",
    "mqtt chirpstack": "tests.bench.parsers.mqtt:chirpstack",
    "mqtt ttn": "tests.bench.parsers.mqtt:ttn",
    "mqtt sparkplug": "tests.bench.parsers.mqtt:sparkplug",
    "gateway toml": "tests.bench.parsers.configs:site",
    "profile toml": "tests.bench.parsers.configs:profile",
    "aggregator toml": "tests.bench.parsers.configs:aggregator",
    "city toml": "tests.bench.parsers.configs:city",
    "sync stream": "tests.bench.parsers.streams:stream",
    "order": "tests.bench.parsers.orders:order",
    "order, signed": "tests.bench.parsers.orders:unsigned",
    "all-stop": "tests.bench.parsers.orders:all_stop",
    "order memory": "tests.bench.parsers.orders:memory",
    "history vectors": "tests.bench.parsers.streams:vectors",
}
GOAL = "10^6 mutated inputs per parser: 0 crashes, 0 hangs"
INPUTS = 1_000_000
SHARES = 8  # a parser's inputs go to processes in so many shares
CI_SECONDS = 3.0  # of work for each parser, over all processes
HANG_S = 1.0
MEMORY_MAX = 4 << 30  # address space of a process: an allocation that an input asks for dies there
SHOWN_MAX = 5  # faults of a share that are told in full


class Hang(BaseException):
    """Raised by the timer; no parser catches it."""


@dataclass(slots=True)
class Share:
    """What became of some inputs of one parser."""

    inputs: int = 0
    crashes: int = 0
    hangs: int = 0
    told: list[str] = field(default_factory=list)

    def tell(self, what: str, data: bytes) -> None:
        if len(self.told) < SHOWN_MAX:
            self.told.append(f"{what}\n  input {data[:400].hex()}{'…' if len(data) > 400 else ''}")


def parser_of(name: str) -> Parser:
    module, function = PARSERS[name].split(":")
    parser: Parser = getattr(import_module(module), function)()
    return parser


def ring(_number: int, _frame: FrameType | None) -> None:
    raise Hang


def feed(parser: Parser, seed: int, inputs: int, seconds: float) -> Share:
    """Give the parser mutants until `inputs` or `seconds` are over. Must run in the main thread of its process."""
    share, until = Share(), time.monotonic() + seconds
    before = signal.signal(signal.SIGPROF, ring)
    for data in islice(mutants(parser.seeds, seed), inputs):
        if share.inputs & 63 == 0 and time.monotonic() > until:
            break
        share.inputs += 1
        try:
            signal.setitimer(signal.ITIMER_PROF, HANG_S)
            parser.parse(data)
        except parser.errors:
            continue
        except Hang:
            share.hangs += 1
            share.tell(f"hangs for {HANG_S} s", data)
        except Exception:
            share.crashes += 1
            share.tell(traceback.format_exc(limit=-3), data)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
    signal.signal(signal.SIGPROF, before)
    return share


@cache
def prepared(name: str) -> Parser:
    """Once in each process, whose memory is limited from then on."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MAX, MEMORY_MAX))
    return parser_of(name)


def work(name: str, seed: int, inputs: int, seconds: float) -> Share:
    return feed(prepared(name), seed, inputs, seconds)


def together(name: str, shares: list[Share]) -> Figure:
    inputs = sum(share.inputs for share in shares)
    crashes, hangs = sum(share.crashes for share in shares), sum(share.hangs for share in shares)
    for told in [told for share in shares for told in share.told][:SHOWN_MAX]:
        print(f"fuzz {name}: {told}", file=sys.stderr)
    beside = {"inputs": float(inputs), "crashes": float(crashes), "hangs": float(hangs)}
    none = crashes + hangs == 0 and inputs > 0
    return Figure(f"fuzz {name}", crashes + hangs, "crashes and hangs", GOAL, none, beside)


def run(scale: str) -> Iterator[Figure]:
    processes = os.cpu_count() or 1
    shares = SHARES if scale == "full" else processes
    seconds = float("inf") if scale == "full" else CI_SECONDS / shares
    pool = ProcessPoolExecutor(processes, get_context("spawn"))
    for name in PARSERS:
        tasks = [pool.submit(work, name, seed, INPUTS // shares, seconds) for seed in range(shares)]
        try:
            yield together(name, [task.result() for task in tasks])
        except BrokenProcessPool:
            yield Figure(f"fuzz {name}", 1, "dead processes", GOAL, False)
            pool = ProcessPoolExecutor(processes, get_context("spawn"))
    pool.shutdown()
