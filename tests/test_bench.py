"""The benches say beforehand what they must reach; their figures become a table. Nothing is timed here."""

from __future__ import annotations

import importlib
import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest

from tests.benchmarks.conftest import tiny_incidents
from tranquillite_ml.benchmarks import City

ROOT = Path(__file__).parents[1]
BENCH = ROOT / "experiments" / "bench"
HELPERS = {"__main__", "common", "fresh", "results"}
NAMES = sorted(path.stem for path in BENCH.glob("*.py") if path.stem not in HELPERS)


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(BENCH))

    def module(name: str) -> ModuleType:
        return importlib.import_module(name)

    return module


def runner(load: Any) -> ModuleType:
    load("common")
    spec = importlib.util.spec_from_file_location("bench_runner", BENCH / "__main__.py")
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_rows_are_declared_well(name: str, load: Any) -> None:
    bars = load(name).BARS
    assert bars
    assert callable(load(name).measure)
    assert len({bar.what for bar in bars.values()}) == len(bars)
    for bar in bars.values():
        assert bar.what
        assert "|" not in bar.what + bar.unit + bar.elsewhere
        assert bar.least is None or bar.most is None or bar.least <= bar.most


def test_each_bench_is_run_and_explained(load: Any) -> None:
    assert sorted(runner(load).BENCHES) == NAMES
    assert runner(load).BENCHES[-1] == "weekly"
    page = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    assert [name for name in NAMES if f"| `{name}` |" not in page] == []


def test_a_bar_is_reached_or_missed(load: Any) -> None:
    common = load("common")
    most, least, both = (
        common.Bar("a", "s", most=2),
        common.Bar("b", "×", least=4),
        common.Bar("c", "", 1.05, 0.95),
    )
    assert [most.reached(value) for value in (1.9, 2, 2.1, None)] == [True, True, False, None]
    assert [least.reached(value) for value in (3.99, 4)] == [False, True]
    assert [both.reached(value) for value in (0.9, 1.0, 1.1)] == [False, True, False]
    assert common.Bar("d", "MB").reached(3.0) is None
    assert (most.must, both.must) == ("≤ 2 s", "≤ 1.05 and ≥ 0.95")
    assert [common.shown(value) for value in (1610.4, 43.46, 1.789, 0.00031, 8, 0.9968, 0.95)] == [
        "1,610",
        "43.5",
        "1.79",
        "0.00031",
        "8",
        "0.997",
        "0.95",
    ]
    assert common.figure(float("nan"))["value"] is None


def test_results_are_kept_and_shown(load: Any, tmp_path: Path) -> None:
    common, results = load("common"), load("results")
    bars = {
        "a": common.Bar("time", "s", most=2),
        "b": common.Bar("ratio", "×", least=4),
        "c": common.Bar("x", ""),
    }
    figures = {"a": common.figure(1.5, beside="peer 6 s"), "b": common.figure(3.0)}
    rows = results.make_rows(bars, figures)
    assert [row["reached"] for row in rows] == [True, False, None]
    assert results.line(rows[0]) == "| time | ≤ 2 s | 1.50 s | peer 6 s | yes |"
    assert results.line(rows[1]) == "| ratio | ≥ 4 × | 3 × |  | **no** |"
    assert results.line(rows[2]) == "| x | – | – | not measured |  |"
    results.save(tmp_path, "one", {"machine": "Two CPU cores.", "rows": rows})
    assert json.loads((tmp_path / "one.json").read_text(encoding="utf-8"))["rows"][0]["value"] == 1.5
    table = results.page(tmp_path, ["none", "one"])
    assert table.startswith("Two CPU cores.")
    assert table.endswith("Rows that miss their bar: 1.")
    page = tmp_path / "page.md"
    page.write_text(f"before\n{results.BEGIN}\nold\n{results.END}\nafter\n", encoding="utf-8")
    results.replace_figures(page, table)
    assert page.read_text(encoding="utf-8").splitlines()[-1] == "after"
    assert "old" not in page.read_text(encoding="utf-8")


def test_a_call_in_a_fresh_process_gives_result_and_memory(load: Any) -> None:
    done = load("fresh").call("common", "shown", value=1610)
    assert done["result"] == "1,610"
    assert 1 < done["peak_mb"] < 500
    with pytest.raises(RuntimeError, match=r"common\.shown failed"):
        load("fresh").call("common", "shown", value="no number")


def test_the_accuracy_table_on_a_small_city(load: Any, tmp_path: Path) -> None:
    folder = tmp_path / "tinytown"
    folder.mkdir()
    path = folder / "incidents.parquet"
    tiny_incidents().to_parquet(path)
    city = City(path, tz="Europe/Paris", categories=("noise", "theft"), folds=5)
    weekly = load("weekly")
    figures = other_system(city, tmp_path)
    found = weekly.run([city], figures, model="none")
    assert set(found) == set(weekly.BARS)
    # The other system holds half of what there is: no ratio of hit rates can exceed 1 over that.
    reference = pd.read_csv(figures)
    rate = reference["hits_0.05"].sum() / reference["n"].sum()
    assert rate == pytest.approx(0.5, abs=0.05)
    assert 0 < found["hits_0.05"]["value"] < 1 / rate + 0.1
    assert found["worst_0.05"]["value"] <= found["hits_0.05"]["value"]
    assert found["pit"]["beside"] == "of 40"
    assert found["coverage"]["value"] > 50
    # 5 folds in which it is said to be 12 nats better than smoothed counts: a gain of 60 in each series.
    assert "of 60" in found["gain_least"]["beside"]


def other_system(city: City, tmp_path: Path) -> Path:
    """Figures of two made-up systems on the city's own folds."""
    from tranquillite_ml.benchmarks import model_maker, run_weekly

    done = run_weekly([city], output=tmp_path / "first", make_model=model_maker("none"))
    folds = pd.read_parquet(next(path for path in done["paths"]["folds"] if path.endswith("parquet")))
    mine = folds[folds["method"] == done["model"]]
    parts = []
    for name, gain in (("reference_lightgbm", 10.0), ("h3_smoothed365", -2.0)):
        part = mine.assign(method=name, log_likelihood=mine["log_likelihood"] + gain)
        for share in (0.005, 0.01, 0.02, 0.05, 0.1):
            part[f"hits_{share:g}"] = mine["n"] // 2
        parts.append(part)
    path = tmp_path / "figures.csv"
    pd.concat(parts).to_csv(path, index=False)
    return path
