"""The deep audit: what is trained again is kept, counted before it begins, and enters C12, C14 and C15."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.audit.builders import forecasts_of, groups_of
from tests.audit.conftest import SMALL
from tranquillite_ml.audit import audit
from tranquillite_ml.audit.auditing import definitions
from tranquillite_ml.audit.deep import budget, prepare
from tranquillite_ml.audit.doubtful import redrawn
from tranquillite_ml.audit.evidence import Evidence
from tranquillite_ml.audit.refits import SECONDS, Refits, described
from tranquillite_ml.features import Calendar, FeatureSet, History
from tranquillite_ml.forecasters import Count365, LightGBMForecaster, PoissonForecaster
from tranquillite_ml.governance import Governance, Thresholds, load_thresholds
from tranquillite_ml.panel import Panel
from tranquillite_ml.target import Target

LIMITS = load_thresholds()


def settled(**checks: dict[str, float]) -> Thresholds:
    """The shipped thresholds with other settings."""
    changed = {
        name: LIMITS.checks[name].model_copy(update={"settings": LIMITS.checks[name].settings | settings})
        for name, settings in checks.items()
    }
    return LIMITS.model_copy(update={"checks": LIMITS.checks | changed})


SHORT = settled(
    C08={"loop_weeks": 2, "deep_runs": 1, "runs": 2, "urn_days": 50, "urn_runs": 10},
    C09={"weeks": 1},
    C10={"deep_draws": 1, "draws": 5},
    C14={"seeds": 2, "bootstraps": 1, "retrains": 1},
    C15={"seeds": 2, "months": 1, "permutations": 1, "subsets": 10, "backgrounds": 2},
)


@pytest.fixture
def deep(small_panel: Panel, tmp_path: Path) -> Evidence:
    model = PoissonForecaster(Target("noise", period=7), SMALL, calibration_days=28).fit(small_panel)
    refit = Refits(model, tmp_path / "refits")
    return Evidence(groups=groups_of(small_panel), panel=small_panel, model=model, refit=refit, deep=True)


def fits_of(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_dir())


# ---------------------------------------------------------------------- refits


def test_a_refit_with_nothing_changed_is_the_model(small_panel: Panel, trees: LightGBMForecaster) -> None:
    again = Refits(trees)(small_panel)
    assert again is not trees
    same = again.forecast(small_panel).expected_count, trees.forecast(small_panel).expected_count
    assert np.array_equal(*same)
    other = Refits(trees)(small_panel, random_state=7).forecast(small_panel).expected_count
    assert not np.array_equal(other, same[0])
    earlier = Refits(trees)(small_panel, 150)
    assert earlier.fitted_until_ < trees.fitted_until_
    assert trees.random_state == 0


def test_what_is_kept_is_not_trained_again(
    small_panel: Panel, trees: LightGBMForecaster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Refits(trees, tmp_path)
    asked: list[dict[str, Any]] = [{}, {"random_state": 1}, {"permuted": 1}, {"permuted": 2}]
    maps = [first(small_panel, **one).forecast(small_panel).expected_count for one in asked]
    assert len({part.tobytes() for part in maps}) == 4
    assert len(fits_of(tmp_path)) == len(first.asked) == 4
    assert first.seconds > 0

    def fail(*_: Any, **__: Any) -> None:
        pytest.fail("trained again")

    with monkeypatch.context() as patch:
        patch.setattr(LightGBMForecaster, "fit", fail)
        later = Refits(trees, tmp_path)
        assert later.seconds == first.seconds
        kept = [later(small_panel, **one).forecast(small_panel).expected_count for one in asked]
    assert all(np.array_equal(one, two) for one, two in zip(maps, kept, strict=True))
    # Torn by a crash: made again, alike.
    torn = tmp_path / fits_of(tmp_path)[0] / "forecaster.json"
    torn.write_bytes(torn.read_bytes()[:40])
    again = [Refits(trees, tmp_path)(small_panel, **one).forecast(small_panel) for one in asked]
    assert all(np.array_equal(one, two.expected_count) for one, two in zip(maps, again, strict=True))
    assert (tmp_path / SECONDS).is_file()


def test_whatever_the_model_is_made_from_tells_fits_apart(trees: LightGBMForecaster) -> None:
    params = trees.get_params(deep=False)
    others = [
        LightGBMForecaster(**{**params, "n_estimators": 31}),
        LightGBMForecaster(**{**params, "features": FeatureSet([History(windows=[7])])}),
        LightGBMForecaster(**{**params, "target": Target("noise", period=14)}),
    ]
    told = [str(described(one)) for one in (trees, *others)]
    assert len(set(told)) == 4
    assert str(described(LightGBMForecaster(**params))) == told[0]


# ---------------------------------------------------------------------- the budget


def test_the_budget_is_told_first_and_is_what_is_done(deep: Evidence, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    evidence = replace(
        deep,
        run=tmp_path / "runs" / "one",
        governance=Governance(
            dirty_data=[{"period": "2023-01-02/2023-02-02", "area": "south", "reason": "r", "source": "s"}]
        ),
    )
    seen = forecasts_of(evidence.panel)
    names = ("C08", "C09", "C10", "C12", "C14", "C15", "C16")
    audit(seen, evidence=evidence, thresholds=SHORT, checks=names, report=lambda *step: told.append(step))
    assert told[0][0].startswith("budget: ")
    assert "fits of poisson (C12 1, C14 6, C15 1, C16 3)" in told[0][0]
    # One arm without finds and four with, each a second week; the first is shared.
    assert "16 for one category and one week ahead (C08 6, C09 6, C10 4)" in told[0][0]
    assert isinstance(evidence.refit, Refits)
    assert len(evidence.refit.asked) == len(fits_of(tmp_path / "refits")) == 11
    steps = list((tmp_path / "runs" / "simulations" / "one").glob("*/[!.]*.npy"))
    assert len(steps) == 16
    assert [step for step in told if step[0] == "refits"][-1] == ("refits", 11, 11)
    # A second time everything is there, and nothing changes.
    again = replace(evidence, refit=Refits(evidence.refit.model, tmp_path / "refits"))
    assert budget(seen, again, SHORT).kept == 27
    assert "27 are kept" in str(budget(seen, again, SHORT))


def test_without_depth_there_is_no_budget(deep: Evidence) -> None:
    told: list[str] = []
    plain = replace(deep, deep=False)
    assert prepare(forecasts_of(plain.panel), plain, SHORT, lambda what, *_: told.append(what)).report
    assert not told
    with pytest.raises(TypeError, match="can be trained again"):
        budget(forecasts_of(plain.panel), replace(plain, refit=None), SHORT)


# ---------------------------------------------------------------------- C14, C15


def test_models_that_differ_by_their_seed_are_compared(deep: Evidence, trees: LightGBMForecaster) -> None:
    evidence = replace(deep, model=trees, refit=Refits(trees))
    check = definitions()["C14"].run(forecasts_of(deep.panel), evidence, SHORT)
    found = {one.name: one for one in check.measurements if one.subject == "other seeds"}
    assert 0 < found["seed_spread"].value < 1
    assert 0 <= found["seed_ambiguity"].value <= 1
    assert (found["seed_spread"].n, found["seed_spread"].unit_of_n) == (2, "models")
    assert "were not tried" not in check.method


def test_a_model_without_a_seed_says_so(small_panel: Panel) -> None:
    model = Count365(Target("noise", period=7), calibration_days=28).fit(small_panel)
    evidence = Evidence(panel=small_panel, model=model, refit=Refits(model), deep=True)
    check = definitions()["C14"].run(forecasts_of(small_panel), evidence, SHORT)
    assert "The model has no seed" in check.method
    assert "other seeds" not in {one.subject for one in check.measurements}


def test_explanations_of_other_models_are_judged(deep: Evidence) -> None:
    check = definitions()["C15"].run(forecasts_of(deep.panel), deep, SHORT)
    names = {one.name for one in check.measurements}
    assert {"seed_tau", "retrain_tau", "top3_overlap", "permuted_tau", "known_factor_error"} <= names
    assert check.reason["en"] == ""
    planted = [one for one in check.measurements if one.name == "known_factor_error"]
    assert len(planted) == 2
    assert all(one.value < 0.5 for one in planted)


def test_what_was_not_tried_is_named_in_french(deep: Evidence) -> None:
    check = definitions()["C15"].run(forecasts_of(deep.panel), replace(deep, deep=False), SHORT)
    assert "stability over seeds" in check.reason["en"]
    assert "stabilité entre graines" in check.reason["fr"]
    assert "stability" not in check.reason["fr"]


# ---------------------------------------------------------------------- C12


def register(area: str = "south") -> Governance:
    entry = {"period": "2023-03-01/2023-06-30", "area": area, "reason": "r", "source": "s"}
    return Governance(dirty_data=[entry])


def test_a_model_without_the_doubtful_records_is_compared(deep: Evidence) -> None:
    evidence = replace(deep, governance=register())
    check = definitions()["C12"].run(forecasts_of(deep.panel), evidence, SHORT)
    found = {(one.name, one.group): one for one in check.measurements}
    assert 0 <= found["reselected_area", None].value <= 1
    assert {("exposure_change", "south"), ("exposure_change", "north")} <= set(found)
    assert "trained again" in check.method
    assert check.reason["en"] == ""


def test_without_training_again_a_register_with_entries_is_not_passed(deep: Evidence) -> None:
    plain = replace(deep, deep=False, governance=register())
    lenient = LIMITS.checks["C12"].model_copy(
        update={"limits": {n: one for n, one in LIMITS.checks["C12"].limits.items() if n != "training_share"}}
    )
    limits = LIMITS.model_copy(update={"checks": LIMITS.checks | {"C12": lenient}})
    check = definitions()["C12"].run(forecasts_of(deep.panel), plain, limits)
    assert check.status == "NOT_ASSESSABLE"
    assert "was not tried" in check.reason["en"]
    assert "n'a pas été essayé" in check.reason["fr"]
    # An entry before the data is about nothing that was learnt from.
    early = {"period": "1999-01-01/1999-12-31", "area": "city", "reason": "r", "source": "s"}
    before = replace(plain, governance=Governance(dirty_data=[early]))
    assert definitions()["C12"].run(forecasts_of(deep.panel), before, limits).status == "PASS"


def test_doubtful_records_give_way_to_the_rate_of_other_times(small_panel: Panel) -> None:
    inside = np.zeros((small_panel.n_bins, small_panel.n_cells), dtype=bool)
    inside[50:150] = True
    again = redrawn(small_panel, inside)
    before, after = small_panel.counts("noise"), again.counts("noise")
    assert np.array_equal(before[~inside], after[~inside])
    assert not np.array_equal(before[inside], after[inside])
    # 100 × 61 draws whose total has the mean of the other days: within four standard deviations.
    expected = before[~inside].sum() / 120 * 100
    assert abs(after[inside].sum() - expected) < 4 * np.sqrt(expected)
    everything = redrawn(small_panel, np.ones_like(inside))
    assert everything.counts("noise").sum() == 0


def test_the_calendar_alone_leaves_no_family_to_take_away(small_panel: Panel) -> None:
    features = FeatureSet([Calendar()])
    model = PoissonForecaster(Target("noise", period=7), features, calibration_days=28).fit(small_panel)
    evidence = Evidence(
        groups=groups_of(small_panel), panel=small_panel, model=model, refit=Refits(model), deep=True
    )
    assert budget(forecasts_of(small_panel), evidence, SHORT).refits["C16"] == 0
