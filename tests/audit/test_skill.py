"""C06 and C07: skill over plain counts and usefulness of flags, by hand and against the evaluation."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tests.audit.scenes import CENTRE, covering, found, groups_of, lenient, make_forecasts
from tranquillite_ml.audit.evidence import Evidence
from tranquillite_ml.audit.groups import NON_RESIDENTIAL
from tranquillite_ml.audit.skill import DEFINITIONS
from tranquillite_ml.evaluation import hotspot_curve, score
from tranquillite_ml.forecasts import read_forecasts
from tranquillite_ml.governance import load_thresholds
from tranquillite_ml.hexgrid import HexGrid
from tranquillite_ml.intake import Incidents

C06, C07 = DEFINITIONS


def test_skill_by_hand():
    """Two cells, recorded 1 and 0. Ours: 1 and 0.5, deviance 0 and 1; the count: 2 and 1.

    Deviance of 1 where 2 were expected: 2·(log(1/2) + 1) = 0.614; of 0 where 1 was: 2. North is cell 1:
    1 − 0/0.614 = 1; south 1 − 1/2 = 0.5; the city 1 − 1/2.614.
    """
    seen = make_forecasts(
        {"ours": np.tile([1, 0.5], (8, 1)), "count_365d": np.tile([2.0, 1.0], (8, 1))},
        np.tile([1, 0], (8, 1)),
    )
    check = C06.run(seen, Evidence(groups=groups_of(seen, north=[1, 0], south=[0, 1])), lenient())
    assert found(check, "group_skill", "north").value == pytest.approx(1)
    assert math.isnan(found(check, "group_skill", "south").value)  # no incident
    city = 2 * (math.log(0.5) + 1) + 2
    assert found(check, "overall_skill").value == pytest.approx(1 - 1 / city)
    assert found(check, "overall_skill").subject == "count_365d"


def ladder(weeks=110, n=100, seed=0, **models):
    rng = np.random.default_rng(seed)
    rate = rng.gamma(0.5, 1.0, n) + 0.02
    counts = rng.poisson(rate, (weeks, n))
    known = {"truth": rate, "flat": np.full(n, rate.mean()), "worse": np.full(n, 3 * rate.mean())}
    chosen = {name: np.tile(known[kind], (weeks, 1)) for name, kind in models.items()}
    return make_forecasts(chosen, counts, outside=1.0)


def even(seen):
    """Two groups of every other cell."""
    odd = np.arange(len(seen.cells)) % 2
    return Evidence(groups=groups_of(seen, odd=odd, even=1 - odd))


def test_the_best_count_is_what_must_be_beaten_and_the_absent_ones_are_named():
    seen = ladder(ours="truth", count_365d="flat", seasonal_naive="worse")
    check = C06.run(seen, even(seen), load_thresholds())
    assert found(check, "overall_skill").subject == "count_365d"
    deviance = score(seen).set_index("model")["deviance"]
    expected = 1 - deviance["ours"] / deviance["count_365d"]
    assert found(check, "overall_skill").value == pytest.approx(expected)
    assert found(check, "overall_skill").lower > 0  # 110 weeks are 28 blocks
    assert check.status == "PASS"
    assert "kde (kernel density)" in check.method
    assert "decayed_count" in check.method
    bases = {one.subject for one in check.measurements if one.name == "skill"}
    assert bases == {"count_365d", "seasonal_naive"}


def test_a_model_that_a_count_beats_is_not_to_be_used():
    seen = ladder(ours="worse", decayed_count="flat")
    check = C06.run(seen, even(seen), load_thresholds())
    assert found(check, "overall_skill").value < 0
    assert check.status == "FAIL"


def test_equal_to_a_count_is_no_skill():
    seen = ladder(ours="flat", count_365d="flat")
    check = C06.run(seen, even(seen), load_thresholds())
    assert found(check, "overall_skill").value == pytest.approx(0)
    assert check.status == "FAIL"


def test_skill_is_compared_on_the_weeks_that_both_forecast():
    whole = ladder(ours="truth", count_365d="flat")
    rows = np.r_[0:110, 130:220]
    part = whole.take(rows)
    check = C06.run(part, even(part), load_thresholds())
    both = whole.take(np.r_[20:110, 130:220])
    deviance = score(both).set_index("model")["deviance"]
    expected = 1 - deviance["ours"] / deviance["count_365d"]
    assert found(check, "overall_skill").value == pytest.approx(expected)


def test_without_a_count_to_compare_with_nothing_is_said_of_skill():
    seen = ladder(ours="truth", other="flat")
    check = C06.run(seen, even(seen), load_thresholds())
    assert check.status == "NOT_ASSESSABLE"
    assert "no plain count" in check.reason["en"]
    assert found(check, "pai").value > 1  # hotspot indices need no baseline


def test_hotspot_indices_are_those_of_the_evaluation():
    seen = ladder(ours="truth", count_365d="flat")
    check = C06.run(seen, even(seen), covering(load_thresholds(), 0.1))
    theirs = hotspot_curve(seen.select(model="ours"), coverage=[0.1]).iloc[0]
    assert found(check, "pai").value == pytest.approx(theirs["pai"])
    assert found(check, "pei_star").value == pytest.approx(theirs["pei_star"])
    for group in ("odd", "even"):
        assert 0 < found(check, "pei_star", group).value <= 1
    assert math.isnan(found(check, "pai", NON_RESIDENTIAL).value)


def test_pei_star_of_a_group_by_hand():
    """North: cells 1 to 3 with 1, 4, 2 recorded and one flagged, the first: 1 of the 4 it could have held."""
    seen = make_forecasts({"ours": np.tile([9.0, 1, 1, 8], (8, 1))}, np.tile([1, 4, 2, 3], (8, 1)))
    groups = groups_of(seen, north=[5, 5, 5, 0], south=[0, 0, 0, 5])
    check = C06.run(seen, Evidence(groups=groups), covering(lenient(), 0.5))
    assert found(check, "pei_star", "north").value == pytest.approx(1 / 4)
    assert found(check, "pei_star", "south").value == pytest.approx(1)
    # North: 1 of 7 incidents on a third of its area.
    assert found(check, "pai", "north").value == pytest.approx((1 / 7) / (1 / 3))


def test_pei_star_of_a_group_that_shares_a_cell():
    """Half of cell 1 is north's, with all of cell 2. Flagged is cell 1: half a cell of the north.

    It holds half of 1 incident; half a cell could have held half of the 4 in cell 2: 0.5 / 2.
    """
    seen = make_forecasts({"ours": np.tile([9.0, 1], (8, 1))}, np.tile([1, 4], (8, 1)))
    groups = groups_of(seen, north=[5, 9], south=[5, 0])
    check = C06.run(seen, Evidence(groups=groups), covering(lenient(), 0.5))
    assert found(check, "pei_star", "north").value == pytest.approx(0.25)


def test_small_groups_and_ranks_are_not_assessable():
    seen = ladder(ours="truth", count_365d="flat")
    seen.observed_count[:, 0] = 0
    groups = groups_of(seen, few=np.eye(100)[0], many=1 - np.eye(100)[0])
    check = C06.run(seen, Evidence(groups=groups), load_thresholds())
    assert math.isnan(found(check, "group_skill", "few").value)
    assert check.status == "NOT_ASSESSABLE"
    seen.keys["distribution"] = "rank"
    assert "only rank" in C06.run(seen, Evidence(groups=groups), load_thresholds()).reason["en"]


# ---------------------------------------------------------------------- C07


def test_usefulness_by_hand():
    """Four cells, the first flagged, 40 weeks; it has an incident in 10 of them, cells 2 to 4 in 2 each.

    Hit rate 10/40; base rate (10 + 6)/160 = 0.1; lift 2.5. Recorded: 10 · 2 + 6 = 26, and one outside a week:
    66; capture 20/66. Flags per incident 40/20.
    """
    observed = np.zeros((40, 4))
    observed[:10, 0] = 2
    for cell in (1, 2, 3):
        observed[cell * 2 : cell * 2 + 2, cell] = 1
    seen = make_forecasts({"ours": np.tile([9.0, 1, 1, 1], (40, 1))}, observed, outside=1.0)
    check = C07.run(seen, Evidence(), covering(lenient(min_blocks=26), 0.25))
    value = {one.name: one for one in check.measurements}
    assert value["hit_rate"].value == pytest.approx(0.25)
    assert value["base_rate"].value == pytest.approx(0.1)
    assert value["lift"].value == pytest.approx(2.5)
    assert value["capture"].value == pytest.approx(20 / 66)
    assert value["area_share"].value == pytest.approx(0.25)
    assert value["flags_per_incident"].value == pytest.approx(2)
    ends = stats.beta(10.5, 30.5).ppf([0.025, 0.975])
    assert [value["hit_rate"].lower, value["hit_rate"].upper] == pytest.approx(ends)
    assert [value["lift"].lower, value["lift"].upper] == pytest.approx(ends / 0.1)
    assert check.status == "PASS"  # 1.3 to 3.9: chance is excluded, and 2.5 is above 2


def test_intervals_are_as_wide_as_resampled_weeks_where_there_are_enough():
    """Incidents come in all flagged cells of a week or in none: flags are far from independent."""
    rng = np.random.default_rng(0)
    observed = np.repeat(rng.integers(0, 2, (110, 1)), 100, axis=1).astype(float)
    observed[:, 50:] = 0
    seen = make_forecasts({"ours": np.tile(np.arange(100.0)[::-1], (110, 1))}, observed)
    check = C07.run(seen, Evidence(), covering(load_thresholds(), 0.2))
    one = found(check, "hit_rate")
    plain = stats.beta(0.5 + one.value * 2200, 0.5 + (1 - one.value) * 2200).ppf([0.025, 0.975])
    assert one.lower < plain[0]
    assert one.upper > plain[1]
    assert one.upper - one.lower > 3 * (plain[1] - plain[0])


@pytest.mark.parametrize(("good", "status"), [(False, "FAIL"), (True, "PASS")])
def test_flags_no_better_than_chance_fail(good, status):
    rng = np.random.default_rng(1)
    rate = np.where(np.arange(200) < 20, 3.0, 0.05) if good else np.full(200, 0.3)
    forecast = rate + rng.random(200) * 1e-3
    seen = make_forecasts({"ours": np.tile(forecast, (52, 1))}, rng.poisson(rate, (52, 200)))
    assert C07.run(seen, Evidence(), covering(load_thresholds(), 0.1)).status == status


def test_too_few_incidents_say_nothing():
    observed = np.zeros((20, 10))
    observed[:3, 0] = 1
    check = C07.run(make_forecasts({"ours": np.ones((20, 10))}, observed), Evidence(), load_thresholds())
    assert check.status == "NOT_ASSESSABLE"
    assert found(check, "lift").n == 3


def test_repeated_records_count_once_per_incident():
    """Cell 1 is flagged each week; in the first week it holds one incident with three records."""
    grid = HexGrid([CENTRE]).dilated(1)
    lat, lng = grid.centres[0]
    rows = pd.DataFrame(
        {
            "occurred_at": ["2023-01-03 10:00"] * 3 + ["2023-01-10 10:00"],
            "lat": lat,
            "lng": lng,
            "category": "noise",
        }
    )
    incidents = Incidents.from_table(rows, tz="Europe/Paris", origins={"noise": "citizen"})
    observed = np.zeros((8, 7))
    observed[:2, 0] = [3, 1]
    rate = np.ones((8, 7))
    rate[:, 0] = 9
    seen = make_forecasts({"ours": rate}, observed, grid=grid, area=grid.area_km2)
    check = C07.run(seen, Evidence(incidents=incidents), covering(lenient(), 1 / 7 * 0.99))
    flags = float(found(check, "flags_per_incident").value) * 4
    assert flags == pytest.approx(8, rel=0.03)  # flags a hit, of four records
    assert found(check, "flags_per_distinct_incident").value == pytest.approx(4, rel=0.03)  # of two incidents
    assert found(check, "repeated_records").value == 2
    assert "piled up" in check.method


def test_an_outside_forecast_needs_nothing_but_its_table(tmp_path):
    seen = ladder(weeks=20, ours="truth", count_365d="flat")
    path = seen.write(tmp_path / "forecasts.parquet")
    read = read_forecasts(path)
    ours, theirs = (C07.run(one, Evidence(), load_thresholds()) for one in (seen, read))
    assert [m.value for m in ours.measurements] == pytest.approx(
        [m.value for m in theirs.measurements], nan_ok=True
    )
