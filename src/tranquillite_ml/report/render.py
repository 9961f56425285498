"""The report as one HTML file without script or network: both languages, each number with its path."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from tranquillite_ml.report import pictures
from tranquillite_ml.report.mapped import Drawing
from tranquillite_ml.report.terms import EVIDENCE, MEASURES, UNITS, as_said, named
from tranquillite_ml.report.wording import GLOSSARY, LANGUAGES, STATUS, SYMBOL, TEXTS, shown

TEMPLATES = Path(__file__).parent / "templates"
MAX_MEASUREMENTS = 12
_DIGIT = re.compile(r"\d")
_ORDER = ("FAIL", "WARN", "NOT_ASSESSABLE", "PASS", None)


def render(report: Mapping[str, Any], drawings: Mapping[str, Drawing] | None = None) -> str:
    """Write the page of a report.

    Parameters
    ----------
    report : mapping
        As `summarise_report` gives it.
    drawings : mapping of str to Drawing, optional
        Outlines of its maps; a map without them is shown as its table.

    Returns
    -------
    str
        HTML with a content security policy that allows its own style and nothing else. Each text and number
        of the report stands in an element whose ``data-path`` points to it in the JSON file (RFC 6901), and
        numbers have ``data-as``, how they are written.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    css = (TEMPLATES / "report.css").read_text(encoding="utf-8")
    drawn = dict(drawings or {})
    return environment.get_template("report.html.j2").render(
        report=report,
        title=report["system"]["name"],
        pages=[Page(report, language, drawn) for language in LANGUAGES],
        shared=pictures.shared(drawn, report["figures"]),
        style=Markup(css),  # noqa: S704 - a file of ours, and its hash is in the policy
        style_hash="sha256-" + base64.b64encode(hashlib.sha256(css.encode()).digest()).decode(),
    )


def resolve(report: Any, path: str) -> Any:
    """Value at a path of a report (RFC 6901).

    Examples
    --------
    >>> resolve({"a": [{"b/c": 7}]}, "/a/0/b~1c")
    7
    """
    for part in path.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        report = report[int(key)] if isinstance(report, list) else report[key]
    return report


class Page:
    """What the template asks for, in one language."""

    told_units = ("days", "hours", "minutes", "nats", "periods", "weeks")
    """Units that a value is not understood without."""

    def __init__(self, report: Mapping[str, Any], language: str, drawings: Mapping[str, Drawing]) -> None:
        self.report, self.language, self.drawings = report, language, drawings
        self.public = report["edition"] == "public"

    # -------------------------------------------------------------- values of the report

    def at(self, path: str, kind: str = "text", tag: str = "span") -> Markup:
        """The value at a path, in an element that says so; both languages' texts by their common path."""
        value = resolve(self.report, path)
        if isinstance(value, Mapping) and set(value) == set(LANGUAGES):
            path, value = f"{path}/{self.language}", value[self.language]
        if value is None or value == "":
            return pictures.tag(tag, self.empty(kind), data_path=path, class_="empty")
        told = shown(value, kind, self.language)
        if isinstance(value, str):
            return pictures.tag(tag, told, data_path=path)
        return pictures.tag(tag, told, data_path=path, data_as=kind, class_="number")

    def cell(self, path: str, kind: str = "text") -> Markup:
        """The value at a path, as a cell of a table."""
        return self.at(path, kind, "td")

    def empty(self, kind: str) -> str:
        """What stands where nothing is: not measured, or not filled in."""
        return TEXTS["empty" if kind == "text" else "not_measured"][self.language]

    # -------------------------------------------------------------- words of the page

    def word(self, key: str) -> Markup:
        """A label; one that holds digits says which it is."""
        text = TEXTS[key][self.language]
        return (
            Markup('<span data-word="{}">{}</span>').format(key, text)
            if _DIGIT.search(text)
            else escape(text)
        )

    def label(self, key: str) -> str:
        """A label for an attribute."""
        return TEXTS[key][self.language]

    def notice(self) -> Markup:
        """What every output must say; in this language where we wrote it, else as it is."""
        said = as_said(self.report["system"]["notice"])
        return pictures.tag("span", "" if said is None else said[self.language], data_path="/system/notice")

    def status(self, status: str) -> str:
        """Name of a status."""
        return STATUS[status][self.language]

    def symbol(self, status: str) -> str:
        """Sign of a status, beside its name and colour."""
        return SYMBOL[status]

    def measure(self, name: str) -> str:
        """Name of a measurement."""
        return named(name, MEASURES)[self.language]

    def unit(self, name: str) -> str:
        """Name of a unit."""
        return named(name, UNITS)[self.language]

    def lacks(self, names: list[str]) -> str:
        """Names of evidence."""
        return ", ".join(named(name, EVIDENCE)[self.language] for name in names)

    def glossary(self) -> list[tuple[str, str]]:
        """Terms and what they mean."""
        return [(one["term"][self.language], one["told"][self.language]) for one in GLOSSARY]

    # -------------------------------------------------------------- parts of the report

    def section_checks(self, section: Mapping[str, Any]) -> list[tuple[int, Mapping[str, Any]]]:
        """Checks of a section that are printed in it, with their numbers: each once, where it comes first."""
        held = enumerate(self.report["checks"])
        return [
            (k, one)
            for k, one in held
            if one["id"] in section["check_ids"] and self._home(one) == section["id"]
        ]

    def _home(self, check: Mapping[str, Any]) -> str:
        wanted = [one["id"] for one in self.report["sections"] if check["id"] in one["check_ids"]]
        # Calibration overall counts for accuracy, but its table by group belongs to fairness.
        return "S8" if check["id"] == "C03" and "S8" in wanted else wanted[0]

    def section_figures(self, section: Mapping[str, Any]) -> list[tuple[int, Mapping[str, Any]]]:
        """Figures of a section with their numbers."""
        return [(k, one) for k, one in enumerate(self.report["figures"]) if one["section"] == section["id"]]

    def worst_measurements(self, check: Mapping[str, Any]) -> list[int]:
        """Numbers of the measurements that are printed, the worst first."""
        at = sorted(range(len(check["measurements"])), key=lambda k: _ORDER.index(check["judged"][k]))
        return at[:MAX_MEASUREMENTS]

    def names(self, figure: Mapping[str, Any]) -> list[int]:
        """Numbers of the first row of each curve."""
        first: dict[Any, int] = {}
        for k, row in enumerate(figure["rows"]):
            first.setdefault(row[figure["series"]]["en"], k)
        return list(first.values())

    def strip(self, figure: Mapping[str, Any], number: int, row: Mapping[str, Any]) -> Markup:
        """Picture of a row."""
        return pictures.strip(figure, number, row)

    def axis(self, figure: Mapping[str, Any], number: int) -> Markup:
        """Scale of a figure's strips."""
        return pictures.axis(figure, f"/figures/{number}", self.language)

    def curves(self, figure: Mapping[str, Any], number: int) -> Markup:
        """Picture of curves."""
        return pictures.lines(figure, f"/figures/{number}", self.language)

    def sample(self, number: int) -> Markup:
        """Piece of a curve."""
        return pictures.sample(number)

    def drawn(self, figure: Mapping[str, Any]) -> Markup | None:
        """Picture of a map; None without its outlines."""
        one = self.drawings.get(figure["id"])
        return None if one is None else pictures.map_picture(figure, one, self.language)

    def swatch(self, figure: Mapping[str, Any], row: int) -> Markup:
        """Colour of a class."""
        return pictures.swatch(figure, row)
