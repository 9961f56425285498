"""A run's summary as text: a table of scores, the verdict, and where everything is."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tranquillite_ml.cli.output import clean, hide_secrets, number, text_table

COVERAGES = (0.01, 0.05, 0.10)
_SCORES = ("model", "log score", "O/E", "hit 1 %", "hit 5 %", "hit 10 %")
_PAI = ("model", "PAI 1 %", "PAI 5 %", "PAI 10 %")
LEGEND = (
    "",
    "Log score: nats a forecast, larger is better. Hit rate (share of incidents) and PAI: in the 1, 5 and",
    "10 % of the area forecast as busiest. O/E: observed over expected, best 1. In brackets: 95 % intervals.",
)
_PATHS = {
    "report": "report (open in a browser)",
    "map": "map (open in a browser)",
    "forecast": "forecast",
    "forecasts": "backtest",
    "tables": "tables",
    "figures": "figures",
    "model": "model",
}

Row = Mapping[str, Any]


def print_summary(summary: Row) -> Iterator[str]:
    """Give the lines that tell a run's result; whatever is missing is left out.

    Parameters
    ----------
    summary : mapping
        What the pipeline's stages give: ``scores, hotspots, verdict, glass_box, paths, mlflow_run_id, …``.
    """
    notice = summary.get("notice")
    yield from [clean(notice), ""] if notice else []
    yield f"Run {clean(summary.get('run_id', ''))} in {clean(summary.get('run_dir', ''))}"
    scores, hotspots = summary.get("scores") or [], summary.get("hotspots") or []
    verdicts, glass_boxes = summary.get("verdict") or {}, summary.get("glass_box") or {}
    for category in dict.fromkeys(str(row.get("category", "")) for row in scores):
        yield ""
        yield from _category(category, _of(scores, category), _of(hotspots, category))
        if verdicts.get(category):
            yield f"  {verdict_sentence(verdicts[category])}"
        if glass_boxes.get(category):
            yield f"  {clean(glass_boxes[category]['sentence'])}"
    yield from LEGEND if scores else ()
    if summary.get("report"):
        yield from ["", f"Report: {clean(summary['report']['sentence'])}"]
    yield ""
    yield from _places(summary)
    yield from ["", clean(notice)] if notice else []


def _of(rows: Iterable[Row], category: str) -> list[Row]:
    return [row for row in rows if str(row.get("category", "")) == category]


def _category(category: str, scores: Sequence[Row], hotspots: Sequence[Row]) -> Iterator[str]:
    folds, incidents = scores[0].get("n_folds"), scores[0].get("n_incidents")
    yield f"{clean(category)}: {number(incidents, 0)} recorded incidents in {number(folds, 0)} folds"
    ranked = sorted(scores, key=_log_score, reverse=True)
    for wide in ({"log_score", "oe", "hit_rate"}, {"log_score", "oe"}, {"oe"}, set[str]()):
        table = text_table(_SCORES, [_scores(row, hotspots, wide) for row in ranked])
        if max(map(len, table.splitlines())) <= _width():
            break
    yield table
    yield ""
    for wide in ({"pai"}, set[str]()):
        table = text_table(_PAI, [_pai(row, hotspots, wide) for row in ranked])
        if max(map(len, table.splitlines())) <= _width():
            break
    yield table


def _width() -> int:
    """Columns to write in: those of the terminal, or plenty in a file."""
    return shutil.get_terminal_size((160, 24)).columns if sys.stdout.isatty() else 160


def _log_score(row: Row) -> float:
    value = row.get("log_score")
    return float(value) if isinstance(value, int | float) and value == value else float("-inf")  # noqa: PLR0124


def _scores(row: Row, hotspots: Sequence[Row], wide: set[str]) -> list[str]:
    at = [_at(hotspots, row.get("model"), coverage) for coverage in COVERAGES]
    return [
        str(row.get("model")),
        _estimate(row, "log_score", 2, wide),
        _estimate(row, "oe", 3, wide),
        *(_estimate(found, "hit_rate", 3, wide) for found in at),
    ]


def _pai(row: Row, hotspots: Sequence[Row], wide: set[str]) -> list[str]:
    at = [_at(hotspots, row.get("model"), coverage) for coverage in COVERAGES]
    return [str(row.get("model")), *(_estimate(found, "pai", 1, wide) for found in at)]


def _at(hotspots: Iterable[Row], model: Any, coverage: float) -> Row:
    for row in hotspots:
        if row.get("model") == model and abs(float(row.get("coverage") or -1) - coverage) < 1e-9:
            return row
    return {}


def _estimate(row: Row, name: str, digits: int, wide: set[str]) -> str:
    value = number(row.get(name), digits)
    lower, upper = (number(row.get(f"{name}_{end}"), digits) for end in ("lower", "upper"))
    return f"{value} [{lower}, {upper}]" if name in wide and "–" not in (lower, upper) else value


def verdict_sentence(verdict: Row) -> str:
    """The verdict in a sentence, with its numbers.

    Examples
    --------
    >>> verdict_sentence({"model": "lightgbm", "reference": "count_365d", "text": "beats counts",
    ...                   "difference": 4.2, "lower": 1.0, "upper": 7.5, "n_folds": 13})
    'lightgbm beats counts (count_365d): log score +4.20 nats a fold [1.00, 7.50] in 13 folds.'
    """
    sentence = verdict.get("sentence")
    if sentence:
        return clean(sentence)
    text = str(verdict.get("text", "no verdict"))
    model, reference = clean(verdict.get("model", "the model")), clean(verdict.get("reference", "counts"))
    claim = f"cannot tell whether {model} beats counts" if text == "cannot tell" else f"{model} {text}"
    difference, lower, upper = (verdict.get(name) for name in ("difference", "lower", "upper"))
    told = "" if number(difference) == "–" else f": log score {difference:+.2f} nats a fold"
    told += "" if number(lower) == "–" else f" [{number(lower, 2)}, {number(upper, 2)}]"
    folds = verdict.get("n_folds")
    told += "" if folds is None else f" in {folds} {'fold' if folds == 1 else 'folds'}"
    best = verdict.get("best_of_the_others")
    also = f" The best of the others is {clean(best)}." if best and best != verdict.get("reference") else ""
    return f"{claim} ({reference}){told}.{also}"


def _places(summary: Row) -> Iterator[str]:
    """Where things are, and how to look at the MLflow store."""
    paths = {"forecasts": summary.get("forecasts")} | dict(summary.get("paths") or {})
    shown = [(label, clean(paths[key])) for key, label in _PATHS.items() if paths.get(key)]
    wide = max((len(label) for label, _ in shown), default=0)
    yield from (f"  {label.ljust(wide)}  {path}" for label, path in shown)
    uri = paths.get("mlflow")
    if uri and summary.get("mlflow_run_id"):
        yield from _mlflow(str(uri), str(summary["mlflow_run_id"]))


def _mlflow(uri: str, run_id: str) -> Iterator[str]:
    yield f"  {'MLflow run'}  {clean(run_id)} in {clean(hide_secrets(uri))}"
    if uri.startswith(("http://", "https://")):
        yield f"  Look at it in a browser: {clean(hide_secrets(uri))}"
        return
    beside = Path(sys.executable).with_name("mlflow")
    command = "mlflow" if shutil.which("mlflow") or not beside.exists() else str(beside)
    store = shlex.quote(clean(hide_secrets(uri)))
    yield f"  Look at it with: {shlex.quote(command)} ui --backend-store-uri {store}"
