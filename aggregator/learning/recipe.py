"""What a model is learned from: one TOML file, read whole, every fault told at once.

    [model]
    name = "tank"                    # and asset_class = "level-tank"
    period_s = 10                    # one step of the twin
    horizon_s = 600                  # how far a free run goes that training and gate look at
    [[channel]]                      # what is measured, in the internal unit of its quantity
    name = "level"
    quantity = "water_level"
    sd = 0.005                       # of the sensor, if it is known
    [[input]]                        # what acts on it and is known
    name = "speed"
    quantity = "pump_speed"
    [[site]]                         # one of these things: which points of which gateway
    name = "harbour"
    level = "gw-harbour/tank/level"
    speed = "gw-harbour/pump/speed"
    [train]                          # all optional
    kind = "dense"                   # dense, conv1d over the lags, or none
    hidden = [64, 64]
    lags = 3                         # how many the linear twin may try

RecipeError     each fault as file:line: key: what is wrong; what to do
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from protos.lines import Lines
from protos.model import NAME, PERIOD_NS, Manifest, Variable
from protos.vocabulary import QUANTITIES

NS = 1_000_000_000
SITES_MAX = 1_000
LAGS_MAX = 10  # the state grows by as many channels and inputs
HORIZON_MAX = 10_000  # steps of a free run: each is a step of training
HIDDEN_MAX = 256  # units of a layer: what a gateway does in far less than a millisecond
KINDS = ("dense", "conv1d", "none")
MODEL = {"name": str, "asset_class": str, "period_s": float, "horizon_s": float}
TRAIN = {"kind": str, "hidden": list, "epochs": int, "patience": int, "lags": int, "seed": int, "prune": float}


class RecipeError(ValueError):
    """Every fault of the file, one a line."""


class Quantified(NamedTuple):
    name: str
    quantity: str
    sd: float = 0.0  # of the sensor; 0: not known

    @property
    def variable(self) -> Variable:
        return Variable.of(self.name, self.quantity)


@dataclass(frozen=True, slots=True)
class Site:
    name: str
    points: Mapping[str, str]  # channel or input → gateway/device/point


@dataclass(frozen=True, slots=True)
class Recipe:
    name: str
    asset_class: str
    period_ns: int
    horizon: int  # steps
    channels: tuple[Quantified, ...]
    inputs: tuple[Quantified, ...]
    sites: tuple[Site, ...]
    train: Mapping[str, Any]
    text: str

    @property
    def lags(self) -> int:
        return int(self.train.get("lags", 3))

    @property
    def kind(self) -> str:
        return str(self.train.get("kind", "dense"))


def read(path: Path) -> Recipe:
    """Raises RecipeError."""
    try:
        text = path.read_text()
        content = tomllib.loads(text)
    except OSError as error:
        raise RecipeError(f"{path}: {error.strerror}; name a recipe") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: no TOML: {error}") from None
    lines = Lines(text)
    if faults := [f"{path}:{lines[where]}: {what}" for where, what in _faults(content)]:
        raise RecipeError("\n".join(faults))
    model, train = content["model"], content.get("train", {})
    period_ns = round(model["period_s"] * NS)
    recipe = Recipe(
        model["name"],
        model["asset_class"],
        period_ns,
        round(model["horizon_s"] / model["period_s"]),
        tuple(Quantified(one["name"], one["quantity"], float(one.get("sd", 0.0))) for one in content["channel"]),
        tuple(Quantified(one["name"], one["quantity"]) for one in content.get("input", ())),
        tuple(Site(one["name"], {k: v for k, v in one.items() if k != "name"}) for one in content["site"]),
        train,
        text,
    )
    if wrong := manifest(recipe, "1", "", 0).faults():
        raise RecipeError("\n".join(f"{path}:1: {one}" for one in wrong))
    return recipe


def state_names(recipe: Recipe, n: int, lags: int) -> tuple[Variable, ...]:
    """The channels, then what is remembered of them (`level_1`, one step ago), or what is hidden (`hidden_1`)."""
    channels = [one.variable for one in recipe.channels]
    if not lags:
        hidden = range(1, n - len(channels) + 1)
        return (*channels, *(Variable.of(f"hidden_{k}", "ratio") for k in hidden))
    remembered = list(channels)
    for kind in (recipe.channels, recipe.inputs):
        remembered += [Variable.of(f"{one.name}_{lag}", one.quantity) for lag in range(1, lags + 1) for one in kind]
    return tuple(remembered)


def manifest(recipe: Recipe, version: str, made_at: str, lags: int, n: int = 0) -> Manifest:
    states = state_names(recipe, max(n, len(recipe.channels)), lags)
    channels, inputs = (tuple(one.variable for one in kind) for kind in (recipe.channels, recipe.inputs))
    return Manifest(
        recipe.name, version, recipe.asset_class, recipe.period_ns, states, channels, inputs, made_at=made_at
    )


def _faults(content: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], str]]:
    for section in content:
        if section not in ("model", "channel", "input", "site", "train"):
            yield (section,), f"[{section}]: no such section; there are model, channel, input, site, train"
    for section, keys in (("model", MODEL), ("train", TRAIN)):
        table = content.get(section, {})
        if not isinstance(table, dict):
            yield (section,), f"{section}: write [{section}]"
            continue
        yield from _table_faults(section, table, keys)
    for section in ("channel", "site"):
        if not _tables(content, section):
            yield (section,), f"[[{section}]] is missing: a model needs one at least"
    for section in ("channel", "input"):
        for one in _tables(content, section):
            yield from _variable_faults(section, one)
    yield from _site_faults(content)


def _table_faults(
    section: str, table: Mapping[str, Any], keys: Mapping[str, type]
) -> Iterator[tuple[tuple[str, ...], str]]:
    for key, value in table.items():
        wanted = keys.get(key)
        if wanted is None:
            yield (section, key), f"{section}.{key}: no such key; there are {', '.join(keys)}"
        elif isinstance(value, bool) or not isinstance(value, (int, float) if wanted is float else wanted):
            yield (section, key), f"{section}.{key} = {value!r}: write a {wanted.__name__}"
        elif wrong := _value_fault(key, value):
            yield (section, key), f"{section}.{key} = {value!r}: {wrong}"
    if section == "model":
        for key in MODEL:
            if key not in table:
                yield (section,), f"model.{key} is missing"
        period, horizon = table.get("period_s", 1), table.get("horizon_s", 10)
        numbers = all(isinstance(one, (int, float)) and one > 0 for one in (period, horizon))
        if numbers and not 2 <= horizon / period <= HORIZON_MAX:
            yield (section, "horizon_s"), f"model.horizon_s: write 2 to {HORIZON_MAX} periods"


def _value_fault(key: str, value: Any) -> str:
    if key == "kind" and value not in KINDS:
        return f"write {', '.join(KINDS)}"
    if key == "hidden" and not (value and all(isinstance(one, int) and 1 <= one <= HIDDEN_MAX for one in value)):
        return f"write widths from 1 to {HIDDEN_MAX}"
    if key == "lags" and not 0 <= value <= LAGS_MAX:
        return f"write 0 to {LAGS_MAX}"
    if key == "prune" and not 0 <= value < 1:
        return "write a share from 0 to below 1"
    if key in ("epochs", "patience") and value < 1:
        return "write 1 or more"
    if key == "period_s" and not PERIOD_NS[0] <= value * NS <= PERIOD_NS[1]:
        return "write 0.001 to 86400"
    return ""


def _variable_faults(section: str, one: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], str]]:
    known = {"name", "quantity", "sd"} if section == "channel" else {"name", "quantity"}
    for key in sorted(set(one) - known):
        yield (section,), f"{section}.{key}: no such key; there are {', '.join(sorted(known))}"
    if not isinstance(one.get("name"), str) or not NAME.fullmatch(str(one.get("name"))):
        yield (section,), f"{section}.name = {one.get('name')!r}: write a name"
    if one.get("quantity") not in QUANTITIES:
        yield (section,), f"{section}.quantity = {one.get('quantity')!r}: `edge-agent devices quantities` lists them"
    sd = one.get("sd", 0.0)
    if isinstance(sd, bool) or not isinstance(sd, (int, float)) or sd < 0:
        yield (section,), f"{section}.sd = {sd!r}: write a number above 0, or leave it out"


def _site_faults(content: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], str]]:
    wanted = [one.get("name") for kind in ("channel", "input") for one in _tables(content, kind)]
    sites = _tables(content, "site")
    if len(sites) > SITES_MAX:
        yield ("site",), f"{len(sites)} sites, at most {SITES_MAX}: make it two models"
    for one in sites:
        name = one.get("name")
        if not isinstance(name, str) or not name:
            yield ("site",), "site.name is missing"
        for key in wanted:
            if not isinstance(one.get(str(key)), str) or str(one.get(str(key))).count("/") != 2:
                yield ("site",), f'site {name}: {key} = {one.get(str(key))!r}: write "gateway/device/point"'
        for key in sorted(set(one) - {"name", *map(str, wanted)}):
            yield ("site",), f"site {name}: {key}: no channel or input has this name"


def _tables(content: Mapping[str, Any], section: str) -> list[Mapping[str, Any]]:
    found = content.get(section, [])
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
