"""Models that may not run here: the outer ones never reach the loader, the inner ones die alone (see `bad-models`)."""

import pytest

from edge_agent.rollout.faults import Crashed, Failed, Overran, Rejected
from edge_agent.rollout.trial import Limits, try_out
from protos.bundle import Bundle, BundleError
from tests.simulators import bad_bundles

GOOD = bad_bundles.good_bundle()
TRUSTED = [bad_bundles.KEY.public_key()]
LIMITS = Limits(cpu_s=1)
INNER: dict[str, tuple[type[Rejected], str]] = {
    "graphs left out": (Crashed, "SIGSEGV"),
    "a loop without end": (Overran, "processor time"),
    "a gigabyte out of nothing": (Failed, "cannot be prepared"),
    "dynamic range": (Failed, "quantise it as full integer"),
    "all in floating point": (Failed, "quantise it as full integer"),
    "an operator that is not built in": (Failed, "Select TensorFlow op"),
    "another shape than the manifest says": (Failed, "its manifest says"),
    "one golden bit": (Failed, "come out differently here"),
    "a linear step that is not the matrices'": (Failed, "a linear step of level"),
    "no golden pairs": (Failed, "no golden pairs"),
    # XNNPACK refuses it, the kernels that stand in where it cannot start do not: the child runs what the gateway runs
    "a zero point beyond int8": (Failed, "XNNPACK"),
}
BAD = dict(bad_bundles.inner(GOOD, 0, 0))


async def test_the_good_one_passes() -> None:
    await try_out(Bundle.open(GOOD, TRUSTED), GOOD, LIMITS)


@pytest.mark.parametrize("name", INNER)
async def test_what_reaches_the_loader_dies_alone(name: str) -> None:
    kind, words = INNER[name]
    with pytest.raises(kind, match=words):
        await try_out(Bundle.open(BAD[name], TRUSTED), BAD[name], LIMITS)


@pytest.mark.parametrize(
    ("name", "data"), list(bad_bundles.outer(GOOD)), ids=lambda one: one if isinstance(one, str) else ""
)
def test_what_is_not_signed_and_whole_is_not_parsed(name: str, data: bytes) -> None:
    with pytest.raises(BundleError):
        Bundle.open(data, TRUSTED)
