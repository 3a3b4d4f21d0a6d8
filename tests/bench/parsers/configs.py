"""What people write: a gateway's file, a device profile, an aggregator's file. Every fault is a ConfigError."""

import tempfile
from collections.abc import Callable
from pathlib import Path

from aggregator import config as aggregator_config
from aggregator.city import CityError
from aggregator.city.file import load as load_city
from edge_agent.config import ConfigError, load
from edge_agent.config.faults import Faults
from edge_agent.config.library import read_profile
from tests.bench.parsers import Parser

ROOM = Path("/dev/shm") if Path("/dev/shm").is_dir() else None  # in memory: a million files

SITE = """[gateway]
id = "n-1"
district = "north"
state_dir = "/tmp/x"
[aggregator]
address = "127.0.0.1:7443"
[buffer]
max_bytes = 1000000000
[[broker]]
name = "local"
host = "127.0.0.1"
[[device]]
name = "m"
profile = "eastron-sdm120"
connection = "rtu:///dev/ttyUSB0?baud=9600"
unit = 3
"""
PROFILE = """name = "X"
domain = "energy"
category = "meter"
grade = "B"
source = "y"
points = [
  { name = "v", quantity = "voltage", unit = "V", address = 0, checks.range = { min = 0, max = 300 } },
  { name = "s", quantity = "state", address = 2, type = "bits16", mask = 0xFF, enumeration = { 0 = "off" } },
  { name = "q", quantity = "temperature", unit = "K", address = 6, scale_from = "s", invalid = [0x8000] },
]
[modbus]
function = 4
type = "f32"
"""
AGGREGATOR = """[aggregator]
state_dir = "/tmp/x"
[sync]
listen = "127.0.0.1:7443"
[enrolment]
listen = "127.0.0.1:7444"
[history]
retention_days = 3650
"""


CITY = """[city]
name = "X"
[blueprint]
step_s = 60
[[blueprint.pond]]
id = "a"
at = [13.4, 52.5]
rim_m = "200 cm"
[[blueprint.pond]]
id = "b"
at = [13.5, 52.5]
rim_m = 1.5
[[blueprint.drain]]
id = "d"
from = "a"
to = "b"
[[point]]
point = "g/d/p"
asset = "a"
quantity = "water_level"
sd = "2 cm"
[[feed]]
point = "g/d/r"
takes = "blueprint.rain"
[[coupling]]
gives = "blueprint.overflow"
takes = "blueprint.rain"
pairs = [["a", "b", 0.5]]
late = true
"""


def of_file(seed: str, read: Callable[[Path], object], *errors: type[Exception]) -> Parser:
    folder = Path(tempfile.mkdtemp(prefix="fuzz-", dir=ROOM))
    file = folder / "fuzzed.toml"

    def parse(data: bytes) -> None:
        file.write_bytes(data)
        read(file)

    return Parser([seed.encode(), "".join(seed.splitlines(keepends=True)[:4]).encode()], parse, errors)


def site() -> Parser:
    return of_file(SITE, load, ConfigError)


def profile() -> Parser:
    def read(file: Path) -> None:
        faults = Faults()
        if read_profile(file, faults) is None and not faults.found:
            raise AssertionError("no profile, and no fault that says why")
        for fault in faults.found:
            str(fault)

    return of_file(PROFILE, read)


def aggregator() -> Parser:
    return of_file(AGGREGATOR, aggregator_config.load, aggregator_config.ConfigError)


def city() -> Parser:
    return of_file(CITY, load_city, CityError)
