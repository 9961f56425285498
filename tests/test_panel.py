"""Panel: counts are conserved, the future is cut off, records are counted once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import CENTRE, make_panel
from tranquillite_ml.errors import BundleError, InputDataError, UsageError
from tranquillite_ml.hexgrid import HexGrid
from tranquillite_ml.intake import Incidents
from tranquillite_ml.panel import Panel
from tranquillite_ml.timebins import TimeBins

GRID = HexGrid([CENTRE]).dilated(1)
TZ = "Europe/Paris"


def incidents_at(times: list[str], *, reported: list[str] | None = None, outside: int = 0) -> Incidents:
    """Incidents at the centre of GRID; the last `outside` of them lie off the grid."""
    n = len(times)
    lat, lng = (np.full(n, value) for value in GRID.centres[3])
    lat[n - outside :] += 1.0
    table = pd.DataFrame(
        {
            "incident_id": [f"i{number}" for number in range(n)],
            "occurred_at": pd.to_datetime(times).tz_localize(TZ),
            "lat": lat,
            "lng": lng,
            "category": ["noise"] * n,
        }
    )
    if reported is not None:
        table["reported_at"] = pd.to_datetime(reported).tz_localize(TZ)
    return Incidents.from_table(table, TZ, {"noise": "citizen"})


def build(incidents: Incidents, first: str = "2024-03-30", n_bins: int = 3) -> Panel:
    return Panel.build(incidents, GRID, TimeBins(first, n_bins, "1D", TZ))


def test_counts_by_hand() -> None:
    # Two on the 30th, one on the day of 23 hours, one before the bins, one after, one off the grid.
    times = [
        "2024-03-30 00:00",
        "2024-03-30 23:59",
        "2024-03-31 03:30",
        "2024-03-29 23:59",
        "2024-04-02 00:00",
    ]
    panel = build(incidents_at([*times, "2024-03-31 12:00"], outside=1))
    assert panel.counts("noise")[:, 3].tolist() == [2, 1, 0]
    assert panel.counts("noise").sum() == 3
    assert panel.outside("noise", 0, 3) == 1
    assert panel.funnel == {"accepted": 6, "in_panel": 3, "outside_grid": 1, "outside_bins": 2}


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(-5 * 24, 10 * 24), min_size=1, max_size=30), st.randoms())
def test_accepted_is_in_the_panel_or_outside_whatever_the_order(hours: list[int], order: object) -> None:
    times = [str(pd.Timestamp("2024-06-01") + pd.Timedelta(hours=hour)) for hour in hours]
    one = build(incidents_at(times), "2024-06-01")
    order.shuffle(times)  # type: ignore[attr-defined]
    other = build(incidents_at(times), "2024-06-01")
    assert one.funnel["accepted"] == len(hours)
    assert one.funnel["accepted"] == sum(v for k, v in one.funnel.items() if k != "accepted")
    assert one.digest() == other.digest()


def test_until_drops_what_was_reported_later() -> None:
    times = ["2024-03-30 10:00", "2024-03-30 11:00", "2024-03-31 12:00"]
    reported = ["2024-03-30 10:00", "2024-04-01 09:00", "2024-03-31 13:00"]
    panel = build(incidents_at(times, reported=reported))
    assert panel.until("2024-04-01").counts("noise")[:, 3].tolist() == [1, 1]
    assert panel.counts("noise")[:, 3].tolist() == [2, 1, 0]


def test_what_is_reported_at_the_cutoff_itself_is_known() -> None:
    panel = build(incidents_at(["2024-03-30 10:00"], reported=["2024-04-01 00:00"]))
    assert panel.until("2024-04-01").counts("noise").sum() == 1
    assert panel.until("2024-03-31").counts("noise").sum() == 0


def test_append_counts_each_incident_once_and_lengthens_the_bins() -> None:
    first = incidents_at(["2024-03-30 10:00", "2024-03-31 10:00"])
    more = incidents_at(["2024-03-30 10:00", "2024-03-31 10:00", "2024-04-05 10:00"])
    panel = build(first)
    grown = panel.append(more)
    assert grown.counts("noise").sum() == 3
    assert str(grown.bins.end.date()) == "2024-04-06"
    assert grown.append(more).digest() == grown.digest()


def test_what_lay_outside_the_bins_is_counted_once_when_it_comes_again_or_bins_grow(tmp_path: Path) -> None:
    all_of_them = incidents_at(
        ["2024-03-30 10:00", "2024-03-31 10:00", "2024-04-05 10:00", "2024-02-01 10:00"]
    )
    panel = Panel.build(all_of_them, GRID, TimeBins("2024-03-30", 2, "1D", TZ))
    assert panel.funnel["outside_bins"] == 2
    panel.save(tmp_path / "panel")
    for saved in (panel, Panel.open(tmp_path / "panel")):
        assert saved.append(all_of_them, extend=False).digest() == panel.digest()
        grown = saved.append(all_of_them)  # the bins grow forwards only
        assert grown.funnel == {"accepted": 4, "in_panel": 3, "outside_grid": 0, "outside_bins": 1}


def test_incidents_without_ids_are_counted_once_too() -> None:
    table = incidents_at(["2024-03-30 10:00"] * 3).table.drop(columns="incident_id")
    twins = Incidents.from_table(table, TZ, {"noise": "citizen"})
    panel = build(twins)
    assert panel.counts("noise").sum() == 3
    assert panel.append(twins).counts("noise").sum() == 3


def test_saved_and_opened_is_the_same(tmp_path: Path) -> None:
    panel = make_panel(delay=3)
    panel.save(tmp_path / "panel")
    opened = Panel.open(tmp_path / "panel")
    assert opened.digest() == panel.digest()
    assert isinstance(opened._arrays["bin"], np.memmap)


def test_an_incomplete_panel_is_refused(tmp_path: Path) -> None:
    make_panel().save(tmp_path)
    (tmp_path / "bin.npy").unlink()
    with pytest.raises(BundleError, match="not a complete saved panel"):
        Panel.open(tmp_path)


def test_frame_and_xarray_hold_the_same_counts() -> None:
    panel = make_panel()
    frame, dense = panel.to_frame(), panel.to_xarray()
    assert frame["count"].sum() == int(dense.sum())
    row = frame.iloc[0]
    found = dense.sel(category=row["category"], time_bin=row["time_bin"], cell=row["cell"])
    assert int(found) == row["count"]


def test_unknown_category_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="Did you mean 'noise'"):
        make_panel().counts("noize")


def test_shifts_on_dated_incidents_are_refused() -> None:
    dated = incidents_at(["2024-03-30", "2024-03-31"])
    assert dated.time_precision == "date"
    with pytest.raises(InputDataError, match="dated by the day only"):
        TimeBins.covering(dated, freq="8h")
    with pytest.raises(InputDataError, match="dated by the day only"):
        Panel.build(dated, GRID, TimeBins("2024-03-30", 6, "8h", TZ))


def test_a_hostile_category_is_shown_as_text() -> None:
    panel = make_panel(categories=("<script>alert(1)</script>",))
    assert "<script>" not in panel._repr_html_()
