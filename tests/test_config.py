"""Run configurations: every ready one loads, and every slip is found and named."""

import json
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tranquillite_ml.config import (
    FEATURE_BLOCKS,
    MODEL_KINDS,
    RunConfig,
    find_config,
    load_config,
    ready_configs,
)
from tranquillite_ml.config.strict_yaml import MAX_BYTES, parse_yaml, to_yaml
from tranquillite_ml.errors import ConfigError

READY = ["chicago", "demo", "houston", "marseille", "portland", "smoke", "stlouis", "vancouver"]
SHARED = Path(__file__).parents[2] / "shared" / "data"
# First and last day of each file's record, read once from the files.
RECORDS = {
    "stlouis": ("2009-01-01", "2018-12-31"),
    "chicago": ("2016-01-01", "2017-12-31"),
    "houston": ("2010-01-01", "2010-08-31"),
    "portland": ("2012-03-01", "2017-02-28"),
    "vancouver": ("2020-01-01", "2020-12-31"),
}

BASE = """\
name: try
incidents:
  path: incidents.csv
  tz: Europe/Paris
  categories: {burglary: [burglary]}
forecast: {period: 7}
"""


def refusal(text, overrides=()):
    """The message with which a text is refused."""
    with pytest.raises(ConfigError) as caught:
        RunConfig.from_yaml(text, "run.yaml", overrides)
    message = str(caught.value)
    assert "pydantic" not in message
    assert "Traceback" not in message
    return message


# ---- ready configs --------------------


def test_ready_configs_are_all_there():
    assert sorted(ready_configs()) == READY


@pytest.mark.parametrize("name", READY)
def test_a_ready_config_loads_and_survives_a_round_trip(name):
    config = load_config(name)
    again = RunConfig.from_yaml(config.to_yaml())
    assert again == config
    assert again.digest() == config.digest()
    assert RunConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert config.name.startswith(name)
    assert [b.name for b in config.features if b.name in FEATURE_BLOCKS] == list(FEATURE_BLOCKS)


@pytest.mark.parametrize("name", READY)
def test_a_ready_config_chooses_its_words(name):
    words = find_config(name).read_text(encoding="utf-8").lower()
    assert not [w for w in ("crime", "dangerous", "suspect", "hotspot") if w in words]


@pytest.mark.parametrize("name", sorted(RECORDS))
def test_the_folds_lie_inside_the_record(name):
    config = load_config(name)
    backtest, (first, last) = config.backtest, map(date.fromisoformat, RECORDS[name])
    final = backtest.first_cutoff + timedelta(
        days=(backtest.folds - 1) * int(backtest.every.removesuffix("D"))
    )
    window = timedelta(days=int(config.calibration.window.removesuffix("D")))
    assert final + timedelta(days=config.forecast.period) <= last + timedelta(days=1)
    # At least three months are left to learn from, before the calibration window.
    assert backtest.first_cutoff - window - first >= timedelta(days=90)


@pytest.mark.parametrize("name", sorted(RECORDS))
def test_every_category_and_column_of_the_file_is_declared(name):
    file = SHARED / name / "incidents.parquet"
    if not file.exists():
        pytest.skip(f"{file} is not on this machine")
    pd = pytest.importorskip("pandas")
    incidents = load_config(name).incidents
    table = pd.read_parquet(file)
    declared = {c for target in incidents.categories.values() for c in target.from_} | set(incidents.origins)
    assert declared == set(table["category"].unique())
    assert set(incidents.columns.values()) | set(incidents.where) <= set(table.columns)
    start, end = table["timestamp"].min(), table["timestamp"].max()
    assert (str(start.date()), str(end.date())) == RECORDS[name]


def test_st_louis_knows_which_records_follow_patrols():
    incidents = load_config("stlouis").incidents
    agent = {c for c, origin in incidents.origins.items() if origin == "agent"}
    assert agent == {
        "drugs", "liquor laws", "prostitution", "loitering/vagrancy", "weapons", "disorderly conduct",
        "driving under influence", "gambling", "stolen property",
    }  # fmt: skip
    assert {t: c.origin for t, c in incidents.categories.items()} == {
        "larceny": "citizen",
        "burglary": "citizen",
    }


# ---- finding --------------------


def test_an_existing_file_comes_before_a_ready_config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo").write_text(BASE, encoding="utf-8")
    assert load_config("demo").name == "try"
    assert load_config(tmp_path / "demo").name == "try"


@pytest.mark.parametrize(
    ("wrong", "told"), [("dmeo", "'demo'"), ("configs/stluis.yaml", "'stlouis'"), ("x" * 5000, "too long")]
)
def test_a_missing_config_names_the_nearest(wrong, told):
    with pytest.raises(ConfigError, match=told):
        find_config(wrong)


def test_a_folder_is_not_a_config(tmp_path):
    with pytest.raises(ConfigError, match="is a folder"):
        load_config(tmp_path)


# ---- files that are refused --------------------


def test_a_file_above_the_limit_is_refused_before_it_is_parsed(tmp_path):
    file = tmp_path / "big.yaml"
    file.write_bytes(b"# " + b"x" * MAX_BYTES)
    with pytest.raises(ConfigError, match=r"big\.yaml: .*1,000,000 bytes"):
        load_config(file)


def test_a_file_that_is_not_utf8_is_refused_with_its_line(tmp_path):
    file = tmp_path / "latin.yaml"
    file.write_bytes(b"name: try\n# \xe9t\xe9\n")
    with pytest.raises(ConfigError, match=r"latin\.yaml, line 2: expected UTF-8 text, got byte 0xe9"):
        load_config(file)


def test_a_byte_order_mark_is_no_obstacle(tmp_path):
    file = tmp_path / "bom.yaml"
    file.write_bytes(b"\xef\xbb\xbf" + BASE.encode())
    assert load_config(file).name == "try"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is empty"),
        ("# only a comment\n", "is empty"),
        ("- a\n- b", "expected a mapping"),
        ("hello", "expected a mapping"),
        (BASE + "seed: 1\nseed: 2", "run.yaml, line 8: the key 'seed' is given twice (first in line 7)"),
        ("grid: {resolution: 9, resolution: 8}", "the key 'resolution' is given twice"),
        ("a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]", "line 1: anchors (&name) and aliases (*name)"),
        ("name: &n try", "anchors (&name)"),
        ("a: {<<: *b}", "aliases (*name)"),
        (
            "name: !!python/object/apply:os.system ['true']",
            "line 1: tags are not accepted, got '!!python/object",
        ),
        ("name: !!str try", "tags are not accepted, got '!!str'"),
        ("name: !mine try", "tags are not accepted, got '!mine'"),
        ("a: 1\n---\nb: 2", "a single document"),
        ("a: [1, 2", "line 1: expected ',' or ']'"),
        ("a:\n\tb: 1", "line 2: found character"),
        ("1: a", "keys are text, got '1'"),
        ("true: a", "keys are text, got 'true'"),
        ("[a]: b", "keys are text, got a list or a mapping"),
        ('name: "a\\0b"', "without control characters"),
        ('name: "\\ud800"', "without control characters"),
        ("name: a\x01b", "is not allowed in YAML"),
        ("a: 1e999", "too large"),
        ("a: " + "[" * 5000, "nested at most 20 deep"),
        ("- 1\n" * 30_000, "at most 20000 values"),
    ],
)
def test_text_that_is_not_a_plain_mapping_is_refused(text, told):
    assert told in refusal(text)


def test_nothing_of_a_tag_is_executed(tmp_path):
    trace = tmp_path / "trace"
    refusal(f"name: !!python/object/apply:pathlib.Path.touch [{trace}]")
    assert not trace.exists()


# ---- keys and values that are refused --------------------


@pytest.mark.parametrize(
    ("addition", "told"),
    [
        ("grid: {resolutoin: 8}", "line 7: unknown key 'resolutoin' in grid. Did you mean 'resolution'?"),
        ("backtst: {folds: 2}", "line 7: unknown key 'backtst' at the top level. Did you mean 'backtest'?"),
        ("resolution: 9", "unknown key 'resolution' at the top level. Did you mean 'grid.resolution'?"),
        ("zzz: 9", "unknown key 'zzz' at the top level. Known there: audit"),
        ("grid:\n  resolution: 11", "line 8: grid.resolution: expected a number that is at most 10"),
        ("grid: {resolution: -1}", "at least 0"),
        ("grid: {resolution: '9'}", "expected a whole number (H3 resolution"),
        ("grid: {resolution: 9.5}", "expected a whole number"),
        ("grid: {resolution: true}", "expected a whole number"),
        ("grid: 9", "grid: expected a mapping (key: value), got 9"),
        ("grid: {study_area: a.geojson, cells: b.csv}", "at most one of `study_area`"),
        ("grid: {study_area_km2: 0}", "a number above 0"),
        ("grid: {study_area_km2: .nan}", "expected a number"),
        ("seed: 1.5", "seed: expected a whole number"),
        ("time: {freq: 5h}", "time.freq: expected hours that divide a day"),
        ("time: {freq: 24}", "expected hours that divide a day"),
        ("features: history", "features: expected a list"),
        ("features: []", "features: expected at least 1 entry"),
        ("features: [history, near_repat]", "features[1]: a feature block must be one of"),
        ("features: [near_repat]", "Did you mean 'near_repeat'?"),
        ("features: [history, history]", "listed more than once"),
        ("features: [{history: {}, calendar: {}}]", "features[0]: expected a block's name or one block"),
        ("features:\n- history\n- neighbourhood: 2", "line 9: features[1]: expected the parameters of"),
        ("features: [3]", "expected a block's name"),
        ("model: {kind: lightgmb}", "model.kind: a model's kind must be one of"),
        ("model: {kind: tabular}", "model.params.regressor: expected one of poisson"),
        ("model: {kind: tabular, params: {regressor: poison}}", "Did you mean 'poisson'?"),
        ("model: {kind: none, params: {a: 1}}", "has no parameters"),
        ("model: {params: {linear_tree: true}}", "model.params.linear_tree: not accepted"),
        ("baselines: [kdee]", "Did you mean 'kde'?"),
        ("backtest: {refit: nevr}", "Did you mean 'never'?"),
        ("backtest: {folds: 0}", "backtest.folds: expected a number that is at least 1"),
        ("backtest: {every: 28}", "backtest.every: expected a number of days such as 28D, got 28"),
        ("backtest: {every: 0D}", "such as 28D, got '0D'"),
        ("calibration: {window: 90d}", "calibration.window: expected a number of days"),
        ("calibration: {strata: null}", "expected one of 'activity' or 'none'"),
        ("backtest: {first_cutoff: 2018-13-01}", "expected a date such as 2018-01-05, got '2018-13-01'"),
        ("backtest: {first_cutoff: 20180105}", "expected a date"),
        ("backtest: {first_cutoff: 2018-01-05 12:00}", "expected a date"),
        ("audit: {groups: {path: tracts.geojson}}", "audit.groups.column: expected a value"),
        ("audit: {groups: {path: t.geojson, column: q, quantiles: 1}}", "audit.groups.quantiles"),
        ("audit: {groups: {path: t.geojson, column: q, resident: n}}", "Did you mean 'residents'?"),
        ("governance: {file: g.yaml}", "unknown key 'file' in governance"),
        ("output: ''", "output: expected text that is not empty"),
        ("output: s3://bucket/runs", "expected a file or folder of this machine"),
        ("tracking: {url: x}", "Did you mean 'uri'?"),
    ],
)  # fmt: skip
def test_a_wrong_key_or_value_is_named_with_what_was_expected(addition, told):
    message = refusal(BASE + addition)
    assert told in message
    assert "run.yaml, line " in message


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("name: try", "name: ../try", "name: expected 1 to 64 letters"),
        ("name: try", "name: " + "x" * 65, "name: expected 1 to 64 letters"),
        ("name: try", "", "name: expected a value, and there is none (the run's name)"),
        ("Europe/Paris", "Europe/Pariss", "line 4: incidents.tz: expected a time zone such as Europe/Paris"),
        ("Europe/Paris", "../../etc/passwd", "expected a time zone"),
        ("  tz: Europe/Paris\n", "", "incidents.tz: expected the city's time zone"),
        ("  path: incidents.csv\n", "", "exactly one of `path` (files) and `simulate`"),
        ("path: incidents.csv", "path: incidents.csv\n  simulate: {}", "exactly one of"),
        ("path: incidents.csv", "simulate: {}", "incidents.tz: this is about files"),
        ("path: incidents.csv", "path: sqlite:///x.db", "incidents.query: a database's address in `path`"),
        ("path: incidents.csv", "path: x\n  query: select 1", "incidents.query: a database's address in"),
        ("path: incidents.csv", "path: mysql://a:hush@b/c", "got 'mysql://a:***@b/c': databases of kind"),
        ("path: incidents.csv", "path: https://x.org/a", "`tranquillite fetch` brings a portal's data"),
        ("path: incidents.csv", "path: x\n  columns: {latt: y}", "Did you mean 'lat'?"),
        ("path: incidents.csv", "path: x\n  duplicates: kep", "Did you mean 'keep'?"),
        ("path: incidents.csv", "path: x\n  where: {ok: []}", "incidents.where.ok: expected a value or"),
        ("path: incidents.csv", "path: x\n  where: {ok: {a: 1}}", "incidents.where.ok: expected a value or"),
        ("path: incidents.csv", "path: x\n  columns: {lat: y}\n  drop_columns: [y]", "also in `columns`"),
        ("path: incidents.csv", "path: x\n  origins: {burglary: citizen}", "origins are for context"),
        ("path: incidents.csv", "path: x\n  origins: {drugs: agnt}", "Did you mean 'agent'?"),
        ("[burglary]", "burglary", "such as [burglary], got 'burglary'"),
        ("{burglary: [burglary]}", "{}", "incidents.categories: expected at least 1 entry"),
        ("{burglary: [burglary]}", "{a: [b], c: [b]}", "incidents.categories.c: the file's category 'b'"),
        ("[burglary]", "[7]", "incidents.categories.burglary.from[0]: expected text"),
        ("[burglary]", "{from: [b], origine: citizen}", "Did you mean 'origin'?"),
        ("[burglary]", "{from: [b], origin: citzen}", "Did you mean 'citizen'?"),
        ("[burglary]", "{from: [b], origin: agent}", "follow enforcement"),
        ("{period: 7}", "{period: 7, horizons: [0]}", "forecast.horizons[0]: expected a number that"),
        ("{period: 7}", "{period: 7, horizons: 1}", "forecast.horizons: expected a list"),
        ("{period: 7}", "{period: 7, horizons: [2, 1]}", "in increasing order"),
        ("{period: 7}", "{}", "forecast.period: expected a value, and there is none"),
    ],
)  # fmt: skip
def test_a_wrong_incidents_or_forecast_section_is_named(old, new, told):
    assert told in refusal(BASE.replace(old, new))


def test_several_problems_are_told_together_and_a_flood_is_counted():
    two = refusal(BASE + "grid: {resolution: 11}\nseed: x")
    assert two.startswith("run.yaml has 2 problems:")
    assert "line 7: grid.resolution" in two
    assert "line 8: seed" in two
    flood = refusal(BASE + "".join(f"unknown_{i}: 1\n" for i in range(25)))
    assert "… and 15 more" in flood


def test_a_target_of_agent_origin_passes_with_a_governance_file():
    text = (
        BASE.replace("[burglary]", "{from: [stops], origin: agent}") + "governance: {path: governance.yaml}"
    )
    assert RunConfig.from_yaml(text).incidents.categories["burglary"].origin == "agent"


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet="ab1-:[]{}#&*!'\"\\|>%@~,.? \n\t\x00é\ud800", max_size=60), st.integers(0, 200))
def test_any_text_is_accepted_or_refused_as_a_config_error(noise, at):
    text = BASE + "features: [history]\ngrid: {resolution: 9}\n"
    try:
        RunConfig.from_yaml(text[:at] + noise + text[at:])
    except ConfigError:
        return


# ---- values that are accepted --------------------


def test_defaults():
    config = RunConfig.from_yaml(BASE)
    assert config.incidents.duplicates == "keep"
    assert config.incidents.categories["burglary"].from_ == ("burglary",)
    assert config.incidents.categories["burglary"].origin is None
    assert (config.grid.resolution, config.grid.dilate, config.time.freq) == (9, 1, "1D")
    assert config.forecast.horizons == (1,)
    assert (config.model.kind, config.baselines, config.seed, config.output) == ("lightgbm", (), 0, "runs")
    assert config.backtest.first_cutoff is None
    assert config.tracking.uri is None


def test_an_empty_section_is_a_section_left_out():
    assert RunConfig.from_yaml(BASE + "grid:\nbacktest:\n") == RunConfig.from_yaml(BASE)


def test_every_incidents_key():
    text = BASE.replace(
        "  tz:",
        "  columns: {occurred_at: when, reported_at: known}\n  where: {ok: true, code: [6, '07', x]}\n"
        "  drop_columns: [nom]\n  time_format: '%d/%m/%Y %H:%M'\n"
        "  origins: {drugs: agent}\n  duplicates: drop\n  tz:",
    )
    incidents = RunConfig.from_yaml(text).incidents
    assert incidents.columns == {"occurred_at": "when", "reported_at": "known"}
    assert incidents.where == {"ok": (True,), "code": (6, "07", "x")}
    assert (incidents.drop_columns, incidents.time_format) == (("nom",), "%d/%m/%Y %H:%M")
    assert (incidents.origins, incidents.duplicates) == ({"drugs": "agent"}, "drop")


def test_a_simulated_city_takes_the_arguments_of_simulate_city():
    simulate = load_config("demo").incidents.simulate
    assert simulate.model_dump() == {
        "seed": 0, "start": None, "days": 730, "incidents_per_day": 60.0, "resolution": 9, "radius_km": None,
        "area": None, "centre": None, "near_repeat": None, "layers": {}, "effects": {},
    }  # fmt: skip
    assert simulate.arguments() == {"seed": 0, "days": 730, "incidents_per_day": 60.0, "resolution": 9}


def test_feature_blocks_keep_order_and_parameters():
    config = RunConfig.from_yaml(BASE + "features: [calendar: {country: NO}, history]")
    assert [(b.name, b.params) for b in config.features] == [("calendar", {"country": "NO"}), ("history", {})]


@pytest.mark.parametrize("kind", MODEL_KINDS)
def test_every_model_kind(kind):
    params = {"params": {"regressor": "poisson"}} if kind == "tabular" else {}
    config = RunConfig.from_dict(parse_yaml(BASE).values | {"model": {"kind": kind, **params}})
    assert config.model.kind == kind


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("NO", "NO"), ("yes", "yes"), ("true", True), ("~", None), ("", None), ("null", None),
        ("12:30", "12:30"), ("007", "007"), ("0", 0), ("-3", -3), ("1e-3", 0.001), ("1.5", 1.5), ("1.", 1.0),
        ("0x10", "0x10"), ("1_000", "1_000"), ("2018-01-05", "2018-01-05"), ("'9'", "9"), ("=", "="),
    ],
)  # fmt: skip
def test_scalars_follow_json_and_survive_a_round_trip(text, value):
    found = parse_yaml(f"a: {text}").values["a"]
    assert found == value
    assert type(found) is type(value)
    assert parse_yaml(to_yaml({"a": value})).values == {"a": value}


PLAIN = (
    st.none()
    | st.booleans()
    | st.integers(-(10**15), 10**15)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]))
)
KEYS = st.text("abno:1 ", max_size=4)


@given(
    st.recursive(
        PLAIN, lambda v: st.lists(v, max_size=3) | st.dictionaries(KEYS, v, max_size=3), max_leaves=8
    )
)
def test_any_plain_value_survives_a_round_trip(value):
    assert parse_yaml(to_yaml({"a": value})).values == {"a": value}


def test_a_config_is_frozen():
    config = RunConfig.from_yaml(BASE)
    with pytest.raises(ValueError, match="frozen"):
        config.seed = 3


# ---- overrides --------------------


def test_overrides_are_yaml_and_the_last_one_wins():
    overrides = [
        "grid.resolution=7",
        "grid.resolution=8",
        "forecast.horizons=[1, 2]",
        "grid.study_area=",
        "name=a=b",
    ]
    config = RunConfig.from_yaml(BASE, overrides=overrides[:-1])
    assert (config.grid.resolution, config.forecast.horizons, config.grid.study_area) == (8, (1, 2), None)
    assert "--set name: expected 1 to 64 letters" in refusal(BASE, overrides[-1:])


def test_overrides_make_missing_sections_and_reach_open_mappings():
    config = RunConfig.from_yaml(
        BASE,
        overrides=[
            "model.params.num_leaves=31",
            "audit.groups={path: t.geojson, column: q}",
            "incidents.where.ok=true",
        ],
    )
    assert config.model.params == {"num_leaves": 31}
    assert config.audit.groups.column == "q"
    assert config.incidents.where == {"ok": (True,)}


def test_overrides_replace_files_by_a_simulated_city():
    overrides = [
        "incidents.path=null",
        "incidents.tz=null",
        "incidents.columns={}",
        "incidents.simulate.days=100",
    ]
    assert load_config("chicago", overrides).incidents.simulate.days == 100


@pytest.mark.parametrize(
    ("override", "told"),
    [
        (
            "grid.resolutoin=8",
            "run.yaml, --set grid.resolutoin: unknown key 'resolutoin' in grid. Did you mean",
        ),
        ("grid.resolution=11", "run.yaml, --set grid.resolution: expected a number that is at most 10"),
        (
            "griid.resolution=8",
            "--set griid.resolution: unknown key 'griid' at the top level. Did you mean 'grid'?",
        ),
        ("grid.resolution", "--set expects key.path=value"),
        ("=8", "--set expects key.path=value"),
        ("grid..resolution=8", "--set expects key.path=value"),
        ("forecast.period.days=8", "forecast.period is 7, not a mapping"),
        ("seed=[1", "--set seed, line 1"),
        ("seed=!!python/object:x 1", "--set seed, line 1: tags are not accepted"),
        ("seed=&a 1", "--set seed, line 1: anchors"),
    ],
)
def test_a_wrong_override_is_named(override, told):
    assert told in refusal(BASE, [override])


def test_an_override_leaves_the_source_untouched():
    source = parse_yaml(BASE)
    RunConfig.from_dict(source.values)
    load_config("smoke", ["grid.resolution=7"])
    assert source.values == parse_yaml(BASE).values
    assert load_config("smoke").grid.resolution == 9


# ---- digest, flat, secrets --------------------


def _reversed(value):
    if isinstance(value, dict):
        return {k: _reversed(v) for k, v in reversed(value.items())}
    return value


@pytest.mark.parametrize("name", READY)
def test_the_digest_ignores_key_order_and_where_a_run_is_written(name):
    config = load_config(name)
    backwards = RunConfig.from_dict(_reversed(config.to_dict()))
    assert backwards.digest() == config.digest()
    assert list(backwards.incidents.categories) == list(config.incidents.categories)
    moved = load_config(
        name, ["output=elsewhere", "tracking.uri=http://127.0.0.1:5000", "tracking.experiment=x"]
    )
    assert moved.digest() == config.digest()


@pytest.mark.parametrize(
    "override",
    ["seed=1", "grid.resolution=7", "features=[history]", "incidents.simulate.seed=9", "backtest.folds=2",
     "forecast.horizons=[1, 2]", "model.params.num_leaves=5", "name=other"],
)  # fmt: skip
def test_the_digest_changes_with_what_decides_the_results(override):
    assert load_config("smoke", [override]).digest() != load_config("smoke").digest()


def test_spelling_out_a_default_leaves_the_digest():
    assert RunConfig.from_yaml(BASE + "grid: {resolution: 9}").digest() == RunConfig.from_yaml(BASE).digest()


def test_flat_is_text_by_dotted_key():
    flat = load_config("stlouis").flat()
    assert all(isinstance(k, str) and isinstance(v, str) for k, v in flat.items())
    assert flat["backtest.first_cutoff"] == "2018-01-05"
    assert flat["incidents.categories.burglary.from"] == '["burglary"]'
    assert flat["features"] == '["history", "neighbourhood", "near_repeat", {"calendar": {"country": "US"}}]'
    assert flat["tracking.uri"] == "null"


def test_flat_keys_suit_mlflow_whatever_the_categories_are_called():
    text = BASE.replace(
        "  tz:", "  origins: {'<script>': citizen, '=cmd|': agent, a/b: agent, a.b: agent}\n  tz:"
    )
    flat = RunConfig.from_yaml(text).flat()
    keys = [k for k in flat if ".origins." in k]
    assert sorted(keys) == ["incidents.origins._cmd_", "incidents.origins._script_",
                            "incidents.origins.a_b", "incidents.origins.a_b_2"]  # fmt: skip


def test_secrets_are_hidden_wherever_a_config_is_shown():
    text = BASE + (
        "tracking: {uri: 'https://ana:hush@sesame@mlflow.city/?token=hush&x=1'}\n"
        "model: {params: {api_key: hush, password: hush, nested: {secret: {a: hush}}, num_leaves: 31}}\n"
        "features: [calendar: {country: FR, token: hush, url: 'https://hush@host/'}]\n"
    )
    config = RunConfig.from_yaml(text)
    shown = json.dumps(config.flat()) + config.to_yaml(hide_secrets=True)
    assert "hush" not in shown
    assert "sesame" not in shown
    assert config.flat()["tracking.uri"] == "https://ana:***@mlflow.city/?token=***&x=1"
    assert config.flat()["model.params.num_leaves"] == "31"
    assert RunConfig.from_yaml(config.to_yaml()) == config


def test_secrets_are_hidden_in_errors():
    for addition in ("tracking: {uri: [postgresql://ana:hush@db/x]}", "tracking: {password: hush}",
                     "output: postgresql://ana:hush@db/x", "grid: 'https://ana:hush@db/'"):  # fmt: skip
        assert "hush" not in refusal(BASE + addition)
    assert "hush" not in refusal(
        BASE, ["tracking.password.x=hush", "tracking.password.y.z=1", "tracking.uri=[hush"]
    )


def test_who_asks_a_database_changes_nothing_that_is_read():
    def config(path):
        text = BASE.replace("path: incidents.csv", f"path: {path}\n  query: select * from incidents")  # noqa: S608
        return RunConfig.from_yaml(text)

    ana, bob = config("postgresql://ana:hush@db/city"), config("postgresql://bob:psst@db/city")
    assert ana.digest() == bob.digest() != config("postgresql://ana:hush@db/town").digest()
    for told in (ana.to_yaml(hide_secrets=True), str(ana.flat())):
        assert "hush" not in told
        assert "select * from incidents" in told
