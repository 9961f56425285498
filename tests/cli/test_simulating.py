"""`simulate` writes tables and figures, tells what stands behind them, and goes on with deep steps."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from tests.cli.conftest import Call, last_json
from tranquillite_ml.cli.simulating import print_feedback, read_place_groups
from tranquillite_ml.config import load_config
from tranquillite_ml.stages import load_incidents, make_panel

SMALL = ("--set", "incidents.simulate.days=120", "--set", "calibration.window=14D")


def test_feedback_writes_tables_and_figures(tranquillite: Call) -> None:
    done = tranquillite("simulate", "feedback", "smoke", *SMALL, "--runs", 5, "--weeks", 4, "--json")
    assert done.exit_code == 0
    found = last_json(done)
    assert "no real place" in found["notice"]
    assert "4 weeks × 5 runs of smoothed_count, weekly (surrogate)" in found["method"]["damage"]
    arms = {row["arm"] for row in found["amplification"]}
    assert arms == {"nothing found", "included", "misfiled", "excluded", "weighted"}
    tables, figures = Path(found["paths"]["tables"]), Path(found["paths"]["figures"])
    assert tables.parts[:2] == ("runs", "simulations")
    assert len(pd.read_csv(tables / "feedback.csv")) == 13 * 5 * 4  # arms × quintiles × weeks
    assert sorted(path.name for path in figures.iterdir()) == [
        "amplification-0.png",
        "amplification-0.svg",
        "inflation-0.png",
        "inflation-0.svg",
    ]


def test_underreporting_tells_what_is_hypothetical(tranquillite: Call) -> None:
    done = tranquillite("simulate", "underreporting", "smoke", *SMALL, "--draws", 6, "--output", "out")
    assert done.exit_code == 0
    assert "first reports least (hypothetical)" in done.stdout
    assert "6 draws of smoothed_count, weekly (surrogate)" in done.stdout
    assert "under-reporting: damage: done" in done.stderr
    assert list(Path("out/simulations").glob("smoke-*/underreporting/tables/selection.csv"))


def test_the_deep_tier_tells_its_budget_and_goes_on(tranquillite: Call) -> None:
    asked = (
        "simulate",
        "feedback",
        "smoke",
        *SMALL,
        "--set",
        "model={kind: poisson}",
        "--set",
        "features=[history]",
    )
    deep = (*asked, "--deep", "--weeks", 2)
    first = tranquillite(*deep)
    assert first.exit_code == 0, first.stderr
    assert "budget: 14 fits of poisson" in first.stderr  # 13 arms × the second week, and the first
    assert "2 weeks × 1 runs of poisson, seed 0" in first.stdout
    again = tranquillite(*deep)
    assert "budget" not in again.stderr
    assert again.stdout == first.stdout


def test_groups_of_the_config_are_used(tranquillite: Call, tmp_path: Path) -> None:
    del tranquillite
    config = load_config("smoke", ["incidents.simulate.days=120"])
    panel = make_panel(config, load_incidents(config)[0])
    west, south, east, north = 5.0, 43.0, 5.385, 44.0
    areas = [
        {
            "type": "Feature",
            "properties": {"district": name},
            "geometry": {
                "type": "Polygon",
                "coordinates": [
                    [[left, south], [right, south], [right, north], [left, north], [left, south]]
                ],
            },
        }
        for name, left, right in (("west", west, east), ("east", east, 6.0))
    ]
    import json

    path = tmp_path / "areas.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": areas}))
    groups = {"path": str(path), "column": "district"}
    chosen = load_config("smoke", [f"audit={{groups: {json.dumps(groups)}}}"])
    found = read_place_groups(chosen, panel)
    assert found is not None
    assert found.names == ("east", "west")
    assert read_place_groups(config, panel) is None


def test_names_from_data_cannot_move_the_cursor() -> None:
    row = {
        "arm": "included",
        "discovery": 0.5,
        "category": "a\x1b[2J",
        "group": "b\n",
        "few": False,
        "n_runs": 3,
    }
    row |= {"amplification": 1.0, "lower": 0.9, "upper": 1.1}
    row |= {f"expected_over_none{end}": 1.0 for end in ("", "_lower", "_upper")}
    found = {"method": {"a\x1b[2J": "x"}, "amplification": [row], "paths": {"tables": "t"}, "notice": None}
    assert "\x1b" not in "\n".join(print_feedback(found))


@pytest.mark.parametrize("command", ["feedback", "underreporting"])
def test_help_shows_an_example(tranquillite: Call, command: str) -> None:
    told = tranquillite("simulate", command, "--help").stdout
    assert f"Example: tranquillite simulate {command} configs/stlouis.yaml" in told


def test_a_wrong_number_is_wrong_usage(tranquillite: Call) -> None:
    done = tranquillite("simulate", "underreporting", "smoke", *SMALL, "--draws", 0)
    assert done.exit_code == 2
    assert "draws must be at least 1" in done.stderr
