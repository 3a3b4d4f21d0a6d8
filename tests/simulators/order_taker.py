"""A gateway's order desk and nothing around it, as a process that may be killed: what a figure about orders drives.

    python -m tests.simulators.order_taker FOLDER ROOT.pem [--careless fences|time|signature|gateway]

Lines on stdin, each JSON: {"order": hex} {"stop": hex} {"clock": ns} {"synced": bool} {"tick": true}. Time is a clock
that only these lines move. Every order that begins to act (a controller wishes its value for the first time in this
life) is one line in FOLDER/actuator.log, written through to the file at once: JSON with id, output, value, emergency,
utc, synced, fence. `--careless` leaves a check out: the control of the figure. Ends at the end of stdin.
"""

import argparse
import asyncio
import json
import logging
import os
import sys
from pathlib import Path

import numpy as np

from edge_agent.cell import Output
from edge_agent.control import desk as desks
from edge_agent.control.desk import OrderDesk
from edge_agent.control.order import EmergencyOrder
from edge_agent.control.orders import Accepted, OrderBook
from edge_agent.image import View
from protos import sync_pb2, tls
from protos.clock import NS, Anchor, SteppedClock

GATEWAY = "gw-1"
OUTPUTS = tuple(
    Output(
        name=f"out{k}",
        point=f"d{k}/set",
        safe=0.0,
        ttl_ns=NS,
        low=0.0,
        high=100.0,
        slew_per_s=float("inf"),
        min_on_ns=0,
        min_off_ns=0,
        refresh_ns=0,
        lifetime_writes=0,
        readback_ns=NS,
    )
    for k in range(8)
)


class Careless(OrderBook):
    """Leaves out the check that `MISSING` names."""

    MISSING = ""

    def _fenced(self, key: str, order: sync_pb2.Order) -> None:
        if self.MISSING != "fences":
            super()._fenced(key, order)

    def _left_ns(self, order: sync_pb2.Order, now_ns: int, anchor: Anchor) -> int:
        return 600 * NS if self.MISSING == "time" else super()._left_ns(order, now_ns, anchor)

    def _signed(self, *about: object) -> None:
        if self.MISSING != "signature":
            super()._signed(*about)  # type: ignore[arg-type]

    def accept(self, order: sync_pb2.Order, now_ns: int, anchor: Anchor) -> Accepted:
        if self.MISSING == "gateway":
            self._gateway = order.gateway
        return super().accept(order, now_ns, anchor)


class Taker:
    def __init__(self, folder: Path, root: bytes) -> None:
        self.clock = SteppedClock(1000 * NS, 0)
        self.utc_ns = 0  # by the reference clock: what the gateway knows of it is its anchor
        self.synced = True
        self._root = tls.load_chain(root)[0]
        self._log = os.open(folder / "actuator.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._desk = OrderDesk(GATEWAY, folder, self.clock, self, lambda: None)
        self._controllers = self._desk.bind(OUTPUTS)
        self._acting: set[str] = set()

    def anchor(self) -> Anchor:
        if not self.synced:
            return Anchor(bytes(16), -1000 * NS, 10 * 365 * 86_400 * NS, "wall")
        return Anchor(bytes(16), self.utc_ns - self.clock.monotonic_ns(), NS // 100, "aggregator")

    def check_signed(self, message: bytes, signature: bytes, chain_pem: bytes, at_ns: int) -> None:
        tls.check_signed(message, signature, chain_pem, self._root, tls.utc(at_ns))

    def receipt(self, receipt: sync_pb2.OrderReceipt) -> None:
        """The actuator log says what happened."""

    async def run(self) -> None:
        working = asyncio.create_task(self._desk.run())
        for line in sys.stdin:
            said = json.loads(line)
            if "order" in said:
                self._desk.take(sync_pb2.Order.FromString(bytes.fromhex(said["order"])))
            elif "stop" in said:
                self._desk.take(sync_pb2.RevokeOrders.FromString(bytes.fromhex(said["stop"])))
            elif "synced" in said:
                self.synced = said["synced"]
            elif "clock" in said:
                await self.clock.advance(max(0, said["clock"] - self.utc_ns) if self.utc_ns else 0)
                self.utc_ns = said["clock"]
            else:
                await self._desk._waiting.join()
                self._tick()
        working.cancel()
        await asyncio.wait([working])

    def _tick(self) -> None:
        nothing = np.zeros(0)
        view = View(self.clock.monotonic_ns(), nothing, nothing.astype(np.uint8), nothing.astype(np.int64))
        acting = set()
        for controller in self._controllers:
            controller.decide(view, [])
            for one in controller.active.values():
                acting.add(one.id)
                if one.id not in self._acting:
                    said = {
                        "id": one.id,
                        "output": one.output,
                        "value": one.value,
                        "emergency": isinstance(controller, EmergencyOrder),
                        "utc": self.utc_ns,
                        "synced": self.synced,
                        "fence": one.fence,
                    }
                    os.write(self._log, json.dumps(said).encode() + b"\n")
        self._acting = acting


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("root", type=Path)
    parser.add_argument("--careless", default="", choices=("", "fences", "time", "signature", "gateway"))
    args = parser.parse_args()
    if args.careless:
        Careless.MISSING = args.careless
        setattr(desks, "OrderBook", Careless)  # noqa: B010 (the control of a figure)
    logging.disable()
    asyncio.run(Taker(args.folder, args.root.read_bytes()).run())


if __name__ == "__main__":
    main()
