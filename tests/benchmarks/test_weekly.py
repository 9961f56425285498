"""The weekly protocol: worked by hand on a tiny city, and the reference's own counts recomputed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.benchmarks.conftest import ROOT
from tranquillite_ml.benchmarks.cities import City, choose_categories, make_city_panel, read_city
from tranquillite_ml.benchmarks.models import model_maker
from tranquillite_ml.benchmarks.tables import compare_methods, fold_table, read_reference, score_methods
from tranquillite_ml.benchmarks.weekly import (
    COUNTS,
    check_protocol,
    reference_counts,
    reference_forecasts,
    run_weekly,
)
from tranquillite_ml.errors import InputDataError, UsageError
from tranquillite_ml.forecasters import Count365
from tranquillite_ml.forecasts import Forecasts
from tranquillite_ml.intake import Incidents
from tranquillite_ml.panel import Panel
from tranquillite_ml.squaregrid import SquareGrid
from tranquillite_ml.target import Target
from tranquillite_ml.timebins import TimeBins

Shared = Callable[[str], Path]


@pytest.fixture(scope="module")
def st_louis() -> tuple[City, Incidents]:
    path = ROOT / "data/stlouis/incidents.parquet"
    if not path.is_file():
        pytest.skip("needs ../shared/data/stlouis, which is not part of the project")
    city = City(path)
    return city, read_city(city)


def test_the_reference_counts_come_out_as_in_the_reference(
    shared: Shared, st_louis: tuple[City, Incidents]
) -> None:
    figures = read_reference(shared("design/benchmark_weekly.csv"))
    city, incidents = st_louis
    categories = choose_categories(city, incidents, figures)
    assert categories == ["larceny", "burglary"]
    panel = make_city_panel(city, incidents)
    target = Target(categories, period=7)
    cutoffs = city.splits().cutoffs(panel.bins, target)
    first = Count365(target, calibration_days=0).fit(panel, cutoffs[0]).forecast(panel, cutoffs[0])
    like = Forecasts.concat([moved(first, panel, cutoff) for cutoff in cutoffs])
    series = {name: city.series(name, 2018) for name in categories}
    check = check_protocol(fold_table(reference_forecasts(panel, like), series), figures)
    assert len(check) == 8
    for row in check:
        assert row["n_folds"] == row["n_equal"] == 13
        assert row["log_likelihood_off"] < 0.002
        if row["method"] in {"h3_decayed200", "h3_smoothed365"}:
            assert row["hits_off_most"] == 0
        else:  # whole counts tie, and the reference broke ties in its own way
            assert abs(row["hits_off"]) < 0.2
            assert row["hits_off_most"] < 5


def moved(week: Forecasts, panel: Panel, cutoff: int) -> Forecasts:
    """The same numbers for the week after another cutoff."""
    begin, end = panel.bins.instants(np.array([cutoff, cutoff + 7]))
    keys = week.keys.assign(cutoff=begin, period_start=begin, period_end=end)
    return Forecasts(keys, week.cells, week.area_km2, week.values, week.meta)


def test_the_cells_of_the_protocol_are_those_beside_the_file(
    st_louis: tuple[City, Incidents], tmp_path: Path
) -> None:
    known, incidents = st_louis
    folder = tmp_path / "stlouis"
    folder.mkdir()
    built = make_city_panel(City(folder / "incidents.parquet"), incidents).grid
    given = pd.read_parquet(known.path.with_name("benchmark_cells.parquet"))
    assert sorted(built.names()) == sorted(given["cell"])


def test_reference_counts_by_hand() -> None:
    # One cell of 3; 400 days; an incident a day in the first cell, none elsewhere.
    grid = SquareGrid.from_tensor_shape((1, 3), size_km=1.0)
    counts = np.zeros((1, 400, 3), dtype=int)
    counts[0, :, 0] = 1
    panel = Panel.from_counts(counts, grid, TimeBins("2023-01-01", 400, "1D", "UTC"), ["noise"])
    found = reference_counts(panel, "noise", 390)
    assert tuple(found) == COUNTS
    assert found["h3_count365"].tolist() == [7, 0, 0]
    assert found["h3_count730"].tolist() == [7, 0, 0]
    assert found["h3_decayed200"][0] == pytest.approx(7 * (1 - 0.5 ** (390 / 200)), rel=1e-4)
    # The mean of the three cells at most two steps away is 7/3 everywhere.
    assert found["h3_smoothed365"] == pytest.approx([0.7 * 7 + 0.3 * 7 / 3 + 1e-4, 0.7001, 0.7001])


def test_stray_points_go_and_the_hour_that_does_not_exist_stays(city_file: Path) -> None:
    frame = pd.read_parquet(city_file)
    frame.loc[7, "latitude"], frame.loc[8, "longitude"] = 44.9, np.nan
    frame.loc[9, "timestamp"] = pd.Timestamp("2023-03-26 02:30")  # skipped in Paris
    frame.to_parquet(city_file)
    found = read_city(City(city_file, tz="Europe/Paris"))
    # 0.05 % of 2,499 rows is 1.25 of them: two at each end of each axis, the stray point among them.
    assert len(found) == pytest.approx(2_499 - 8, abs=1)
    assert found.table["lat"].max() < 44
    assert (found.table["occurred_at"].dt.strftime("%d %H:%M") == "26 03:30").any()


def test_agents_records_are_not_forecast(city_file: Path) -> None:
    city = City(city_file, tz="Europe/Paris")
    assert choose_categories(city, read_city(city)) == ["noise", "theft"]
    with pytest.raises(UsageError, match="follows patrols"):
        choose_categories(City(city_file, tz="Europe/Paris", categories=["drugs"]), read_city(city))
    with pytest.raises(UsageError, match="Did you mean 'noise'"):
        choose_categories(City(city_file, tz="Europe/Paris", categories=["noize"]), read_city(city))


def test_known_cities_need_only_their_path() -> None:
    chicago = City(Path("anywhere/chicago/incidents.parquet"))
    assert (chicago.timezone, chicago.start, chicago.area_km2) == ("America/Chicago", "2017-01-06", 513.8)
    assert City(Path("anywhere/houston/x.parquet")).timezone == "America/Chicago"
    with pytest.raises(UsageError, match="time zone"):
        assert City(Path("anywhere/tinytown/x.parquet")).timezone


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputDataError, match="does not exist: give a file with incidents"):
        read_city(City(tmp_path / "none.parquet", tz="UTC"))
    with pytest.raises(InputDataError, match="does not exist: give a file with reference figures"):
        read_reference(tmp_path / "none.csv")
    (tmp_path / "words.parquet").write_bytes(b"no table")
    with pytest.raises(InputDataError, match="cannot be read"):
        read_city(City(tmp_path / "words.parquet", tz="UTC"))
    with pytest.raises(InputDataError, match=r"is a folder: .* It holds words\.parquet"):
        read_city(City(tmp_path))
    pd.DataFrame({"timestamp": []}).to_parquet(tmp_path / "bare.parquet")
    with pytest.raises(InputDataError, match="lat or latitude"):
        read_city(City(tmp_path / "bare.parquet", tz="UTC"))
    pd.DataFrame({"series": ["a"]}).to_csv(tmp_path / "figures.csv")
    with pytest.raises(InputDataError, match="lacks the columns"):
        read_reference(tmp_path / "figures.csv")
    with pytest.raises(UsageError, match="got 'nonesuch'"):
        model_maker("nonesuch")


# ---------------------------------------------------------------------- tables


def folds(method: str, series: str, hits: list[float], n: list[int], gain: float = 0.0) -> pd.DataFrame:
    """Folds four weeks apart; every share of the area holds the same."""
    cutoff = pd.date_range("2024-01-01", periods=len(n), freq="28D").strftime("%Y-%m-%d")
    table = pd.DataFrame({"series": series, "cutoff": cutoff, "method": method, "n": n, "n_outside": 0})
    for share in (0.005, 0.01, 0.02, 0.05, 0.1):
        table[f"hits_{share:g}"] = hits
    return table.assign(log_likelihood=gain, expected=np.array(n) * 2.0)


def test_ratios_are_pooled_and_averaged_over_series() -> None:
    n = [10, 10, 10, 10, 10]
    ours = pd.concat([folds("m", "a__x__1", [4] * 5, n, 3.0), folds("m", "b__y__1", [2] * 5, n, 1.0)])
    theirs = pd.concat([folds("r", "a__x__1", [2] * 5, n), folds("r", "b__y__1", [4] * 5, n)])
    table = compare_methods(ours, theirs).set_index(["series", "measure"])
    value = table["value"]
    assert value["a__x__1", "hit_rate_ratio_0.05"] == 2.0
    assert value["b__y__1", "hit_rate_ratio_0.05"] == 0.5
    assert value["pooled", "hit_rate_ratio_0.05"] == 1.0
    assert value["mean over series", "hit_rate_ratio_0.05"] == 1.25
    assert value["pooled", "log_likelihood_gain"] == 20.0
    assert value["mean over series", "log_likelihood_gain"] == 10.0
    # No fold differs from another, so no resample does.
    assert (table["lower"] == table["value"]).all()
    assert table.loc[("pooled", "log_likelihood_gain"), ["n_folds", "n"]].tolist() == [10, 100]


def test_only_folds_of_both_are_compared_and_few_have_no_interval() -> None:
    ours = folds("m", "a__x__1", [1, 2, 3, 4, 5, 6], [10] * 6)
    theirs = folds("r", "a__x__1", [1, 1, 1, 1], [10] * 4)
    table = compare_methods(ours, theirs)
    assert (table["n_folds"] == 4).all()
    assert table["lower"].isna().all()
    row = table[(table["measure"] == "hit_rate_ratio_0.01") & (table["series"] == "pooled")].iloc[0]
    assert row["value"] == 2.5


def test_reference_without_likelihood_gives_no_gain() -> None:
    theirs = folds("r", "a__x__1", [1] * 5, [10] * 5).assign(log_likelihood=np.nan)
    table = compare_methods(folds("m", "a__x__1", [1] * 5, [10] * 5), theirs)
    assert not table["measure"].str.startswith("log").any()


def test_observed_over_expected_and_hit_rates() -> None:
    table = score_methods(folds("m", "a__x__1", [1, 2, 3, 2, 1], [10] * 5)).set_index(["series", "measure"])
    assert table.loc[("a__x__1", "oe"), "value"] == 0.5
    assert table.loc[("pooled", "hit_rate_0.1"), "value"] == pytest.approx(0.18)
    row = table.loc[("pooled", "hit_rate_0.1")]
    assert row["lower"] < 0.18 < row["upper"]


def test_the_other_systems_figures_come_out_as_published(shared: Shared) -> None:
    # Ratios to the reference model, pooled and as the mean over series, at 0.5 % and 10 % of the area.
    figures = read_reference(shared("design/benchmark_weekly.csv"))
    mine = figures[figures["method"] == "h3_decayed200"]
    table = compare_methods(mine, figures[figures["method"] == "reference_lightgbm"], n_boot=20)
    value = table.set_index(["series", "measure"])["value"].round(2)
    assert value["pooled", "hit_rate_ratio_0.005"] == 1.00
    assert value["mean over series", "hit_rate_ratio_0.005"] == 0.91
    assert value["mean over series", "hit_rate_ratio_0.1"] == 0.98
    smooth = compare_methods(
        figures[figures["method"] == "reference_lightgbm"],
        figures[figures["method"] == "h3_smoothed365"],
        n_boot=20,
    ).set_index(["series", "measure"])["value"]
    assert round(smooth["pooled", "log_likelihood_gain"]) == 859


# ---------------------------------------------------------------------- the whole


def test_a_city_of_ones_own_goes_the_whole_way(city_file: Path, tmp_path: Path) -> None:
    city = City(city_file, tz="Europe/Paris", folds=5)
    done = run_weekly([city], output=tmp_path / "out", make_model=model_maker("none"))
    assert done["model"] == "count_365d"
    assert done["protocol_check"] is None
    table = pd.read_parquet(tmp_path / "out" / "folds.parquet")
    assert set(table["series"]) == {"tinytown__noise__2024", "tinytown__theft__2024"}
    assert len(table) == 2 * 5 * (5 + 4)  # series × folds × (ladder + plain methods)
    assert all(Path(path).is_file() for paths in done["paths"].values() for path in paths)
    page = (tmp_path / "out" / "weekly.md").read_text(encoding="utf-8")
    assert "h3_smoothed365" in page
    assert "n = " in page
    with pytest.raises(UsageError, match="folder of its own name"):
        run_weekly([city, city], output=tmp_path / "out", make_model=model_maker("none"))
