"""Is one mean above another? A test that may be looked at after each observation, for ever.

A gambler bets against a hypothesis; were it true, nobody could expect to win, so its capital is a non-negative
supermartingale that ever reaches 1/α with probability α at most (J. Ville, Étude critique de la notion de collectif,
1939). For observations x of [0, 1] and the hypothesis "given the past, the mean of each is at most m":

    Kₜ = Σⱼ wⱼ Πᵢ≤ₜ (1 + λⱼ (xᵢ − m)),   0 ≤ λⱼ < 1/m

the discrete mixture over stakes λⱼ in place of the mixture SPRT's normal one. S. Howard, A. Ramdas, J. McAuliffe and
J. Sekhon, Time-uniform, nonparametric, nonasymptotic confidence sequences, Annals of Statistics 49(2), 2021; I.
Waudby-Smith and A. Ramdas, Estimating means of bounded random variables by betting, JRSS B 86(1), 2024. Neither equal
variances nor independence are needed, and the means may move: a daily tide is no excuse and no fault.
"""

import math
from dataclasses import dataclass
from typing import Self

LEVELS = (0.02, 0.06, 0.12, 0.25, 0.4, 0.6, 0.8, 0.95)  # stakes as shares of the largest: for all sizes of effects
LOG_MOST = 700.0  # beyond, capital is certain enough and exp() overflows


@dataclass(frozen=True, slots=True)
class Bet:
    """The logarithms of the capital of each stake, against "the mean is at most `m`" of numbers in [0, 1]."""

    m: float
    logs: tuple[float, ...] = (0.0,) * len(LEVELS)
    seen: int = 0

    def see(self, x: float) -> Self:
        """Raises ValueError for what lies outside [0, 1], where the bound would not hold."""
        if not 0.0 <= x <= 1.0:
            raise ValueError(f"{x} is not within 0 to 1")
        stakes = (level / self.m for level in LEVELS)
        logs = tuple(
            min(log + math.log1p(stake * (x - self.m)), LOG_MOST) for log, stake in zip(self.logs, stakes, strict=True)
        )
        return type(self)(self.m, logs, self.seen + 1)

    @property
    def capital(self) -> float:
        return sum(math.exp(log) for log in self.logs) / len(self.logs)

    def refutes(self, alpha: float) -> bool:
        """Whether "at most m" is refuted at this level, over all looks together."""
        return self.capital >= 1 / alpha


@dataclass(frozen=True, slots=True)
class Comparison:
    """How much worse something is, by relative differences (new − old) / (new + old), 0: as good; `margin` is allowed.

    Differences are cut off at ±`CUT`: one storm counts as one bad look, not as ten.
    """

    fine: Bet  # against "worse than the margin": refuted, it is not inferior
    worse: Bet  # against "within the margin": refuted, it is worse

    CUT = 0.25  # a ratio of 1.67

    @classmethod
    def begin(cls, margin: float) -> Self:
        m = (margin + cls.CUT) / (2 * cls.CUT)
        return cls(Bet(1 - m), Bet(m))

    def see(self, difference: float) -> Self:
        x = (min(max(difference, -self.CUT), self.CUT) + self.CUT) / (2 * self.CUT)
        return type(self)(self.fine.see(1 - x), self.worse.see(x))

    def again(self) -> Self:
        """For the next wave: what is not inferior must be shown again, what is worse goes on being counted."""
        return type(self)(Bet(self.fine.m), self.worse)

    @property
    def seen(self) -> int:
        return self.fine.seen


def difference(new: float, old: float, floor: float = 0.0) -> float:
    """(new − old) / (new + old), of errors that are 0 or more; 1 where the new one is no number.

    Below `floor` both are as good as nothing.
    """
    if not math.isfinite(new):
        return 1.0
    new, old = max(new, 0.0), max(old, 0.0)
    total = new + old + 2 * floor
    return (new - old) / total if total > 0 else 0.0
