"""What may go wrong with a request, by the names and statuses of the standard (5.5.2, 6.3.2).

Problem                    RFC 7807, application/json
├── InvalidRequest         400: no JSON, a parameter that the operation does not have
├── BadRequestData (BadRequest)  400: JSON that does not mean what the operation needs
├── ResourceNotFound       404        ├── NonexistentTenant   404
├── AlreadyExists          409        ├── Conflict            409
├── OperationNotSupported  422        ├── NotAcceptable       406
├── TooComplexQuery        403        ├── TooManyResults      403
├── LdContextNotAvailable  503        └── NoMultiTenantSupport 501
Bare                       a status alone, without a body (411, 415)
"""

from collections.abc import Mapping
from typing import Any, ClassVar

ROOT = "https://uri.etsi.org/ngsi-ld/errors/"


class Problem(Exception):
    """`detail` says what, where, and what would be right."""

    status: ClassVar[int] = 500
    title: ClassVar[str] = "The broker failed"
    name: ClassVar[str] = ""  # of the standard, where the class has another

    def __init__(self, detail: str, **more: Any) -> None:
        super().__init__(detail)
        self.detail, self.more = detail, more

    @property
    def type(self) -> str:
        return ROOT + (self.name or type(self).__name__)

    def body(self) -> Mapping[str, Any]:
        return {"type": self.type, "title": self.title, "status": self.status, "detail": self.detail} | self.more


class InternalError(Problem):
    pass


class InvalidRequest(Problem):
    status, title = 400, "The request cannot be read"


class BadRequest(Problem):
    status, title, name = 400, "The request's data cannot be used", "BadRequestData"


class ResourceNotFound(Problem):
    status, title = 404, "There is no such resource"


class NonexistentTenant(Problem):
    status, title = 404, "There is no such tenant"


class AlreadyExists(Problem):
    status, title = 409, "It exists already"


class Conflict(Problem):
    status, title = 409, "That does not fit what is there"


class NotAcceptable(Problem):
    status, title = 406, "No such representation"


class OperationNotSupported(Problem):
    status, title = 422, "That cannot be done here"


class TooComplexQuery(Problem):
    status, title = 403, "The query is too complex"


class TooManyResults(Problem):
    status, title = 403, "Too many results"


class LdContextNotAvailable(Problem):
    status, title = 503, "A JSON-LD @context is not available"


class NoMultiTenantSupport(Problem):
    status, title = 501, "There are no tenants here"


class Bare(Exception):
    """A status without a body."""

    def __init__(self, status: int) -> None:
        super().__init__(str(status))
        self.status = status
