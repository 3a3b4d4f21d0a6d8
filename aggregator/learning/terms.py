"""How a network is trained and what came of it; nothing of PyTorch, so that reports need none."""

from dataclasses import dataclass

from aggregator.learning.bundling import Residual


@dataclass(frozen=True, slots=True)
class Terms:
    """How long and how fast."""

    kind: str = "dense"
    hidden: tuple[int, ...] = (24, 24)
    epochs: int = 150
    patience: int = 20  # epochs without a better validation error
    rate: float = 5e-3
    batch: int = 64  # free runs
    prune: float = 0.25
    aware_epochs: int = 40  # of quantisation-aware training after pruning
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Curve:
    phase: str
    epoch: int
    train: float
    validate: float


@dataclass(frozen=True, eq=False, slots=True)
class Trained:
    """Candidates, the smallest first, each a residual to be judged."""

    candidates: tuple[tuple[str, Residual], ...]
    curves: tuple[Curve, ...]
    resumed_at: int = 0
