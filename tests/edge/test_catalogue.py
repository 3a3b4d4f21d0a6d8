"""What the aggregator is told of every point: those of devices, of decisions, of twins."""

from pathlib import Path

from edge_agent.catalogue import catalogue
from edge_agent.config import load
from edge_agent.recorder import DEVICE, DIGEST
from protos.vocabulary import internal_unit
from tests.edge.acting import echo, site


def test_every_point_with_unit_domain_and_quantity(tmp_path: Path) -> None:
    file = site(tmp_path, outputs=2, twins=1)
    file.write_text(file.read_text().replace('name = "d0"\n', 'name = "d0"\nasset = "pump-7"\ndomain = "energy"\n'))
    told = catalogue(load(file), {"echo0": echo()})
    points = {f"{one.device}/{one.name}": one for one in told.points}
    assert told.district == "bench"
    assert len(points) == len(told.points), "each point once"
    assert {name for name in points if name.startswith("d1/")} == {"d1/input", "d1/ramp", "d1/actuator"}
    assert (points["d0/actuator"].writable, points["d0/input"].writable) == (True, False)
    for name, domain, asset in (("d0/input", "energy", "pump-7"), ("d1/input", "services", "")):
        assert (points[name].domain, points[name].asset) == (domain, asset)
        assert (points[name].unit, points[name].quantity) == (internal_unit("water_level"), "water_level")

    decided = points[f"{DEVICE}/out0"]
    assert (decided.unit, decided.domain, decided.asset, decided.writable) == ("%", "energy", "pump-7", False)
    assert f"{DEVICE}/{DIGEST}" in points
    level = points["echo0/level"]
    assert (level.quantity, level.domain, level.asset) == ("water_level", "energy", "pump-7")
    assert "echo0/level_sd" in points
    assert "echo0/nis" in points


def test_what_is_not_decided_is_not_told(tmp_path: Path) -> None:
    told = catalogue(load(site(tmp_path, outputs=0)), {})
    assert {one.device for one in told.points} == {"d0"}


def test_the_digest_changes_with_anything_in_it(tmp_path: Path) -> None:
    file = site(tmp_path, twins=1)
    config = load(file)
    digests = [catalogue(config, {}).digest, catalogue(config, {"echo0": echo()}).digest]
    file.write_text(file.read_text().replace('district = "bench"', 'district = "quay"'))
    digests.append(catalogue(load(file), {}).digest)
    assert len(set(digests)) == 3
    assert catalogue(config, {}).digest == digests[0]
    assert catalogue(config, {"echo0": echo(version="2")}).digest == digests[1], "a new version has the same points"
