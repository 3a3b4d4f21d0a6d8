"""A gateway that believes its wall clock, whatever it says. For negative controls only.

python -m tests.simulators.credulous GATEWAY.toml
"""

import sys

from edge_agent.cli import main
from edge_agent.sync.trusted import TrustedTime
from protos.clock import Anchor


def believe(self: TrustedTime) -> Anchor:
    clock = self._clock
    return Anchor(clock.boot_id, clock.wall_ns() - clock.monotonic_ns(), 1_000_000, "ntp")


if __name__ == "__main__":
    TrustedTime.anchor = believe  # type: ignore[method-assign]
    sys.exit(main(["run", *sys.argv[1:]]))
