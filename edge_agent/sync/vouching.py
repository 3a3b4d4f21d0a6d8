"""The witness in a process of its own, for each checkpoint: what signs takes 7.5 MiB, which the gateway needs a moment
every minute or two, and not in between.

python -m edge_agent.sync.vouching DIRECTORY GATEWAY UTC_NS     a checkpoint on stdin, the answer on stdout
"""

import asyncio
import logging
import sys
from pathlib import Path

from edge_agent.sync.witness import CONFLICT, NOTE_MAX, Witness
from protos import sync_pb2 as pb

ANSWER_S = 30.0  # a small gateway that is busy starts Python in some seconds
SAID_MAX = 500

log = logging.getLogger(__name__)


class Vouching:
    """Asks the witness in `directory`, which is <state_dir>/witness, one checkpoint at a time."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.cosigned_total = 0
        self.size = 0  # of what is held, as far as it was said

    @property
    def conflicts(self) -> int:
        return len(list(self._directory.glob(CONFLICT + "*")))

    async def answer(self, gateway: str, checkpoint: pb.Checkpoint, utc_ns: int) -> pb.Cosignature:
        """Our cosignature, or from where we want to be led on, or what is wrong. Raises OSError, TimeoutError."""
        words = ["-m", "edge_agent.sync.vouching", str(self._directory), gateway, str(utc_ns)]
        pipe = asyncio.subprocess.PIPE
        child = await asyncio.create_subprocess_exec(sys.executable, *words, stdin=pipe, stdout=pipe, stderr=pipe)
        try:
            async with asyncio.timeout(ANSWER_S):
                told, said = await child.communicate(checkpoint.SerializeToString())
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
        if child.returncode:
            raise OSError(said.decode(errors="replace")[-SAID_MAX:].strip() or f"it ended with {child.returncode}")
        found = pb.Cosignature.FromString(told)
        if found.conflict:
            log.error("the aggregator's ledger contradicts itself: %s; see %s", found.conflict, self._directory)
        self.cosigned_total += bool(found.signature)
        self.size = max(self.size, found.held_size)
        return found


def main() -> int:
    directory, gateway, utc_ns = sys.argv[1:4]
    checkpoint = pb.Checkpoint.FromString(sys.stdin.buffer.read(4 * NOTE_MAX))
    try:
        told = Witness(Path(directory)).answer(gateway, checkpoint, int(utc_ns))
    except OSError as error:
        print(error, file=sys.stderr)
        return 1
    sys.stdout.buffer.write(told.SerializeToString())
    return 0


if __name__ == "__main__":
    sys.exit(main())
