"""How a model reaches the gateways: in waves, watched, and back by itself when it is no good.

RolloutError    what somebody asks for cannot be done now; the message says why and what to do
"""


class RolloutError(ValueError):
    """A rollout cannot do what was asked of it; the message names it and the remedy."""
