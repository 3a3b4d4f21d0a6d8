"""Which requests read a set of points: neighbours coalesced into blocks within what the device tolerates."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edge_agent.profile import ModbusManners, Register
from edge_agent.sources.modbus.framing import Request, read
from edge_agent.sources.modbus.values import size

REGISTERS_MAX, BITS_MAX = 125, 2000  # of one read, by the protocol


@dataclass(frozen=True, eq=False, slots=True)
class Block:
    """One read: `count` registers or bits from `address`, holding the points with these numbers."""

    unit: int
    function: int
    address: int
    count: int
    points: tuple[int, ...]
    cuts: tuple[int, ...]  # offsets at which it may be read in two without tearing a value
    gaps: bool  # whether it reads addresses that no point uses
    request: Request

    @property
    def bits(self) -> bool:
        return self.function < 3

    def halves(self, cut: int) -> tuple[Request, Request]:
        """The same data by two requests of other shapes."""
        first = read(self.unit, self.function, self.address, cut)
        return first, read(self.unit, self.function, self.address + cut, self.count - cut)

    def shapes(self) -> Iterator[int]:
        """Cuts from the middle outwards; for bits only those that fall on whole bytes of the answer."""
        fit = [cut for cut in self.cuts if not self.bits or cut % 8 == 0]
        yield from sorted(fit, key=lambda cut: abs(2 * cut - self.count))


@dataclass(frozen=True, slots=True)
class Limits:
    """What one read of a device may hold."""

    registers: int
    bits: int
    gap: int
    single: bool

    @classmethod
    def of(cls, manners: ModbusManners) -> "Limits":
        return cls(
            min(manners.max_registers, REGISTERS_MAX),
            min(manners.max_bits, BITS_MAX),
            manners.max_gap,
            manners.one_value_per_request,
        )


def block(unit: int, places: Sequence[tuple[int, Register]]) -> Block:
    """One block over these (number, register), which are sorted by address and of one function."""
    function, address = places[0][1].function, places[0][1].address
    end = max(register.address + size(register) for _, register in places)
    inside: set[int] = set()
    used = 0
    reach = address
    for _, register in places:
        inside.update(range(register.address + 1, register.address + size(register)))
        used += max(0, register.address + size(register) - max(reach, register.address))
        reach = max(reach, register.address + size(register))
    cuts = tuple(at - address for at in range(address + 1, end) if at not in inside)
    numbers = tuple(number for number, _ in places)
    count = end - address
    return Block(unit, function, address, count, numbers, cuts, used < count, read(unit, function, address, count))


def alike(one: Register, other: Register) -> bool:
    """Whether two points are parts of the same value, as masked bits of one word are."""
    return one.address == other.address and size(one) == size(other)


def coalesce(unit: int, registers: Sequence[tuple[int, Register]], limits: Limits) -> list[Block]:
    """Blocks that read all of these (number, register), in order of function and address.

    A value is never torn over two requests; one longer than the limit gets a block of its own.
    """
    blocks: list[Block] = []
    run: list[tuple[int, Register]] = []
    end = 0
    for place in sorted(registers, key=lambda place: (place[1].function, place[1].address)):
        register = place[1]
        most = limits.bits if register.function < 3 else limits.registers
        fits = (
            run
            and register.function == run[0][1].function
            and register.address - end <= limits.gap
            and max(end, register.address + size(register)) - run[0][1].address <= most
            and (not limits.single or alike(register, run[0][1]))
        )
        if run and not fits:
            blocks.append(block(unit, run))
            run = []
        end = max(end, register.address + size(register)) if run else register.address + size(register)
        run.append(place)
    if run:
        blocks.append(block(unit, run))
    return blocks
