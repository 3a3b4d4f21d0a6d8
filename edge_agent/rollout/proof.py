"""The child of a trial: takes a bundle from its standard input, runs its golden pairs, and says yes by exit code 0.

    python -m edge_agent.rollout.proof WALL_S CPU_S MEMORY_MIB

Before the first byte of a model is looked at it gives up what it will not need: files and sockets (no new descriptor
can be opened, whatever the code that a crafted model might reach wants), core dumps, memory and time.
"""

import base64
import os
import resource
import signal
import sys
import zlib
from pathlib import Path

YES, NO, TOO_MUCH = 0, 3, 4  # exit codes; every other end is a crash
NICE = 10  # behind everything that the gateway does
MIB = 1 << 20
KEY_BYTES = 32
LEAST = (  # a network of one weight (aggregator/learning/flatbuffer.py), zlib, base 85
    "c-nnZu};G<5Pb=zBqD-Hcwp$zk%6HS89H=E3>_IdFwm+ML_!Eb5n@7O=0lkH4nBf!Kzsq_oqcgihB|uo-RbV#%h`PZ=ckhs__YU%5(P5ah"
    "92kvXT(hkY$2c`20jD$cFq~K!|Jixa1XJBcp=`ImndHmyBO{vHYF~IORcd{4}9*f>IrdVrP{`Sp{CIX_0zR@qH)Qs=zQ{AsQ>fpoN)DtQAo?"
    "jTJKc%7jrVznxI``n=~2k$c$#s%lpAF_7!}%z+EYy9AY24z-K#r4QJVV9mx#m_3VL^kxyoF$f^UKUo(?o%aaTLo7=26=lQg(udY{~{-0*69i"
    "T5krew9xk-i7%GwIBz@VAM0ubci)G;H&%Z|@#go&N1RDY3uCm-|@g{RhUIIOh"
)


def limit_time(wall_s: float, cpu_s: int) -> None:
    """Also for a child whose parent was killed: it ends by itself."""
    os.setpriority(os.PRIO_PROCESS, 0, NICE)  # whatever the agent's own is
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


def warm_up() -> None:
    """Let the runtime read what it wants to know of the processor, which it asks for when it first runs a network.

    Without it XNNPACK stands aside and the golden pairs would be tried on other code than the gateway will run.
    """
    from edge_agent.twin.int8 import Network

    Network(zlib.decompress(base64.b85decode(LEAST)), 1)


def main() -> int:
    wall_s, cpu_s, memory_mib = float(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    limit_time(wall_s, cpu_s)
    from edge_agent.twin import golden  # after the limits: loading takes time too
    from protos.bundle import Bundle, PublicKey

    feed = sys.stdin.buffer.read()
    warm_up()
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
