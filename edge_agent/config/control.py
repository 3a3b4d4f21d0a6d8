"""The tables of a gateway's file about acting: `[control]`, `[[output]]`, `[[controller]]`, `[[twin]]` → a `Cell`.

What an output must declare has no defaults: a file that leaves out a safe value, a lifetime or a limit is refused and
says which. What a controller's roles and settings mean is checked by its kind, when the cell is built (`plant.py`).
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from edge_agent.cell import Cell, ControllerSpec, Output, TwinSpec
from edge_agent.config.keys import Key, Place, Section
from edge_agent.profile import Device, PointSpec
from protos.units import coefficients

NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}"
POINT = NAME + "/" + NAME
S, MS = 1_000_000_000, 1_000_000
DECISIONS = "control"  # device under which decisions are recorded (recorder.py)
OUTPUTS_MAX = 256  # of one cell: one tick decides them all

TRIAL = Section(
    "[control.trial]",
    "how a new model is watched before it stays; the defaults suit a plant that changes within minutes",
    (
        Key("shadow_s", "number", "seconds beside the model in service, nothing applied", 600, 1, 2_592_000),
        Key("probation_s", "number", "seconds applied, the other one waiting", 1800, 1, 2_592_000),
        Key("steps", "integer", "of the model at least, in each of the two", 200, 1, 10_000_000),
        Key("margin", "number", "of the other's squared residual: more goes back", 1.1, 1, 1e12),
        Key("nis_max", "number", "NIS per channel, 1 if calibrated: more goes back", 3, 1, 1e12),
        Key("share", "number", "of the seconds that may leave the envelope or be late", 0.02, 0, 1),
    ),
)
CONTROL = Section(
    "[control]",
    "the loop that acts on this site by itself",
    (
        Key("period_ms", "integer", "how often the loop decides", 100, 10, 10_000),
        Key(
            "record_ms",
            "integer",
            "of what the loop reads, one reading in this time is kept, and every change of quality",
            1000,
            0,
            3_600_000,
        ),
        Key("trust", "texts", "files with the Ed25519 public keys (PEM) that models must be signed with", ()),
        Key("trial", "table", "how a new model is watched", {}, section=TRIAL),
    ),
)
OUTPUT = Section(
    "[[output]]",
    "a point that the gateway may write; numbers are in the internal unit of its quantity",
    (
        Key(
            "name", "text", "its name in decisions, on the local servers and in status", pattern=NAME, example='"valve"'
        ),
        Key("point", "text", "the writable point, as device/point", pattern=POINT, example='"pump-1/speed_setpoint"'),
        Key("safe", "number", "what it is set to when nobody may be believed", example="0"),
        Key("ttl_s", "number", "a wish that nobody renews for so long has lapsed", low=0.01, high=86_400, example="5"),
        Key("min", "number", "never set below this", example="0"),
        Key("max", "number", "never set above this", example="100"),
        Key("slew_per_s", "number", "largest change in a second; 0: it may jump", low=0, example="10"),
        Key("min_on_s", "number", "once on, it stays on so long", low=0, high=86_400, example="0"),
        Key("min_off_s", "number", "once off, it stays off so long", low=0, high=86_400, example="0"),
        Key(
            "refresh_s",
            "number",
            "written again after so long if unchanged; 0: on change only",
            low=0,
            high=86_400,
            example="60",
        ),
        Key(
            "lifetime_writes",
            "integer",
            "writes that its memory survives; 0: working memory",
            low=0,
            high=10**12,
            example="100000",
        ),
        Key("readback_s", "number", "by then it must show what was written", low=0.01, high=3600, example="2"),
        Key(
            "readback",
            "text",
            "the point that shows it, as device/point, if not the point itself",
            "",
            pattern=f"({POINT})?",
        ),
        Key("tolerance", "number", "allowed between written and read back", 0, 0),
        Key(
            "start",
            "text",
            "until its inputs are valid it is left alone (hold) or set to safe",
            "hold",
            choices=("hold", "safe"),
        ),
        Key(
            "device_timeout_s",
            "number",
            "the device's own: unwritten for so long it goes to its safe state; 0: none",
            0,
            0,
            86_400,
        ),
        Key("off_below", "number", "below this it counts as off", 0.5),
        Key("safe_jump", "boolean", "the safe value is taken at once, whatever slew_per_s says", True),
    ),
)
CONTROLLER = Section(
    "[[controller]]",
    "one way of deciding; `edge-agent check --keys --controllers` lists kinds, roles and settings",
    (
        Key("name", "text", "its name in decisions", pattern=NAME, example='"level"'),
        Key("kind", "text", "how it decides", pattern=r"[a-z][a-z0-9_]{0,30}", example='"pid"'),
        Key("inputs", "roles", "which point fills which role", {}, example='{ value = "tank/level" }'),
        Key("outputs", "roles", "which output fills which role", {}, example='{ output = "valve" }'),
        Key("settings", "settings", "its numbers and texts", {}, example="{ gain = 0.5 }"),
        Key(
            "stale_s", "number", "age at which an input counts as missing; 0: three periods of the point", 0, 0, 86_400
        ),
    ),
)
TWIN = Section(
    "[[twin]]",
    "a model of a piece of this site",
    (
        Key("name", "text", "its name; its estimates are points name/state", pattern=NAME, example='"tank"'),
        Key("bundle", "text", "the signed file that it starts with; later ones are installed", example='"tank.ctb"'),
        Key(
            "points", "roles", "which point is which channel or input of the bundle", example='{ level = "tank/level" }'
        ),
    ),
)
ABOUT_ACTING = (
    Key("control", "table", CONTROL.doc, {}, section=CONTROL),
    Key("output", "tables", OUTPUT.doc, (), section=OUTPUT),
    Key("controller", "tables", CONTROLLER.doc, (), section=CONTROLLER),
    Key("twin", "tables", TWIN.doc, (), section=TWIN),
)


def read_cell(values: Mapping[str, Any], place: Place, devices: tuple[Device, ...], folder: Path) -> Cell:
    """The cell that these tables describe; what is wrong goes to `place.faults`."""
    points = {f"{device.name}/{spec.name}": spec for device in devices for spec in device.profile.points}
    for kind in ("output", "controller", "twin"):
        check_names(values[kind], kind, {device.name for device in devices}, place)
    if len(values["output"]) > OUTPUTS_MAX:
        place.below("output", OUTPUTS_MAX).fault(f"is beyond {OUTPUTS_MAX} outputs", "share them among gateways")
    for number, device in enumerate(devices):
        if values["output"] and device.name == DECISIONS:
            remedy = "call it otherwise: what is decided is recorded under that name"
            place.below("device", number, "name").fault("is the name of the decisions", remedy, device.name)
    names = [table["name"] for table in values["output"]]
    return Cell(
        period_ns=values["control"]["period_ms"] * MS,
        record_ns=values["control"]["record_ms"] * MS,
        outputs=tuple(read_outputs(values["output"], place, points)),
        controllers=tuple(read_controllers(values["controller"], place, names)),
        twins=tuple(
            TwinSpec(one["name"], (folder / one["bundle"]).absolute(), one["points"], place.below("twin", i).line)
            for i, one in enumerate(values["twin"])
        ),
        trust=tuple(read_trust(values["control"], place, folder, needed=bool(values["twin"]))),
        trial=values["control"]["trial"],
    )


def check_names(tables: tuple[dict[str, Any], ...], kind: str, devices: set[str], place: Place) -> None:
    seen: set[str] = set()
    for number, table in enumerate(tables):
        at = place.below(kind, number, "name")
        if table["name"] in seen:
            at.fault("is there twice", f"name each {kind} once", table["name"])
        if kind == "twin" and table["name"] in devices:
            at.fault("is a device's name", "a twin's points need a name of their own", table["name"])
        seen.add(table["name"])


def read_outputs(tables: tuple[dict[str, Any], ...], place: Place, points: Mapping[str, PointSpec]) -> Iterator[Output]:
    written: dict[str, str] = {}
    for number, table in enumerate(tables):
        at = place.below("output", number)
        check_point(table["point"], at.below("point"), points, written, table["name"])
        check_readback(table, at, points)
        check_bounds(table, at)
        yield Output(
            name=table["name"],
            point=table["point"],
            safe=table["safe"],
            ttl_ns=round(table["ttl_s"] * S),
            low=table["min"],
            high=table["max"],
            slew_per_s=table["slew_per_s"] or float("inf"),
            min_on_ns=round(table["min_on_s"] * S),
            min_off_ns=round(table["min_off_s"] * S),
            refresh_ns=round(table["refresh_s"] * S),
            lifetime_writes=table["lifetime_writes"],
            readback_ns=round(table["readback_s"] * S),
            readback=table["readback"],
            tolerance=table["tolerance"],
            start=table["start"],
            device_timeout_ns=round(table["device_timeout_s"] * S),
            off_below=table["off_below"],
            step=step_of(points[table["point"]]) if table["point"] in points else 0.0,
            safe_jump=table["safe_jump"],
        )


def step_of(spec: PointSpec) -> float:
    """What one count of an integer register means, in the internal unit; 0 for others."""
    register = spec.register
    if register is None or register.scale_from or register.type in ("f32", "f64", "str"):
        return 0.0
    scale = coefficients(spec.unit, spec.quantity).scale if spec.unit else 1.0
    return abs(spec.scale * scale)


def check_point(name: str, at: Place, points: Mapping[str, PointSpec], written: dict[str, str], output: str) -> None:
    if not name:
        return
    if name not in points:
        device = name.partition("/")[0]
        known = [one for one in points if one.startswith(f"{device}/") and "w" in points[one].access]
        remedy = f"{device} lets be written: {', '.join(known)}" if known else "give a [[device]] of that name"
        at.fault("is no point of this gateway", remedy, name)
    elif "w" not in points[name].access:
        at.fault("cannot be written", "choose a point with access w or rw (edge-agent devices show)", name)
    elif name in written:
        at.fault(f"is output {written[name]} already", "declare each point once", name)
    written[name] = output


def check_readback(table: Mapping[str, Any], at: Place, points: Mapping[str, PointSpec]) -> None:
    """Accepted is not actuated: something must show what was written."""
    written, shown = points.get(table["point"]), points.get(table["readback"])
    if written is None:
        return
    if not table["readback"]:
        if "r" not in written.access:
            remedy = 'name the point that shows it, as readback = "pump-1/speed"'
            at.below("readback").fault("is missing, and the point cannot be read", remedy)
    elif shown is None or "r" not in shown.access:
        at.below("readback").fault(
            "is no readable point of this gateway", "name one as device/point", table["readback"]
        )
    elif shown.quantity != written.quantity:
        remedy = f"name a point of quantity {written.quantity}"
        at.below("readback").fault(f"is a {shown.quantity}", remedy, table["readback"])


def check_bounds(table: Mapping[str, Any], at: Place) -> None:
    if not table["min"] < table["max"]:
        at.below("max").fault(f"is not above min = {table['min']:g}", "give the range that is allowed", table["max"])
    elif not table["min"] <= table["safe"] <= table["max"]:
        at.below("safe").fault("is outside min to max", "the safe value must be allowed", table["safe"])
    if table["device_timeout_s"] and not 0 < table["refresh_s"] <= table["device_timeout_s"] / 2:
        remedy = f"write it again at least every {table['device_timeout_s'] / 2:g} s"
        at.below("refresh_s").fault("is too long for the device's own timeout", remedy, table["refresh_s"])


def read_controllers(tables: tuple[dict[str, Any], ...], place: Place, outputs: list[str]) -> Iterator[ControllerSpec]:
    for number, table in enumerate(tables):
        at = place.below("controller", number)
        for role, output in table["outputs"].items():
            if output not in outputs:
                known = ", ".join(outputs) or "none"
                at.below("outputs", role).fault("is no [[output]]", f"declared here: {known}", output)
        yield ControllerSpec(
            name=table["name"],
            kind=table["kind"],
            inputs=table["inputs"],
            outputs=table["outputs"],
            settings=table["settings"],
            stale_ns=round(table["stale_s"] * S),
            line=at.line,
        )


def read_trust(table: Mapping[str, Any], place: Place, folder: Path, *, needed: bool) -> Iterator[Path]:
    if needed and not table["trust"]:
        place.below("control", "trust").fault("is missing", "name the public keys that models must be signed with")
    for number, name in enumerate(table["trust"]):
        path = (folder / name).absolute()
        if not path.is_file():
            place.below("control", "trust", number).fault("is no file", "name a PEM file beside this one", name)
        yield path
