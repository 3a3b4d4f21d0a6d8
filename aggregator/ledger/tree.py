"""The right edge of a growing tree: which tiles change when leaves are added. No IO."""

from collections.abc import Callable, Iterator

from protos.tlog import HASH, HEIGHT, WIDTH, subtree

FULL = WIDTH * HASH  # bytes of a full tile


class Edge:
    """The rightmost tile of each level, begun with `tile(level, index)` of a tree of `size`."""

    def __init__(self, size: int, tile: Callable[[int, int], bytes]) -> None:
        self.size = size
        self._rows: list[bytearray] = []
        self._full: dict[tuple[int, int], bytes] = {}
        level = 0
        while count := size >> HEIGHT * level:
            index, width = divmod(count, WIDTH)
            self._rows.append(bytearray(tile(level, index)[: width * HASH] if width else b""))
            level += 1

    def add(self, leaf: bytes) -> None:
        """One more entry, by its leaf hash."""
        found, level = leaf, 0
        while True:
            if level == len(self._rows):
                self._rows.append(bytearray())
            row = self._rows[level]
            row += found
            if len(row) < FULL:
                break
            self._full[level, self.size >> HEIGHT * (level + 1)] = bytes(row)
            found = subtree([bytes(row[i : i + HASH]) for i in range(0, FULL, HASH)])
            row.clear()
            level += 1
        self.size += 1

    def changed(self) -> Iterator[tuple[int, int, bytes]]:
        """(level, index, hashes) of every tile that is not as it was at the last call."""
        yield from self.full()
        yield from self.partial()

    def full(self) -> Iterator[tuple[int, int, bytes]]:
        """The tiles that became full since the last call."""
        full, self._full = self._full, {}
        for (level, index), hashes in full.items():
            yield level, index, hashes

    def partial(self) -> Iterator[tuple[int, int, bytes]]:
        for level, row in enumerate(self._rows):
            if row:
                yield level, self.size >> HEIGHT * (level + 1), bytes(row)
