"""A benchmark's page goes between its marks in the documents, and nothing else changes."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


def pages() -> ModuleType:
    spec = importlib.util.spec_from_file_location("pages", ROOT / "experiments" / "pages.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_page_is_put_between_its_marks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = pages()
    monkeypatch.setattr(module, "PAGE", tmp_path / "page.md")
    monkeypatch.setattr(module, "IMAGES", tmp_path)
    (tmp_path / "page.md").write_text(
        "# All\n\n<!-- nij -->\nold\n<!-- end of nij -->\n\n## Next\n", encoding="utf-8"
    )
    (tmp_path / "nij.md").write_text("# NIJ\n\nText.\n\n## One\n\n| a |\n", encoding="utf-8")
    (tmp_path / "hits.png").write_bytes(b"png")
    module.put(tmp_path, "nij", {"hits": "What it shows"})
    page = (tmp_path / "page.md").read_text(encoding="utf-8")
    assert page == (
        "# All\n\n<!-- nij -->\n![What it shows](images/benchmark_hits.png)\n\n*What it shows.*\n\n"
        "Text.\n\n### One\n\n| a |\n<!-- end of nij -->\n\n## Next\n"
    )
    assert (tmp_path / "benchmark_hits.png").read_bytes() == b"png"
    module.put(tmp_path, "nij", {"hits": "What it shows"})
    assert (tmp_path / "page.md").read_text(encoding="utf-8") == page
    (tmp_path / "weekly.md").write_text("# W\n", encoding="utf-8")
    with pytest.raises(SystemExit, match="no part between <!-- weekly -->"):
        module.put(tmp_path, "weekly", {})


def test_the_documents_have_a_part_for_each_benchmark() -> None:
    text = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    for name in ("weekly", "sthsl", "nij"):
        assert text.index(f"<!-- {name} -->") < text.index(f"<!-- end of {name} -->")
