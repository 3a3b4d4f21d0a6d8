"""Where a SunSpec device keeps its models: the marker "SunS", then (number, length) of one model behind the other.

After the SunSpec Device Information Model Specification (SunSpec Alliance): the marker is at 40000, 0 or 50000; the
chain ends with model 0xFFFF. A profile gives its points by model and offset, the two registers of the head included,
as the published model definitions do; where that is on this device is found out by walking along its chain.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from edge_agent.profile import PointSpec
from edge_agent.sources.modbus.values import size

MARKER = b"SunS"
BASES = (40000, 0, 50000)
HEAD = 2  # registers: the model's number and how many follow
END = 0xFFFF
MODELS_MAX = 64  # of one device; the largest chains seen have about twenty
ADDRESSES = 65536

Ask = Callable[[int, int], Awaitable[bytes | None]]  # (address, registers) → data; None where the device refuses


@dataclass(frozen=True, slots=True)
class Model:
    number: int
    address: int  # of its head
    length: int  # registers behind the head


async def models_of(ask: Ask) -> tuple[Model, ...]:
    """The chain of a device; empty when it has none. Raises what `ask` raises."""
    for base in BASES:
        if await ask(base, HEAD) == MARKER:
            return await chain(ask, base + HEAD)
    return ()


async def chain(ask: Ask, address: int) -> tuple[Model, ...]:
    """The models from `address` on, up to the end mark, a refusal, or the end of the address space."""
    found: list[Model] = []
    while len(found) < MODELS_MAX and address + HEAD <= ADDRESSES:
        head = await ask(address, HEAD)
        if head is None or (number := int.from_bytes(head[:2])) == END:
            break
        found.append(Model(number, address, int.from_bytes(head[2:4])))
        address += HEAD + found[-1].length
    return tuple(found)


def placed(spec: PointSpec, models: Iterable[Model]) -> PointSpec | None:
    """The point where this device has it, by plain address; None when it has it not. The first of a kind counts."""
    register = spec.register
    if register is None or not register.model:
        return spec
    for model in models:
        if model.number == register.model:
            if register.address + size(register) > HEAD + model.length:
                return None  # a shorter edition of the model, or fewer modules than the profile knows
            return replace(spec, register=replace(register, address=model.address + register.address, model=0))
    return None


def all_placed(specs: Sequence[PointSpec], models: Sequence[Model]) -> list[PointSpec]:
    """Those that this device has."""
    return [one for spec in specs if (one := placed(spec, models)) is not None]
