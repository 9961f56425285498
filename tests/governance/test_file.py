"""The governance file, its waivers, and the guard on categories."""

from datetime import date

import pytest

from tranquillite_ml.config import RunConfig, load_config, ready_configs
from tranquillite_ml.errors import ConfigError, DataWarning
from tranquillite_ml.governance import check_categories, load_governance, require_allowed, template
from tranquillite_ml.governance.waivers import Waiver
from tranquillite_ml.stages import check_use

DAY = date(2026, 3, 1)
WAIVER = """\
waivers:
  - category: drugs
    origin: agent
    who: A. Martin, city council
    when: 2026-01-05
    why: evaluation of a closed programme
    until: 2026-06-30
"""
FULL = (
    """\
alternatives: lighting of the underpass, and doing nothing
purpose: prevention
owner: City
contact: city@example.org
legal_status: {text: memo, date: 2026-01-01, signed_by: counsel}
data_protection_officer: B. Durand
impact_assessment: {reference: IA-7, date: 2026-01-02}
dirty_data:
  - {period: 2019-01-01/2019-06-30, area: 3rd district, reason: copied entries, source: inspectorate}
reporting_rates:
  - {area: city, rate: 0.62, source: survey 2024}
"""
    + WAIVER
)


@pytest.fixture
def load(tmp_path):
    def read(text, on=DAY):
        path = tmp_path / "governance.yaml"
        path.write_text(text, encoding="utf-8")
        return load_governance(path, on=on)

    return read


def test_a_full_file_is_read_and_lacks_nothing(load):
    found = load(FULL)
    assert found.missing() == []
    assert found.dirty_data[0].period.end == date(2019, 6, 30)
    assert found.reporting_rates[0].rate == 0.62
    assert [waiver.category for waiver in found.active_waivers(DAY)] == ["drugs"]
    assert found.active_waivers(date(2026, 7, 1)) == []


def test_the_template_is_a_file_in_which_everything_is_missing(load):
    found = load(template())
    assert len(found.missing()) == 11
    assert found.waivers == ()
    assert load("owner: ' '\ndirty_data: []").missing() == [
        words for words in found.missing() if "dirty_data" not in words
    ]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("purpose:", "pupose:", "unknown key 'pupose' at the top level. Did you mean 'purpose'?"),
        ("    until: 2026-06-30\n", "", "waivers[0].until: expected a value, and there is none"),
        ("    who: A. Martin, city council\n", "", "waivers[0].who: expected a value"),
        ("why: evaluation of a closed programme", "why: '  '", "got spaces only"),
        ("until: 2026-06-30", "until: 2025-06-30", "cannot end before it"),
        ("until: 2026-06-30", "until:", "expected a date such as 2018-01-05"),
        ("until: 2026-06-30", "until: 2026-02-30", "expected a date such as 2018-01-05"),
        ("when: 2026-01-05", "when: 2026-03-02", "in the future"),
        ("date: 2026-01-02", "date: 2027-01-02", "impact_assessment.date: expected a day up to 2026-03-01"),
        ("origin: agent", "origin: agnt", "Did you mean 'agent'?"),
        ("2019-01-01/2019-06-30", "2019-07-01/2019-06-30", "first day before the last"),
        ("2019-01-01/2019-06-30", "'2019'", "expected first and last day"),
        ("rate: 0.62", "rate: 62", "at most 1"),
        ("owner: City", "owner: &a City\ncontact2: *a", "anchors"),
        ("owner: City", "owner: !!python/object:os.system x", "tags are not accepted"),
        ("owner: City", "purpose: again", "given twice"),
        ("owner: City", "owner: [1, 2]", "owner: expected text"),
    ],
)
def test_a_slip_is_named_with_its_line(load, old, new, told):
    assert FULL.count(old) == 1
    with pytest.raises(ConfigError) as caught:
        load(FULL.replace(old, new))
    assert told in str(caught.value)
    assert "line " in str(caught.value)


def test_a_flood_and_a_missing_file_are_refused(load, tmp_path):
    with pytest.raises(ConfigError, match="nested at most"):
        load("owner: " + "[" * 30 + "]" * 30)
    with pytest.raises(ConfigError, match="cannot be read"):
        load_governance(tmp_path / "no.yaml")


# ---- categories --------------------


def waiver(category="drugs", origin="agent", until="2026-06-30"):
    return Waiver(category=category, origin=origin, who="x", when="2026-01-05", why="y", until=until)


@pytest.mark.parametrize("origin", ["agent", "arrest", "fine", "inspection"])
def test_agent_driven_origins_are_refused_without_a_waiver(origin):
    [refusal] = check_categories({"t": ["codes"]}, {"t": origin}, on=DAY)
    assert (refusal.category, refusal.origin) == ("codes", origin)
    assert check_categories({"t": ["codes"]}, {"t": origin}, [waiver("codes", origin)], on=DAY) == []


@pytest.mark.parametrize(
    "name", ["drugs", "Stupéfiants", "liquor laws", "stops", "contrôle d'identité", "amendes"]
)
def test_a_denied_name_is_refused_whatever_is_declared(name):
    for origin in ("citizen", "sensor", "unknown"):
        assert len(check_categories({"t": [name]}, {"t": origin}, on=DAY)) == 1
        assert len(check_categories({name: ["code 17"]}, {name: origin}, on=DAY)) == 1
        assert check_categories({"t": [name]}, {"t": origin}, [waiver(name, origin)], on=DAY) == []


def test_a_waiver_covers_what_it_names_until_its_last_day_and_nothing_else():
    targets, origins = {"t": ["drugs", "weapons"]}, {"t": "agent"}
    refused = check_categories(targets, origins, [waiver()], on=DAY)
    assert [refusal.category for refusal in refused] == ["weapons"]
    both = [waiver(), waiver("weapons")]
    assert check_categories(targets, origins, both, on=date(2026, 6, 30)) == []
    assert len(check_categories(targets, origins, both, on=date(2026, 7, 1))) == 2
    with pytest.raises(ConfigError, match="its waiver ended on 2026-06-30"):
        require_allowed(targets, origins, both, on=date(2026, 7, 1))
    with pytest.raises(ConfigError, match="its waiver is for origin arrest"):
        require_allowed({"drugs": ["drugs"]}, {"drugs": "agent"}, [waiver(origin="arrest")], on=DAY)


@pytest.mark.parametrize("name", sorted(ready_configs()))
def test_ready_configs_may_be_used(name):
    assert check_use(load_config(name)) is None


def config(category, extra=""):
    return RunConfig.from_yaml(
        "name: try\nincidents:\n  path: x.csv\n  tz: Europe/Paris\n"
        f"  categories: {{{category}}}\nforecast: {{period: 7}}\n{extra}"
    )


def test_a_run_is_stopped_by_a_denied_name_and_let_through_by_a_waiver(tmp_path):
    drugs = "drugs: {from: [drugs], origin: citizen}"
    with pytest.raises(ConfigError, match="declared origin: citizen"):
        check_use(config(drugs))
    path = tmp_path / "governance.yaml"
    path.write_text(WAIVER.replace("2026-06-30", "2199-12-31"), encoding="utf-8")
    governed = f"governance: {{path: {path}}}"
    with pytest.raises(ConfigError, match="its waiver is for origin agent"):
        check_use(config(drugs, governed))
    assert check_use(config(drugs.replace("citizen", "agent"), governed)) is None
    path.write_text("owner: City", encoding="utf-8")
    with pytest.raises(ConfigError, match="records of origin agent follow enforcement"):
        check_use(config(drugs.replace("citizen", "agent"), governed))


def test_an_unknown_origin_is_allowed_and_told():
    with pytest.warns(DataWarning, match=r"nobody has said who makes the records of \['noise'\]"):
        check_use(config("noise: [noise]"))
    assert check_use(config("noise: [noise]"), {"noise": "citizen"}) is None
