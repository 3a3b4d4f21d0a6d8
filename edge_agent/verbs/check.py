"""Check a gateway's file and every profile it names; say every fault at once, change nothing.

Exit code 0 when all is well, 1 when there are faults, one per line: file:line: key = value: what is wrong; what to do.
Points that still wait for a vendor document are listed as notes; they are no faults.
"""

import argparse
import json
from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path

from edge_agent import plant
from edge_agent.config import ConfigError, Fault, Gateway, Library, load
from edge_agent.config.gateway import SITE
from edge_agent.config.keys import Section
from edge_agent.config.profiles import PROFILE
from edge_agent.control import CONTROLLERS, described, resolve
from edge_agent.field import build
from edge_agent.rollout.bundles import read_bundle, read_trust
from edge_agent.rollout.faults import RolloutFault
from edge_agent.screen import fail, show
from protos.bundle import Bundle, BundleError
from protos.clock import SystemClock


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", type=Path, nargs="*", metavar="CONFIG", help="a gateway's file, or a device profile")
    parser.add_argument(
        "--keys", action="store_true", help="list every key of a gateway's file, or with --profile of a profile"
    )
    parser.add_argument("--profile", action="store_true", help="with --keys: those of a device profile")
    parser.add_argument(
        "--controllers",
        nargs="?",
        const="",
        metavar="KIND",
        help="with --keys: roles and settings of every kind of controller, or all about one",
    )
    parser.add_argument("--json", action="store_true", help="faults and notes as JSON")


def run(args: argparse.Namespace) -> int:
    if args.keys and args.controllers is not None:
        return explain(args.controllers, as_json=args.json)
    if args.keys:
        show(list(keys_of(PROFILE if args.profile else SITE)), as_json=args.json)
        return 0
    if not args.config:
        return fail("name a file to check, as edge-agent check gateway.toml")
    return check(args)


def keys_of(section: Section, path: str = "") -> Iterator[dict[str, object]]:
    """Every key with its default and meaning, as the loader knows it."""
    for key in section.keys:
        name = f"{path}{key.name}"
        if key.section is not None:
            yield from keys_of(key.section, f"{name}[]." if key.kind == "tables" else f"{name}.")
            continue
        default = "required" if key.required else "" if key.default in (None, "", (), {}) else str(key.default)
        yield {"key": name, "default": default, "what": f"{key.doc} ({key.kind})"}


def explain(kind: str, *, as_json: bool) -> int:
    """The kinds of controllers, or one with its fallback and an example."""
    if kind and kind not in CONTROLLERS:
        return fail(f"{kind} is no kind of controller; there are {', '.join(CONTROLLERS)}")
    show(list(described([kind] if kind else CONTROLLERS)), as_json=as_json)
    if kind and not as_json:
        about = resolve(kind)
        print(f"{cleandoc(about.__doc__ or '')}\nWithout its inputs: {about.FALLBACK}.\n{about.EXAMPLE}")
    return 0


def check(args: argparse.Namespace) -> int:
    faults: list[Fault] = []
    notes: list[str] = []
    gateways: list[Gateway] = []
    for path in args.config:
        try:
            if is_profile(path):
                profile = Library(path.parent).get(path.stem)
                notes.append(f"{path}: a profile of {len(profile.points)} points without faults")
            else:
                gateways.append(load(path))
                look(gateways[-1])
        except ConfigError as error:
            faults.extend(error.faults)
        except (ValueError, RolloutFault, BundleError) as error:  # what only the parts themselves can judge
            faults.append(Fault(path, 0, "", "", str(error), "the gateway would not start"))
    for gateway in gateways:
        notes.extend(remarks(gateway))
    if args.json:
        fields = ("file", "line", "key", "value", "wrong", "remedy")
        found = [{field: str(getattr(fault, field)) for field in fields} for fault in faults]
        print(json.dumps({"faults": found, "notes": notes}))
    else:
        for fault in faults:
            fail(fault)
        for note in notes:
            print(f"note {note}")
        if gateways:
            show([summary(gateway) for gateway in gateways], as_json=False)
    return 1 if faults else 0


def look(gateway: Gateway) -> None:
    """Build everything and open nothing. Raises what the parts refuse; a bundle is not tried (`edge-agent models`)."""
    clock, keys = SystemClock(), read_trust(gateway.cell.trust)
    bundles = {spec.name: Bundle.open(read_bundle(spec.bundle), keys) for spec in gateway.cell.twins}
    plant.build(gateway, clock, build(gateway, clock), bundles, load_models=False)


def is_profile(path: Path) -> bool:
    """A gateway's file has a [gateway]; a profile has not."""
    try:
        return path.suffix == ".toml" and "[gateway]" not in path.read_text(errors="replace")
    except OSError:
        return False


def remarks(gateway: Gateway) -> Iterator[str]:
    """What a person should know, though nothing is wrong."""
    if not gateway.aggregator.address:
        yield f"{gateway.file}: [aggregator] has no address: it comes with the enrolment; without one, no sync"
    for device in gateway.devices:
        line = (gateway.lines or {}).get(device.name, 0)
        open_points: dict[str, list[str]] = {}  # what is to be confirmed → points
        if device.profile.verify:
            open_points[device.profile.verify] = []
        for point in device.profile.points:
            if point.verify:
                open_points.setdefault(point.verify, []).append(point.name)
        for what, names in open_points.items():
            of = f" ({', '.join(names)})" if names else ""
            yield f"{gateway.file}:{line}: {device.name}: still to be confirmed: {what}{of}"


def summary(gateway: Gateway) -> dict[str, object]:
    return {
        "gateway": gateway.id,
        "district": gateway.district,
        "devices": len(gateway.devices),
        "points": sum(len(device.profile.points) for device in gateway.devices),
        "brokers": len(gateway.brokers),
        "aggregator": gateway.aggregator.address or "by enrolment",
        "state": str(gateway.state_dir),
    }
