"""Categories whose names attack shells, spreadsheets, browsers, paths and terminals, through a whole run."""

import csv
import json
import os
import pty
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.cli.conftest import rows
from tranquillite_ml.forecasts import Forecasts, read_forecasts
from tranquillite_ml.report.maps import write_map

TARGETS = [
    "<script>alert(1)</script>",
    "=cmd|' /C calc'!A0",
    "../../x" + "n" * 293,
    "🔥 \u202eesion\u202c שלום",
]
CONTEXT = ["two\nlines", "</script><img src=x onerror=alert(1)>"]


def config_of(targets):
    listed = {name: {"from": [name], "origin": "citizen"} for name in targets}
    return f"""\
name: hostile
incidents: {{path: incidents.csv, tz: Europe/Paris, categories: {json.dumps(listed, ensure_ascii=False)}}}
forecast: {{period: 7}}
model: {{kind: none}}
backtest: {{folds: 1, every: 7D}}
calibration: {{window: 28D}}
tracking: {{experiment: "<b>=x</b>"}}
"""


def run_in_terminal(folder, targets, context):
    """Run with a terminal as standard error, so that there is a progress bar; give what was written to it."""
    names = [*targets, *context]
    table = rows().assign(category=[names[row % len(names)] for row in range(1500)])
    table.to_csv(folder / "incidents.csv", index=False)
    (folder / "run.yaml").write_text(config_of(targets), encoding="utf-8")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "tranquillite_ml", "run", "run.yaml", "--no-report"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        try:
            while part := os.read(ours, 65536):
                shown += part
        except OSError:  # the other end is closed
            pass
        out = process.stdout.read().decode()
    os.close(ours)
    assert process.returncode == 0, shown.decode()
    return out, shown.decode()


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Folder of a run with such names, what it printed, and what it showed in the terminal."""
    folder = tmp_path_factory.mktemp("hostile")
    out, shown = run_in_terminal(folder, TARGETS, CONTEXT)
    [run] = folder.glob("runs/hostile-*")
    return run, out, shown


def test_no_file_is_named_after_them(ran):
    run, *_ = ran
    assert {path.name for path in run.parents[1].iterdir()} == {"incidents.csv", "run.yaml", "runs"}
    names = {part for path in run.parents[0].rglob("*") for part in path.parts}
    assert not any(char in name for name in names for char in "<=🔥\u202e\n")
    assert max(map(len, names)) < 100


def test_no_cell_of_a_table_is_a_formula_or_more_than_a_line(ran):
    run, *_ = ran
    files = sorted(run.rglob("*.csv"))
    assert {"forecast.csv", "scores.csv", "quarantine.csv"} <= {path.name for path in files}
    held = set()
    for path in files:
        with path.open(encoding="utf-8", newline="") as file:
            held |= {cell for line in csv.reader(file) for cell in line}
    texts = {cell for cell in held if not re.fullmatch(r"[-+]?[\d.]+(e[-+]?\d+)?|-inf", cell)}
    assert "'=cmd|' /C calc'!A0" in texts
    assert [cell for cell in texts if cell.startswith(("=", "+", "-", "@", "\t", "\r")) or "\n" in cell] == []


def test_mlflow_holds_each_number_under_a_legal_name(ran):
    run, *_ = ran
    with closing(sqlite3.connect(run.parent / "mlflow.db")) as store:
        keys = [key for (key,) in store.execute("select distinct key from latest_metrics")]
        [status] = [row for (row,) in store.execute("select distinct status from runs")]
    assert status == "FINISHED"
    assert all(re.fullmatch(r"[\w.\- :]{1,250}", key) for key in keys)
    assert sum("count_365d" in key and "log_score" in key for key in keys) == len(TARGETS)


def test_nothing_printed_moves_the_cursor_or_turns_the_line_round(ran):
    _, out, shown = ran
    assert not re.search("[\x00-\x09\x0b-\x1f\u202a-\u202e]", out)
    assert "\u202e" not in shown
    assert "<script>alert(1)</script>" in out


class Tags(HTMLParser):
    """Elements and names of their attributes, in order."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, [name for name, _ in attrs]))


def test_the_map_has_the_elements_of_a_map_with_harmless_names(ran, tmp_path):
    run, *_ = ran
    forecasts = read_forecasts(run / "forecast.parquet")
    renamed = dict(zip(forecasts.categories, "abcd", strict=True))
    keys = forecasts.keys.assign(category=forecasts.keys["category"].map(renamed))
    plain = Forecasts(keys, forecasts.cells, forecasts.area_km2, forecasts.values, forecasts.meta)
    harmless = write_map(plain, tmp_path / "map.html", title="hostile: expected recorded incidents")
    mine, theirs = (Tags(path.read_text(encoding="utf-8")).found for path in (run / "map.html", harmless))
    assert mine == theirs
    assert len(mine) > 20


def test_every_path_that_is_told_is_there(ran):
    run, out, _ = ran
    told = [Path(run.parents[1], path) for path in re.findall(r"runs/\S+", out) if "mlflow.db" not in path]
    assert len(told) >= 6
    assert [path for path in told if not path.exists()] == []
