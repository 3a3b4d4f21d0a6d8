"""What every check is: a class with parameters, a code to give, and a `judge` over the rows of its columns."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from edge_agent.cleaning.window import Floats, Mask, Part

Parameters = Mapping[str, Floats]  # name → (n,), one for each configured point, in internal units and seconds


@dataclass(frozen=True, slots=True)
class Parameter:
    """A number in a point's `checks`. `kind` says how it becomes internal:

    value (a point on the unit's scale) · change (a difference on it) · number (seconds, counts: as it is).
    """

    kind: str
    default: float | None = None  # None: must be given
    least: float = -np.inf


class Check(Protocol):
    """One check for the points that are configured for it; place i of its arrays belongs to the i-th of them."""

    PARAMETERS: ClassVar[Mapping[str, Parameter]]
    CODE: ClassVar[int]  # what a sample that fails is lowered to
    ALWAYS: ClassVar[bool]  # also without configuration, with the defaults
    WHOLE_FRAMES: ClassVar[bool]  # looks at times only, once per frame
    STAMPED_ONLY: ClassVar[bool]  # has nothing to say where no device said a time

    def __init__(self, count: int, parameters: Parameters) -> None: ...

    def judge(self, part: Part) -> Mask | None:
        """Which samples (T, c) fail, or None when none does. The state moves on past this window."""


def nothing(count: int) -> Floats:
    """State of `count` points of which nothing is known: comparisons with NaN are false."""
    return np.full(count, np.nan)


def never(count: int) -> npt.NDArray[np.int64]:
    return np.zeros(count, np.int64)
