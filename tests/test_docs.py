"""The pages: those made from the code are fresh, and no link leads nowhere."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

import tranquillite_ml as tq
from tranquillite_ml.schema import TABLES

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "data" / "README.md"])
LINK = re.compile(r"\]\(([^)\s]+)\)")


def maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_pages", ROOT / "docs" / "make_pages.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def headings(page: Path) -> set[str]:
    """Anchors of a page's headings: lower case, punctuation left out, spaces as hyphens."""
    found = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", text.lower()).strip().replace(" ", "-") for text in found}


@pytest.mark.parametrize("path", ["docs/api.md", "data/README.md"])
def test_pages_made_from_the_code_are_fresh(path: str) -> None:
    kept = (ROOT / path).read_text(encoding="utf-8")
    assert kept == maker().pages()[path], f"{path} is stale: `make docs` writes it anew"


def test_the_dictionary_has_every_column_with_its_maker_and_whether_it_is_personal() -> None:
    page = (ROOT / "data" / "README.md").read_text(encoding="utf-8")
    rows = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| `")]
    assert [row[0].strip("`") for row in rows] == [name for table in TABLES.values() for name in table]
    assert {row[3] for row in rows} <= {"publisher", "reading", "model", "publisher or reading"}
    assert {row[4] for row in rows} == {"no", "indirectly"}


def test_the_page_of_names_has_each_of_them() -> None:
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    listed = re.findall(r"^### (\w+)$", page, flags=re.MULTILINE)
    assert sorted(listed) == [name for name in tq.__all__ if name not in {"errors", "plots"}]
    assert "0x" not in page  # an address in memory would differ from run to run


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name} links to {link}, which is not there"
        assert not anchor or anchor in headings(target), f"{page.name} links to {link}: no such heading"


def test_the_tests_that_pages_name_are_there() -> None:
    named = {
        name for page in PAGES for name in re.findall(r"`([\w/]*test_\w+\.py)`", page.read_text("utf-8"))
    }
    assert named
    assert [
        name for name in sorted(named) if not (ROOT / "tests" / name.removeprefix("tests/")).is_file()
    ] == []
