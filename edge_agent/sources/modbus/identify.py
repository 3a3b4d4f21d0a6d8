"""Who a unit says it is: function 43/14, read device identification."""

from edge_agent.sources.modbus.faults import Garbled
from edge_agent.sources.modbus.framing import IDENTIFY, Request
from edge_agent.sources.modbus.link import Link

NAMES = {0: "vendor", 1: "product", 2: "revision", 3: "url", 4: "name", 5: "model", 6: "application"}
BASIC, REGULAR = 1, 2
ROUNDS_MAX = 32  # a device may send its objects in parts; one that never ends is stopped


def objects(data: bytes) -> tuple[dict[int, bytes], int]:
    """Objects of an answer's data (from the MEI type on), and the object to go on with, 0 at the end.

    Raises Garbled when it is not what it says.
    """
    if len(data) < 6 or data[0] != 14:
        raise Garbled("no device identification")
    found: dict[int, bytes] = {}
    at = 6
    for _ in range(data[5]):
        if at + 2 > len(data) or at + 2 + data[at + 1] > len(data):
            raise Garbled("a device identification that ends early")
        found[data[at]] = data[at + 2 : at + 2 + data[at + 1]]
        at += 2 + data[at + 1]
    return found, data[4] if data[3] == 0xFF else 0


async def identify(link: Link, unit: int, timeout_ns: int = 1_000_000_000, level: int = REGULAR) -> dict[str, str]:
    """The unit's own words by name: vendor, product, revision, ... Raises Refused when it has none, NoAnswer."""
    found: dict[int, bytes] = {}
    start = 0
    for _ in range(ROUNDS_MAX):
        request = Request(unit, bytes([IDENTIFY, 14, level, start]))
        more, start = objects(await link.ask(request, timeout_ns))
        found |= more
        if not start:
            break
    return {NAMES.get(key, f"object_{key}"): value.decode("ascii", "replace").strip() for key, value in found.items()}
