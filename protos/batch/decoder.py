"""From a batch's bytes back to samples; every count is checked against what is there before memory is taken for it."""

import numpy as np
import numpy.typing as npt
import zstandard

from protos.batch import schemes
from protos.batch.encoder import COUNT, COUNTS, HAS_CODES, HAS_MISSING, HAS_SOURCE, NUMBER_BYTES, ROW_BYTES, TEXT, UNITS
from protos.batch.header import Damaged, Header, TooLarge, unseal
from protos.batch.names import read_names
from protos.batch.samples import Batch, Block, Text
from protos.batch.whole import Reader

Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]

MAX_RAW_BYTES = 64 << 20  # twenty times the largest batch that a gateway writes by default


def unpacked(header: Header, packed: memoryview) -> bytes:
    """The body, which may not be larger than the header says."""
    try:
        size = zstandard.frame_content_size(packed)
        if not 0 <= size <= header.raw_bytes:
            raise Damaged(f"body unpacks to {size} bytes, the header allows {header.raw_bytes}")
        return zstandard.ZstdDecompressor().decompress(packed, allow_extra_data=False)
    except (zstandard.ZstdError, MemoryError) as error:
        raise Damaged(f"body does not unpack: {error}") from error


def read_times(reader: Reader, rows: Ints, total: int, unit: int, has_source: bool) -> tuple[Ints, Ints]:
    firsts = np.cumsum(reader.run(len(rows)))
    steps = reader.run(total - len(rows))
    receive = from_steps(firsts, steps, rows, total) * unit
    return receive, receive - reader.run(total) * unit if has_source else receive.copy()


def summed(firsts: Ints, moves: Ints, starts: Ints, counts: Ints) -> Ints:
    """Columns of `counts` rows that begin at `starts` with `firsts` and go on by `moves` (0 at the starts)."""
    sums: Ints = np.cumsum(moves)
    sums += np.repeat(firsts - sums[starts], counts)
    return sums


def from_steps(firsts: Ints, steps: Ints, counts: Ints, total: int) -> Ints:
    starts = np.cumsum(counts) - counts
    moves = np.zeros(total, np.int64)
    places = np.ones(total, np.bool_)
    places[starts] = False
    moves[places] = steps
    return summed(firsts, moves, starts, counts)


def read_whole(reader: Reader, chosen: Bytes, counts: Ints, total: int) -> Ints:
    """The whole numbers (N,) of all columns: those of raw bits are in runs of their own."""
    starts = np.cumsum(counts) - counts
    after_first = np.ones(total, np.bool_)
    after_first[starts] = False
    wide = chosen == schemes.RAW
    wide_columns = int(np.count_nonzero(wide))
    narrow_firsts, wide_firsts = reader.run(len(chosen) - wide_columns), reader.run(wide_columns)
    moves = np.zeros(total, np.int64)
    if not wide_columns:
        moves[after_first] = reader.run(total - len(chosen))
        reader.run(0)
        return summed(narrow_firsts, moves, starts, counts)
    firsts = np.empty(len(chosen), np.int64)
    firsts[~wide], firsts[wide] = narrow_firsts, wide_firsts
    cells = np.repeat(wide, counts)
    cells &= after_first
    wide_steps = int(np.count_nonzero(cells))
    moves[after_first & ~cells] = reader.run(total - len(chosen) - wide_steps)
    moves[cells] = reader.run(wide_steps)
    return summed(firsts, moves, starts, counts)


def values_of(whole: Ints, chosen: Bytes, counts: Ints) -> Floats:
    cells = np.repeat(chosen, counts)
    with np.errstate(all="ignore"):
        outer = schemes.OUTER[cells] if schemes.OUTER[chosen].any() else None
        values = schemes.back(whole.astype(np.float64), schemes.FACTOR[cells], schemes.DIVISOR[cells], outer)
        for number in (schemes.RAW, schemes.SINGLE):
            at = np.flatnonzero(cells == number)
            if len(at):
                bits = whole[at]
                values[at] = bits.view(np.float64) if number == schemes.RAW else bits.astype(np.int32).view(np.float32)
    return values


def put_missing(reader: Reader, values: Floats) -> None:
    (count,) = COUNT.unpack(reader.take(COUNT.size))
    if count > len(values):
        raise Damaged(f"{count} of {len(values)} values missing")
    places = np.cumsum(reader.run(count))
    if count and not 0 <= places.min() <= places.max() < len(values):
        raise Damaged("missing values outside the batch")
    values[places] = np.nan


def read_blocks(reader: Reader, names: bytes, count: int, flags: int, unit: int, header: Header) -> tuple[Block, ...]:
    devices, points = read_names(names, count)
    rows = reader.array(count, np.uint32).astype(np.int64)
    if count and not rows.min():
        raise Damaged("block without rows")
    width = np.array([len(one) for one in points], np.int64)
    total_rows, total = int(rows.sum()), sum((rows * width).tolist())
    wanted = len(reader.data) + NUMBER_BYTES * total + ROW_BYTES * total_rows
    if wanted != header.raw_bytes:
        raise Damaged(f"unpacks to {wanted} bytes, the header says {header.raw_bytes}")
    if int(width.sum()) > reader.left():
        raise Damaged("more columns than bytes")
    if not count:
        return ()
    receive, source = read_times(reader, rows, total_rows, UNITS[unit], bool(flags & HAS_SOURCE))
    chosen = reader.octets(int(width.sum()))
    if int(chosen.max()) >= schemes.COUNT:
        raise Damaged(f"scheme {int(chosen.max())} is not known")
    counts = np.repeat(rows, width)
    values = values_of(read_whole(reader, chosen, counts, total), chosen, counts)
    if flags & HAS_MISSING:
        put_missing(reader, values)
    codes = reader.octets(total) if flags & HAS_CODES else np.zeros(total, np.uint8)
    made, cell, row = [], 0, 0
    for device, names_of, high in zip(devices, points, rows.tolist(), strict=True):
        end, shape, until = cell + high * len(names_of), (len(names_of), high), row + high
        made.append(
            Block(
                device,
                names_of,
                receive[row:until],
                source[row:until],
                values[cell:end].reshape(shape).T,
                codes[cell:end].reshape(shape).T,
            )
        )
        cell, row = end, until
    return tuple(made)


def read_texts(reader: Reader, count: int) -> tuple[Text, ...]:
    if count * TEXT.size > reader.left():
        raise Damaged("more strings than bytes")
    made = []
    for _ in range(count):
        receive_ns, source_ns, code, *lengths = TEXT.unpack(reader.take(TEXT.size))
        try:
            device, point, value = (str(reader.take(length), "utf-8") for length in lengths)
        except UnicodeDecodeError as error:
            raise Damaged(f"string: {error}") from error
        made.append(Text(device, point, receive_ns, source_ns, code, value))
    return tuple(made)


def decode(blob: bytes, max_raw_bytes: int = MAX_RAW_BYTES) -> Batch:
    """The samples in `blob`, columns contiguous in memory.

    Raises Damaged for bytes that `encode` never made, TooLarge before taking more than `max_raw_bytes` of memory,
    UnknownVersion for a newer format.
    """
    header, packed = unseal(blob)
    if header.raw_bytes > max_raw_bytes:
        raise TooLarge(f"decoding would take {header.raw_bytes} bytes, at most {max_raw_bytes} are allowed")
    reader = Reader(unpacked(header, packed))
    names_bytes, count, texts, flags, unit = COUNTS.unpack(reader.take(COUNTS.size))
    if flags & ~(HAS_CODES | HAS_SOURCE | HAS_MISSING) or unit >= len(UNITS):
        raise Damaged("flags that this version does not write")
    names = reader.take(names_bytes)
    blocks = read_blocks(reader, names, count, flags, unit, header)
    made = read_texts(reader, texts)
    if reader.left():
        raise Damaged(f"{reader.left()} bytes too many")
    if header.readings != sum(block.values.size for block in blocks) + texts:
        raise Damaged(f"header speaks of {header.readings} readings")
    return Batch(header.key, header.priority, header.anchor, blocks, made)
