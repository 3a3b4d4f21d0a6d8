"""Bits flipped and files cut short in the buffer's directory, after a clean end and after a kill."""

from collections.abc import Iterator

from tests.bench import Figure
from tests.faults.bitflips import explore

CASES = {"ci": 300, "full": 2_000}  # half flips, half cuts


def run(scale: str) -> Iterator[Figure]:
    found = explore(CASES[scale])
    yield Figure(
        "bitflips",
        found.wrong + found.unreported + found.refused,
        f"wrong values served, losses not reported or starts refused in {found.tried} cases",
        "1,000 bit flips + 1,000 truncations: starts ≤ 10 s, 0 wrong values served, damage reported",
        found.good(),
        {
            "slowest_start_s": round(found.slowest_s, 3),
            "cases_without_effect": found.harmless,
            "cases_with_a_loss": found.lost_some,
        },
    )
