"""Speed, memory and accuracy, each beside a bar or a peer: `python experiments/bench [NAME …]`.

Each bench is a module of this folder: `BARS` says what is measured and what it must reach, `measure()` gives the
figures. It runs in a fresh process. A figure that misses its bar is printed as missed; only an error fails.
"""

import argparse
import os
import sys
from importlib import import_module
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import fresh
import results

BENCHES = (
    "history",
    "stlouis",
    "zeros",
    "forecast",
    "backtest",
    "startup",
    "growth",
    "kernels",
    "hawkes",
    "tuning",
    "ensemble",
    "explain",
    "context",
    "report",
    "weekly",  # the longest comes last
)
PAGE = HERE.parents[1] / "docs" / "benchmarks.md"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python experiments/bench", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which benches: {', '.join(BENCHES)}")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="the same, repeatable")
    parser.add_argument("--output", type=Path, default=Path("bench-results"), metavar="DIR")
    parser.add_argument("--docs", action="store_true", help="put the table into docs/benchmarks.md too")
    chosen = parser.parse_args(arguments)
    names = [*chosen.names, *chosen.only]
    unknown = sorted(set(names) - set(BENCHES))
    if unknown:
        parser.error(f"there is no bench {unknown}; there is {list(BENCHES)}.")
    print(results.HEADER, flush=True)
    failed = [name for name in BENCHES if name in (names or BENCHES) and not run(name, chosen.output)]
    table = results.page(chosen.output, BENCHES)
    (chosen.output / "table.md").write_text(table + "\n", encoding="utf-8")
    if chosen.docs:
        results.replace_figures(PAGE, table)
    print(f"results: {chosen.output}", file=sys.stderr)
    return 1 if failed else 0


def run(name: str, folder: Path) -> bool:
    """Measure a bench in a fresh process, print and keep its rows; whether it went through."""
    load = os.getloadavg()[0]
    print(f"measuring {name} … (load before it: {load:.1f})", file=sys.stderr, flush=True)
    try:
        found = fresh.call(name, "measure")
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return False
    rows = results.make_rows(import_module(name).BARS, found["result"])
    for row in rows:
        print(results.line(row), flush=True)
    cost = {"peak_mb": round(found["peak_mb"], 1), "seconds": round(found["seconds"], 1), "load_before": load}
    print(f"{name}: {cost['seconds']:g} s, peak {cost['peak_mb']:,.0f} MB", file=sys.stderr, flush=True)
    results.save(folder, name, {"bench": name, "machine": results.machine(), **cost, "rows": rows})
    return True


if __name__ == "__main__":
    sys.exit(main())
