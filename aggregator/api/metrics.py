"""What Prometheus scrapes: the server itself, its gateways, the twin's calibration, alarms. Text format 0.0.4.

On this machine, or with a viewer's token. Names end in their unit; counters in `_total`.
"""

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from starlette.responses import Response

from aggregator.access.roles import EVERYONE, VIEWERS
from aggregator.access.settings import loopback
from aggregator.api.parts import Parts
from aggregator.api.problem import Problem, Unauthenticated
from aggregator.api.route import Call, Route

MEDIA = "text/plain; version=0.0.4; charset=utf-8"


class Family(NamedTuple):
    kind: str  # gauge, counter
    help: str


FAMILIES: Mapping[str, Family] = {
    "citytwin_gateways_enrolled": Family("gauge", "Gateways that may connect"),
    "citytwin_gateways_connected": Family("gauge", "Gateways whose stream is open"),
    "citytwin_log_position": Family("gauge", "Newest batch of the durable log"),
    "citytwin_points": Family("gauge", "Points with a newest sample"),
    "citytwin_samples_total": Family("counter", "Rows of samples taken in since the server began"),
    "citytwin_gateway_backlog_batches": Family("gauge", "Batches that wait at the gateway"),
    "citytwin_gateway_backlog_bytes": Family("gauge", "Bytes that wait at the gateway"),
    "citytwin_gateway_clock_error_seconds": Family("gauge", "Bound of the error of the gateway's UTC"),
    "citytwin_gateway_batch_age_seconds": Family("gauge", "Since the newest batch of the gateway arrived"),
    "citytwin_gateway_certificate_seconds": Family("gauge", "Until the gateway's certificate ends"),
    "citytwin_twin_nis_ratio": Family("gauge", "Normalised innovation squared per reading: 1 is calibrated"),
    "citytwin_twin_coverage_ratio": Family("gauge", "Share of withheld readings within the 90 % interval"),
    "citytwin_twin_crps": Family("gauge", "Continuous ranked probability score of withheld readings, in their sd"),
    "citytwin_twin_trusted": Family("gauge", "1 while the domain may decide by itself"),
    "citytwin_twin_step_age_seconds": Family("gauge", "How far the newest step of the domain is behind the clock"),
    "citytwin_alarms": Family("gauge", "Alarms that stand, by priority and state"),
}

Sample = tuple[str, Mapping[str, str], float]


def metrics(call: Call) -> Response:
    client = call.request.client
    here = client is not None and loopback(client.host) and not call.parts.config.web.name  # a proxy is here, too
    if call.who.role not in VIEWERS and not here:
        raise Unauthenticated("send a viewer's token: Authorization: Bearer TOKEN")
    return Response(text(list(samples(call.parts))), media_type=MEDIA)


def text(found: list[Sample]) -> str:
    """Families in their order, each with its help and kind once."""
    lines = []
    for name, family in FAMILIES.items():
        own = [one for one in found if one[0] == name and math.isfinite(one[2])]
        if own:
            lines += [f"# HELP {name} {family.help}", f"# TYPE {name} {family.kind}"]
            lines += [f"{name}{labelled(labels)} {value:.17g}" for _, labels, value in own]
    return "\n".join([*lines, ""])


def labelled(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{escaped(value)}"' for name, value in labels.items()) + "}"


def escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def samples(parts: Parts) -> Iterator[Sample]:
    with parts.catalogue() as catalogue:
        enrolled = [one.id for one in catalogue.gateways() if one.state == "enrolled"]
    yield "citytwin_gateways_enrolled", {}, len(enrolled)
    yield "citytwin_log_position", {}, parts.log.newest
    yield "citytwin_points", {}, len(parts.latest)
    yield "citytwin_samples_total", {}, parts.latest.changes
    now, connected = parts.clock.wall_ns(), 0
    for gateway in enrolled:
        one, label = parts.fleet.seen(gateway), {"gateway": gateway}
        if one is None:
            continue
        connected += one.connected
        yield "citytwin_gateway_backlog_batches", label, one.backlog_batches
        yield "citytwin_gateway_backlog_bytes", label, one.backlog_bytes
        if one.clock_error_ns >= 0:
            yield "citytwin_gateway_clock_error_seconds", label, one.clock_error_ns / 1e9
        if one.batch_ns:
            yield "citytwin_gateway_batch_age_seconds", label, (now - one.batch_ns) / 1e9
        if one.certificate_ns:
            yield "citytwin_gateway_certificate_seconds", label, (one.certificate_ns - now) / 1e9
    yield "citytwin_gateways_connected", {}, connected
    yield from of_the_twin(parts, now)


def of_the_twin(parts: Parts, now_ns: int) -> Iterator[Sample]:
    if parts.city is None:
        return
    try:
        with parts.city_store() as store:
            health = {name: store.shown(name, "health") for name in parts.atlas.domains}
            alarms = store.alarms()
    except Problem:  # it has not begun
        return
    names = {"nis_per_reading": "nis_ratio", "coverage_90": "coverage_ratio", "crps": "crps"}
    for domain, found in health.items():
        label = {"domain": domain}
        if found is not None:
            for key, name in names.items():
                if isinstance(value := found[1].get(key), float | int):
                    yield f"citytwin_twin_{name}", label, float(value)
            yield "citytwin_twin_trusted", label, float(found[1].get("automatic") == "")
        if (picture := parts.city.pictures.get(domain)) is not None:
            yield "citytwin_twin_step_age_seconds", label, (now_ns - picture.t_ns) / 1e9
    counts: dict[tuple[int, str], int] = {}
    for row in alarms:
        if row.state != "normal":
            counts[row.priority, row.state] = counts.get((row.priority, row.state), 0) + 1
    for (priority, state), count in sorted(counts.items()):
        yield "citytwin_alarms", {"priority": str(priority), "state": state}, count


ROUTES = (Route("GET", "/metrics", metrics, EVERYONE, "Prometheus", media=MEDIA),)
