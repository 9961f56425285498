"""The gate: each thing that speaks against a promotion does, and a no stops a model."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from tranquillite_ml import promotion
from tranquillite_ml.config import load_config
from tranquillite_ml.errors import BundleError, GateError, UsageError
from tranquillite_ml.governance import SignOff, load_thresholds, write_signoff
from tranquillite_ml.governance.log import append, read_log
from tranquillite_ml.governance.log import verify as verify_log
from tranquillite_ml.governance.standing import LOG, chosen_run, standing
from tranquillite_ml.report.sections import SECTIONS, Section
from tranquillite_ml.runfolder import RunFolder
from tranquillite_ml.tracking import alias_version, default_uri, log_run

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
LATER = datetime(2026, 3, 5, 9, tzinfo=UTC)
MakeRun = Callable[..., RunFolder]


def checks(**statuses: str) -> list[dict[str, Any]]:
    known = load_thresholds().checks
    return [
        {"id": name, "title": known[name].title, "status": statuses.get(name, "PASS"), "missing": []}
        for name in known
    ]


def sections(**statuses: str) -> list[dict[str, Any]]:
    def status(one: Section) -> str:
        failed = any(statuses.get(name) == "FAIL" for name in one.checks)
        return statuses.get(one.id, "FAIL" if failed else "PASS")

    return [
        {"id": one.id, "title": one.title, "status": status(one), "check_ids": list(one.checks)}
        for one in SECTIONS
    ]


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    def make(
        run_id: str = "city-1", verdict: str = "beats counts", *, tracked: bool = False, **statuses: str
    ) -> RunFolder:
        run = RunFolder(tmp_path, run_id)
        run.prepare()
        config = load_config("smoke", [f"output={tmp_path}", "name=city"])
        run.write_text("config.yaml", config.to_yaml())
        bundle = run.write_text("model/model.json", json.dumps({"run": run_id}))
        report = {"checks": checks(**statuses), "sections": sections(**statuses)}
        run.write_json("report.json", report | {"thresholds": {"sha256": "a" * 64}})
        logged = None
        if tracked:  # only where the registry is asked: it takes a second
            logged = log_run(
                uri=default_uri(tmp_path),
                experiment="city",
                run_name=run_id,
                params={},
                metrics={},
                artifacts=[(bundle.parent, "model")],
            )
        run.commit({"verdict": {"noise": {"text": verdict}}, "mlflow_run_id": logged})
        return run

    return make


@pytest.fixture
def no_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the log says is looked at alone: the registry takes seconds."""
    monkeypatch.setattr(promotion, "_move", lambda run, alias, digest: "1")


def sign(
    run: RunFolder,
    decision: str = "approve",
    *,
    on: str = "2026-03-01",
    until: str = "2026-09-01",
    accepts: tuple[str, ...] = (),
    role: str = promotion.REVIEWER,
) -> Path:
    beside = run.output / promotion.SIGNOFFS / run.run_id
    beside.mkdir(parents=True, exist_ok=True)
    record = SignOff(
        role=role,
        name="A. Martin",
        decision=decision,
        date=on,
        expires=until,
        reason="read in full",
        accepts=accepts,
        report_sha256=promotion.report_digest(run),
    )
    return write_signoff(record, beside / f"{len(list(beside.iterdir()))}.json")


def reject(run: RunFolder, now: datetime = datetime(2026, 3, 3, tzinfo=UTC)) -> None:
    promotion.reject(run.path, by="A. Martin, board", reason="no necessity", now=now)


def promote(run: RunFolder, **params: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"by": "B. Roy, city", "reason": "review of March", "now": NOW}
    return promotion.promote(run.path, **(given | params))


def test_a_promotion_moves_the_alias_and_is_logged(make_run: MakeRun) -> None:
    run = make_run(tracked=True)
    sign(run)
    done = promote(run)
    assert (done["alias"], done["expires"], done["signed"]) == ("champion", "2026-09-01", False)
    found = alias_version(default_uri(run.output), "city", "champion")
    assert found == (done["version"], run.summary()["mlflow_run_id"])
    (entry,) = read_log(run.output / LOG)
    assert entry.kind == "promote"
    assert entry.payload["report_sha256"] == promotion.report_digest(run)
    assert chosen_run(run.output, "city") == run.run_id


def test_the_alias_moves_to_the_next_run_and_back(make_run: MakeRun) -> None:
    first, second = make_run("city-1", tracked=True), make_run("city-2", tracked=True)
    for run in (first, second):
        sign(run)
    one = promote(first)["version"]
    two = promote(second)["version"]
    assert one != two
    assert promote(first)["version"] == one
    found = alias_version(default_uri(first.output), "city", "champion")
    assert found is not None
    assert found[0] == one


@pytest.mark.parametrize("check", promotion.BLOCKING)
def test_a_blocking_check_that_fails_stops_it(make_run: MakeRun, check: str) -> None:
    run = make_run(**{check: "FAIL"})
    sign(run)
    with pytest.raises(GateError, match=f"{check} .*: FAIL"):
        promote(run)
    assert not (run.output / LOG).exists()


def test_missing_evidence_is_no_pass_where_it_counts(make_run: MakeRun) -> None:
    run = make_run(C19="NOT_ASSESSABLE", C06="NOT_ASSESSABLE", C01="NOT_ASSESSABLE")
    sign(run)
    with pytest.raises(GateError) as stopped:
        promote(run)
    assert "C19" in str(stopped.value)
    assert "C06" not in str(stopped.value)
    assert "C01" not in str(stopped.value)


OTHERS = sorted(set(load_thresholds().checks) - set(promotion.BLOCKING))


@pytest.mark.parametrize("name", [*OTHERS, "S2", "S3"])
def test_any_other_failure_stops_it_until_the_reviewer_accepts_it_by_its_id(
    make_run: MakeRun, name: str
) -> None:
    run = make_run(**{name: "FAIL"})
    sign(run)
    sign(run, accepts=("C99",))
    sign(run, accepts=(name,), until="2026-03-01")  # an approval that has expired accepts nothing
    with pytest.raises(
        GateError, match=rf"{name} \(.*\): FAIL, and no approval that holds accepts it"
    ) as stopped:
        promote(run)
    assert str(stopped.value).count("\n") == 1  # it is named once, and not again as its section
    sign(run, accepts=(name,))
    found = promotion.read_signoffs(run, promotion.report_digest(run), on=NOW.date())
    assert promotion.against(run, found, on=NOW.date()) == []
    assert any(f"approve accepting {name}: named" in one.told for one in found)


@pytest.mark.parametrize("check", promotion.BLOCKING)
def test_what_must_hold_cannot_be_accepted(make_run: MakeRun, check: str) -> None:
    run = make_run(**{check: "FAIL"})
    sign(run, accepts=(check,))
    with pytest.raises(GateError, match=f"{check} .*: FAIL"):
        promote(run)


@pytest.mark.parametrize(
    ("verdict", "words"), [("does not beat counts", "does not beat"), ("cannot tell", "cannot be told")]
)
def test_a_model_that_does_not_beat_counts_is_stopped(make_run: MakeRun, verdict: str, words: str) -> None:
    run = make_run(verdict=verdict)
    sign(run)
    with pytest.raises(GateError, match=words):
        promote(run)


def test_no_sign_off_an_expired_one_or_one_from_the_future(make_run: MakeRun) -> None:
    run = make_run(tracked=True)
    with pytest.raises(GateError, match="no approval by the ethics reviewer"):
        promote(run)
    sign(run, until="2026-03-01")
    with pytest.raises(GateError, match="expired on 2026-03-01"):
        promote(run)
    sign(run, on="2026-04-01")
    with pytest.raises(GateError, match="later than 2026-03-02"):
        promote(run)
    sign(run)
    assert promote(run)["run_id"] == run.run_id


def test_a_named_record_is_too_little_where_signatures_are_asked_for(make_run: MakeRun) -> None:
    run = make_run()
    sign(run)
    with pytest.raises(GateError, match="not signed"):
        promote(run, signed=True)


def test_a_rejecting_reviewer_stops_it(make_run: MakeRun) -> None:
    run = make_run()
    sign(run)
    sign(run, "reject")
    with pytest.raises(GateError, match="reject"):
        promote(run)


def test_a_no_freezes_the_alias_until_a_later_review(make_run: MakeRun) -> None:
    first, second = make_run("city-1", tracked=True), make_run("city-2", tracked=True)
    sign(first)
    sign(second)
    promote(first)
    reject(first)
    assert chosen_run(first.output, "city") is None
    assert standing(first.output, "city", "city-1", on=LATER.date()).state == "rejected"
    with pytest.raises(GateError, match=r"A\. Martin, board rejected city-1 on 2026-03-03"):
        promote(second, now=LATER)
    sign(second, on="2026-03-04")
    assert promote(second, now=LATER)["run_id"] == "city-2"
    assert chosen_run(first.output, "city") == "city-2"


def test_a_rejected_run_needs_a_review_of_its_own_even_after_another_run_was_promoted(
    make_run: MakeRun,
) -> None:
    first, second = make_run("city-1", tracked=True), make_run("city-2", tracked=True)
    sign(first)
    promote(first)
    reject(first)
    sign(second, on="2026-03-04")
    promote(second, now=LATER)
    with pytest.raises(GateError, match=r"A\. Martin, board rejected city-1 on 2026-03-03"):
        promote(first, now=LATER)
    sign(first, on="2026-03-05")
    assert promote(first, now=LATER)["run_id"] == "city-1"


@pytest.mark.usefixtures("no_registry")
def test_after_a_no_no_older_run_takes_the_place(make_run: MakeRun) -> None:
    first, second = make_run("city-1"), make_run("city-2")
    for run in (first, second):
        sign(run)
        promote(run)
    reject(second)
    assert chosen_run(first.output, "city") is None
    for run_id in ("city-1", "city-2", "city-3"):  # the older one, the rejected one, one fitted since
        found = standing(first.output, "city", run_id, on=LATER.date())
        assert (found.state, found.run_id) == ("rejected", "city-2")
        told = "this model" if run_id == "city-2" else "city-2"
        assert f"A. Martin, board rejected {told} on 2026-03-03: no necessity" in found.told
        assert "tranquillite promote RUN --to champion" in found.told
    with pytest.raises(GateError, match="rejected city-2 on 2026-03-03"):
        promote(first, now=LATER)
    sign(first, on="2026-03-04")
    promote(first, now=LATER)
    assert chosen_run(first.output, "city") == "city-1"
    assert standing(first.output, "city", "city-1", on=LATER.date()).state == "unsigned"


@pytest.mark.usefixtures("no_registry")
def test_a_no_to_a_candidate_leaves_the_one_in_use(make_run: MakeRun) -> None:
    first, second = make_run("city-1"), make_run("city-2")
    sign(first)
    promote(first)
    reject(second, NOW)
    assert chosen_run(first.output, "city") == "city-1"
    assert standing(first.output, "city", "city-1", on=NOW.date()).state == "unsigned"
    assert standing(first.output, "city", "city-2", on=NOW.date()).state == "rejected"


@pytest.mark.usefixtures("no_registry")
def test_the_alias_is_logged_and_only_the_champion_forecasts(make_run: MakeRun) -> None:
    first, second = make_run("city-1"), make_run("city-2")
    for run in (first, second):
        sign(run)
    promote(first)
    promote(second, alias="shadow")
    assert [one.payload["alias"] for one in read_log(first.output / LOG)] == ["champion", "shadow"]
    assert chosen_run(first.output, "city") == "city-1"
    assert chosen_run(first.output, "city", alias="shadow") == "city-2"
    told = standing(first.output, "city", "city-2", on=NOW.date())
    assert told.state == "undecided"
    assert "shadow" in told.told


@pytest.mark.usefixtures("no_registry")
def test_a_promotion_to_another_alias_does_not_lift_a_no(make_run: MakeRun) -> None:
    first, second = make_run("city-1"), make_run("city-2")
    for run in (first, second):
        sign(run)
    promote(first)
    reject(first)
    old = sign(second, on="2026-03-02")
    new = sign(second, on="2026-03-04")
    promote(second, alias="shadow", now=LATER, signoffs=[new])
    assert standing(first.output, "city", "city-2", on=LATER.date()).state == "rejected"
    with pytest.raises(GateError, match="rejected city-1 on 2026-03-03"):
        promote(second, now=LATER, signoffs=[old])
    promote(second, now=LATER, signoffs=[new])
    assert chosen_run(first.output, "city") == "city-2"


def test_a_log_of_before_aliases_were_logged_still_holds(tmp_path: Path) -> None:
    payload = {"model": "city", "run_id": "city-1", "by": "B. Roy", "reason": "x", "signoffs": ["s"]}
    append(tmp_path / LOG, "promote", payload | {"expires": "2026-09-01", "signed": True}, NOW)
    assert verify_log(tmp_path / LOG).intact
    assert chosen_run(tmp_path, "city") == "city-1"
    assert standing(tmp_path, "city", "city-1", on=NOW.date()).state == "approved"


@pytest.mark.parametrize(("on", "role"), [("2026-03-03", "ethics reviewer"), ("2026-03-04", "colleague")])
def test_a_no_is_not_answered_by_an_approval_of_its_day_or_of_someone_else(
    make_run: MakeRun, on: str, role: str
) -> None:
    run = make_run()
    sign(run)
    reject(run, datetime(2026, 3, 3, 17, tzinfo=UTC))
    sign(run, on=on, role=role)
    with pytest.raises(GateError, match="rejected city-1 on 2026-03-03"):
        promote(run, now=LATER)


def test_a_run_can_be_rejected_in_whatever_state_it_is(make_run: MakeRun) -> None:
    run = make_run()
    (run.path / "report.json").unlink()  # the run is no longer what its manifest says
    with pytest.raises(BundleError):
        promote(run)
    done = promotion.reject(run.path, by="A. Martin, board", reason="no report", now=NOW)
    assert done["model"] == "city"
    assert standing(run.output, "city", run.run_id, on=NOW.date()).state == "rejected"
    with pytest.raises(UsageError, match="no run's folder"):
        promotion.reject(run.path / "model", by="A. Martin, board", reason="no report", now=NOW)


@pytest.mark.parametrize(
    ("on", "state"), [(date(2026, 9, 1), "unsigned"), (date(2026, 9, 2), "expired"), (NOW.date(), "unsigned")]
)
def test_an_approval_holds_to_its_last_day(make_run: MakeRun, on: date, state: str) -> None:
    run = make_run(tracked=True)
    sign(run)
    promote(run)
    assert standing(run.output, "city", run.run_id, on=on).state == state
    assert standing(run.output, "city", "city-9", on=on).state == "undecided"


def test_a_changed_report_is_another_report(make_run: MakeRun) -> None:
    run = make_run()
    sign(run)
    path = run.path / "report.json"
    path.write_text(path.read_text(encoding="utf-8").replace("PASS", "PASS ", 1), encoding="utf-8")
    with pytest.raises(BundleError, match=r"report\.json"):
        promote(run)


def test_a_report_that_does_not_follow_from_its_measurements_is_refused(make_run: MakeRun) -> None:
    def verify(path: Path) -> None:
        msg = f"{path.name}: C03 should be FAIL"
        raise GateError(msg)

    run = make_run()
    sign(run)
    with pytest.raises(GateError, match="C03 should be FAIL"):
        promote(run, verify=verify)


def test_what_is_no_run_or_has_no_report(make_run: MakeRun, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no run's folder"):
        promotion.promote(tmp_path / "nothing", by="x", reason="y")
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "config.yaml").write_text("name: half")
    with pytest.raises(BundleError, match="unfinished"):
        promotion.promote(tmp_path / "half", by="x", reason="y")
    run = make_run()
    (run.path / "report.json").unlink()
    run.commit({"verdict": {}, "mlflow_run_id": None})
    with pytest.raises(UsageError, match="has no report"):
        promote(run)


@pytest.mark.parametrize("said", [{"alias": ""}, {"alias": "a b"}, {"by": " "}, {"reason": ""}])
def test_the_alias_stays_where_a_decision_cannot_be_logged(make_run: MakeRun, said: dict[str, str]) -> None:
    run = make_run(tracked=True)
    sign(run)
    with pytest.raises(UsageError, match=next(iter(said))):
        promote(run, **said)
    assert alias_version(default_uri(run.output), "city", said.get("alias", "champion")) is None
    assert not (run.output / LOG).exists()
