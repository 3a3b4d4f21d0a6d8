"""Deciding: controllers wish, the arbiter narrows in the order of rank, the guard has the last word.

CONTROLLERS     kinds of controllers, resolved on use; a new kind is one file and one line
arbiter         what is left feasible after each controller, and whose wish it became
guard           the rules that no file can switch off: bounds, slew, minimum times, lapse to the safe value
"""

CONTROLLERS: dict[str, str] = {}
