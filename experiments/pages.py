"""Puts a benchmark's page and plots into the documents, between the marks that are there."""

import re
import shutil
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE, IMAGES = ROOT / "docs" / "benchmarks.md", ROOT / "docs" / "images"


def put(folder, name, plots):
    """Fill the part named `name` of docs/benchmarks.md with ``<folder>/<name>.md`` and plots, one a line.

    Parameters
    ----------
    folder : str or Path
        What the benchmark wrote.
    name : str
        ``weekly``, ``sthsl`` or ``nij``.
    plots : dict of str to str
        Stem of each plot, and what it shows.
    """
    text = (Path(folder) / f"{name}.md").read_text(encoding="utf-8").split("\n", 1)[1].strip()
    text = re.sub("^#", "##", text, flags=re.MULTILINE)  # one level down: the page has its own titles
    shown = []
    for stem, what in plots.items():
        target = IMAGES / f"benchmark_{stem}.png"
        shutil.copyfile(Path(folder) / f"{stem}.png", target)
        shown.append(f"![{what}](images/{target.name})\n\n*{what}.*")
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(begin)
    if end not in rest:
        msg = f"{PAGE} has no part between {begin} and {end}"
        raise SystemExit(msg)
    after = rest.partition(end)[2]
    PAGE.write_text("\n".join([before + begin, "\n\n".join(shown), "", text, end + after]), encoding="utf-8")
