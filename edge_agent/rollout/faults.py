"""What may go wrong between a bundle and its slot.

RolloutFault            the bundle is not in a slot; the message says why and what to do
├── Rejected            the bundle may not be used here (protos/bundle.py has its own reasons, as BundleError)
│   ├── Failed          its trial said no: golden pairs differ, operators unknown, not full-integer, wrong shapes
│   ├── Crashed         the trial's process died of it
│   ├── Overran         it took more time or memory than a trial may
│   ├── Unfit           it is a model of something else than this twin
│   └── TakenBack       it was tried before and went back, or is here already
├── ShelfFault          the slots cannot be read or written
│   ├── Damaged         a bundle's file is not what its name says
│   └── Busy            another process has the shelf
└── NoSuchTwin          the gateway's file has no twin of that name
"""


class RolloutFault(Exception):
    """The bundle is not in a slot."""


class Rejected(RolloutFault):
    """The bundle may not be used here."""


class Failed(Rejected):
    """The trial said no."""


class Crashed(Rejected):
    """The trial's process died."""


class Overran(Rejected):
    """More time or memory than a trial may take."""


class Unfit(Rejected):
    """A model of something else."""


class TakenBack(Rejected):
    """Tried before, or here already."""


class ShelfFault(RolloutFault):
    """The slots cannot be read or written."""


class Damaged(ShelfFault):
    """A bundle's file is not what its name says."""


class Busy(ShelfFault):
    """Another process has the shelf."""


class NoSuchTwin(RolloutFault):
    """The gateway's file has no twin of that name."""
