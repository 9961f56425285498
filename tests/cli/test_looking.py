"""check and schema; help and version."""

import json

import pytest

from tests.cli.conftest import SHARED, last_json, rows
from tranquillite_ml import __version__

CONFIG = """\
name: try
incidents:
  path: incidents.csv
  tz: Europe/Paris
  categories: {noise: {from: [noise], origin: citizen}}
forecast: {period: 7}
backtest: {folds: 3, every: 7D}
calibration: {window: 28D}
"""


@pytest.fixture
def config(tmp_path):
    """A small file and a config for it; gives the config's path and a way to change the rows."""

    def make(table=None, text=CONFIG):
        (rows() if table is None else table).to_csv(tmp_path / "incidents.csv", index=False)
        (tmp_path / "run.yaml").write_text(text, encoding="utf-8")
        return "run.yaml"

    return make


def test_check_tells_the_funnel_the_reasons_the_folds_and_the_grid(tranquillite, config):
    table = rows()
    table.loc[3, "lat"] = float("nan")
    table.loc[5, ["lat", "lng"]] = 0.0
    result = tranquillite("check", config(table))
    assert result.exit_code == 0
    assert "read 1,500 = accepted 1,498 + quarantined 2 + duplicates dropped 0" in result.stdout
    for text in (
        "coordinates missing",
        "(0, 0) is not a place",
        "noise",
        "dumping",
        "Europe/Paris",
        "H3 cells",
    ):
        assert text in result.stdout
    assert "2023-07-13" in result.stdout  # the last fold's cutoff: a week before the end of the record
    assert "can be used" in result.stdout


def test_check_as_json_adds_up(tranquillite, config):
    table = rows()
    table.loc[:9, "lng"] = float("nan")
    found = last_json(tranquillite("check", config(table), "--json"))
    assert found["usable"] is True
    assert found["read"] == found["accepted"] + found["quarantined"] + found["duplicate"] == 1500
    assert found["quarantine"] == [
        {
            **{"column": "lng", "reason": "coordinates missing", "n": 10},
            **{"file": "incidents.csv", "first_row": 1},
        }
    ]
    assert found["categories"]["noise"]["target"] is True
    assert found["categories"]["noise"]["origin"] == "citizen"
    assert sum(row["n"] for row in found["categories"].values()) == found["accepted"]
    assert len(found["folds"]) == 3
    assert found["grid"]["n_cells"] > 0
    assert found["notice"] is None


def test_check_does_not_train_or_write(tranquillite, config, tmp_path):
    before = sorted([config(), "incidents.csv"])
    tranquillite("check", "run.yaml")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(before)


def test_check_of_a_simulated_city_says_so_first_and_last(tranquillite):
    lines = tranquillite("check", "smoke").stdout.splitlines()
    assert lines[0].startswith("Simulated data")
    assert any(line.startswith("Simulated data") for line in lines[-3:])


@pytest.mark.parametrize("as_json", [(), ("--json",)])
def test_data_that_are_refused_are_code_3(tranquillite, config, as_json):
    result = tranquillite("check", config(rows().assign(nom="Jean Dupont")), *as_json)
    assert result.exit_code == 3
    assert "drop_columns: [nom]" in result.stderr
    if as_json:
        found = last_json(result)
        assert found["usable"] is False
        assert "'nom'" in found["error"]


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("backtest.folds=100", "do not fit the data"),
        ("calibration.window=150D", "training needs 28 days"),
    ],
)
def test_folds_that_do_not_fit_are_code_2_after_all_the_rest_is_told(tranquillite, config, setting, told):
    result = tranquillite("check", config(), "--set", setting)
    assert result.exit_code == 2
    assert told in result.stderr
    assert "read 1,500" in result.stdout
    assert "can be used" not in result.stdout


def test_hours_are_refused_where_times_are_dates(tranquillite, config):
    table = rows()
    table["occurred_at"] = table["occurred_at"].dt.normalize()
    result = tranquillite("check", config(table), "--set", "time.freq=8h")
    assert result.exit_code == 3
    assert "dated by the day only" in result.stderr


def test_names_from_a_file_cannot_write_to_the_terminal(tranquillite, config):
    table = rows()
    table.loc[:40, "category"] = "\x1b[2J<script>alert(1)</script>"
    result = tranquillite("check", config(table))
    assert result.exit_code == 0
    assert "\x1b" not in result.output
    assert "<script>" in result.stdout


@pytest.mark.parametrize(
    "content",
    [b"", b"occurred_at,lat,lng,category\n", b"PAR1 truncated"],
    ids=["empty", "only a header", "truncated Parquet"],
)
def test_files_that_cannot_be_read_are_code_3(tranquillite, config, tmp_path, content):
    config()
    name = "incidents.parquet" if content.startswith(b"PAR1") else "incidents.csv"
    (tmp_path / name).write_bytes(content)
    result = tranquillite("check", "run.yaml", "--set", f"incidents.path={name}")
    assert result.exit_code == 3
    assert name in result.stderr


def test_vancouver_has_3751_rows_without_place(tranquillite):
    file = SHARED / "vancouver" / "incidents.parquet"
    if not file.is_file():
        pytest.skip(
            "needs the real incidents of Vancouver in ../shared/data, which are not part of the project"
        )
    result = tranquillite("check", "vancouver", "--set", f"incidents.path={json.dumps(str(file))}", "--json")
    assert result.exit_code == 0
    found = last_json(result)
    reasons = {row["reason"]: row["n"] for row in found["quarantine"]}
    assert reasons["coordinates missing"] == 3751
    assert sum(reasons.values()) == found["quarantined"]
    assert found["read"] == 37512 == found["accepted"] + found["quarantined"] + found["duplicate"]
    assert sum(row["n"] for row in found["categories"].values()) == found["accepted"]


# ---- schema, help, version --------------------


def test_schema_prints_one_table_or_all(tranquillite):
    assert "expected_count" in tranquillite("schema").stdout
    one = tranquillite("schema", "incidents")
    assert "occurred_at" in one.stdout
    assert "expected_count" not in one.stdout
    found = last_json(tranquillite("schema", "quarantine", "--json"))
    assert [row["column"] for row in found["tables"]["quarantine"]][:2] == ["file", "row"]


def test_schema_of_an_unknown_table_is_code_2(tranquillite):
    result = tranquillite("schema", "forecast")
    assert result.exit_code == 2
    assert "Did you mean 'forecasts'?" in result.stderr


COMMANDS = (
    "demo",
    "run",
    "check",
    "backtest",
    "fit",
    "tune",
    "forecast",
    "report",
    "verify",
    "signoff",
    "promote",
    "reject",
    "retain",
    "schema",
    "init",
)
GROUPS = ("benchmark", "log", "fetch", "simulate")
NO_CONFIG = {"schema", "init", "report", "verify", "signoff", "promote", "reject", "retain"}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(tranquillite, command):
    result = tranquillite(command, "--help")
    assert result.exit_code == 0
    assert f"Example: tranquillite {command}" in " ".join(result.stdout.split())
    if command not in NO_CONFIG:
        assert all(option in result.stdout for option in ("--set", "--output", "--quiet", "--json"))


def test_help_lists_these_commands_and_no_others(tranquillite):
    listed = tranquillite("--help").stdout.split("Commands:")[1].split("Example:")[0].splitlines()
    assert tuple(line.split()[0] for line in listed if line.strip()) == COMMANDS + GROUPS


def test_version(tranquillite):
    assert tranquillite("--version").stdout == f"tranquillite_ml {__version__}\n"
