"""The acts of `aggregator models` by which a model comes to be: train, list, show."""

import argparse
import json
import os
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from aggregator import config
from aggregator.screen import fail, show
from aggregator.stores import StoreError
from aggregator.stores.models import ModelRow, Models
from aggregator.verbs import selection

FAULTS = (config.ConfigError, StoreError, OSError, ValueError)


def add(acts: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The parsers of these acts; each leaves `do`."""
    line = "learn models from history: linear twin, network, gate, signed bundle, report"
    one = acts.add_parser("train", help=line, description=line)
    one.add_argument(
        "recipes", nargs="*", type=Path, metavar="RECIPE", help="TOML files (all of [learning] recipes); see the README"
    )
    selection.time_arguments(one, "30d")
    one.add_argument("--to", type=Path, help="also put the bundles into this folder, as NAME.ctb")
    _common(one, learned)
    one.add_argument("--as", dest="who", default="", metavar="NAME", help="who you are, for the audit (your login)")
    line = "which models there are, the newest first"
    _common(acts.add_parser("list", help=line, description=line), listed)
    line = "a model's report: data, errors on held-out time, what the gate said, where its pictures are"
    one = acts.add_parser("show", help=line, description=line)
    one.add_argument("model", help="its id, or a name: the newest of it")
    _common(one, shown)


def _common(parser: argparse.ArgumentParser, do: Callable[[config.Config, argparse.Namespace], int]) -> None:
    parser.add_argument("--json", action="store_true", help="as JSON")
    config.argument(parser)

    def kept(args: argparse.Namespace) -> int:
        try:
            return do(config.load(args.config), args)
        except FAULTS as error:
            return fail(error)

    parser.set_defaults(do=kept)


def learned(settings: config.Config, args: argparse.Namespace) -> int:
    """Raises StoreError where what learning needs is not installed."""
    try:
        act = import_module("aggregator.verbs.models_train")
    except ModuleNotFoundError as error:
        raise StoreError(f"learning needs {error.name}: pip install 'citytwin[train]'") from None
    return int(act.train(settings, args))


def listed(settings: config.Config, args: argparse.Namespace) -> int:
    show([brief(row) for row in _rows(settings)], as_json=args.json, title="models")
    return 0


def _rows(settings: config.Config) -> Sequence[ModelRow]:
    store = Models(settings.learned / "models.sqlite", read_only=True)
    try:
        return store.newest()
    finally:
        store.close()


def brief(row: ModelRow) -> dict[str, object]:
    return {
        "model": row.id,
        "class": row.asset_class,
        "made": selection.iso(row.made_ns)[:16],
        "state": row.state,
        "gate": row.gate,
        "free run, sd": row.figures.get("free run, linear"),
        "persistence": row.figures.get("free run, persistence"),
        "NIS": row.figures.get("nis"),
        "bundle": str(row.bundle) if row.bundle.exists() else "gone",
    }


def shown(settings: config.Config, args: argparse.Namespace) -> int:
    store = Models(settings.learned / "models.sqlite", read_only=True)
    try:
        row = store.get(args.model)
    finally:
        store.close()
    folder = Path(row.folder)
    pictures = sorted(str(one) for one in folder.glob("*.png"))
    if args.json:
        print(json.dumps({"digest": row.digest, "figures": row.figures, "pictures": pictures} | brief(row)))
        return 0
    report = folder / "report.md"
    if not report.exists():
        raise StoreError(f"{report}: gone; [learning] keep says how many stay")
    print(report.read_text() + "\nPictures:\n" + os.linesep.join(f"  {one}" for one in pictures))
    return 0
