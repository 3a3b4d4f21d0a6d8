"""How one point is written and read back, worked out once: register, coefficients, requests, decoder."""

from collections.abc import Sequence
from dataclasses import dataclass

from edge_agent.profile import PointSpec, Register
from edge_agent.sources.modbus.decode import Decoder, linear
from edge_agent.sources.modbus.framing import Request, read
from edge_agent.sources.modbus.job import register_of
from edge_agent.sources.modbus.plan import Block, Limits, coalesce
from edge_agent.sources.modbus.values import size
from protos.units import Linear

EACH = Limits(125, 2000, 0, False)  # a register and the one that scales it may lie far apart: a request each


@dataclass(frozen=True, eq=False, slots=True)
class Way:
    """`specs` are the point and, if it has one, the point that scales it."""

    specs: Sequence[PointSpec]
    register: Register
    linear: Linear  # raw to internal unit
    blocks: Sequence[Block]  # that read both
    decoder: Decoder  # of these blocks
    request: Request  # that reads the register alone

    @classmethod
    def of(cls, unit: int, specs: Sequence[PointSpec]) -> "Way":
        """Raises UnitError."""
        register = register_of(specs[0])
        blocks = coalesce(unit, [(k, register_of(spec)) for k, spec in enumerate(specs)], EACH)
        request = read(unit, register.function, register.address, size(register))
        return cls(tuple(specs), register, linear(specs[0]), blocks, Decoder(specs, 1, blocks), request)

    @property
    def scaled(self) -> bool:
        return len(self.specs) > 1

    def data(self, words: Sequence[int]) -> bytes:
        """These words as the data of a read answer."""
        if self.register.type == "bit":
            return bytes([words[0]])
        return b"".join(word.to_bytes(2) for word in words)
