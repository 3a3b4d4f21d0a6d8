"""What can be wrong with a buffer so that it cannot be opened or asked.

    BufferFault(OSError)
    ├── Locked        another agent uses the same state directory
    ├── Unsafe        the file system cannot keep what SQLite promises
    └── Closed        asked after `close`

Damage and a full disk are no faults: they are dealt with, counted and reported (`damaged_total`, `dropped_..._total`).
"""


class BufferFault(OSError):
    """The buffer cannot work here; the message says where, what and what to do."""


class Locked(BufferFault):
    pass


class Unsafe(BufferFault):
    pass


class Closed(BufferFault):
    pass
