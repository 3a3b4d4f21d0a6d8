"""The page's files: plain HTML, CSS and modules, as they are; nothing is built.

What changes is asked for again; vendored libraries have their version in their path, and stay.
"""

from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

HERE = Path(__file__).parents[1] / "page"
FOREVER, ASK = "public, max-age=31536000, immutable", "no-cache"
VIEWS = ("/", "/welcome", "/map", "/alarms", "/decisions", "/scenarios", "/fleet", "/models", "/ledger", "/users")


class Files(StaticFiles):
    """Adds how long each may be kept."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["cache-control"] = FOREVER if path.startswith("vendor/") else ASK
        return response


async def shell(request: Request) -> Response:
    """The one page of operators: its address says which view."""
    return FileResponse(HERE / "index.html", headers={"cache-control": ASK})


async def residents(request: Request) -> Response:
    """The page of residents."""
    return FileResponse(HERE / "public.html", headers={"cache-control": ASK})


def files() -> list[BaseRoute]:
    return [
        Route("/public", residents),
        *(Route(path, shell) for path in VIEWS),
        Mount("/page", Files(directory=HERE, check_dir=False)),
    ]
