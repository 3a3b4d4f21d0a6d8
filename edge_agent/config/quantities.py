"""Whether a quantity is in the vocabulary and a unit is one of that quantity."""


def unit_fault(quantity: str, unit: str) -> tuple[str, str, str] | None:
    """(key to blame, what is wrong, remedy), or None."""
    return None
