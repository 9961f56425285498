"""fetch: what is printed, what is written, and exit codes."""

import inspect
import json

import pytest

from tests.cli.conftest import last_json
from tests.portals.conftest import ask, host, naps  # noqa: F401 - fixtures
from tests.portals.test_protocols import PORTALS, N
from tranquillite_ml.cli import fetching
from tranquillite_ml.cli.fetching import COMMANDS, TOKEN

ARGUMENTS = {
    "socrata": ("socrata", "{host}", "abcd-1234"),
    "arcgis": ("arcgis", "{host}/arcgis/rest/services/Calls/FeatureServer/0"),
    "ckan": ("ckan", "{host}", "0f3b"),
    "opendatasoft": ("opendatasoft", "{host}", "calls"),
}


@pytest.mark.parametrize("name", ARGUMENTS)
def test_a_portal_is_fetched_and_its_licence_told(name, tranquillite, host, ask, monkeypatch):  # noqa: F811
    PORTALS[name](host, ask)
    monkeypatch.setenv(TOKEN, "hush-hush")
    arguments = [text.format(host=host.address) for text in ARGUMENTS[name]]
    result = tranquillite("fetch", *arguments, "--output", "calls.parquet")
    assert result.exit_code == 0, result.stderr
    assert f"{N} rows" in result.stdout
    assert "licence" in result.stdout
    assert any("hush-hush" in str(headers) for _, _, headers in host.asked)
    found = last_json(tranquillite("fetch", *arguments, "--output", "calls.parquet", "--json"))
    assert found["rows"] == N
    assert found["cached"] == found["answers"]
    for path in sorted(__import__("pathlib").Path().rglob("*")):
        assert not path.is_file() or b"hush-hush" not in path.read_bytes()


def test_what_goes_wrong_is_told_in_one_line(tranquillite, host, ask):  # noqa: F811
    PORTALS["socrata"](host, ask)
    address = host.address
    wrong = tranquillite("fetch", "socrata", address, "abcd-1234", "--output", "calls.xlsx")
    assert (wrong.exit_code, "ends in .parquet or .csv" in wrong.stderr) == (2, True)
    gone = tranquillite("fetch", "socrata", address, "abcd-9999", "--output", "calls.csv")
    assert (gone.exit_code, "HTTP 404" in gone.stderr) == (3, True)
    local = tranquillite("fetch", "socrata", "file:///etc", "abcd-1234", "--output", "calls.csv")
    assert (local.exit_code, "begins with http" in local.stderr) == (2, True)
    box = tranquillite(
        "fetch", "police-uk", "--box", "1,2", "--from", "2024-01", "--to", "2024-01", "--output", "a.csv"
    )
    assert (box.exit_code, "south,west,north,east" in box.stderr) == (2, True)
    for result in (wrong, gone, local, box):
        assert result.stdout == ""
        assert len(result.stderr.splitlines()) <= 2


def test_insee_and_every_example(tranquillite, tmp_path):
    from tests.portals.test_files import SQUARES

    (tmp_path / "grid.csv").write_text(SQUARES)
    found = last_json(tranquillite("fetch", "insee", "grid.csv", "--output", "grid.parquet", "--json"))
    assert found["rows"] == 3
    assert found["address"] == "grid.csv"
    assert json.loads((tmp_path / "grid.parquet.source.json").read_text())["attribution"] == "INSEE"
    for _, example in COMMANDS:
        told = tranquillite("fetch", example.split()[0], "--help")
        assert told.exit_code == 0
        assert "Example: tranquillite fetch" in told.stdout


def test_every_source_takes_the_same_options() -> None:
    shared = list(inspect.signature(fetching.How).parameters)
    for command, _ in fetching.COMMANDS:
        names = list(inspect.signature(command).parameters)
        assert names[-len(shared) :] == shared, command.__name__
        assert "how" not in names
