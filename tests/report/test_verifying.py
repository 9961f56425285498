"""verify: what follows from its measurements holds, and a changed digit is found and named."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.report.reports import AT, LIMITS, mixed_checks, stored
from tranquillite_ml.audit import Evidence, audit
from tranquillite_ml.config import load_config
from tranquillite_ml.errors import GateError, UsageError
from tranquillite_ml.forecasts import Forecasts
from tranquillite_ml.report.collecting import collect
from tranquillite_ml.report.summary import Inputs, canonical, leaves, seal
from tranquillite_ml.report.verifying import verify
from tranquillite_ml.report.writing import write_report
from tranquillite_ml.runfolder import RunFolder


@pytest.fixture(scope="module")
def run(audited: tuple[Forecasts, Evidence], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run's folder with backtest, panel, model and report."""
    folder = stored(audited, tmp_path_factory.mktemp("runs"))
    found, gathered = collect(folder.path)
    write_report(folder, mixed_checks(), found, evidence=gathered, thresholds=LIMITS, inputs=Inputs(at=AT))
    return folder.path


@pytest.fixture
def copied(run: Path, tmp_path: Path) -> Path:
    shutil.copytree(run, tmp_path / "city-1")
    return tmp_path / "city-1"


def read(run: Path) -> dict[str, Any]:
    return dict(json.loads((run / "report.json").read_text(encoding="utf-8")))


def write(run: Path, report: dict[str, Any], *, sealed: bool = False) -> None:
    """Write a changed report, by someone who writes its digests anew, or does not."""
    if sealed:
        report = seal(
            {key: value for key, value in report.items() if key not in {"digests", "report_id"}}, AT
        )
    held = canonical(report)
    (run / "report.json").write_bytes(held)
    if sealed:
        (run / "report.json.sha256").write_text(f"{hashlib.sha256(held).hexdigest()}  report.json\n")


def other_than(value: Any) -> Any:
    """Another value of the same kind."""
    if isinstance(value, bool | None):
        return not value
    if isinstance(value, list | dict):
        return [1]
    return f"{value}." if isinstance(value, str) else value + 1


def test_what_is_collected_is_what_was_written(run: Path, audited: tuple[Forecasts, Evidence]) -> None:
    forecasts, evidence = collect(run)
    assert forecasts.models[0] == "smoothed_count"
    assert evidence.has("panel")
    assert evidence.has("model")
    assert evidence.explanation is not None
    assert evidence.explanation.largest_error <= 1e-6
    assert not evidence.has("config")
    outside, nothing = collect(run / "forecasts.parquet")
    assert len(outside) == len(audited[0])
    assert not nothing.has("model")
    with pytest.raises(UsageError, match="holds no backtest"):
        collect(run / "panel")


def test_a_report_holds_as_it_was_written(run: Path) -> None:
    found = verify(run / "report.json")
    assert found.problems == ()
    assert found.statuses == 28 + 19 + 1
    assert found.values > 1000
    assert set(found.files) == {"forecasts.parquet", "model/manifest.json", "panel/panel.json", "model/"}
    assert found.require() is found


def test_a_changed_digit_is_named(copied: Path) -> None:
    text = (copied / "report.json").read_text(encoding="utf-8")
    value = read(copied)["checks"][2]["measurements"][0]["value"]
    assert value == 1.0
    report = read(copied)
    report["checks"][2]["measurements"][0]["value"] = 1.1
    write(copied, report)
    assert (copied / "report.json").read_text(encoding="utf-8") != text
    with pytest.raises(GateError) as refused:
        verify(copied / "report.json").require()
    assert "/checks/2/measurements/0/value: it is not what was written; it says 1.1 now" in str(refused.value)
    assert "report.json.sha256" in str(refused.value)


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_every_changed_value_is_named(run: Path, data: st.DataObject) -> None:
    """No leaf is out of reach, those that are empty and the digests themselves included."""
    report = read(run)
    path = data.draw(st.sampled_from([path for path, _ in leaves(report)]))
    *way, last = [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]]
    holder: Any = report
    for part in way:
        holder = holder[int(part)] if isinstance(holder, list) else holder[part]
    key: Any = int(last) if isinstance(holder, list) else last
    value = holder[key]
    holder[key] = other_than(value)
    changed = run.parent / "changed.json"
    changed.write_bytes(canonical(report))
    if path in {"/schema_version"}:
        with pytest.raises(UsageError, match="no report of this version"):
            verify(changed)
        return
    where = [one.where for one in verify(changed).problems]
    assert any(one == path or one.startswith(f"{path}/") for one in where), (path, where)


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (lambda r: r["checks"][9].update(status="PASS"), "/checks/9/status"),
        (lambda r: r["checks"][13]["measurements"].clear(), "/checks/13/status"),
        (lambda r: (r["checks"][9].update(status="PASS"),  # as if the figures it came from were withheld
                    [one.update(suppressed=True, value=None) for one in r["checks"][9]["measurements"]]),
         "/checks/9/status"),
        (lambda r: r["sections"][9].update(status="PASS"), "/sections/9/status"),
        (lambda r: r.update(verdict="PASS"), "/verdict"),
        (lambda r: r.update(use="nothing_against"), "/use"),
        (lambda r: r["thresholds"]["values"]["checks"]["C10"]["limits"].update(
            displaced_share={"fail": {"above": 0.99}}), "/thresholds/sha256"),
        (lambda r: r["sections"].pop(3), "/sections"),
        (lambda r: r["checks"][9]["judged"].__setitem__(0, "WARN"), "/checks/9/judged/0"),
        (lambda r: r["checks"][9]["judged"].append("PASS"), "/checks/9/judged/3"),
        (lambda r: r["verdict_sentence"].update(fr="Rien ne s'y oppose."), "/verdict_sentence/fr"),
        (lambda r: r["sections"][9]["answer"].update(en="Nothing against it."), "/sections/9/answer/en"),
        (lambda r: r["run"]["files"].update({"../../etc/passwd": "0" * 64}), "../../etc/passwd"),
    ],
)  # fmt: skip
def test_statuses_that_do_not_follow_are_found_though_every_digest_was_written_anew(
    change: Any, where: str, copied: Path
) -> None:
    report = read(copied)
    change(report)
    write(copied, report, sealed=True)
    assert where in [one.where for one in verify(copied / "report.json").problems]


def test_a_report_of_another_version_has_other_words_and_the_same_statuses(copied: Path) -> None:
    report = read(copied)
    report["run"]["package_sha256"] = "0" * 64
    report["verdict_sentence"]["fr"] = "Elle ne doit pas servir."
    report["limits_of_use"]["en"] = "As they were put then."
    write(copied, report, sealed=True)
    found = verify(copied / "report.json")
    assert found.problems == ()
    assert not found.texts
    report["checks"][9]["status"] = "PASS"
    write(copied, report, sealed=True)
    assert "/checks/9/status" in [one.where for one in verify(copied / "report.json").problems]


def test_a_report_written_elsewhere_is_the_same(copied: Path, tmp_path: Path) -> None:
    """Last forecast and tables are the run's, wherever the report goes."""
    folder = RunFolder(copied.parent, copied.name)
    shutil.copy(copied / "forecasts.parquet", copied / "forecast.parquet")
    coverage = "model,randomised_coverage,n,nominal\nsmoothed_count,0.9,40,0.9\n"
    folder.write_text("tables/interval_coverage.csv", coverage)
    forecasts, evidence = collect(copied)
    for where in (folder, RunFolder(tmp_path, "elsewhere")):
        where.prepare()
        write_report(
            where, mixed_checks(), forecasts, evidence=evidence, thresholds=LIMITS, inputs=Inputs(at=AT)
        )
    assert read(copied)["interval_coverage"]["n"] == 40
    assert read(tmp_path / "elsewhere") == read(copied)


@pytest.mark.parametrize(
    "name", ["forecasts.parquet", "model/manifest.json", "panel/panel.json", "model/arrays.npz"]
)
def test_a_changed_file_of_the_run_is_named(name: str, copied: Path) -> None:
    content = bytearray((copied / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copied / name).write_bytes(bytes(content))
    where = [one.where for one in verify(copied / "report.json").problems]
    assert where
    assert set(where) <= {name, "model/"}


def test_a_changed_governance_file_is_named_and_stops_a_promotion(copied: Path, tmp_path: Path) -> None:
    path = tmp_path / "governance.yaml"
    path.write_text("owner: City of Example\n", encoding="utf-8")
    config = load_config("smoke", [f"governance.path={path}"])
    (copied / "config.yaml").write_text(config.to_yaml(), encoding="utf-8")
    forecasts, evidence = collect(copied)
    folder = RunFolder(copied.parent, copied.name)
    write_report(
        folder, mixed_checks(), forecasts, evidence=evidence, thresholds=LIMITS, inputs=Inputs(at=AT)
    )
    report = read(copied)
    assert report["governance"]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    held = verify(copied / "report.json")
    assert held.sound
    assert "governance" in held.files
    path.write_text("owner: City of Elsewhere\n", encoding="utf-8")
    found = verify(copied / "report.json")
    assert [one.where for one in found.problems] == ["governance"]
    with pytest.raises(GateError, match=r"governance: the governance file has changed.*report RUN --again"):
        found.require()
    path.unlink()
    assert verify(copied / "report.json").absent == ("governance",)


def test_a_changed_file_of_context_or_groups_is_named(copied: Path, tmp_path: Path) -> None:
    weather, areas = tmp_path / "weather.csv", tmp_path / "areas.geojson"
    for path in (weather, areas):
        path.write_text("as it was", encoding="utf-8")
    settings = [
        f"context.weather={{path: {weather}, kind: series}}",
        f"audit.groups={{path: {areas}, column: income}}",
    ]
    (copied / "config.yaml").write_text(load_config("smoke", settings).to_yaml(), encoding="utf-8")
    forecasts, evidence = collect(copied)
    folder = RunFolder(copied.parent, copied.name)
    write_report(
        folder, mixed_checks(), forecasts, evidence=evidence, thresholds=LIMITS, inputs=Inputs(at=AT)
    )
    held = verify(copied / "report.json")
    assert held.sound
    assert {"weather: weather.csv", "groups of places: areas.geojson"} <= set(held.files)
    for path in (weather, areas):
        path.write_text("as it is", encoding="utf-8")
    found = verify(copied / "report.json")
    assert [one.where for one in found.problems] == [
        "weather: weather.csv",
        "groups of places: areas.geojson",
    ]
    weather.unlink()
    assert verify(copied / "report.json").absent == ("weather: weather.csv",)


@pytest.mark.parametrize("text", ["owner: [", "ownr: City of Example\n", None])
def test_a_governance_file_that_cannot_be_read_is_told(
    copied: Path, tmp_path: Path, text: str | None
) -> None:
    path = tmp_path / "governance.yaml"
    config = load_config("smoke", [f"governance.path={path}"])
    (copied / "config.yaml").write_text(config.to_yaml(), encoding="utf-8")
    if text is not None:
        path.write_text(text, encoding="utf-8")
    forecasts, evidence = collect(copied)
    assert evidence.governance is None
    (check,) = audit(forecasts, evidence=evidence, checks=["C12"])
    assert check.status == "NOT_ASSESSABLE"
    assert "governance.yaml" in check.reason["en"]
    assert "governance.yaml" in check.reason["fr"]
    folder = RunFolder(copied.parent, copied.name)
    write_report(
        folder, mixed_checks(), forecasts, evidence=evidence, thresholds=LIMITS, inputs=Inputs(at=AT)
    )
    assert verify(copied / "report.json").sound
    assert (read(copied)["governance"]["sha256"] is None) == (text is None)


def test_files_that_are_not_there_are_said_not_to_be(copied: Path) -> None:
    (copied / "forecasts.parquet").unlink()
    found = verify(copied / "report.json")
    assert found.sound
    assert found.absent == ("forecasts.parquet",)


def test_a_rerun_is_compared(copied: Path) -> None:
    files = read(copied)["run"]["files"]
    name = "forecasts.parquet"
    same = verify(copied / "report.json", rerun=lambda _: {name: files[name]})
    assert same.sound
    assert same.rerun == {name: "the same"}
    other = verify(copied / "report.json", rerun=lambda _: {name: "0" * 64})
    assert [one.where for one in other.problems] == [name]


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"{}", b"null", b'{"schema_version":"1.0"}', b'{"schema_version":"1.0","x":NaN}',
     b"\xff\xfe", b"[" * 100_000],
)  # fmt: skip
def test_what_is_no_report_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="no report"):
        verify(path)


def test_a_report_of_other_shape_does_not_hold(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_bytes(
        canonical({"schema_version": "1.0", "digests": {"values": "", "whole": ""}, "checks": 7})
    )
    problems = verify(path).problems
    assert any("not shaped as a report" in one.told for one in problems)
