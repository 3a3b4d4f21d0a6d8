"""The roles, and the sets of them that routes name. Whoever is in no set of a route may not use it.

    public      a resident: the public page, nothing else
    viewer      sees everything that is operated
    operator    acknowledges alarms, approves and stops decisions, runs scenarios
    engineer    an operator who also changes models, rollouts and entities
    admin       an engineer who also decides who may do what
    auditor     sees everything, also who did what and the ledger; changes nothing

IEC 62443-4-2 CR 2.1: authorisation is enforced for every user, denied unless it is given.
"""

from enum import StrEnum


class Role(StrEnum):
    PUBLIC = "public"
    VIEWER = "viewer"
    OPERATOR = "operator"
    ENGINEER = "engineer"
    ADMIN = "admin"
    AUDITOR = "auditor"


Roles = frozenset[Role]

EVERYONE: Roles = frozenset(Role)
VIEWERS: Roles = EVERYONE - {Role.PUBLIC}
OPERATORS: Roles = frozenset({Role.OPERATOR, Role.ENGINEER, Role.ADMIN})
ENGINEERS: Roles = frozenset({Role.ENGINEER, Role.ADMIN})
ADMINS: Roles = frozenset({Role.ADMIN})
AUDITORS: Roles = frozenset({Role.AUDITOR, Role.ADMIN})
