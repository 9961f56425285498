"""A bundle whose hashes hold and whose contents do not: refused in our words, whatever it holds."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.builders import make_panel
from tranquillite_ml.bundle import MANIFEST, check_manifest, write_manifest
from tranquillite_ml.errors import BundleError
from tranquillite_ml.forecasters import LightGBMForecaster, open_bundle
from tranquillite_ml.target import Target

DEEP = "[" * 100_000


@pytest.fixture(scope="module")
def fitted() -> LightGBMForecaster:
    return LightGBMForecaster(Target("noise", period=7), n_estimators=5).fit(make_panel(200))


def _described(**changed: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "forecaster.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changed))

    return change


def _objects(folder: Path) -> None:
    with (folder / "arrays.npz").open("wb") as file:
        np.savez(file, a=np.array([{1: 2}], dtype=object))


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "forecaster.json").write_text("[]"),
        lambda folder: (folder / "forecaster.json").write_text(DEEP),
        lambda folder: (folder / "forecaster.json").write_bytes(b"\xff\xfe"),
        lambda folder: (folder / "arrays.npz").write_bytes(b""),
        lambda folder: (folder / "arrays.npz").write_bytes(b"garbage"),
        lambda folder: (folder / "arrays.npz").write_bytes(b"PK\x03\x04garbage"),
        _objects,
        _described(texts=[1]),
        _described(texts={"noise": ["x"]}),
        _described(texts={"noise": "../../../etc/passwd"}),
        _described(calibrator={}),
        lambda folder: (folder / "text_0.txt").write_text("no trees here"),
        lambda folder: (folder / "text_0.txt").write_text(""),
    ],
    ids=[
        "list",
        "deep",
        "bytes",
        "empty",
        "garbage",
        "zip",
        "objects",
        "texts",
        "nested",
        "outside",
        "uncalibrated",
        "trees",
        "no-trees",
    ],
)
def test_contents_that_are_none_of_ours_are_refused(
    fitted: LightGBMForecaster, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    folder = fitted.save(tmp_path / "model")
    (folder / MANIFEST).unlink()
    change(folder)
    write_manifest(folder, {"kind": "forecaster"})
    with pytest.raises(BundleError) as caught:
        open_bundle(folder)
    assert "pickle" not in str(caught.value)  # nobody is shown how to let it in


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"files": 3, "format": 1}', DEEP])
def test_a_manifest_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(BundleError, match="no readable"):
        check_manifest(tmp_path)
