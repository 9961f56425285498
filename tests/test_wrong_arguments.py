"""What a newcomer gets wrong is told in the package's own words, and how to mend it, never as a traceback."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import tranquillite_ml as tq
from tests.builders import make_panel
from tranquillite_ml import evaluation
from tranquillite_ml.errors import InputDataError, UsageError, check_in, check_kind
from tranquillite_ml.forecasters import Count365, HawkesForecaster, KernelDensity, RetrospectiveHotspot
from tranquillite_ml.panel import Panel

WEEK = tq.Target("noise", period=7)


@pytest.fixture(scope="module")
def panel() -> Panel:
    return make_panel(200)


@pytest.mark.parametrize("wrong", [None, pd.DataFrame(), "panel.parquet"], ids=["none", "frame", "path"])
def test_fit_and_forecast_say_how_a_panel_is_made(panel: Panel, wrong: Any) -> None:
    said = rf"panel must be a Panel, got {type(wrong).__name__}\. Panel\.build\("
    with pytest.raises(UsageError, match=said):
        Count365(WEEK).fit(wrong)
    fitted = Count365(WEEK).fit(panel)
    for call in (fitted.forecast, fitted.recalibrate):
        with pytest.raises(UsageError, match=said):
            call(wrong)


def test_a_category_is_not_a_target(panel: Panel) -> None:
    with pytest.raises(
        UsageError, match=r"target must be a Target, got str\. Target\('burglary', period=7\)"
    ):
        Count365("noise").fit(panel)  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [None, "scores.csv", 3])
def test_plots_say_what_they_take(wrong: Any) -> None:
    with pytest.raises(UsageError, match="this plot takes the table of score"):
        tq.plots.scores(wrong)
    with pytest.raises(UsageError, match="must be Forecasts or a GeoDataFrame"):
        tq.plots.map(wrong)


def test_a_plot_of_forecasts_names_the_function_that_makes_its_table(panel: Panel) -> None:
    forecasts = Count365(WEEK).fit(panel).forecast(panel)
    with pytest.raises(UsageError, match="this plot takes the table of score, got Forecasts"):
        tq.plots.scores(forecasts)
    with pytest.raises(UsageError, match="ax must be an Axes, got str"):
        tq.plots.map(forecasts, "map.png")


@pytest.mark.parametrize("wrong", ["config.yaml", {}, None])
def test_run_takes_a_config_and_says_who_reads_one(wrong: Any) -> None:
    with pytest.raises(UsageError, match=r"config must be a RunConfig, got .*load_config\("):
        tq.run(wrong)


def test_of_many_options_the_first_and_the_nearest_are_named() -> None:
    options = [f"target_{days}d" for days in range(1, 60)]
    with pytest.raises(UsageError) as caught:
        check_in("target_28", options, "feature")
    assert str(caught.value).endswith(
        "'target_12d'] and 47 others, got 'target_28'. Did you mean 'target_28d'?"
    )


def test_kinds_may_be_several() -> None:
    assert check_kind(3, (int, float), "days", "Give days.") == 3
    with pytest.raises(UsageError, match=r"days must be an int or a float, got str\. Give days\."):
        check_kind("3", (int, float), "days", "Give days.")


# --------------------------------------------------------------------------- tables of other systems


@pytest.fixture(scope="module")
def table(panel: Panel) -> pd.DataFrame:
    return Count365(WEEK).fit(panel).forecast(panel).to_frame()


def _written(table: pd.DataFrame, folder: Path, change: Callable[[pd.DataFrame], pd.DataFrame]) -> Path:
    path = folder / "theirs.csv"
    change(table.astype({"cell": str, "model": str, "category": str})).to_csv(path, index=False)
    return path


def _with(column: str, value: Any) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def change(table: pd.DataFrame) -> pd.DataFrame:
        table = table.astype({column: object})
        table.loc[2, column] = value
        return table

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_with("cell", "zz-top"), r"row 4, column cell: 'zz-top' is not a cell's hexadecimal name"),
        (_with("expected_count", "many"), r"row 4, column expected_count: 'many' is not a number"),
        (_with("cutoff", "yesterday"), r"row 4, column cutoff: 'yesterday' is not an instant"),
        (_with("period_start", "2024-05-01"), r"row 4, column period_start: '2024-05-01' has no time zone"),
        (_with("horizon", "soon"), r"row 4, column horizon: 'soon' is not a number"),
        (lambda table: table.iloc[:0], r"theirs\.csv.* has no rows"),
    ],
    ids=["cell", "count", "cutoff", "naive", "horizon", "empty"],
)
def test_a_bad_value_is_told_with_its_row_and_column(
    table: pd.DataFrame, tmp_path: Path, change: Callable[[pd.DataFrame], pd.DataFrame], said: str
) -> None:
    with pytest.raises(InputDataError, match=said):
        tq.read_forecasts(_written(table, tmp_path, change))


def test_a_csv_of_forecasts_is_as_good_as_parquet(panel: Panel, table: pd.DataFrame, tmp_path: Path) -> None:
    again = tq.read_forecasts(_written(table, tmp_path, lambda same: same))
    for column in ("cutoff", "period_start", "period_end"):
        pd.testing.assert_index_equal(
            pd.DatetimeIndex(again.keys[column]).as_unit("us"),
            pd.DatetimeIndex(table[column].drop_duplicates()).as_unit("us").tz_convert("UTC"),
            check_names=False,
        )
    assert tq.plots.map(again).get_title().endswith("cutoff 2023-07-20 22:00")
    assert again.observe(panel).observed_count.shape == again.expected_count.shape


def test_files_that_are_none_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(InputDataError, match=r"there is no file .*a\.xlsx"):
        tq.read_forecasts(tmp_path / "a.xlsx")
    with pytest.raises(InputDataError, match=r"is a folder"):
        tq.read_forecasts(tmp_path)


# --------------------------------------------------------------------------- grids and delivered tables


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (["zz"], r"cells must be H3 cells, hexadecimal or whole numbers, got 'zz'"),
        ("89396815217ffff", r"cells must be a list or array of cells, got str\. .*\['89396815217ffff'\]"),
        (None, r"cells must be a list or array of cells, got NoneType"),
        (3, r"cells must be a list or array of cells, got int"),
    ],
)
def test_cells_that_are_none_are_told(cells: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        tq.HexGrid(cells)


@pytest.mark.parametrize("rings", [-1, "1", 1.5])
def test_rings_are_counted(rings: Any) -> None:
    with pytest.raises(UsageError, match=r"k must be a whole number of rings from 0 on, got"):
        tq.HexGrid(["89396815217ffff"]).dilated(rings)


def _delivered(**changed: Any) -> pd.DataFrame:
    cells = ["89396815217ffff", "8939681520bffff", "89396815203ffff"]
    rows = pd.DataFrame({"cell": cells, "cutoff": "2024-05-01", "expected_count": 1.0}).astype(object)
    for column, value in changed.items():
        rows.loc[1, column] = value
    return rows


@pytest.mark.parametrize(
    ("source", "given", "error", "said"),
    [
        (None, {}, UsageError, r"source must be a path or a DataFrame, got NoneType"),
        ([1], {}, UsageError, r"source must be a path or a DataFrame, got list"),
        (_delivered(), {"tz": "Paris"}, UsageError, r"tz must be an IANA time zone such as"),
        (_delivered(), {"days": "7"}, UsageError, r"give period_end, or days of at least 1 \(got days='7'\)"),
        (_delivered(cutoff="soon"), {}, InputDataError, r"cutoff must hold times .*, got 'soon' in map 2\.$"),
    ],
    ids=["none", "list", "zone", "days", "time"],
)
def test_what_another_system_delivered_is_told(
    source: Any, given: dict[str, Any], error: type[Exception], said: str
) -> None:
    call = {"tz": "Europe/Paris", "model": "theirs", "category": "noise", "days": 7} | given
    with pytest.raises(error, match=said):
        tq.forecasts_from_hexes(source, **call)


def test_what_agents_record_is_not_forecast_without_a_waiver() -> None:
    panel = make_panel(200)
    panel.origins["noise"] = "agent"
    with pytest.raises(tq.errors.ConfigError, match=r"noise: 'noise' is refused: records of origin agent"):
        Count365(WEEK).fit(panel)
    given = {"category": "noise", "origin": "agent", "who": "A. Martin, council", "why": "evaluation"}
    ended = tq.Waiver(**given, when="2020-01-01", until="2020-12-31")
    with pytest.raises(tq.errors.ConfigError, match="its waiver ended on 2020-12-31"):
        Count365(tq.Target("noise", waivers=[ended])).fit(panel)
    held = tq.Waiver(**given, when="2020-01-01", until="2090-12-31")
    fitted = Count365(tq.Target("noise", waivers=[held])).fit(panel)
    assert fitted.forecast(panel).categories == ["noise"]
    assert tq.Target.from_dict(fitted.target.to_dict()) == fitted.target


def test_a_name_that_tells_of_enforcement_is_refused_whatever_origin_is_declared() -> None:
    panel = make_panel(200, categories=("drugs",))
    with pytest.raises(tq.errors.ConfigError, match="'drugs' is refused: by its name"):
        Count365(tq.Target("drugs")).fit(panel)


@pytest.mark.parametrize(
    "given", [{"period": "7D"}, {"period": 1.5}, {"horizons": 4}, {"horizons": (1, 2.5)}]
)
def test_periods_and_horizons_are_whole_numbers(given: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="whole number"):
        tq.Target("noise", **given)


# --------------------------------------------------------------------------- the first steps


@pytest.fixture(scope="module")
def incidents() -> tq.Incidents:
    rows = pd.DataFrame(
        {"occurred_at": ["2024-05-01 22:10"], "lat": [43.3], "lng": [5.4], "category": ["noise"]}
    )
    return tq.Incidents.from_table(rows, tz="Europe/Paris")


def test_bins_and_panels_are_made_of_incidents(incidents: tq.Incidents) -> None:
    said = r"incidents must be (an )?Incidents, got DataFrame\. read_incidents\(source, tz=…\) makes them\."
    grid, bins = tq.HexGrid.from_incidents(incidents), tq.TimeBins.covering(incidents)
    for call in (
        lambda: tq.TimeBins.covering(incidents.table),
        lambda: Panel.build(incidents.table, grid, bins),  # type: ignore[arg-type]
        lambda: Panel.build(incidents, grid, bins).append(incidents.table),  # type: ignore[arg-type]
    ):
        with pytest.raises(UsageError, match=said):
            call()
    with pytest.raises(UsageError, match=r"grid must be a grid, got list\. HexGrid\.from_incidents"):
        Panel.build(incidents, list(grid.cells), bins)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"bins must be a TimeBins, got str\. TimeBins\.covering"):
        Panel.build(incidents, grid, "1D")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"freq": 7}, r"freq must be a str, got int\. Give hours .* or days"),
        ({"n_bins": "3"}, r"n_bins must be a whole number, got '3'"),
        ({"first": None}, r"first must be a local moment such as '2024-01-01', got None"),
        ({"first": "soon"}, r"first must be a local moment such as '2024-01-01', got 'soon'"),
    ],
    ids=["freq", "n_bins", "no-first", "first"],
)
def test_bins_say_what_they_are_cut_from(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        tq.TimeBins(**({"first": "2024-01-01", "n_bins": 3, "freq": "1D", "tz": "UTC"} | changed))


@pytest.mark.parametrize(
    ("blocks", "said"),
    [
        (
            "history",
            r"blocks must be a list or a tuple, got str\. FeatureSet\(\[History\(\), Calendar\(\)\]\)",
        ),
        (tq.History(), r"blocks must be a list or a tuple, got History\."),
        ([tq.History], r"blocks\[0\] must be a FeatureBlock, got the class History itself\."),
        ([tq.History(), "calendar"], r"blocks\[1\] must be a FeatureBlock, got str\. .*from_list"),
    ],
    ids=["name", "alone", "class", "names"],
)
def test_feature_sets_are_made_of_blocks(blocks: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        tq.FeatureSet(blocks)


@pytest.mark.parametrize("wrong", ["28D", 7, [-3], [0], ["7D"], [float("nan")], [float("inf")], [True], None])
def test_windows_and_decays_are_days(wrong: Any) -> None:
    for make, name in (
        (tq.History, "windows"),
        (tq.History, "decays"),
        (tq.Neighbourhood, "windows"),
        (tq.NearRepeat, "decays"),
    ):
        with pytest.raises(UsageError, match=f"{name} must be several numbers of days above 0"):
            make(**{name: wrong})


@pytest.mark.parametrize("wrong", [-1, "1", 1.5, [1], True])
def test_a_neighbourhood_counts_its_rings(wrong: Any) -> None:
    with pytest.raises(UsageError, match="rings must be a whole number from 0 on, got"):
        tq.Neighbourhood(rings=wrong)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"folds": 0}, "folds must be a whole number from 1 on, got 0"),
        ({"folds": "3"}, "folds must be a whole number from 1 on, got '3'"),
        ({"gap": -1}, "gap must be a whole number from 0 on, got -1"),
        ({"every": "fortnight"}, "every must be a number of days such as '28D', got 'fortnight'"),
        ({"every": 28}, "every must be a number of days such as '28D', got 28"),
        ({"every": "NaT"}, "every must be a number of days such as '28D', got 'NaT'"),
    ],
)
def test_folds_are_told_when_they_are_made(given: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        tq.RollingOrigin(**given)


def test_a_backtest_takes_a_list_a_panel_and_folds(panel: Panel) -> None:
    good = {"forecasters": [Count365(WEEK)], "panel": panel, "splits": tq.RollingOrigin(folds=1)}
    for changed, said in (
        ({"forecasters": Count365(WEEK)}, r"forecasters must be a list or a tuple, got Count365\. .*\[fore"),
        (
            {"forecasters": [Count365]},
            r"forecasters\[0\] must be a Forecaster, got the class Count365 itself",
        ),
        ({"panel": pd.DataFrame()}, r"panel must be a Panel, got DataFrame"),
        ({"splits": 13}, r"splits must be a RollingOrigin, got int"),
    ):
        with pytest.raises(UsageError, match=said):
            tq.backtest(**(good | changed))


@pytest.mark.parametrize(
    ("forecaster", "said"),
    [
        (KernelDensity(WEEK, bandwidths_m=300), "bandwidths_m must be one or more positive numbers, got 300"),
        (KernelDensity(WEEK, decays_days="28"), "decays_days must be one or more positive numbers, got '28'"),
        (RetrospectiveHotspot(WEEK, window_days="60"), r"window_days must be .*, got \['60'\]"),
        (HawkesForecaster(WEEK, memories_days=7), "memories_days must be positive numbers .*, got 7 and 2"),
        (HawkesForecaster(WEEK, rings=1.5), r"rings a whole number from 0 on, got .* and 1\.5"),
    ],
    ids=["bandwidth", "decay", "window", "memory", "rings"],
)
def test_surfaces_tell_wrong_settings(panel: Panel, forecaster: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        forecaster.fit(panel)


def test_judges_take_forecasts_not_their_table(table: pd.DataFrame) -> None:
    judges = (evaluation.score, evaluation.hotspot_curve, evaluation.reliability_curve, evaluation.pit_table)
    for judge in (*judges, evaluation.interval_coverage_table, evaluation.calibration_slope):
        with pytest.raises(UsageError, match=r"forecasts must be a Forecasts, got DataFrame\. backtest\("):
            judge(table)  # type: ignore[operator]


def test_one_coverage_is_as_good_as_a_list_of_one(panel: Panel) -> None:
    seen = tq.backtest([Count365(WEEK)], panel, tq.RollingOrigin(folds=2, every="7D"))
    one, listed = (evaluation.hotspot_curve(seen, coverage=share) for share in (0.2, [0.2]))
    pd.testing.assert_frame_equal(one, listed)
    for wrong in (5, "5%", None, [], [0.1, "5%"]):
        with pytest.raises(UsageError, match=r"coverage must hold shares of the area .*0\.05 is 5 %"):
            evaluation.hotspot_curve(seen, coverage=wrong)
    for wrong in ("streets", {}, [1.0]):
        with pytest.raises(UsageError, match="denominator must hold a number ≥ 0 for each of"):
            evaluation.hotspot_curve(seen, denominator=wrong)
