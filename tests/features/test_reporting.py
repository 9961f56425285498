"""Windows that end where reports are still to come: left out or nowcast, from what could be told then."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.builders import CENTRE
from tranquillite_ml.errors import UsageError
from tranquillite_ml.features.base import View
from tranquillite_ml.features.featureset import FeatureSet
from tranquillite_ml.features.history import History
from tranquillite_ml.features.neighbourhood import Neighbourhood
from tranquillite_ml.features.reporting import KnownShare
from tranquillite_ml.hexgrid import HexGrid
from tranquillite_ml.panel import Panel
from tranquillite_ml.records import COLUMNS, Records, aggregate
from tranquillite_ml.target import Target
from tranquillite_ml.timebins import TimeBins

GRID = HexGrid([CENTRE]).dilated(1)
DAYS = 300
TARGET = Target("noise", period=7)


def late_panel(seed: int = 0, mean_delay: float = 6.0, rate: float = 20.0) -> Panel:
    """Incidents at an even rate, reported after a geometric number of days."""
    rng = np.random.default_rng(seed)
    n = rng.poisson(rate * DAYS)
    day = rng.integers(0, DAYS, n)
    arrays: dict[str, NDArray[Any]] = {
        "category": np.zeros(n, dtype=np.int32),
        "bin": day,
        "cell": rng.integers(0, GRID.n_cells, n),
        "known": day + rng.geometric(1 / mean_delay, n),
        "count": np.ones(n, dtype=np.int32),
    }
    bins = TimeBins("2023-01-02", DAYS, "1D", "UTC")
    return Panel(GRID, bins, ["noise"], {"noise": "citizen"}, aggregate(arrays))


def by_loop(records: Records, row: int, age: int, longest: int) -> float:
    """The product limit of Lagakos, Barraj and De Gruttola at one row, record by record."""
    share = 1.0
    for delay in range(age + 1, longest + 1):
        hit = risk = 0
        for day, known, n in zip(records.bin, records.known, records.count, strict=True):
            if day <= row - delay and known - day <= delay:
                risk += n
                hit += n * (known - day == delay)
        share *= 1 - hit / risk if risk else 1.0
    return share


def test_shares_are_those_of_a_loop_over_records() -> None:
    panel = late_panel(seed=3, rate=0.7)
    records = panel.records("noise")
    shares = KnownShare(records, DAYS)
    rows = np.array([60, 140])
    found = 1 - shares.unknown(rows)
    for number, row in enumerate(rows.tolist()):
        for age in (0, 1, 2, 5, 11):
            assert found[number, age] == pytest.approx(by_loop(records, row, age, shares.longest))
        window = shares.mean(rows, rows - 5, rows)[number]
        each = [by_loop(records, row, age, shares.longest) for age in range(1, 6)]
        assert window == pytest.approx(np.mean(each))
        weights = 0.8 ** np.arange(1, row + 1)
        ages = [
            by_loop(records, row, age, shares.longest)
            if age < 40
            else found[number, min(age, shares.longest)]
            for age in range(1, row + 1)
        ]
        assert shares.decayed(rows, 0.8)[number] == pytest.approx(np.average(ages, weights=weights))


def test_a_known_law_is_found() -> None:
    """Geometric delays: a share of 1 − (5/6)^a is known after a days."""
    shares = KnownShare(late_panel().records("noise"), DAYS)
    found = 1 - shares.unknown(np.array([DAYS]))[0]
    age = np.arange(1, 15)
    np.testing.assert_allclose(found[age], 1 - (5 / 6) ** age, atol=0.03)


def test_what_is_known_at_the_data_end_is_not_taken_for_all() -> None:
    """Of what is known at row 60, delays of the last days look short; the truth is what counts."""
    panel = late_panel()
    known = panel.until(60).records("noise")
    age = 6
    naive = np.mean(np.repeat(known.known - known.bin, known.count)[:] <= age)
    estimate = 1 - KnownShare(known, 60).unknown(np.array([60]))[0, age]
    truth = 1 - (5 / 6) ** age
    assert abs(estimate - truth) < abs(naive - truth)


def test_a_nowcast_is_right_on_average_where_known_counts_are_low() -> None:
    panel = late_panel()
    rows = np.arange(100, DAYS + 1)
    view = View(panel, "noise", TARGET, rows)
    truth = view.known().total(rows - 7, rows).sum(axis=1)
    known, nowcast = (view.window(7, trailing=trailing).sum(axis=1) for trailing in ("as_known", "nowcast"))
    assert known.mean() / truth.mean() < 0.6
    assert nowcast.mean() / truth.mean() == pytest.approx(1, abs=0.05)
    decays = [view.decay(14, trailing=trailing).sum(axis=1).mean() for trailing in ("as_known", "nowcast")]
    assert decays[0] < 0.8 * 20
    assert decays[1] == pytest.approx(20, rel=0.05)


def test_too_little_is_left_out() -> None:
    panel = late_panel(mean_delay=20.0)
    view = View(panel, "noise", TARGET, np.array([250]))
    assert np.isnan(view.window(1, trailing="nowcast")).all()  # one in twenty is known after a day
    assert np.isfinite(view.window(28, trailing="nowcast")).all()
    assert np.isnan(view.window(28, trailing="exclude")).all()
    np.testing.assert_array_equal(view.window(200, trailing="exclude"), view.window(200))


def test_prompt_records_are_left_as_they_are() -> None:
    panel = late_panel(mean_delay=1.0)
    view = View(panel, "noise", TARGET, np.arange(30, DAYS))
    for trailing in ("exclude", "nowcast"):
        assert np.array_equal(view.window(7, trailing=trailing), view.window(7))
        assert np.array_equal(view.decay(14, trailing=trailing), view.decay(14))


@pytest.mark.parametrize("trailing", ["as_known", "exclude", "nowcast"])
@pytest.mark.parametrize("cutoff", [40, 111, 280])
def test_later_records_change_no_byte(trailing: str, cutoff: int) -> None:
    panel = late_panel(seed=5)
    blocks = FeatureSet.from_list(
        [{"history": {"trailing": trailing}}, {"neighbourhood": {"trailing": trailing}}]
    )
    rows = np.arange(1, cutoff + 1)
    once, again = (
        dict(blocks.columns(View(known, "noise", TARGET, rows))) for known in (panel.until(cutoff), panel)
    )
    for name, values in once.items():
        assert values.tobytes() == again[name].tobytes(), name


def test_shorter_bins_count_ages_in_days() -> None:
    daily = late_panel()
    arrays = {name: values.copy() for name, values in daily._arrays.items()}
    arrays["bin"], arrays["known"] = arrays["bin"] * 3 + 1, arrays["known"] * 3
    shifts = Panel(
        GRID, TimeBins("2023-01-02", DAYS * 3, "8h", "UTC"), ["noise"], {"noise": "citizen"}, arrays
    )
    assert set(arrays) == set(COLUMNS)
    row = np.array([200])
    found = [
        View(panel, "noise", Target("noise"), row * scale).window(7, trailing="nowcast")
        for panel, scale in ((daily, 1), (shifts, 3))
    ]
    np.testing.assert_allclose(found[0], found[1], rtol=1e-5)


def test_names_and_descriptions_say_so() -> None:
    bins = TimeBins("2023-01-02", DAYS, "1D", "UTC")
    blocks = [History(trailing="nowcast"), Neighbourhood(trailing="exclude")]
    table = FeatureSet(blocks).table(TARGET, bins).set_index("name")
    assert "divided by the share that usually is" in table.loc["target_7d_nowcast", "known"]
    assert "missing where less than 80%" in table.loc["target_ring1_7d_complete", "known"]
    assert table.loc["days_since_last", "known"] == "reported before the pseudo-cutoff"
    made = dict(FeatureSet(blocks).columns(View(late_panel(), "noise", TARGET, np.array([200]))))
    assert list(made) == list(table.index)
    assert FeatureSet.from_list(FeatureSet(blocks).to_list()).names(TARGET, bins) == list(table.index)


def test_an_unknown_policy_is_refused() -> None:
    with pytest.raises(UsageError, match="Did you mean 'nowcast'"):
        History(trailing="nowcasts")  # type: ignore[arg-type]
