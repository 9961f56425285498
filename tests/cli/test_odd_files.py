"""Files as towns export them, through `init` and then `check`; and a file of two million rows."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from tests.cli.conftest import SHARED, last_json, rows
from tranquillite_ml.config import EXTRA_BASELINES, MODEL_KINDS, load_config, ready_configs


@pytest.fixture
def accepted(tranquillite, tmp_path):
    """Write bytes as a file, let `init` write a config for it, and give what `check` finds."""

    def call(content, name="incidents.csv", *more):
        (tmp_path / name).write_bytes(content)
        drafted = tranquillite("init", name, *more)
        assert drafted.exit_code == 0, drafted.stderr
        checked = tranquillite("check", "config.yaml", "--json")
        assert checked.exit_code == 0, checked.stderr
        text = (tmp_path / "config.yaml").read_text(encoding="utf-8")
        return last_json(checked), load_config(tmp_path / "config.yaml"), text, drafted.stdout

    return call


def french(clock=" %H:%M"):
    """Headers, dates and numbers as a French town writes them."""
    table = rows()
    return pd.DataFrame(
        {
            "Référence": [f"S-{number}" for number in range(len(table))],
            "Date des faits": table["occurred_at"].dt.strftime(f"%d/%m/%Y{clock}"),
            "Latitude": table["lat"].map(lambda value: f"{value:.5f}".replace(".", ",")),
            "Longitude": table["lng"].map(lambda value: f"{value:.5f}".replace(".", ",")),
            "Catégorie": table["category"].replace({"noise": "Bruit de nuit", "dumping": "Dépôt sauvage"}),
        }
    )


ENCODED = {
    "semicolons": (french().to_csv(index=False, sep=";"), "utf-8"),
    "byte order mark": (french().to_csv(index=False, sep=";"), "utf-8-sig"),
    "Latin-1": (french().to_csv(index=False, sep=";"), "latin-1"),
    "UTF-16": (french().to_csv(index=False, sep="\t"), "utf-16"),
    "Windows line ends": (french().to_csv(index=False, sep=";", lineterminator="\r\n"), "utf-8"),
    "a bar": (french().to_csv(index=False, sep="|"), "utf-8"),
}


@pytest.mark.parametrize(("text", "encoding"), ENCODED.values(), ids=ENCODED)
def test_a_french_file_is_read_whatever_its_delimiter_and_encoding(accepted, text, encoding):
    found, config, _, _ = accepted(text.encode(encoding))
    assert (found["read"], found["accepted"]) == (1500, 1500)
    assert config.incidents.time_format == "%d/%m/%Y %H:%M"
    assert config.incidents.columns["occurred_at"] == "Date des faits"
    assert {"Bruit de nuit", "Dépôt sauvage"} <= set(found["categories"])


def test_values_with_line_breaks_in_them_are_one_row_each(accepted):
    table = rows().assign(remark='a "quoted", long\nremark')
    found, *_ = accepted(table.to_csv(index=False).encode())
    assert (found["read"], found["accepted"]) == (1500, 1500)


def test_a_category_with_a_line_break_is_one_category(accepted):
    table = rows().replace({"category": {"dumping": "two\nlines"}})
    found, _, _, told = accepted(table.to_csv(index=False).encode())
    assert found["categories"]["two\nlines"]["n"] == int((table["category"] == "two\nlines").sum())
    assert "two\nlines" not in told


def test_date_and_hour_in_two_columns_are_told_in_the_config(accepted):
    table = french(clock="")
    table.insert(2, "Heure", rows()["occurred_at"].dt.strftime("%H:%M"))
    found, config, text, told = accepted(table.to_csv(index=False, sep=";").encode())
    assert found["time_precision"] == "date"
    assert config.incidents.time_format == "%d/%m/%Y"
    question = "times are dates only; does 'Heure' hold the time of day? Join the two to use it."
    assert question in told
    assert f"# CHECK THIS: {question}" in text


def test_the_head_of_a_real_city_is_accepted(tranquillite, tmp_path):
    file = SHARED / "stlouis" / "incidents.parquet"
    if not file.is_file():
        pytest.skip(
            "needs the real incidents of St. Louis in ../shared/data, which are not part of the project"
        )
    pd.read_parquet(file).head(20_000).to_parquet(tmp_path / "head.parquet")
    drafted = tranquillite("init", "head.parquet")
    assert drafted.exit_code == 0, drafted.stderr
    checked = tranquillite("check", "config.yaml", "--json")
    assert checked.exit_code == 0, checked.stderr
    found = last_json(checked)
    assert found["read"] == 20_000 == found["accepted"] + found["quarantined"]
    assert load_config(tmp_path / "config.yaml").incidents.tz == "America/Chicago"


@pytest.mark.parametrize(
    ("output", "told"),
    [
        (".", ". is a folder: name the file to write, such as --output config.yaml."),
        ("there", "there is a folder: name the file to write, such as --output there/config.yaml."),
        ("no/config.yaml", "no/config.yaml cannot be written: there is no folder no."),
        ("old.yaml", "old.yaml exists already: --force overwrites it, or choose another name with --output."),
    ],
)
def test_where_a_config_cannot_be_written_is_told_in_a_sentence(tranquillite, tmp_path, output, told):
    rows().to_csv(tmp_path / "incidents.csv", index=False)
    (tmp_path / "there").mkdir()
    (tmp_path / "old.yaml").write_text("mine")
    result = tranquillite("init", "incidents.csv", "--output", output)
    assert result.exit_code == 2
    assert result.stderr == f"error: {told}\n"
    assert (tmp_path / "old.yaml").read_text() == "mine"


def comment_of(text, key):
    """The comment beside a line, and the lines of comment that go on with it."""
    lines = text.split(f"\n{key}", 1)[1].split("\n")
    told = [lines[0].partition("#")[2]]
    for line in lines[1:]:
        if not line.lstrip().startswith("#"):
            break
        told.append(line.partition("#")[2])
    return set(" ".join(told).replace(",", " ").replace("|", " ").split())


@pytest.mark.parametrize("name", ["drafted", *(name for name in ready_configs() if name != "smoke")])
def test_comments_name_every_model_and_baseline_there_is(tranquillite, tmp_path, name):
    if name == "drafted":
        rows().to_csv(tmp_path / "incidents.csv", index=False)
        tranquillite("init", "incidents.csv")
    file = tmp_path / "config.yaml" if name == "drafted" else ready_configs()[name]
    text = file.read_text(encoding="utf-8")
    assert set(EXTRA_BASELINES) <= comment_of(text, "baselines:")
    assert set(MODEL_KINDS) <= comment_of(text, "  kind:" if "\n  kind:" in text else "model:")


@pytest.mark.slow
def test_one_bad_row_in_two_million_is_named_and_the_rest_kept(tranquillite, tmp_path):
    n, bad = 2_000_000, 1_234_567
    rng = np.random.default_rng(0)
    seconds = rng.integers(9 * 3600, 18 * 3600, n) + 86_400 * (np.arange(n) * 730 // n)
    table = pd.DataFrame(
        {
            "occurred_at": np.datetime64("2022-01-01") + seconds.astype("timedelta64[s]"),
            "lat": (43.3 + rng.normal(0, 0.02, n)).round(5),
            "lng": (5.4 + rng.normal(0, 0.02, n)).round(5),
            "category": np.where(rng.random(n) < 0.5, "noise", "dumping"),
        }
    )
    table.loc[bad - 1, "lng"] = np.nan
    write_csv(table, tmp_path / "incidents.csv")
    (tmp_path / "run.yaml").write_text(
        "name: big\nincidents: {path: incidents.csv, tz: Europe/Paris, categories: {noise: [noise]}}\n"
        "forecast: {period: 7}\nbacktest: {folds: 13, every: 7D}\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "tranquillite_ml", "check", "run.yaml", "--json"],
        check=False,
        **{"cwd": tmp_path, "capture_output": True, "text": True, "timeout": 120},
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["read"], found["accepted"], found["quarantined"]) == (n, n - 1, 1)
    assert found["quarantine"] == [
        {
            **{"column": "lng", "reason": "coordinates missing", "n": 1},
            **{"file": "incidents.csv", "first_row": bad},
        }
    ]
    assert found["peak_rss_mb"] < 1500  # 90 MB of file
    assert sum(found["seconds"].values()) < 60  # twelve on two cores that have nothing else to do


def write_csv(table, path):
    import pyarrow as pa
    from pyarrow import csv

    csv.write_csv(pa.Table.from_pandas(table, preserve_index=False), path)
