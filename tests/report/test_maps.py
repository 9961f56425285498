"""The map is one file that needs no network, escapes names from data, and holds the forecast's numbers."""

import base64
import hashlib
import json
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import h3
import numpy as np
import pandas as pd
import pytest
import shapely

from tests.report.conftest import MakeForecasts
from tranquillite_ml.errors import UsageError
from tranquillite_ml.forecasts import Forecasts
from tranquillite_ml.hexgrid import HexGrid
from tranquillite_ml.limits import LIMITS_OF_USE
from tranquillite_ml.report.colours import MAX_CLASSES, colour_classes, colour_scale
from tranquillite_ml.report.maps import ALWAYS, write_map

SCRIPT = "<script>alert(1)</script>"
VOID = {"meta", "link", "br", "img", "input"}


@dataclass
class Page(HTMLParser):
    """Elements of a page as (tag, attributes, text)."""

    html: str
    elements: list[tuple[str, dict[str, str | None], list[str]]] = field(default_factory=list)
    inside: list[tuple[str, dict[str, str | None], list[str]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.feed(self.html)
        self.close()
        assert not self.inside, "an element is not closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = (tag, dict(attrs), list[str]())
        self.elements.append(element)
        if tag not in VOID:
            self.inside.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self.inside.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        for _, _, text in self.inside:
            text.append(data)

    def all(self, tag: str) -> list[tuple[dict[str, str | None], str]]:
        return [(attrs, "".join(text)) for name, attrs, text in self.elements if name == tag]

    def by_id(self, identifier: str) -> str:
        return next("".join(text) for _, attrs, text in self.elements if attrs.get("id") == identifier)

    @property
    def data(self) -> Any:
        return json.loads(self.by_id("data"))


def page_of(path: Path) -> Page:
    return Page(path.read_text(encoding="utf-8"))


@pytest.fixture
def forecasts(make_forecasts: MakeForecasts) -> Forecasts:
    return make_forecasts(rings=3, scale=0.2)


def test_all_cells_and_numbers_are_those_of_the_forecast(forecasts: Forecasts, tmp_path: Path) -> None:
    data = page_of(write_map(forecasts, tmp_path / "new" / "map.html", title="Town")).data
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["map.html"]
    assert data["cells"] == forecasts.cell_names().tolist()
    np.testing.assert_allclose(data["area"], forecasts.area_km2, rtol=5e-4)
    assert data["categories"] == ["noise", "damage"]
    assert len(data["maps"]) == len(forecasts.keys)
    for row, found in enumerate(data["maps"]):
        key = forecasts.keys.iloc[row]
        assert data["categories"][found["category"]] == key["category"]
        assert found["period"] == key["horizon"] - 1
        assert found["level"] == 0.9
        np.testing.assert_allclose(found["expected"], forecasts.expected_count[row], rtol=5e-4)
        np.testing.assert_allclose(found["prob"], forecasts.prob_any[row], rtol=5e-4)
        assert found["lower"] == forecasts.lower[row].tolist()
        assert found["upper"] == forecasts.upper[row].tolist()
    assert all(
        len(f"{value:.15g}".lstrip("0.").replace(".", "")) <= 4 for value in data["maps"][0]["expected"]
    )


PLACES = {
    "Marseille": "893968152bbffff",
    "a pentagon": sorted(h3.get_pentagons(5))[0],
    "the date line": h3.latlng_to_cell(-16.5, 180, 6),
}


@pytest.mark.parametrize("centre", PLACES.values(), ids=PLACES)
def test_outlines_are_those_of_the_cells_to_a_metre(
    centre: str, forecasts: Forecasts, tmp_path: Path
) -> None:
    grid = HexGrid([centre]).dilated(1)
    keys = forecasts.keys.iloc[:1]
    shape = (1, grid.n_cells)
    one = Forecasts(keys, grid.cells, grid.area_km2, {"expected_count": np.ones(shape)}, forecasts.meta)
    data = page_of(write_map(one, tmp_path / "map.html", title="t")).data
    assert len(data["shapes"]) == grid.n_cells
    tolerance = 2 * data["step_m"] / data["m_per_degree"][0]
    for moves, expected in zip(data["shapes"], grid.polygons, strict=True):
        corners = np.cumsum(np.reshape(moves, (-1, 2)), axis=0) * data["step_m"] / data["m_per_degree"]
        found = corners + data["centre"]
        wanted = shapely.get_coordinates(expected)[:-1]
        off = np.abs(found - wanted) % 360
        assert np.minimum(off, 360 - off).max() < tolerance


def test_the_page_asks_for_nothing_from_a_network(forecasts: Forecasts, tmp_path: Path) -> None:
    page = page_of(write_map(forecasts, tmp_path / "map.html", title="Town"))
    addresses = set(
        re.findall(r"(?:https?:)?//[\w.-]+[^\s\"')]*", re.sub(r"^\s*//.*$", "", page.html, flags=re.M))
    )
    assert addresses <= {"http://www.w3.org/2000/svg"}
    assert not re.search(
        r"@import|url\(|\bfetch\(|XMLHttpRequest|WebSocket|sendBeacon|innerHTML|eval\(", page.html
    )
    loading = {"src", "href", "srcset", "action", "data", "poster", "style"}
    assert not [attrs for _, attrs, _ in page.elements if loading & set(attrs)]
    assert not [name for _, attrs, _ in page.elements for name in attrs if name.startswith("on")]


def test_only_the_pages_own_script_and_style_may_act(forecasts: Forecasts, tmp_path: Path) -> None:
    page = page_of(write_map(forecasts, tmp_path / "map.html", title="Town"))
    policy = next(
        a["content"] for a, _ in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy is not None
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    data, script = page.all("script")
    assert data[0]["type"] == "application/json"
    for text in (script[1], page.all("style")[0][1]):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy


def test_names_from_data_are_text(make_forecasts: MakeForecasts, tmp_path: Path) -> None:
    names = [SCRIPT, "a & b", "</script><img src=x onerror=alert(2)>", "{{ 7 * 7 }}", "\u2028<!--"]
    forecasts = make_forecasts(categories=names, horizons=1, models=["<b>model</b>"])
    written = write_map(forecasts, tmp_path / "map.html", title=f"T {SCRIPT}", notice=f"N {SCRIPT}")
    page = page_of(written)
    assert page.data["categories"] == names
    assert len(page.all("script")) == 2
    assert not page.all("img") + page.all("b")
    assert page.all("title")[0][1] == f"T {SCRIPT}"
    assert page.by_id("notice") == f"N {SCRIPT}"
    assert [text for _, text in page.all("option")][: len(names)] == names
    assert "<b>model</b>" in [text for _, text in page.all("dd")]
    assert SCRIPT not in page.html


def test_the_banner_is_there_when_there_is_a_notice(forecasts: Forecasts, tmp_path: Path) -> None:
    with_notice = page_of(write_map(forecasts, tmp_path / "a.html", title="t", notice="SIMULATED DATA"))
    assert ({"class": "banner", "id": "notice"}, "SIMULATED DATA") in with_notice.all("p")
    without = page_of(write_map(forecasts, tmp_path / "b.html", title="t"))
    assert not [attrs for attrs, _ in without.all("p") if attrs.get("class") == "banner"]
    for page in (with_notice, without):
        assert ALWAYS in [text for _, text in page.all("p")]
        shown = {attrs.get("lang"): text for attrs, text in page.all("p") if attrs.get("class") == "limits"}
        assert shown == dict(LIMITS_OF_USE)


def test_the_header_says_whose_forecast_it_is_and_when(forecasts: Forecasts, tmp_path: Path) -> None:
    page = page_of(write_map(forecasts, tmp_path / "map.html", title="Town: expected recorded incidents"))
    facts = dict(zip([t for _, t in page.all("dt")], [t for _, t in page.all("dd")], strict=True))
    assert facts["Model"] == "lightgbm"
    assert facts["Records known until (cutoff)"] == "Sat 29 Mar 2025, 00:00"
    assert facts["Time zone"] == "Europe/Paris"
    assert facts["Periods forecast"] == "3: Sat 29 Mar 2025 … Mon 31 Mar 2025"
    assert facts["Study area"] == "37 cells, 3.8 km²"
    assert [hours["hours"] for hours in page.data["periods"]] == [
        24,
        23,
        24,
    ]  # summer time begins on the 30th


def test_readers_without_a_mouse_or_eyes_are_served(forecasts: Forecasts, tmp_path: Path) -> None:
    page = page_of(write_map(forecasts, tmp_path / "map.html", title="Town"))
    assert page.all("html")[0][0]["lang"] == "en"
    assert [len(page.all(tag)) for tag in ("h1", "main", "header", "footer")] == [1, 1, 1, 1]
    assert {attrs["for"] for attrs, _ in page.all("label")} == {
        attrs["id"] for attrs, _ in page.all("select")
    }
    canvas = page.all("canvas")[0][0]
    assert canvas["tabindex"] == "0"
    assert canvas["aria-label"]
    assert "arrows move" in page.by_id(str(canvas["aria-describedby"]))
    assert "prefers-reduced-motion" in page.html
    identifiers = [attrs["id"] for _, attrs, _ in page.elements if "id" in attrs]
    assert len(identifiers) == len(set(identifiers))


def test_the_table_holds_the_twenty_highest(forecasts: Forecasts, tmp_path: Path) -> None:
    page = page_of(write_map(forecasts, tmp_path / "map.html", title="Town"))
    order = np.argsort(-forecasts.expected_count[0], kind="stable")[:20]
    cells = [text for attrs, text in page.all("th") if attrs.get("scope") == "row"]
    assert cells == forecasts.cell_names()[order].tolist()
    values = [text for _, text in page.all("td")]
    assert values[:5] == [
        "1",
        f"{forecasts.expected_count[0, order[0]]:.4g}",
        f"0 to {forecasts.upper[0, order[0]]:g}",
        f"{100 * forecasts.prob_any[0, order[0]]:.1f} %".replace(".0 %", " %"),
        f"{forecasts.area_km2[order[0]]:.4g} km²",
    ]
    assert page.by_id("interval") == "90 % interval"


def test_a_reference_is_shown_beside(make_forecasts: MakeForecasts, tmp_path: Path) -> None:
    forecasts = make_forecasts()
    reference = make_forecasts(
        models=["count_365d"], scale=2.0, categories=["damage"], cutoffs=["2025-03-29"]
    )
    page = page_of(write_map(forecasts, tmp_path / "map.html", title="t", reference=reference))
    assert page.data["reference"] == "count_365d"
    held = [found["reference"] for found in page.data["maps"]]
    assert held[:3] == [None, None, None]  # noise is not in the reference
    np.testing.assert_allclose(held[3:], reference.expected_count, rtol=5e-4)
    assert "not given" in [text for _, text in page.all("td")]


def test_several_models_or_other_cells_are_refused(make_forecasts: MakeForecasts, tmp_path: Path) -> None:
    both = make_forecasts(models=["lightgbm", "count_365d"])
    with pytest.raises(UsageError, match=r"forecasts\.select\(model="):
        write_map(both, tmp_path / "map.html", title="t")
    with pytest.raises(UsageError, match="same cells"):
        write_map(make_forecasts(), tmp_path / "map.html", title="t", reference=make_forecasts(rings=1))
    assert not list(tmp_path.iterdir())


def test_only_the_last_cutoff_is_shown(make_forecasts: MakeForecasts, tmp_path: Path) -> None:
    forecasts = make_forecasts(cutoffs=["2025-02-01", "2025-03-29"])
    data = page_of(write_map(forecasts, tmp_path / "map.html", title="t")).data
    assert data["cutoff"] == "Sat 29 Mar 2025, 00:00"
    assert len(data["maps"]) == len(forecasts.keys) / 2


def test_a_vendors_bare_forecast_is_shown_with_what_it_lacks(
    make_forecasts: MakeForecasts, tmp_path: Path
) -> None:
    made = make_forecasts(horizons=1)
    keys = made.keys.assign(level=np.nan, exposure_hours=np.nan)
    for moment in ("cutoff", "period_start", "period_end"):  # as a CSV holds them
        keys[moment] = [pd.Timestamp(value).isoformat() for value in keys[moment]]
    zero = np.zeros_like(made.expected_count)
    bare = Forecasts(keys, made.cells, made.area_km2, {"expected_count": zero}, {})
    page = page_of(write_map(bare, tmp_path / "map.html", title="t"))
    assert page.data["maps"][0]["prob"] == [None] * len(made.cells)
    assert page.data["scales"][0]["labels"] == ["0"]
    assert [text for _, text in page.all("td")][:5] == ["1", "0", "not given", "not given", "0.1039 km²"]
    assert page.by_id("interval") == "Interval"


def test_equal_forecasts_give_equal_bytes(forecasts: Forecasts, tmp_path: Path) -> None:
    first = write_map(forecasts, tmp_path / "a.html", title="t", notice="n").read_bytes()
    assert write_map(forecasts, tmp_path / "b.html", title="t", notice="n").read_bytes() == first


@pytest.mark.parametrize("low", [1e-9, 1e-4, 0.02, 3.0])
@pytest.mark.parametrize("span", [1.0, 1.01, 1.5, 4, 50, 1e4, 1e12])
def test_classes_are_few_round_and_cover_everything(low: float, span: float) -> None:
    values = np.append(np.geomspace(low, low * span, 300), 0.0)
    edges = colour_classes(values)
    assert edges == sorted(set(edges))
    assert len(edges) < MAX_CLASSES
    assert all(float(f"{edge:.3g}") == edge for edge in edges)
    if span >= 1.5:
        assert len(edges) >= 2
    scale = colour_scale(values)
    assert len(scale["labels"]) == len(scale["colours"]) == len(set(scale["colours"])) == len(edges) + 1


def test_ten_thousand_cells_and_21_periods_stay_below_ten_megabytes(
    make_forecasts: MakeForecasts, tmp_path: Path
) -> None:
    forecasts = make_forecasts(rings=57, categories=["noise"], horizons=21, scale=0.2)
    assert len(forecasts.cells) > 9_900
    assert write_map(forecasts, tmp_path / "map.html", title="t").stat().st_size < 10e6
