"""What may go wrong between a gateway and its aggregator.

SyncError              the link is not there now; the message says why and, where a person can help, how
├── Unreachable        no connection: refused, no route, no answer, closed
├── Dead               the connection is there and the other side silent
├── Untrusted          the other side is not our aggregator, or speaks another protocol
├── WrongTime          a certificate is not valid at the time we believe; signed time decides
├── Expired            our own certificate is; the aggregator gives a new one after a person approves
├── Refused            the aggregator said no; `final` where asking again soon does not help
└── IdentityError      the identity's files are not there, or not what they should be
"""


class SyncError(Exception):
    """The link is not there now."""

    final = False


class Unreachable(SyncError):
    """No connection."""


class Dead(SyncError):
    """Connected, and silent for too long."""


class Untrusted(SyncError):
    """Not our aggregator, or not our protocol."""


class WrongTime(SyncError):
    """A certificate is not valid at the time we believe."""


class Expired(SyncError):
    """Our own certificate is no longer valid."""


class Refused(SyncError):
    """The aggregator said no."""

    def __init__(self, reason: str, *, final: bool = False) -> None:
        super().__init__(reason)
        self.final = final


class IdentityError(SyncError):
    """No identity, or damaged files. Not final: a person who enrols does not want to wait for minutes after it."""
