"""Whether a certificate counts at a time that is given: for machines whose own clock may say 1970.

OpenSSL can check a chain without the time (NO_CHECK_TIME), Python cannot tell it another. So the chain and the name are
OpenSSL's business, and the leaf's dates are judged here by the best time that there is. Where the machine's clock is
vouched for, OpenSSL judges the dates of the whole chain as well.
"""

import ssl
from collections.abc import Mapping
from typing import Any, Protocol

NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME of OpenSSL: the chain alone
NS = 1_000_000_000


class Time(Protocol):
    """The best time that there is."""

    @property
    def sure(self) -> bool:
        """Whether anybody vouches for it."""
        ...

    @property
    def wall_is_right(self) -> bool:
        """Whether the machine's own clock agrees with it; where nobody vouches, whether it is not known to be wrong."""
        ...

    def utc_ns(self) -> int:
        """Where nobody does, it is never earlier than what was once believed."""
        ...


def wrong_with(certificate: Mapping[str, Any], utc_ns: int, *, sure: bool = True) -> str:
    """What is wrong with the dates of a peer's certificate (`SSLSocket.getpeercert()`); empty when nothing is.

    A clock that nobody vouches for may be far behind, as after a start without a battery: then it only tells what has
    ended for certain, not what has not begun.
    """
    begins = ssl.cert_time_to_seconds(str(certificate["notBefore"]))
    ends = ssl.cert_time_to_seconds(str(certificate["notAfter"]))
    now = utc_ns // NS
    if (sure and now < begins) or now > ends:
        return f"valid from {certificate['notBefore']} to {certificate['notAfter']}, not at {now} s after 1970"
    return ""


def judged_by(time: Time, context: ssl.SSLContext) -> None:
    """Have `context` check dates by `time`, in every handshake, before a byte is sent; by the machine's clock only
    where that is vouched for. For a context that is made for one connection: clocks change."""

    class Timed(ssl.SSLSocket):
        def do_handshake(self, block: bool = False) -> None:
            super().do_handshake(block)
            if wrong := wrong_with(self.getpeercert() or {}, time.utc_ns(), sure=time.sure):
                raise ssl.SSLError(f"the certificate is {wrong}")

    if not (time.sure and time.wall_is_right):
        context.verify_flags |= ssl.VerifyFlags(NO_CHECK_TIME)
    context.sslsocket_class = Timed
