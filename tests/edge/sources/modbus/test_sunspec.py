"""SunSpec chains: found at any of the three bases, walked to their end, damaged ones survived; points placed by it."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.image import NEVER
from edge_agent.sources.modbus.decode import EXCEPTION
from edge_agent.sources.modbus.sunspec import ADDRESSES, BASES, MODELS_MAX, Model, models_of, placed
from tests.edge.sources.modbus.rig import device, point, running
from tests.edge.verbs.test_scan import played

MARKED = {0: 0x5375, 1: 0x6E53}


def held(base: int, models: list[tuple[int, int]]) -> dict[int, int]:
    """Registers of a device with these (number, length)."""
    words = {base + at: word for at, word in MARKED.items()}
    at = base + 2
    for number, length in models:
        words |= {at: number, at + 1: length} | dict.fromkeys(range(at + 2, at + 2 + length), 7)
        at += 2 + length
    return words | {at: 0xFFFF, at + 1: 0}


def found(words: Mapping[int, int]) -> tuple[tuple[Model, ...], int]:
    """The models, and how many questions they took."""
    asked = 0

    async def ask(address: int, count: int) -> bytes | None:
        nonlocal asked
        asked += 1
        assert address + count <= ADDRESSES
        places = range(address, address + count)
        return b"".join(words[at].to_bytes(2) for at in places) if words.keys() >= set(places) else None

    return asyncio.run(models_of(ask)), asked


@given(st.sampled_from(BASES), st.lists(st.tuples(st.integers(1, 65534), st.integers(0, 300)), min_size=1, max_size=20))
def test_a_chain_is_found_wherever_it_is(base: int, models: list[tuple[int, int]]) -> None:
    there, _ = found(held(base, models))
    assert [(model.number, model.length) for model in there] == models
    assert there[0].address == base + 2


def test_no_marker_is_no_chain() -> None:
    assert found({at: at for at in range(100)}) == ((), 3)
    assert found({}) == ((), 3)


@given(st.dictionaries(st.integers(0, 400), st.integers(0, 0xFFFF)), st.sampled_from((0, 50000)))
def test_a_damaged_chain_ends(noise: dict[int, int], base: int) -> None:
    """Heads that mean nothing, lengths beyond all addresses, heads without end: never many questions."""
    words = held(base, [(1, 66), (103, 50)]) | {base + 2 + at: word for at, word in noise.items()}
    there, asked = found({at: word for at, word in words.items() if at < ADDRESSES})
    assert len(there) <= MODELS_MAX
    assert asked <= MODELS_MAX + 4
    endless, asked = found(dict.fromkeys(range(ADDRESSES), 0) | {base + at: word for at, word in MARKED.items()})
    assert (len(endless), asked <= MODELS_MAX + 3) == (MODELS_MAX, True)


def test_points_are_placed_by_the_first_model_of_their_number_and_only_within_it() -> None:
    models = (Model(1, 40002, 66), Model(160, 40070, 48), Model(160, 40120, 48))
    plain, inside, beyond, other = (
        point("plain", 5),
        point("w1", 21, model=160),
        point("w3", 61, "u32", model=160),
        point("soc", 11, model=802),
    )
    assert placed(plain, models) is plain
    there = placed(inside, models)
    assert there is not None
    assert there.register is not None
    assert (there.register.address, there.register.model) == (40091, 0)
    assert placed(beyond, models) is None
    assert placed(other, models) is None


async def test_a_profile_by_model_reads_a_device_and_says_what_it_lacks() -> None:
    """A simulated inverter: its own points are there, one of a model that it does not have is BAD EXCEPTION."""
    meter = device(point("id", 0, model=103), point("soc", 11, model=802), point("w", 14, "i16", model=103))
    with played("sunspec-inverter", lines=1) as devices:
        async with running(devices[0]["connection"], meter) as rig:
            frame = await rig.next()
            assert frame.values[0] == 103
            assert frame.codes is not None
            assert frame.codes.tolist() == [0, EXCEPTION, 0]
            assert (await rig.source.write("d", "soc", 1.0)).why == "d has not shown the SunSpec model of soc"


async def test_a_device_that_is_no_sunspec_device_is_said_to_lack_the_points() -> None:
    with played("eastron-sdm630", lines=1) as devices:
        async with running(devices[0]["connection"], device(point("id", 0, model=103), point("x", 1, model=1))) as rig:
            frame = await rig.next(2)
            assert frame.codes is not None
            assert frame.codes.tolist() == [EXCEPTION, EXCEPTION]


@asynccontextmanager
async def served(words: dict[int, int]) -> AsyncIterator[str]:
    """A device that answers function 3 from `words`, refuses what it does not have, silent while there are none."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request := await reader.readexactly(12):
                address, count = int.from_bytes(request[8:10]), int.from_bytes(request[10:])
                if not words:
                    continue
                if -1 in words:  # told to hang up
                    words.pop(-1)
                    writer.close()
                    return
                there = all(address + at in words for at in range(count))
                data = b"".join(words[address + at].to_bytes(2) for at in range(count)) if there else b""
                pdu = bytes([3, 2 * count]) + data if there else b"\x83\x02"
                writer.write(request[:4] + (len(pdu) + 1).to_bytes(2) + request[6:7] + pdu)
        except asyncio.IncompleteReadError:
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        yield f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_a_chain_that_moved_is_walked_again_on_the_next_connection() -> None:
    words = held(40000, [(1, 66), (103, 50)])
    async with served(words) as connection, running(connection, device(point("id", 0, model=103))) as rig:
        assert (await rig.next()).values[0] == 103
        words.clear()
        words.update(held(0, [(1, 65), (103, 50)]) | {-1: 0})
        frames = await rig.until(lambda frames: frames[-1].codes is None and len(frames) > 5 and -1 not in words)
        assert frames[-1].values[0] == 103


async def test_a_silent_device_has_no_answer_and_is_walked_when_it_speaks() -> None:
    words: dict[int, int] = {}
    async with served(words) as connection, running(connection, device(point("id", 0, model=103))) as rig:
        frame = await rig.next()
        assert frame.codes is not None
        assert frame.codes.tolist() == [NEVER]
        words.update(held(50000, [(103, 50)]))
        assert (await rig.until(lambda frames: frames[-1].codes is None))[-1].values[0] == 103
