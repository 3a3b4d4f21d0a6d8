"""The child of a trial: takes a bundle from its standard input, runs its golden pairs, and says yes by exit code 0.

    python -m edge_agent.rollout.proof WALL_S CPU_S MEMORY_MIB

Before the first byte of a model is looked at it gives up what it will not need: files and sockets (no new descriptor
can be opened, whatever the code that a crafted model might reach wants), core dumps, memory and time.
"""

import os
import resource
import signal
import sys
from pathlib import Path

YES, NO, TOO_MUCH = 0, 3, 4  # exit codes; every other end is a crash
NICE = 10  # behind everything that the gateway does
MIB = 1 << 20
KEY_BYTES = 32


def limit_time(wall_s: float, cpu_s: int) -> None:
    """Also for a child whose parent was killed: it ends by itself."""
    os.nice(NICE)
    signal.setitimer(signal.ITIMER_REAL, wall_s)
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def shut_in(memory_mib: int) -> None:
    """No new descriptor, so no file and no socket; nothing written; so much more memory than now."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + memory_mib * MIB
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))


def main() -> int:
    wall_s, cpu_s, memory_mib = float(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    limit_time(wall_s, cpu_s)
    from edge_agent.twin import golden  # after the limits: loading takes time too
    from protos.bundle import Bundle, PublicKey

    feed = sys.stdin.buffer.read()
    shut_in(memory_mib)
    try:
        signer = PublicKey.from_public_bytes(feed[:KEY_BYTES])
        bundle = Bundle.open(feed[KEY_BYTES:], [signer])
        if bundle.network is not None and not len(bundle.golden.z):
            raise ValueError(
                "it has a network and no golden pairs: nothing shows that it runs here as where it was made"
            )
        golden.check(bundle)
    except MemoryError:
        return TOO_MUCH
    except (ValueError, RuntimeError) as error:  # LiteRT raises both
        print(" ".join(str(error).split()))
        return NO
    return YES


if __name__ == "__main__":
    sys.exit(main())
