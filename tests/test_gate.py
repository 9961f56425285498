"""A forecast says what its model's sign-off is worth, and a rejected model makes none."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from tranquillite_ml import pipeline, promotion
from tranquillite_ml.config import RunConfig, load_config
from tranquillite_ml.errors import GateError
from tranquillite_ml.governance import template
from tranquillite_ml.governance.log import append, read_log
from tranquillite_ml.governance.standing import LOG


@pytest.fixture
def config(tmp_path: Path) -> RunConfig:
    folder = tmp_path
    governance = folder / "governance.yaml"
    governance.write_text(template(), encoding="utf-8")
    chosen = load_config("smoke", [f"output={folder}", "model.kind=none", f"governance.path={governance}"])
    pipeline.run(chosen, track=False, audited=False)
    return chosen


def test_without_governance_a_forecast_is_made_and_stamped(tmp_path: Path) -> None:
    config = load_config("smoke", [f"output={tmp_path}", "model.kind=none"])
    pipeline.fit_only(config)
    once, again = pipeline.forecast_as_of(config), pipeline.forecast_as_of(config)
    assert "nobody has signed off this model" in once["notice"]
    for name in ("forecast", "map"):
        assert "nobody has signed off" in Path(once["paths"][name]).read_text(encoding="utf-8")
    entries = read_log(tmp_path / LOG)
    assert [entry.kind for entry in entries] == ["forecast", "forecast"]
    assert entries[0].payload["sha256"] == entries[1].payload["sha256"]
    assert once["forecasts"] == again["forecasts"]


def test_with_governance_it_needs_an_approval_and_a_rejected_model_makes_none(config: RunConfig) -> None:
    with pytest.raises(GateError, match=r"nobody has signed off this model.*--allow-unsigned"):
        pipeline.forecast_as_of(config)
    made = pipeline.forecast_as_of(config, allow_unsigned=True)
    assert made["notice"].endswith("Not signed off: nobody has signed off this model.")
    assert len(pd.read_parquet(made["forecasts"])) > 0
    folder = pipeline.find_model(config)
    promotion.reject(folder.path, by="A. Martin, board", reason="no necessity", now=datetime.now(UTC))
    for allowed in (False, True):
        with pytest.raises(GateError, match=r"A\. Martin, board rejected this model on"):
            pipeline.forecast_as_of(config, allow_unsigned=allowed)


def test_after_a_no_no_other_run_of_the_model_forecasts(tmp_path: Path) -> None:
    config = load_config("smoke", [f"output={tmp_path}", "model.kind=none"])
    pipeline.fit_only(config)
    folder = pipeline.find_model(config)
    before = {"model": "smoke", "by": "B. Roy, city", "reason": "review", "signoffs": ["named"]}
    yes = before | {"expires": "2999-01-01", "signed": True}
    now = datetime.now(UTC)
    for run_id in (folder.run_id, "smoke-newer"):
        append(tmp_path / LOG, "promote", yes | {"run_id": run_id}, now)
    append(tmp_path / LOG, "reject", before | {"run_id": "smoke-newer", "reason": "no necessity"}, now)
    with pytest.raises(
        GateError, match=r"B\. Roy, city rejected smoke-newer on .*: no necessity.*promote RUN"
    ):
        pipeline.forecast_as_of(config, allow_unsigned=True)
    append(tmp_path / LOG, "promote", yes | {"run_id": folder.run_id, "alias": "champion"}, now)
    assert pipeline.forecast_as_of(config)["notice"].count("signed off") == 0
