"""What `fuzz` feeds: each parser with good inputs to begin from and the errors that it may raise."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Parser:
    """Any other exception than one of `errors` is a crash. `parse` should undo what keeps mutations outside: checksums,
    compression."""

    seeds: Sequence[bytes]
    parse: Callable[[bytes], object]
    errors: tuple[type[Exception], ...] = ()
