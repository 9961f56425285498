"""The same command twice, the same rows in another order, an older moment; what every command promises."""

import json
import re

import pytest
import typer
from typer.testing import CliRunner

from tests.cli.conftest import last_json, rows
from tranquillite_ml.cli.main import app

CONFIG = """\
name: once
incidents:
  path: incidents.csv
  tz: Europe/Paris
  categories: {noise: {from: [noise], origin: citizen}}
forecast: {period: 7}
baselines: [learned_count]
backtest: {folds: 2, every: 7D}
calibration: {window: 28D}
"""
EXPORTS = ("forecast.parquet", "forecast.geoparquet", "forecast.geojson", "forecast.csv", "map.html")


@pytest.fixture(scope="module")
def city(tmp_path_factory):
    """A folder with incidents and a finished run, and what the run printed."""
    folder = tmp_path_factory.mktemp("city")
    rows().to_csv(folder / "incidents.csv", index=False)
    (folder / "run.yaml").write_text(CONFIG)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        done = CliRunner().invoke(app, ["run", "run.yaml", "--no-track", "--no-report"])
    assert done.exit_code == 0, done.stderr
    return folder, done.stdout


@pytest.fixture
def call(city, monkeypatch):
    """Call the command line in that folder."""
    monkeypatch.chdir(city[0])
    return lambda *arguments: CliRunner().invoke(app, list(arguments))


def test_the_sentence_on_glass_boxes_is_printed_and_in_the_summary(city, call):
    _, printed = city
    found = last_json(call("run", "run.yaml", "--json"))["glass_box"]["noise"]
    start = "cannot tell whether a glass box does as well as lightgbm within 2 % of deviance: learned_count "
    assert found["sentence"].startswith(start)  # two folds are too few to tell
    assert f"\n  {found['sentence']}\n" in printed
    assert (found["reference"], found["recommended"]) == ("lightgbm", None)
    assert [row["model"] for row in found["compared"]] == ["learned_count", "smoothed_count"]
    assert all(row["n_folds"] == 2 for row in found["compared"])


def test_a_forecast_made_twice_has_the_same_bytes(city, call):
    first = last_json(call("forecast", "run.yaml", "--json"))
    folder = city[0] / first["run_dir"]
    before = {name: (folder / name).read_bytes() for name in EXPORTS}
    second = last_json(call("forecast", "run.yaml", "--json"))
    assert second["run_dir"] == first["run_dir"]
    assert before == {name: (folder / name).read_bytes() for name in EXPORTS}


def test_a_forecast_as_of_an_older_moment_is_one_of_its_own(call):
    now = last_json(call("forecast", "run.yaml", "--json"))
    old = last_json(call("forecast", "run.yaml", "--as-of", "2023-06-30", "--json"))
    assert old["as_of"] == "2023-06-30T0000" < now["as_of"]
    assert old["run_dir"] != now["run_dir"]
    assert old["notice"] == now["notice"]  # trained until the calibration window, four weeks before the end


def test_a_forecast_from_before_the_end_of_training_says_so_in_every_output(city, call):
    told = "Trained on records up to 2023-06-22, after the moment of this forecast"
    found = last_json(call("forecast", "run.yaml", "--as-of", "2023-05-01", "--json"))
    assert told in found["notice"]
    folder = city[0] / found["run_dir"]
    assert all(told in (folder / name).read_text(encoding="utf-8") for name in EXPORTS[2:])


@pytest.mark.parametrize(
    ("moment", "told"),
    [
        ("2023-06-30 10:17", "is not the edge of a 1D bin; the edge before it is 2023-06-30"),
        ("2031-01-01", "lies outside the panel"),
        ("2003-01-01", "lies outside the panel"),
        ("someday", "someday"),
    ],
)
def test_a_moment_that_cannot_be_forecast_from_is_told(call, moment, told):
    result = call("forecast", "run.yaml", "--as-of", moment)
    assert (result.exit_code, result.stdout) == (2, "")
    assert told in result.stderr.splitlines()[-1]
    assert "failure of ours" not in result.stderr


def test_rows_in_another_order_give_the_same_run(city, call, tmp_path):
    first = last_json(call("run", "run.yaml", "--json"))
    rows().sample(frac=1, random_state=7).to_csv(tmp_path / "shuffled.csv", index=False)
    other = ("--set", f"incidents.path={json.dumps(str(tmp_path / 'shuffled.csv'))}")
    arguments = ("--output", str(tmp_path / "runs"), "--no-track", "--no-report", "--json")
    second = last_json(call("run", "run.yaml", *other, *arguments))
    assert second["input_digest"] == first["input_digest"]
    [one] = city[0].glob("runs/once-*/forecasts.parquet")
    [two] = tmp_path.glob("runs/once-*/forecasts.parquet")
    assert two.read_bytes() == one.read_bytes()


# ---- what every command promises --------------------


def every_command(group=None, path=()):
    """Each command with the words that call it."""
    group = typer.main.get_command(app) if group is None else group
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from every_command(command, (*path, name))
        else:
            yield (*path, name), command


COMMANDS = dict(every_command())


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_of_every_command_has_an_example_with_its_own_options(call, words):
    result = call(*words, "--help")
    assert result.exit_code == 0
    shown = " ".join(result.stdout.split())
    assert f"Example: tranquillite {' '.join(words)}" in shown
    known = {option for param in COMMANDS[words].params for option in param.opts}
    assert set(re.findall(r"--[a-z][a-z-]+", shown.split("Example:")[1])) <= known


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_an_option_that_is_not_there_is_wrong_usage_for_every_command(call, words):
    result = call(*words, "--frobnicate")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "No such option" in result.stderr


RUNNING = [words for words, command in COMMANDS.items() if any(p.name == "config" for p in command.params)]


@pytest.mark.parametrize("words", RUNNING, ids=" ".join)
def test_data_that_are_refused_are_code_3_for_every_command_that_reads_them(tranquillite, tmp_path, words):
    rows().assign(nom="Zoé").to_csv(tmp_path / "incidents.csv", index=False)
    (tmp_path / "run.yaml").write_text(CONFIG)
    result = tranquillite(*words, "run.yaml", "--json")
    if words == ("forecast",):  # there is no model yet, and that is said before anything is read
        assert (result.exit_code, result.stdout) == (2, "")
        return
    assert result.exit_code == 3, result.output
    assert "drop_columns: [nom]" in result.stderr
    assert len(result.stdout.splitlines()) == (words == ("check",))
