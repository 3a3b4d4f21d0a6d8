"""Scenarios by name: the newest text, the newest results, and limits that say what to do."""

from pathlib import Path

import pytest

from aggregator.stores import StoreError
from aggregator.stores.scenarios import NAME_MAX, RESULTS_MAX, ScenarioRow, Scenarios


def keep(store: Scenarios, name: str, text: str = "", data: bytes = b"result", at_ns: int = 1) -> int:
    return store.keep(ScenarioRow(name, text, at_ns, "ada"), 5, "digest", 3, 50, data)


def test_a_name_keeps_its_newest_text_and_results(tmp_path: Path) -> None:
    store = Scenarios(tmp_path / "scenarios.sqlite")
    for number in range(RESULTS_MAX + 5):
        keep(store, "storm", f"text {number}", str(number).encode(), number)
    keep(store, "drought", data=b"dry")
    found = store.scenario("storm")
    assert found is not None
    assert found.text == f"text {RESULTS_MAX + 4}"
    rows = store.results("storm")
    assert len(rows) == RESULTS_MAX
    assert [row.number for row in rows] == sorted((row.number for row in rows), reverse=True)
    assert store.results()[0].name == "drought"
    assert store.result("storm") == str(RESULTS_MAX + 4).encode()
    assert store.result("storm", rows[-1].number) == b"5"
    assert (rows[0].by, rows[0].begun_ns, rows[0].digest, rows[0].seed, rows[0].members) == ("ada", 5, "digest", 3, 50)
    store.close()
    again = Scenarios(tmp_path / "scenarios.sqlite", read_only=True)
    assert again.result("drought") == b"dry"
    again.close()


def test_words_that_help(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StoreError, match="no scenario was run yet"):
        Scenarios(tmp_path / "none.sqlite", read_only=True)
    store = Scenarios(tmp_path / "scenarios.sqlite")
    for name in ("", "x" * (NAME_MAX + 1)):
        with pytest.raises(StoreError, match="a scenario's name has 1 to"):
            keep(store, name)
    with pytest.raises(StoreError, match="no such result"):
        store.result("storm")
    monkeypatch.setattr("aggregator.stores.scenarios.BYTES_MAX", 3)
    with pytest.raises(StoreError, match="at most"):
        keep(store, "storm")
    monkeypatch.undo()
    monkeypatch.setattr("aggregator.stores.scenarios.NAMES_MAX", 1)
    keep(store, "storm")
    keep(store, "storm")
    with pytest.raises(StoreError, match="use a name that is there"):
        keep(store, "drought")
    assert store.scenario("drought") is None
    store.close()
