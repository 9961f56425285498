"""The NIJ challenge: cells chosen by area, windows that do not overlap, the whole way on a tiny city."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tranquillite_ml as tq
from tranquillite_ml.benchmarks.cities import City, read_city
from tranquillite_ml.benchmarks.models import model_maker
from tranquillite_ml.benchmarks.nij import (
    SQUARE_MILE_KM2,
    choose_cells,
    first_cutoff_of,
    make_challenge_panel,
    rehearse,
    run_nij,
    score_window,
)
from tranquillite_ml.errors import UsageError


@given(st.lists(st.floats(0, 9), min_size=1, max_size=30), st.floats(0.01, 4), st.booleans())
def test_chosen_cells_are_the_highest_and_meet_the_area(
    expected: list[float], limit: float, reach: bool
) -> None:
    rates = np.array(expected)
    area = np.random.default_rng(0).uniform(0.1, 0.2, len(rates))
    chosen = choose_cells(rates, area, limit, reach=reach)
    if chosen.any() and not chosen.all():
        assert rates[chosen].min() >= rates[~chosen].max()
    if reach:
        assert area[chosen].sum() >= limit - 1e-6 or chosen.all()
        assert area[chosen].sum() < limit + 0.2
    else:
        assert area[chosen].sum() <= limit + 1e-6


def test_windows_do_not_overlap(city_file: Path) -> None:
    city = City(city_file, tz="Europe/Paris", first_cutoff="2024-01-01", study_area_km2=50.0)
    panel = make_challenge_panel(city, read_city(city))
    for period, gap in ((7, 28), (61, 61)):
        found = rehearse([tq.Count365(tq.Target("noise", period=period))], panel, "2024-01-01")
        starts = pd.DatetimeIndex(found.keys["cutoff"])
        assert (starts[1:] - starts[:-1] >= pd.Timedelta(days=gap) - pd.Timedelta(hours=1)).all()
        assert np.isfinite(found.observed_count).all()
    with pytest.raises(UsageError, match="does not end within the data"):
        rehearse([tq.Count365(tq.Target("noise", period=200))], panel, "2024-01-01")


def test_one_incident_is_worth_a_single_windows_pai(city_file: Path) -> None:
    city = City(city_file, tz="Europe/Paris", first_cutoff="2024-01-01", study_area_km2=50.0)
    panel = make_challenge_panel(city, read_city(city))
    found = rehearse([tq.Count365(tq.Target("noise", period=7))], panel, "2024-01-01")
    table = score_window(found, "1_week", seed=0)
    row = table[table["area_sq_mi"] == 0.25].iloc[0]
    a_window = row["n_incidents"] / row["n_folds"]
    assert row["one_incident_pai"] == pytest.approx(50.0 / SQUARE_MILE_KM2 / 0.25 / a_window, rel=1e-6)


def test_the_challenges_dates_and_area_are_portlands_alone(city_file: Path, tmp_path: Path) -> None:
    incidents = read_city(City(city_file, tz="Europe/Paris"))
    last = incidents.table["occurred_at"].max()
    elsewhere = first_cutoff_of(City(city_file, tz="Europe/Paris"), incidents)
    assert elsewhere == str((last - pd.Timedelta(days=365)).date())
    portland = City(tmp_path / "portland" / "incidents.parquet")
    assert first_cutoff_of(portland, incidents) == "2016-03-01"
    given_one = City(city_file, tz="Europe/Paris", first_cutoff="2024-04-01")
    assert first_cutoff_of(given_one, incidents) == "2024-04-01"
    with pytest.raises(UsageError, match="must be a date such as 2024-01-31, got 'foo'"):
        City(city_file, first_cutoff="foo")
    with pytest.raises(UsageError, match="must be more than 0 km², got -5"):
        City(city_file, study_area_km2=-5.0)


@pytest.mark.usefixtures("no_plots")
def test_a_city_goes_the_whole_way(city_file: Path, tmp_path: Path) -> None:
    city = City(city_file, tz="Europe/Paris", first_cutoff="2024-04-01", study_area_km2=50.0)
    windows = {"1_week": 7, "1_month": 31}
    done = run_nij(city, output=tmp_path / "out", make_model=model_maker("none"), windows=windows)
    assert done["categories"] == ["noise", "theft"]
    assert all(Path(path).is_file() for paths in done["paths"].values() for path in paths)
    chosen = pd.read_csv(tmp_path / "out" / "selected_cells.csv")
    ahead = tq.read_forecasts(tmp_path / "out" / "forecast_1_month.parquet")
    assert str(ahead.keys["period_start"].iloc[0].date()) == done["forecast_from"]
    assert set(chosen["cell"]) <= set(ahead.cell_names())
    flagged = pd.read_parquet(tmp_path / "out" / "forecast_1_month.parquet")
    for name in ("selected_025", "selected_075"):
        listed = chosen[(chosen["window"] == "1_month") & chosen[name]]
        told = flagged[flagged[name]]
        keys = ["model", "category", "cell"]
        assert set(told[keys].itertuples(index=False)) == set(listed[keys].itertuples(index=False))
        assert len(told) == len(listed)
    area = chosen[chosen["selected_025"]].groupby(["window", "model", "category"])["area_km2"].sum()
    assert len(area) == 2 * 4 * 2
    total = ahead.area_km2.sum()
    assert (area >= min(0.25 * SQUARE_MILE_KM2, total) - 1e-6).all()
    assert (area < 0.25 * SQUARE_MILE_KM2 + 0.04).all()
    for row in done["scores"]:
        assert row["n_incidents"] > 0
        assert row["pai"] >= 0
