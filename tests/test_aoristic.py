"""Uncertain times: weights are right and conserved, features see them, targets stay whole, as-of holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import CENTRE
from tranquillite_ml.aoristic import aoristic_weights
from tranquillite_ml.errors import BundleError, DataWarning
from tranquillite_ml.features.base import View
from tranquillite_ml.features.featureset import FeatureSet
from tranquillite_ml.forecasters import baseline_ladder, make_model
from tranquillite_ml.hexgrid import HexGrid
from tranquillite_ml.intake import Incidents, read_incidents
from tranquillite_ml.panel import Panel
from tranquillite_ml.target import Target
from tranquillite_ml.timebins import TimeBins

TZ = "Europe/Paris"
GRID = HexGrid([CENTRE]).dilated(1)
FREQS = ("1h", "8h", "1D", "7D")


def instants(*times: str) -> pd.Series:
    return pd.Series(pd.to_datetime(list(times), utc=True).tz_convert(TZ).as_unit("us"))


def by_minute(begin: pd.Timestamp, end: pd.Timestamp, bins: TimeBins) -> dict[int, float]:
    """The definition, minute by minute: every minute of the interval has the same share."""
    minutes = pd.Series(pd.date_range(begin, end, freq="1min", inclusive="left").as_unit("us"))
    found = pd.Series(bins.locate(minutes)).value_counts()
    return {int(number): n / len(minutes) for number, n in found.items()}


@pytest.mark.parametrize("freq", FREQS)
@pytest.mark.parametrize(
    ("begin", "end"),
    [
        ("2024-03-30 13:17Z", "2024-04-02 05:40Z"),  # clocks go forward on the 31st
        ("2024-10-26 22:30Z", "2024-10-27 03:15Z"),  # and back on the 27th
        ("2024-06-01 10:00Z", "2024-06-01 10:30Z"),
        ("2024-06-02 22:00Z", "2024-06-03 22:00Z"),  # from edge to edge
    ],
)
def test_weights_are_those_of_a_count_by_the_minute(begin: str, end: str, freq: str) -> None:
    since, until = instants(begin), instants(end)
    bins = TimeBins("2024-03-25", 300, freq, TZ)
    row, time_bin, weight = aoristic_weights(since, until, bins)
    expected = by_minute(since[0], until[0], bins)
    assert set(row.tolist()) == {0}
    assert time_bin.tolist() == sorted(expected)
    np.testing.assert_allclose(weight, [expected[number] for number in time_bin.tolist()], atol=2e-9)


_moments = st.integers(0, 300 * 86_400_000_000)
_lengths = st.integers(0, 7 * 86_400_000_000)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(_moments, _lengths), min_size=1, max_size=20), st.sampled_from(FREQS))
def test_every_incident_has_weight_one(spans: list[tuple[int, int]], freq: str) -> None:
    begin, length = np.array(spans, dtype="timedelta64[us]").T
    start = np.datetime64("2024-03-20", "us")
    since, until = (
        pd.Series(pd.DatetimeIndex(start + moved).tz_localize("UTC").tz_convert(TZ))
        for moved in (begin, begin + length)
    )
    bins = TimeBins("2024-03-20", 10, freq, TZ)
    row, time_bin, weight = aoristic_weights(since, until, bins)
    assert np.array_equal(np.bincount(row, weights=weight), np.ones(len(spans)))  # exactly
    assert (weight > 0).all()
    # No bin has a larger weight than that of the midpoint, unless the clock was changed in between.
    middle = bins.locate(since + (until - since) / 2)
    edges = bins.instants(time_bin).tz_convert("UTC").asi8, bins.instants(time_bin + 1).tz_convert("UTC").asi8
    even = np.bincount(row, (edges[1] - edges[0]) != bins.hours * 3_600_000_000) == 0
    for number in np.flatnonzero(even).tolist():
        mine = row == number
        chosen = weight[mine][time_bin[mine] == middle[number]]
        # The midpoint of two halves lies on their edge; rounding of weights is 1e-9.
        assert chosen.sum() >= weight[mine].max() - 2e-9


# ---------------------------------------------------------------------- in the panel


def table(spans: list[tuple[str, str | None]], reported: list[str | None] | None = None) -> pd.DataFrame:
    lat, lng = GRID.centres[3]
    begin = pd.to_datetime([span[0] for span in spans]).tz_localize(TZ)
    end = pd.to_datetime([span[1] for span in spans]).tz_localize(TZ)
    uncertain = end.notna()
    when = begin.where(~uncertain, begin + (end - begin) / 2)
    found = pd.DataFrame({"occurred_at": when, "lat": lat, "lng": lng, "category": "noise"})
    found["occurred_from"], found["occurred_to"] = begin.where(uncertain, pd.NaT), end
    if reported is not None:
        found["reported_at"] = pd.to_datetime(reported).tz_localize(TZ)
    return found


def build(frame: pd.DataFrame, n_bins: int = 6) -> Panel:
    incidents = Incidents.from_table(frame, TZ, {"noise": "citizen"})
    return Panel.build(incidents, GRID, TimeBins("2024-05-01", n_bins, "1D", TZ))


def seen(panel: Panel, row: int, width: int = 1) -> float:
    view = View(panel, "noise", Target("noise"), np.array([row]))
    return float(view.known().window(view.rows, width)[0, 3])


def test_features_see_weights_and_targets_whole_incidents() -> None:
    # A night over two days (6 h and 18 h), and one certain time.
    panel = build(table([("2024-05-01 18:00", "2024-05-02 18:00"), ("2024-05-03 10:00", None)]))
    assert panel.counts("noise")[:, 3].tolist() == [0, 1, 1, 0, 0, 0]
    assert panel.counts("noise").dtype == np.int32
    weighted = panel.weighted("noise")
    assert weighted.bin.tolist() == [0, 1, 2]
    assert weighted.count.tolist() == pytest.approx([0.25, 0.75, 1.0], abs=1e-9)
    assert float(weighted.count.sum()) == 2.0
    view = View(panel, "noise", Target("noise"), np.arange(3))
    assert view.outcome()[:, 3].tolist() == [0, 1, 1]
    assert (seen(panel, 2), seen(panel, 2, 2)) == pytest.approx((0.75, 1.0))
    assert panel.funnel["accepted"] == 2


def test_all_weights_are_known_when_the_incident_is() -> None:
    frame = table([("2024-05-01 18:00", "2024-05-02 18:00")], ["2024-05-04 08:00"])
    panel = build(frame)
    assert [seen(panel, row, 6) for row in range(7)] == [0, 0, 0, 0, 1, 1, 1]
    unreported = build(table([("2024-05-01 18:00", "2024-05-02 18:00")]))
    assert [seen(unreported, row, 6) for row in range(4)] == [0, 0, 1, 1]


def test_certain_times_take_no_room_and_change_nothing() -> None:
    frame = table([("2024-05-01 18:00", None), ("2024-05-01 20:00", "2024-05-01 22:00")])
    panel, plain = build(frame), build(frame.drop(columns=["occurred_from", "occurred_to"]))
    assert panel.n_moved == 0  # an interval inside a bin is as good as an instant
    assert panel.digest() == plain.digest()
    assert panel.weighted("noise").count.dtype == np.int32


def test_what_lies_beyond_the_last_bin_comes_when_bins_do() -> None:
    first = table([("2024-05-01 18:00", "2024-05-02 12:00"), ("2024-05-02 06:00", "2024-05-03 12:00")])
    panel = build(first, n_bins=2)
    assert float(panel.weighted("noise").count.sum()) == pytest.approx(1 + 18 / 30, abs=1e-9)
    later = Incidents.from_table(table([("2024-05-04 10:00", None)]), TZ, {"noise": "citizen"})
    assert float(panel.append(later).weighted("noise").count.sum()) == 3.0


def test_equal_midpoints_are_not_one_incident() -> None:
    panel = build(table([("2024-05-02 00:00", "2024-05-03 00:00")]))
    wider = Incidents.from_table(table([("2024-05-01 00:00", "2024-05-04 00:00")]), TZ, {"noise": "citizen"})
    grown = panel.append(wider)
    assert grown.counts("noise").sum() == 2
    assert grown.append(wider).digest() == grown.digest()


def test_saved_and_opened_holds_the_weights(tmp_path: Path) -> None:
    panel = build(table([("2024-05-01 18:00", "2024-05-02 18:00")]))
    panel.save(tmp_path)
    assert Panel.open(tmp_path).digest() == panel.digest()
    (tmp_path / "moved_count.npy").unlink()
    with pytest.raises(BundleError, match="not a complete saved panel"):
        Panel.open(tmp_path)


def random_table(seed: int, n: int = 300, days: int = 60) -> pd.DataFrame:
    """Incidents of two categories in seven cells, half of them uncertain, reported hours to weeks later."""
    rng = np.random.default_rng(seed)
    start = pd.Timestamp("2024-03-01", tz="UTC")
    begin = start + pd.to_timedelta(rng.integers(0, days * 86_400, n), unit="s")
    length = pd.to_timedelta(np.where(rng.random(n) < 0.5, rng.integers(1, 5 * 86_400, n), 0), unit="s")
    end = begin + length
    reported = end + pd.to_timedelta(rng.exponential(4 * 86_400, n).astype(np.int64), unit="s")
    place = GRID.centres[rng.integers(0, GRID.n_cells, n)]
    uncertain = np.asarray(length > pd.Timedelta(0))
    found = pd.DataFrame({"occurred_at": begin + length / 2, "lat": place[:, 0], "lng": place[:, 1]})
    found["category"] = rng.choice(["noise", "theft"], n)
    found["occurred_from"] = pd.Series(begin).where(uncertain)
    found["occurred_to"] = pd.Series(end).where(uncertain)
    found["reported_at"] = pd.Series(reported).where(rng.random(n) < 0.8)
    found["reported_at"] = found["reported_at"].dt.as_unit("us")
    return found


@pytest.mark.parametrize(("seed", "freq"), [(0, "1D"), (1, "8h")])
def test_weights_in_the_panel_are_those_of_a_loop_over_incidents(seed: int, freq: str) -> None:
    incidents = Incidents.from_table(random_table(seed), TZ, {"noise": "citizen", "theft": "citizen"})
    bins = TimeBins("2024-03-01", 70 * (3 if freq == "8h" else 1), freq, TZ)
    panel = Panel.build(incidents, GRID, bins)
    assert panel.n_moved > 0
    expected = np.zeros((bins.n_bins, GRID.n_cells))
    chosen = incidents.table[incidents.table["category"] == "noise"]
    cells = GRID.locate(chosen["lat"].to_numpy(), chosen["lng"].to_numpy())
    edges = bins.edges
    for cell, (_, record) in zip(cells, chosen.iterrows(), strict=True):
        if pd.isna(record["occurred_from"]):
            expected[bins.locate(pd.Series([record["occurred_at"]]))[0], cell] += 1
            continue
        length = record["occurred_to"] - record["occurred_from"]
        for number in range(bins.n_bins):
            overlap = min(record["occurred_to"], edges[number + 1]) - max(
                record["occurred_from"], edges[number]
            )
            expected[number, cell] += max(overlap / length, 0)
    records = panel.weighted("noise")
    found = np.zeros_like(expected)
    np.add.at(found, (records.bin, records.cell), records.count)
    np.testing.assert_allclose(found, expected, atol=1e-7)  # up to forty roundings of 1e-9 in a cell
    assert float(records.count.sum()) == len(chosen)


@pytest.mark.parametrize("seed", [0, 1])
def test_features_as_of_a_cutoff_are_the_same_bytes_from_later_data(seed: int) -> None:
    incidents = Incidents.from_table(random_table(seed), TZ, {"noise": "citizen", "theft": "citizen"})
    bins = TimeBins("2024-03-01", 70, "1D", TZ)
    full = Panel.build(incidents, GRID, bins)
    features, target = FeatureSet(), Target("noise", period=7)
    for cutoff in (7, 20, 31, 45, 60):
        moment = bins.wall_at(np.array([cutoff]))[0].tz_localize(TZ)
        then = Panel.build(incidents.known_at(moment), GRID, bins)
        for later in (full, full.until(cutoff)):
            made = [
                dict(features.columns(View(panel, "noise", target, np.arange(1, cutoff + 1))))
                for panel in (then, later)
            ]
            for name, values in made[0].items():
                assert values.tobytes() == made[1][name].tobytes(), (cutoff, name)


def test_shifts_on_placeholder_times_warn_and_say_what_to_do() -> None:
    when = pd.date_range("2024-05-01", periods=1440, freq="1min")
    when = when.append(pd.DatetimeIndex([pd.Timestamp("2024-05-01 12:00")] * 30)).astype(str)
    lat, lng = GRID.centres[3]
    frame = pd.DataFrame({"occurred_at": when, "lat": lat, "lng": lng, "category": "noise"})
    shifts, day = TimeBins("2024-05-01", 3, "8h", TZ), TimeBins("2024-05-01", 1, "1D", TZ)
    kept = read_incidents(frame, tz=TZ)
    with pytest.warns(DataWarning, match="31 of 1,470 records stand at a time of day that means 'unknown'"):
        Panel.build(kept, GRID, shifts)
    assert Panel.build(kept, GRID, day).counts("noise").sum() == 1470  # a day is right as it is
    spread = Panel.build(read_incidents(frame, tz=TZ, placeholder_times="spread"), GRID, shifts)
    assert spread.counts("noise")[:, 3].tolist() == [480, 510, 480]
    assert View(spread, "noise", Target("noise"), np.array([3])).known().cumulated[-1, 3] == 1470
    third = spread.weighted("noise")
    assert third.count[third.bin == 0].sum() == pytest.approx(480 + 31 / 3, abs=1e-6)


@pytest.mark.parametrize("name", ["count_365d", "decayed_count", "kde", "hawkes", "prospective", "poisson"])
def test_every_kind_of_model_takes_uncertain_times(name: str) -> None:
    incidents = Incidents.from_table(random_table(0, n=900, days=150), TZ, {"noise": "citizen"})
    panel = Panel.build(incidents, GRID, TimeBins("2024-03-01", 160, "1D", TZ))
    target = Target("noise", period=7)
    ladder = {model.name: model for model in baseline_ladder(target, calibration_days=28)}
    model = ladder.get(name) or make_model(name, target, FeatureSet(), calibration_days=28)
    found = model.fit(panel).forecast(panel)
    assert np.isfinite(found.expected_count).all()
    assert found.expected_count.sum() == pytest.approx(7 * 450 / 150, rel=0.7)
