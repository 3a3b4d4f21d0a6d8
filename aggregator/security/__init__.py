"""Who may talk to the aggregator: its own small authority, enrolment, renewal, recovery, revocation, signed time."""
