"""The word of a person who takes an output over, from `edge-agent hand` through the door or from the gRPC service.

    {"do": "set", "output", "value", "lasts_ms", "who", "why"}
    {"do": "release", "output", "who"}

Every answer has "ok" and "said": what is wrong and what is allowed. Who holds what is in the status.
"""

import logging
from collections.abc import Mapping
from typing import Any, Protocol

from protos.clock import NS

log = logging.getLogger(__name__)
SOCKET = "hand.sock"  # in the state directory
NO_LOOP = "no control loop runs on this gateway"
MS = NS // 1000


class Hands(Protocol):
    """What takes a person's word; see edge_agent/control/hand.py. Both raise ValueError that says what is allowed."""

    def set(self, output: str, value: float, lasts_ns: int, who: str, why: str, now_ns: int) -> object: ...

    def release(self, output: str) -> None: ...


def take(hands: Hands, output: str, value: float, lasts_ns: int, who: str, why: str, now_ns: int) -> None:
    """Take `output` over, and say so in the log. Raises ValueError that says what is allowed."""
    hands.set(output, value, lasts_ns, who or "somebody", why, now_ns)
    log.warning("hand: %r sets %s to %g for %g s: %r", who or "somebody", output, value, lasts_ns / NS, why)


def give_back(hands: Hands, output: str, who: str) -> None:
    """Give `output` back, and say so in the log. Raises ValueError for one that there is not."""
    hands.release(output)
    log.warning("hand: %r gives %s back", who or "somebody", output)


def answer(hands: Hands | None, request: Mapping[str, Any], now_ns: int) -> Mapping[str, object]:
    """Do what is asked; `hands` is None while no loop runs. Raises KeyError for a request that lacks something,
    TypeError and ValueError for one that is none."""
    output, who = str(request["output"]), str(request["who"])
    wanted: tuple[float, int, str, str, int] | None = None
    match request["do"]:
        case "set":
            wanted = (float(request["value"]), int(request["lasts_ms"]) * MS, who, str(request["why"]), now_ns)
        case other if other != "release":
            raise ValueError(f"nobody can do {other!r}")
    if hands is None:
        return {"ok": False, "said": NO_LOOP}
    try:
        give_back(hands, output, who) if wanted is None else take(hands, output, *wanted)
    except ValueError as error:
        return {"ok": False, "said": str(error)}
    return {"ok": True, "said": ""}
