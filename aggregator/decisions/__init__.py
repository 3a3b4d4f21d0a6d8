"""What if, what may go wrong, and what is done about it.

    Checkpointed (the city at one moment)
        ├ Scenario ─ run ─→ Imagined ─ compare ─→ Comparison         nothing of it can become an order
        ├ assess ─→ risks, N-1, criticality, and which plan lowers them
        └ propose ─→ Decision ─ Course, Policy ─→ orders ─→ gateways

A scenario changes copies: its own domains, its own inputs. A decision is made from the city as it is and from nothing
else; the rules of its course are functions of it, of what gateways have said, and of the time.

    DecisionError
    ├── ScenarioError   all faults of a scenario file at once, or results that cannot be compared
    └── Refused         what somebody asked for is against the rules, with the rule
"""


class DecisionError(Exception):
    """The message says what, where, and what would be right."""


class ScenarioError(DecisionError):
    """Every fault of a scenario file, one a line; or why two results cannot stand side by side."""


class Refused(DecisionError):
    """The rule that is in the way."""
