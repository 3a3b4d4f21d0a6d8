"""Learning a model on demand: readings from history, the job, the table of models, the audit.

Apart from its act, since only this loads what learning needs (extra `train`).
"""

import argparse
import asyncio
import json
import shutil
import time
from collections.abc import Mapping
from pathlib import Path

from aggregator import config
from aggregator.learning import job
from aggregator.learning.dataset import NoDataset, collect
from aggregator.learning.job import Made, NoModel
from aggregator.learning.recipe import Recipe, read
from aggregator.learning.signing import signing_key
from aggregator.screen import counter, fail, show
from aggregator.stores import StoreError
from aggregator.stores.catalogue import Catalogue
from aggregator.stores.history import PointName, Readings, Window
from aggregator.stores.models import ModelRow, Models
from aggregator.verbs import selection
from aggregator.verbs.enrol_token import actor
from aggregator.verbs.models_learned import brief
from protos.bundle import Bundle, BundleError, PrivateKey

WORKING = "working"  # the folder of a training under way: one that was killed goes on there


def train(settings: config.Config, args: argparse.Namespace) -> int:
    """Each recipe by itself: one that cannot be learned keeps no other from it."""
    files = args.recipes or (sorted(settings.recipes.glob("*.toml")) if settings.recipes else [])
    if not files:
        raise StoreError("no recipe: name one, or a folder of them by [learning] recipes")
    recipes = [read(path) for path in files]
    window = selection.window(args)
    settings.learned.mkdir(mode=0o700, exist_ok=True)
    key = signing_key(settings.model_key, settings.learned)
    rows, failed = [], 0
    for recipe in recipes:
        try:
            rows.append(_one(settings, recipe, window, key, args))
        except (NoDataset, NoModel, ValueError) as error:
            failed += 1
            fail(f"{recipe.name}: {error}")
    show([brief(row) for row in rows], as_json=args.json, title="learned")
    return 1 if failed else 0


def _one(
    settings: config.Config, recipe: Recipe, window: Window, key: PrivateKey, args: argparse.Namespace
) -> ModelRow:
    begun = time.process_time()
    data = collect(recipe, asyncio.run(readings(settings, recipe, window)), window.first_ns, window.until_ns)
    store = Models(settings.learned / "models.sqlite")
    try:
        before, made_ns = store.of(recipe.name), time.time_ns()
        made_at = job.now()
        version = made_at.replace("-", "").replace(":", "")
        folder = settings.learned / recipe.name / version
        with counter(f"learning {recipe.name}", "steps") as count:
            made = job.learn(
                recipe,
                data,
                _resumable(settings.learned / recipe.name, folder),
                [key],
                version=version,
                made_at=made_at,
                serving=_opened(before, key),
                told=lambda _: count(1),
            )
        working = settings.learned / recipe.name / WORKING
        working.rename(folder)
        row = row_of(recipe, made, folder, window, made_ns, version, time.process_time() - begun)
        store.put(row)
    finally:
        store.close()
    _note(settings, row, args.who or actor())
    _trim(settings.learned / recipe.name, settings.keep_models)
    if args.to is not None:
        args.to.mkdir(parents=True, exist_ok=True)
        job.write(args.to / f"{recipe.name}.ctb", made.bundle)
    return row


def _resumable(models: Path, folder: Path) -> Path:
    if folder.exists():
        raise StoreError(f"{folder}: is there already; wait a second")
    return models / WORKING


def _opened(row: ModelRow | None, key: PrivateKey) -> Bundle | None:
    """The model before, to compare with; None where it is gone or signed by another key."""
    if row is None or not row.bundle.exists():
        return None
    try:
        return Bundle.open(row.bundle.read_bytes(), [key.public_key()])
    except BundleError:
        return None


def _note(settings: config.Config, row: ModelRow, who: str) -> None:
    catalogue = Catalogue(settings.catalogue)
    try:
        detail = json.dumps({"digest": row.digest, "gate": row.gate, "version": row.version}, sort_keys=True)
        catalogue.note(row.made_ns, who, "model trained", row.name, detail)
    finally:
        catalogue.close()


def _trim(models: Path, keep: int) -> None:
    """The oldest folders go; their rows stay, and say that they were there."""
    folders = sorted(one for one in models.iterdir() if one.is_dir() and one.name != WORKING)
    for old in folders[: -keep or None] if keep else []:
        shutil.rmtree(old)


async def readings(settings: config.Config, recipe: Recipe, window: Window) -> Mapping[str, Readings]:
    """Of every point that the recipe names; those without readings are left out."""
    query = selection.opened(settings)
    names = dict.fromkeys(point for site in recipe.sites for point in site.points.values())
    try:
        found = {name: await query.scan(PointName(*name.split("/")), window) for name in names}
    finally:
        query.close()
        await query.log.close()
    return {name: one for name, one in found.items() if len(one)}


def row_of(
    recipe: Recipe, made: Made, folder: Path, window: Window, made_ns: int, version: str, cpu_s: float
) -> ModelRow:
    verdict = made.verdict
    figures = {f"free run, {name}": total for name, total in verdict.totals.items()} | dict(verdict.figures)
    figures |= {"cpu_s": cpu_s} | ({"parity": verdict.parity} if verdict.accepted else {})
    return ModelRow(
        f"{recipe.name}-{made.digest[:8]}",
        made.digest,
        recipe.name,
        version,
        recipe.asset_class,
        made_ns,
        window.first_ns,
        window.until_ns,
        "network" if verdict.accepted else "linear",
        "trained",
        figures,
        str(folder),
    )
