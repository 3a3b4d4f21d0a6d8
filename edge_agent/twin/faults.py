"""What can be wrong with a model before it runs.

ModelRefused        a bundle that this gateway will not run; the message says why and what to do
├── NotFullInteger  its network has a tensor that is neither int8 nor an int32 bias
├── WrongShape      its network does not fit its manifest
└── GoldenMismatch  this machine makes something else of the golden pairs than the one that made the bundle
"""


class ModelRefused(ValueError):
    """A bundle that this gateway will not run."""


class NotFullInteger(ModelRefused):
    """Its network computes in floating point somewhere, or is quantised as the runtime cannot be trusted with."""


class WrongShape(ModelRefused):
    """Its network does not fit its manifest."""


class GoldenMismatch(ModelRefused):
    """The golden pairs come out differently here."""
