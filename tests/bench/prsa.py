"""Beijing Multi-Site Air Quality (Zhang et al. 2017, UCI, CC BY 4.0): four years of hours at 12 stations, as a city."""

import csv
import gzip
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path

import numpy as np

from aggregator.domains import environment
from aggregator.domains.environment.field import paced
from aggregator.twin import Floats
from aggregator.twin.part import Asset, Part, Wire

COLUMNS = {"PM2.5": "pm25", "NO2": "no2", "TEMP": "temperature", "WSPM": "wind"}
SENSOR_SD = 3.0  # ug/m3: values are whole numbers of an hour's mean of a reference instrument
JUDGED = 0.25  # the last quarter; nothing before it is judged, nothing in it is learned from


def folder() -> Path:
    data = os.environ.get("CITYTWIN_DATA", str(Path(__file__).parents[3] / "shared" / "data"))
    return Path(data) / "prsa_beijing"


def available() -> str:
    """Empty, or what is missing and how to get it."""
    missing = [name for name in ("prsa_core.csv.gz", "stations.csv") if not (folder() / name).exists()]
    remedy = "set CITYTWIN_DATA to a folder with prsa_beijing/ (UCI Beijing Multi-Site Air Quality as one CSV)"
    return f"{folder()}: no {' and no '.join(missing)}; {remedy}" if missing else ""


@dataclass(frozen=True, eq=False)
class Beijing:
    """Columns (T, 12), NaN where nothing was measured."""

    stations: Sequence[tuple[str, float, float]]
    begins: datetime
    columns: dict[str, Floats]

    @cached_property
    def cut(self) -> int:
        """The first hour that is judged."""
        return int((1 - JUDGED) * len(self.columns["pm25"]))

    @property
    def pm25(self) -> Floats:
        return self.columns["pm25"]

    @cached_property
    def wind(self) -> Floats:
        """(T,) m/s, mean of the stations."""
        speed = self.columns["wind"]
        count = np.isfinite(speed).sum(axis=1)
        total = np.nansum(speed, axis=1)
        found: Floats = np.divide(total, count, out=np.full(len(speed), np.nan), where=count > 0)
        return found

    def domain(self, unknown: int | None = None) -> environment.Domain:
        """The city's air with what the first three quarters say; of station `unknown` they say nothing."""
        made = environment.build(self.part())
        said = self.pm25[: self.cut]
        known = [i for i in range(len(self.stations)) if i != unknown]
        made.learn({(self.stations[i][0], "pm25"): said[:, i] for i in known})
        rows = np.isfinite(said[:, known]).any(axis=1)
        course = np.full(self.cut, np.nan)
        course[rows] = np.nanmean(said[rows][:, known], axis=1)
        made.field = paced(made.air, made.field, course, self.wind[: self.cut])
        return made

    def part(self) -> Part:
        settings = {name: key.default for name, key in environment.SETTINGS.items() if key.default is not None}
        wind = float(np.nanmean(self.wind[: self.cut]))
        settings |= {"pollutants": "pm25", "wind_usual": wind, "heating": 0.0}
        keys = {name: float(key.default or 0) for name, key in environment.KINDS["station"].keys.items()}
        zone = {name: float(key.default or 0) for name, key in environment.KINDS["zone"].keys.items()}
        zone |= {"reach_m": 100_000.0}
        assets = [Asset(name, "station", keys, lon=lon, lat=lat) for name, lon, lat in self.stations]
        assets.append(Asset("beijing", "zone", zone, lon=116.4, lat=40.0))
        wires = [Wire(f"prsa/air/{name}", name, "pm25", SENSOR_SD) for name, _, _ in self.stations]
        return Part("environment", assets, wires, settings)


def load() -> Beijing:
    with open(folder() / "stations.csv") as file:
        stations = [(row["station"], float(row["lon"]), float(row["lat"])) for row in csv.DictReader(file)]
    place = {name: i for i, (name, _, _) in enumerate(stations)}
    with gzip.open(folder() / "prsa_core.csv.gz", "rt") as file:
        rows = list(csv.DictReader(file))
    hours = {t: k for k, t in enumerate(sorted({row["t"] for row in rows}))}
    columns = {name: np.full((len(hours), len(stations)), np.nan) for name in COLUMNS.values()}
    for row in rows:
        k, i = hours[row["t"]], place[row["station"]]
        for column, name in COLUMNS.items():
            if row[column]:
                columns[name][k, i] = float(row[column])
    return Beijing(stations, datetime.fromisoformat(min(hours)), columns)
