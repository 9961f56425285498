"""Files and configs that cannot be used, on disk: what is said, the exit code, and that no row is lost."""

import json

import numpy as np
import pandas as pd
import pytest

from tests.cli.conftest import last_json, rows

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
def check(tranquillite, tmp_path):
    """Call `check` on a table, bytes or text as incidents.csv, and a config."""

    def call(content, text=CONFIG, *more):
        data = content.to_csv(index=False) if isinstance(content, pd.DataFrame) else content
        (tmp_path / "incidents.csv").write_bytes(data if isinstance(data, bytes) else data.encode())
        (tmp_path / "run.yaml").write_text(text, encoding="utf-8")
        result = tranquillite("check", "run.yaml", *more)
        assert "Traceback" not in result.output
        return result

    return call


def with_times(*times):
    table = rows().assign(occurred_at=lambda t: t["occurred_at"].astype(str))
    table.loc[range(3, 3 + len(times)), "occurred_at"] = times
    return table


def mixed():
    table = rows().assign(occurred_at=lambda t: t["occurred_at"].astype(str))
    french = pd.to_datetime(table["occurred_at"]).dt.strftime("%d/%m/%Y %H:%M")
    return table.assign(occurred_at=table["occurred_at"].where(table.index % 2 == 0, french))


def open_quote(old, new):
    lines = rows().to_csv(index=False).splitlines()
    lines[10] = lines[10].replace(old, new)
    return "\n".join(lines)


REFUSED = {
    "empty": (b"", "is empty (0 bytes). Export it again"),
    "blank lines": (b"\n\n \n", "is empty"),
    "header only": (b"occurred_at,lat,lng,category\n", "has a header but no data rows. Export it again"),
    "wrong names": (rows().rename(columns={"lat": "latt"}), "no column 'lat'. Did you mean 'latt'?"),
    "swapped": (
        rows().rename(columns={"lat": "lng", "lng": "lat"}),
        "incidents.csv: the columns lat and lng",
    ),
    "no place": (rows().assign(lat=np.nan, lng=np.nan), "incidents.csv: no row has coordinates"),
    "metres": (rows().assign(lat=6.2e6), "convert metres of a map projection"),
    "all in the future": (rows().assign(occurred_at="2099-01-01 10:00"), "check the clock and the year"),
    "mixed formats": (mixed(), "the column mixes formats (these fit '%d/%m/%Y %H:%M')"),
    "open quote, first column": (open_quote("2023", '"2023'), "would be lost"),
    "open quote, last column": (open_quote(",", ',"'), "is never closed"),
    "twice a column": (b"lat,lat,lng,category\n1,1,1,a\n", "columns occur twice: ['lat']"),
    "persons": (rows().assign(nom="X", date_naissance="1980-03-01"), "`drop_columns: [nom, date_naissance]`"),
    "binary": (bytes(range(256)) * 50, "cannot be read as CSV"),
}


@pytest.mark.parametrize(("content", "told"), REFUSED.values(), ids=REFUSED)
def test_files_that_are_refused_say_what_where_and_how_to_mend_it(check, content, told):
    result = check(content)
    assert result.exit_code == 3
    assert told in result.stderr
    assert "incidents.csv" in result.stderr.split("error: ")[1]


def test_mixed_formats_are_not_advised_away_with_one_time_format(check):
    assert "Give time_format=" not in check(mixed()).stderr


def test_columns_about_persons_are_never_loaded_once_dropped(check):
    text = CONFIG.replace("  tz:", "  drop_columns: [nom, date_naissance]\n  tz:")
    result = check(rows().assign(nom="Zébulon Secret", date_naissance="1980-03-01"), text, "--json")
    assert result.exit_code == 0
    assert "Secret" not in result.output


ROWS = {
    "second 60": (with_times("2023-03-05 23:59:60"), "time not understood: second 60 (leap second)"),
    "spring gap": (with_times("2023-03-26 02:30:00"), "time does not exist (clock change)"),
    "future": (with_times("2099-01-01 00:00:00"), "in the future"),
    "no such day": (with_times("2023-02-30 10:00:00"), "time not understood"),
    "zero": (rows().assign(lat=lambda t: t["lat"].mask(t.index == 7, 0.0),
                           lng=lambda t: t["lng"].mask(t.index == 7, 0.0)), "(0, 0) is not a place"),
    "other continent": (rows().assign(lng=lambda t: t["lng"].mask(t.index == 7, -74.0)),
                        "stray point: more than 100 km from the median place"),
}  # fmt: skip


@pytest.mark.parametrize(("table", "reason"), ROWS.values(), ids=ROWS)
def test_one_bad_row_is_quarantined_with_its_reason_and_the_rest_kept(check, table, reason):
    found = last_json(check(table, CONFIG, "--json"))
    assert [(row["reason"], row["n"]) for row in found["quarantine"]] == [(reason, 1)]
    assert (found["read"], found["accepted"], found["duplicate"]) == (1500, 1499, 0)


def test_the_hour_that_comes_twice_is_kept_and_told(check):
    table = rows(days=330)
    table.loc[7, "occurred_at"] = pd.Timestamp("2023-10-29 02:30")
    found = last_json(check(table, CONFIG, "--json"))
    assert found["accepted"] == 1500
    assert [p["n"] for p in found["problems"] if p["what"].startswith("ambiguous time")] >= [1]


def test_forty_percent_without_place_is_a_note_and_nothing_is_lost(check):
    table = rows().assign(lat=lambda t: t["lat"].mask(t.index % 5 < 2))
    result = check(table, CONFIG)
    assert result.exit_code == 0
    assert "600 of 1,500 rows (40.0%) have no usable place" in result.stderr
    assert "accepted 900 + quarantined 600" in result.stdout


def test_one_row_is_too_short_for_folds(check):
    result = check(rows().query("category == 'noise'").head(1))
    assert result.exit_code == 2
    assert "Use fewer folds" in result.stderr


def test_a_category_of_three_incidents_is_told(check):
    table = rows().assign(category=lambda t: t["category"].mask(t.index < 3, "rare"))
    assert "Too few to forecast on their own: 'rare'" in " ".join(check(table).stdout.split())


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "=cmd|x", "[red]x[/red]"])
def test_a_category_is_printed_as_it_is(check, name):
    listed = json.dumps(name)
    text = CONFIG.replace("{noise: {from: [noise]", f"{{{listed}: {{from: [{listed}]")
    result = check(rows().replace({"category": {"noise": name}}), text)
    assert result.exit_code == 0
    assert f"{name} citizen forecast" in " ".join(result.stdout.split())


YAMLS = {
    "no tz": (CONFIG.replace("  tz: Europe/Paris\n", ""), "incidents.tz: expected the city's time zone"),
    "misspelt": (CONFIG.replace("folds", "fold"), "unknown key 'fold' in backtest. Did you mean 'folds'?"),
    "twice": (CONFIG + "seed: 1\nseed: 2\n", "line 10: the key 'seed' is given twice (first in line 9)"),
    "bomb": (CONFIG + "a: &a [x, x]\nb: [*a, *a]\n", "line 9: anchors (&name) and aliases"),
    "object": (CONFIG + "x: !!python/object/apply:os.mkdir [pwned]\n", "line 9: tags are not accepted"),
    "deep": (CONFIG + "x: " + "[" * 3000 + "]" * 3000, "nested at most 20 deep"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "told"), YAMLS.values(), ids=YAMLS)
def test_configs_that_are_refused_name_the_line_and_the_key(check, tmp_path, text, told):
    result = check(rows(), text)
    assert result.exit_code == 2
    assert told in result.stderr
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("keep", [6, 2000], ids=["a few bytes", "half"])
def test_a_truncated_parquet_is_refused(check, tmp_path, keep):
    rows().to_parquet(tmp_path / "whole.parquet")
    (tmp_path / "cut.parquet").write_bytes((tmp_path / "whole.parquet").read_bytes()[:keep])
    result = check(b"", CONFIG.replace("incidents.csv", "cut.parquet"))
    assert result.exit_code == 3
    assert "cut.parquet cannot be read: it is truncated" in result.stderr
