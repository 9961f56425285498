"""A changed byte, a lost row, a missing notice and a look into the future are each found."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.audit.builders import forecasts_of
from tests.audit.conftest import SMALL
from tests.builders import make_panel
from tranquillite_ml.audit import leakage, provenance
from tranquillite_ml.audit.evidence import Evidence
from tranquillite_ml.audit.leakage import differing, poisoned
from tranquillite_ml.audit.provenance import DEFINITIONS
from tranquillite_ml.bundle import sha256
from tranquillite_ml.config import load_config
from tranquillite_ml.features import Column, FeatureBlock, FeatureSet
from tranquillite_ml.forecasters import Count365, LightGBMForecaster, PoissonForecaster, open_bundle
from tranquillite_ml.forecasts import Forecasts, read_forecasts
from tranquillite_ml.governance import load_thresholds
from tranquillite_ml.limits import LIMITS_OF_USE
from tranquillite_ml.panel import Panel
from tranquillite_ml.pipeline import run
from tranquillite_ml.stages import load_incidents
from tranquillite_ml.target import Target

LIMITS = load_thresholds()
C20, C23, C27 = DEFINITIONS


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Evidence, Forecasts]:
    """A run as it is left behind, and all that can be looked at."""
    folder = tmp_path_factory.mktemp("runs")
    config = load_config("smoke", [f"output={folder}", "model.kind=poisson"])
    path = Path(run(config, track=False, audited=False)["run_dir"])
    incidents, _ = load_incidents(config)
    evidence = Evidence(
        incidents=incidents,
        panel=Panel.open(path / "panel"),
        model=open_bundle(path / "model"),
        config=config,
        run=path,
    )
    return evidence, read_forecasts(path / "forecasts.parquet")


@pytest.fixture
def copied(finished: tuple[Evidence, Forecasts], tmp_path: Path) -> tuple[Evidence, Forecasts, Path]:
    """The same, to be tampered with."""
    evidence, forecasts = finished
    path = tmp_path / evidence.run.name
    shutil.copytree(evidence.run, path)
    return replace(evidence, run=path), forecasts, path


@pytest.fixture(autouse=True)
def released(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """As if a release were installed; the package may change while the tests run."""
    if "finished" in request.fixturenames:
        evidence, _ = request.getfixturevalue("finished")
        summary = json.loads((evidence.run / "summary.json").read_text())
        monkeypatch.setattr(provenance, "package_digest", lambda: summary["package_digest"])
        monkeypatch.setattr(provenance, "_unreleased", lambda: "")


def problems(check: Any) -> dict[str, str]:
    table = check.tables["digests"]
    return dict(zip(table["what"], table["problem"], strict=True))


# ---------------------------------------------------------------------- C20


def test_a_run_as_it_was_left_passes(finished: tuple[Evidence, Forecasts]) -> None:
    evidence, forecasts = finished
    check = C20.run(forecasts, evidence, LIMITS)
    assert check.status == "PASS"
    assert set(problems(check).values()) == {""}
    gaps = {one.subject: one.value for one in check.measurements if one.name == "funnel_gap"}
    assert gaps == {"rows read": 0, "accepted rows": 0, "quarantined rows": 0, "counted rows": 0}


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("model/forecaster.json", "model"),
        ("forecast.csv", "files of the run"),
        ("tables/scores.csv", "files of the run"),
    ],
)
def test_a_changed_byte_is_found(copied: Any, name: str, what: str) -> None:
    evidence, forecasts, path = copied
    with (path / name).open("ab") as file:
        file.write(b" ")
    check = C20.run(forecasts, evidence, LIMITS)
    assert check.status == "FAIL"
    assert "changed" in problems(check)[what]
    assert str(path.parent) not in problems(check)[what]


@pytest.mark.parametrize(
    "name", ["intake.json", "forecasts.parquet", "forecast.parquet", "model/manifest.json"]
)
def test_what_is_gone_is_missing(copied: Any, name: str) -> None:
    evidence, forecasts, path = copied
    (path / name).unlink()
    check = C20.run(forecasts, evidence, LIMITS)
    assert check.status == "FAIL"
    assert any(problems(check).values())


@pytest.mark.parametrize("lost", [1, -1])
def test_a_lost_or_doubled_row_fails(copied: Any, lost: int) -> None:
    evidence, forecasts, path = copied
    intake = json.loads((path / "intake.json").read_text())
    (path / "intake.json").write_text(json.dumps(intake | {"read": intake["read"] + lost}))
    check = C20.run(forecasts, evidence, LIMITS)
    gaps = {one.subject: one.value for one in check.measurements if one.name == "funnel_gap"}
    assert (check.status, gaps["rows read"]) == ("FAIL", lost)


def test_other_inputs_and_another_configuration_are_told(copied: Any) -> None:
    evidence, forecasts, _ = copied
    table = evidence.incidents.table
    fewer = replace(evidence.incidents, table=table.iloc[1:], ids_given=evidence.incidents.ids_given[1:])
    check = C20.run(forecasts, replace(evidence, incidents=fewer), LIMITS)
    assert "not what the run was made from" in problems(check)["inputs"]
    assert check.status == "FAIL"  # and a row is missing from the funnel
    other = load_config("smoke", ["seed=7"])
    check = C20.run(forecasts, replace(evidence, config=other), LIMITS)
    assert problems(check)["configuration"]


def test_another_package_is_told(copied: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    evidence, forecasts, path = copied
    monkeypatch.setattr(provenance, "package_digest", lambda: sha256(b"other"))
    assert "another package" in problems(C20.run(forecasts, evidence, LIMITS))["package"]
    # Before a run is finished its name alone says which package made it.
    monkeypatch.setattr(provenance, "run_identity", lambda *_: sha256(b"another name"))
    (path / "summary.json").unlink()
    (path / "manifest.json").unlink()
    assert "another package" in problems(C20.run(forecasts, evidence, LIMITS))["package"]


def test_a_model_that_forecasts_something_else_is_told(copied: Any) -> None:
    evidence, forecasts, _ = copied
    model = open_bundle(evidence.run / "model")
    linear = model.models_["damage"]
    model.models_["damage"] = replace(linear, coefficients=linear.coefficients * 1.001)
    check = C20.run(forecasts, replace(evidence, model=model), LIMITS)
    assert "differs" in problems(check)["last forecast, made again"]


def test_a_folder_that_can_be_edited_is_no_release(monkeypatch: pytest.MonkeyPatch) -> None:
    class Package:
        version = "1.0"
        origin: str | None = None

        def read_text(self, name: str) -> str | None:
            return self.origin

    package = Package()
    monkeypatch.setattr(provenance, "distribution", lambda name: package)
    assert provenance._unreleased() == ""
    package.origin = '{"dir_info": {"editable": true}, "url": "file:///x"}'
    assert "edited" in provenance._unreleased()
    package.origin, package.version = None, "1.0.dev3"
    assert "no release" in provenance._unreleased()


# ---------------------------------------------------------------------- C23


def test_every_output_shows_the_limits(finished: tuple[Evidence, Forecasts]) -> None:
    evidence, forecasts = finished
    check = C23.run(forecasts, evidence, LIMITS)
    assert (check.status, check.measurements[0].n) == ("PASS", 4)


@pytest.mark.parametrize(
    "name", ["map.html", "forecast.csv", "forecast.geojson", "forecast.geoparquet", "report.html"]
)
def test_an_output_without_them_fails(copied: Any, name: str) -> None:
    evidence, forecasts, path = copied
    if name == "forecast.geoparquet":
        import pyarrow.parquet as pq

        table = pq.read_table(path / name)
        kept = {key: value for key, value in table.schema.metadata.items() if key != b"limits_of_use"}
        pq.write_table(table.replace_schema_metadata(kept), path / name)
    elif name == "report.html":
        (path / name).write_text("<p>for information only</p>")
    else:
        text = (path / name).read_text(encoding="utf-8")
        for said in (*LIMITS_OF_USE.values(), "about places, never persons"):
            text = text.replace(said, "")
        (path / name).write_text(text, encoding="utf-8")
    check = C23.run(forecasts, evidence, LIMITS)
    assert check.status == "FAIL"
    assert name in check.reason["en"]


def test_a_folder_without_outputs_is_not_assessable(
    finished: tuple[Evidence, Forecasts], tmp_path: Path
) -> None:
    evidence, forecasts = finished
    assert C23.run(forecasts, replace(evidence, run=tmp_path), LIMITS).status == "NOT_ASSESSABLE"


@pytest.mark.parametrize("name", ["forecast.geojson", "map.html"])
def test_broken_outputs_fail_and_do_not_raise(copied: Any, name: str) -> None:
    evidence, forecasts, path = copied
    (path / name).write_bytes(b'{"type": \xff\x00[[[' + b"<img src=x onerror=alert(1)>")
    assert C23.run(forecasts, evidence, LIMITS).status == "FAIL"


# ---------------------------------------------------------------------- C27


class Tomorrow(FeatureBlock):
    """What was recorded in the week after, whenever it became known."""

    family = "history"

    def describe(self, target: Any, bins: Any) -> Any:
        yield Column("steady", self.family, "incidents", "the category itself", "never")

    def columns(self, view: Any) -> Any:
        counts = np.vstack([view.panel.counts(view.category), np.zeros((8, view.panel.n_cells), np.int32)])
        yield "steady", np.stack([counts[row : row + 7].sum(axis=0) for row in view.rows]).astype(np.float32)


class Revised(FeatureBlock):
    """The last week as it was recorded in the end: reports that came later are in it."""

    family = "history"

    def describe(self, target: Any, bins: Any) -> Any:
        yield Column("last_week", self.family, "incidents", "the category itself", "later")

    def columns(self, view: Any) -> Any:
        counts = view.panel.counts(view.category)
        yield "last_week", np.stack([counts[max(row - 7, 0) : row].sum(axis=0) for row in view.rows])


def changed(check: Any) -> dict[str, float]:
    return {str(one.subject): one.value for one in check.measurements if one.name == "changed_values"}


@pytest.fixture(autouse=True)
def small_canary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leakage, "_CANARY", {"days": 200, "rings": 3, "folds": 5, "rate": 0.2})


def test_an_honest_model_changes_nothing(small_panel: Panel, trees: LightGBMForecaster) -> None:
    check = C27.run(forecasts_of(small_panel), Evidence(panel=small_panel, model=trees), LIMITS)
    assert check.status == "PASS"
    assert set(changed(check).values()) == {0.0}
    assert set(changed(check)) == {
        "features",
        "forecasts",
        "forecasts, calibrated at the cutoff",
        "forecasts of a model trained anew",
        "canary: white noise",
        "canary: shuffled",
    }
    assert set(check.tables["changes"]["change"]) == {"times 1000", "deleted", "made up"}
    assert all(one.n for one in check.measurements if one.name == "changed_values")


@pytest.mark.parametrize("block", [Tomorrow(), Revised()])
def test_a_feature_that_sees_later_reports_is_caught(block: FeatureBlock) -> None:
    panel = make_panel(220, rings=2, rate=0.3, delay=10)
    features = FeatureSet([*SMALL.blocks, block])
    model = PoissonForecaster(Target("noise", period=7), features, calibration_days=28).fit(panel)
    check = C27.run(forecasts_of(panel), Evidence(panel=panel, model=model), LIMITS)
    assert check.status == "FAIL"
    assert changed(check)["features"] > 0


class Oracle(Count365):
    """Keeps the whole panel it was given, the future included."""

    name = "oracle"

    def forecast(self, panel: Panel, cutoff: Any = None) -> Forecasts:
        found = super().forecast(panel, cutoff)
        end = panel.n_bins if cutoff is None else panel.index_at(cutoff)
        coming = panel.counts("noise", min(end, panel.n_bins - 1), panel.n_bins).sum(axis=0)
        found.values["expected_count"] = found.values["expected_count"] + 1e-3 * coming
        return found


def test_a_model_that_looks_ahead_is_caught(small_panel: Panel) -> None:
    model = Oracle(Target("noise", period=7), calibration_days=28).fit(small_panel)
    check = C27.run(forecasts_of(small_panel), Evidence(panel=small_panel, model=model), LIMITS)
    assert check.status == "FAIL"
    assert changed(check)["forecasts"] > 0


def test_a_canary_that_sings_fails(small_panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    from tranquillite_ml.evaluation.canaries import CanaryResult

    leak = CanaryResult("white noise", gain=2.0, upper=1.0, n_folds=5, n_incidents=80)
    monkeypatch.setattr(leakage, "leakage_canary", lambda *_, **__: [leak])
    model = Count365(Target("noise", period=7), calibration_days=28).fit(small_panel)
    check = C27.run(forecasts_of(small_panel), Evidence(panel=small_panel, model=model), LIMITS)
    assert check.status == "FAIL"
    assert changed(check)["canary: white noise"] == 1


def test_poison_leaves_what_was_known_as_it_was() -> None:
    panel = make_panel(90, rings=1, rate=0.5, delay=12)
    for name, other in poisoned(panel, 50, np.random.default_rng(0)):
        before, after = panel.until(50), other.until(50)
        assert after.digest() == before.digest(), name
        assert other.digest() != panel.digest()


def test_values_are_compared_to_the_bit() -> None:
    one = np.array([1.0, np.nan, 0.0, np.nan])
    assert differing(one, one.copy()) == 0
    assert differing(one, np.array([np.nextafter(1, 2), np.nan, 0.0, 3.0])) == 2
