"""Whether a unit is one that values of a quantity may come in."""

from protos.units import UnitError, coefficients


def unit_fault(quantity: str, unit: str) -> str:
    """What is wrong with the unit and which would be right, or nothing."""
    try:
        coefficients(unit, quantity)
    except UnitError as error:
        return str(error)
    return ""
