"""Speed and memory, each beside a peer or a limit: `python experiments/bench [name …]`.

Each module of this folder has `rows()`: what was measured, in which unit, what it must reach, and whether it did.
A figure that misses its bar is printed as missed; only an error fails.
"""

import sys
from importlib import import_module
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))


def main(names):
    known = sorted(path.stem for path in HERE.glob("*.py") if path.stem != "__main__")
    unknown = sorted(set(names) - set(known))
    if unknown:
        sys.exit(f"there is no bench {unknown}; there is {known}.")
    print("| what | measured | unit | must reach | |\n|---|---|---|---|---|")
    for name in names or known:
        print(f"measuring {name} …", file=sys.stderr)
        for row in import_module(name).rows():
            verdict = "" if row.get("ok") is None else "reached" if row["ok"] else "missed"
            print(
                f"| {row['what']} | {row['measured']} | {row['unit']} | {row['must']} | {verdict} |",
                flush=True,
            )


if __name__ == "__main__":
    main(sys.argv[1:])
