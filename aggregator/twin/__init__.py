"""The twin: one state for a whole domain of the city, with an uncertainty on every number.

    x(k+1) = f(x, u, S) + w,  w ~ N(0, Q)        y = h(x) + v,  v ~ N(0, R)

numpy and scipy in, numpy out: no IO, no threads, and the same numbers again from the same seed. A domain (domain.py)
says what f, h, Q are; the rest is the same for all of them:

    Meas → Fuser ─ restore, forecast, analyse, per step k ─→ Belief → Series, edge priors
             │  a scheme: Gaussian (exact or low rank) · Ensemble (localised) · MeanOnly (a million states)
             └→ Innovation → Calibration (is the uncertainty true?) · Anomalies → Alarms

What a fuser believes depends on the set of readings it was given, never on the order in which they came.

Columns of a matrix are ensemble members or factors of a covariance. k counts steps of dt since 1970.

    TwinError
    ├── BadModel     a domain's arrays do not fit together, or its numbers are not finite
    ├── BadMeas      readings that no update may see: lengths, NaN, no variance, unknown channels
    ├── BeyondLag    a moment that the ring of checkpoints does not hold
    └── BadAlarm     a rule that cannot work, or an order that makes no sense now (alarms.py)
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.uint8]


class TwinError(ValueError):
    """The message says what, where, and what would be right."""


class BadModel(TwinError):
    """All faults of a domain at once, one per line."""


class BadMeas(TwinError):
    """All faults of some readings at once, one per line."""


class BeyondLag(TwinError):
    """The message names the steps that can be asked for."""
