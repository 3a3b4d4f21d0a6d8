"""What people and the rollout may ask of a gateway's models, as one request and one answer, both plain dictionaries.

    {"do": "install", "twin", "why", "again"} + the bundle     a trial, then the candidate's slot; "hold": true keeps
                                                               it in the shadow until it is let go on
    {"do": "apply", "twin", "digest"}                          let go on what is held
    {"do": "rollback", "twin", "why"}                          the newest model back
    {"do": "watched"}                                          how far each candidate has come

Every answer has "ok" and "said"; `kind` names the fault where there is one.
"""

from collections.abc import Mapping
from typing import Any

from edge_agent.rollout.faults import RolloutFault
from edge_agent.rollout.models import Models
from protos.bundle import BundleError

SOCKET = "models.sock"  # in the state directory
WHY_MAX = 200  # characters of a reason that a person gives


async def answer(models: Models, request: Mapping[str, Any], body: bytes) -> Mapping[str, object]:
    """Do what is asked. Raises KeyError for a request that lacks something, ValueError for one that is unknown."""
    try:
        match request["do"]:
            case "install":
                return await _install(models, request, body)
            case "rollback":
                event = await models.rollback(str(request["twin"]), _why(request))
                return {"ok": True, "said": f"{event.digest[:12]} is taken back", "digest": event.digest}
            case "apply":
                await models.let_go_on(str(request["twin"]), str(request["digest"]))
                return {"ok": True, "said": f"{str(request['digest'])[:12]} may be applied"}
            case "watched":
                return {"ok": True, "said": "", "watched": models.watched()}
    except (RolloutFault, BundleError) as error:
        return {"ok": False, "said": str(error), "kind": type(error).__name__}
    raise ValueError(f"nobody can do {request['do']!r}")


async def _install(models: Models, request: Mapping[str, Any], body: bytes) -> Mapping[str, object]:
    again, hold = request["again"] is True, request.get("hold") is True
    bundle = await models.install(str(request["twin"]), body, _why(request), again=again, hold=hold)
    said = f"{bundle.title} passed its trial and is the candidate of {request['twin']}"
    return {"ok": True, "said": said, "digest": bundle.digest}


def _why(request: Mapping[str, Any]) -> str:
    return str(request["why"])[:WHY_MAX]
