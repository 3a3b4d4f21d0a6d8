"""Who may see and do what: roles, users, sessions, tokens. No HTTP here: `aggregator/api` asks.

AccessError         told to whoever asks, as it is
├── BadName         of a user or token: which characters there may be
├── WeakPassword    what is wrong with it
├── NotKnown        no such user, token or link; or a password that is not theirs: the same words for each
│   └── NotVouched  the issuer's answer is not for us, not for now, or gives no role
├── AlreadyThere    a user or token of this name
├── IssuerSilent    who vouches for people elsewhere cannot be asked at present
└── Throttled       too many tries: when to come again
"""


class AccessError(ValueError):
    """Something about users, links, sessions or tokens that cannot be."""


class BadName(AccessError):
    pass


class WeakPassword(AccessError):
    pass


class NotKnown(AccessError):
    pass


class NotVouched(NotKnown):
    pass


class IssuerSilent(AccessError):
    pass


class AlreadyThere(AccessError):
    pass


class Throttled(AccessError):
    def __init__(self, wait_s: float) -> None:
        super().__init__(f"too many tries; come again in {wait_s:.0f} s")
        self.wait_s = wait_s
