"""Plots: drawn without a warning, labelled with units and n, names as they are, nothing else touched."""

from collections.abc import Callable

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tranquillite_ml import evaluation, plots
from tranquillite_ml.errors import UsageError
from tranquillite_ml.forecasts import Forecasts
from tranquillite_ml.plots import style

TABLES: dict[str, tuple[Callable, Callable]] = {
    "hotspot_curve": (plots.hotspot_curve, evaluation.hotspot_curve),
    "reliability": (plots.reliability, evaluation.reliability_curve),
    "interval_coverage": (plots.interval_coverage, evaluation.interval_coverage_table),
    "pit": (plots.pit, evaluation.pit_table),
    "scores": (plots.scores, evaluation.score),
    "compare": (plots.compare, evaluation.compare),
    "folds": (plots.folds, lambda forecasts: evaluation.score(forecasts, by=("model", "cutoff"))),
}


def drawn(ax: Axes) -> None:
    """Render, so that what only fails or warns on drawing does so here."""
    ax.figure.canvas.draw()


@pytest.mark.parametrize("name", TABLES)
def test_plot_takes_table_and_axes_and_returns_them(name: str, forecasts: Forecasts) -> None:
    plot, table = TABLES[name]
    ax = Figure().subplots()
    before = mpl.rcParams.copy()
    rows = table(forecasts)
    kept = rows.copy()
    assert plot(rows, ax) is ax
    drawn(ax)
    assert "n = " in ax.get_xlabel()
    assert mpl.rcParams == before
    pd.testing.assert_frame_equal(rows, kept)


@pytest.mark.parametrize("name", TABLES)
def test_plot_makes_its_own_figure(name: str, forecasts: Forecasts) -> None:
    plot, table = TABLES[name]
    drawn(plot(table(forecasts)))


@pytest.mark.parametrize("name", TABLES)
def test_one_fold_is_drawn_without_intervals(name: str, one_fold: Forecasts) -> None:
    plot, table = TABLES[name]
    ax = plot(table(one_fold))
    drawn(ax)
    if name in {"hotspot_curve", "scores", "compare", "reliability"}:
        assert "too few folds for intervals" in ax.get_xlabel()


@pytest.mark.parametrize("name", TABLES)
def test_wrong_table_names_the_function_that_makes_the_right_one(name: str) -> None:
    with pytest.raises(UsageError, match="takes the table of"):
        TABLES[name][0](pd.DataFrame({"x": [1]}))


def test_empty_table_is_refused(forecasts: Forecasts) -> None:
    with pytest.raises(UsageError, match="no rows"):
        plots.scores(evaluation.score(forecasts).iloc[:0])


def test_every_model_is_in_the_legend_as_it_is_called(forecasts: Forecasts) -> None:
    ax = plots.hotspot_curve(evaluation.hotspot_curve(forecasts))
    drawn(ax)
    shown = [text.get_text() for text in ax.get_legend().get_texts()]
    assert shown == [r" _hidden \$x^2\$ and \$y\$", "count_365d", "truth", "chance"]


def test_hit_rates_are_those_of_the_table(forecasts: Forecasts) -> None:
    table = evaluation.hotspot_curve(forecasts)
    ax = plots.hotspot_curve(table)
    line = next(line for line in ax.get_lines() if line.get_label() == "truth")
    np.testing.assert_allclose(line.get_ydata(), table.loc[table["model"] == "truth", "hit_rate"] * 100)
    assert len(ax.collections) == 3  # a band a model


@pytest.mark.parametrize("measure", ["pai", "rri", "pei", "pei_star"])
def test_other_indices(forecasts: Forecasts, measure: str) -> None:
    drawn(plots.hotspot_curve(evaluation.hotspot_curve(forecasts, by=("model", "category")), measure=measure))


@pytest.mark.parametrize("score", ["deviance", "oe", "brier", "d2", "interval_coverage"])
def test_best_model_is_on_top(forecasts: Forecasts, score: str) -> None:
    ax = plots.scores(evaluation.score(forecasts), score=score)
    drawn(ax)
    if score in {"deviance", "brier", "d2"}:
        assert ax.get_yticklabels()[0].get_text() == "truth"
    assert ax.get_ylim()[0] > ax.get_ylim()[1]


def test_verdicts_stand_beside_their_intervals(forecasts: Forecasts) -> None:
    table = evaluation.compare(forecasts)
    ax = plots.compare(table)
    drawn(ax)
    assert sorted(text.get_text() for text in ax.texts) == sorted(table["verdict"])
    assert "count_365d" in ax.get_xlabel()
    assert "nats a fold" in ax.get_xlabel()


def test_pit_of_a_chosen_model(forecasts: Forecasts) -> None:
    table = evaluation.pit_table(forecasts)
    ax = plots.pit(table, model="truth")
    assert "truth" in ax.get_xlabel()
    with pytest.raises(UsageError, match="model must be one of"):
        plots.pit(table, model="nobody")


def test_reliability_of_probabilities(forecasts: Forecasts) -> None:
    ax = plots.reliability(evaluation.reliability_curve(forecasts, quantity="prob_any"))
    drawn(ax)
    assert "probability" in ax.get_xlabel()


def test_map_of_one_forecast(forecasts: Forecasts) -> None:
    cutoff = forecasts.keys["cutoff"].max()
    ax = plots.map(forecasts, model="truth", cutoff=cutoff)
    drawn(ax)
    assert f"n = {len(forecasts.cells)} cells" in ax.get_xlabel()
    assert ax.get_title().startswith("truth · <b>noise</b> · cutoff 2024-05-20")
    shapes = forecasts.select(model="truth", cutoff=cutoff).to_geodataframe()
    drawn(plots.map(shapes, Figure().subplots(), column="observed_count"))


def test_map_refuses_what_is_not_one_map(forecasts: Forecasts) -> None:
    with pytest.raises(UsageError, match="there are 6: choose by model"):
        plots.map(forecasts, model="truth")
    shapes = forecasts.take([0]).to_geodataframe()
    with pytest.raises(UsageError, match="Did you mean 'prob_any'"):
        plots.map(shapes, column="prob_anny")
    with pytest.raises(UsageError, match="choose the rows"):
        plots.map(shapes, model="truth")


def test_map_draws_unknown_values_and_holes() -> None:
    import geopandas as gpd
    from shapely import MultiPolygon, Point

    ring = Point(0, 0).buffer(1).difference(Point(0, 0).buffer(0.5))
    shapes = gpd.GeoDataFrame(
        {"expected_count": [np.nan, 1.0]}, geometry=[ring, MultiPolygon([ring])], crs="EPSG:4326"
    )
    drawn(plots.map(shapes))


def test_unknown_options_are_refused(forecasts: Forecasts) -> None:
    with pytest.raises(UsageError, match="measure must be one of"):
        plots.hotspot_curve(evaluation.hotspot_curve(forecasts), measure="hits")
    with pytest.raises(UsageError, match="score must be one of"):
        plots.scores(evaluation.score(forecasts), score="hit_rate")


def test_names_are_shortened_and_styles_do_not_run_out() -> None:
    assert len(style.safe_name("x" * 200)) == 40
    looks = style.styles(range(15))
    assert len({(look["color"], look["linestyle"]) for look in looks.values()}) == 15


def test_importing_plots_does_not_import_matplotlib() -> None:
    import subprocess
    import sys

    code = (
        "import sys, tranquillite_ml.plots, tranquillite_ml.evaluation; sys.exit('matplotlib' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_reporting_delay_draws_a_curve_and_a_band_for_each_group() -> None:
    table = pd.DataFrame(
        {
            "group": ["<a>", "<a>", "b", "b"],
            "days": [1.0, 7.0, 1.0, 7.0],
            "share": [0.2, 0.9, 0.5, 1.0],
            "lower": [0.1, 0.8, 0.4, 1.0],
            "upper": [0.3, 1.0, 0.6, 1.0],
            "n": [40, 40, 60, 60],
        }
    )
    ax = plots.reporting_delay(table)
    drawn(ax)
    assert [line.get_label() for line in ax.get_lines()] == ["<a>", "b"]
    assert "n = 100" in ax.get_xlabel()
    with pytest.raises(UsageError, match="lacks"):
        plots.reporting_delay(table[["group"]])
