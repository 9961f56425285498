"""Plots as files: two kinds, the same bytes for the same plot."""

from __future__ import annotations

from pathlib import Path

from tranquillite_ml.plots.saving import save_plot


def test_equal_plots_are_equal_files(tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    first = save_plot(lambda ax: ax.plot([1, 2], [3.5, 4]), tmp_path / "lines_0.5")
    again = save_plot(lambda ax: ax.plot([1, 2], [3.5, 4]), tmp_path / "again" / "lines_0.5")
    assert [path.name for path in first] == ["lines_0.5.png", "lines_0.5.svg"]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in again]
    assert b"<svg" in first[1].read_bytes()
