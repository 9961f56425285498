"""The commented YAML that `init` writes. Names that come from the file are quoted."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

import yaml

from tranquillite_ml.cli.columns import REQUIRED
from tranquillite_ml.cli.drafting import Draft, choose_target, rank_categories, writable
from tranquillite_ml.cli.output import clean
from tranquillite_ml.config import EXTRA_BASELINES, MODEL_KINDS
from tranquillite_ml.errors import UsageError

CHECK = "CHECK THIS"
GOVERNANCE = "governance.yaml"
_SUGGESTED = 10
_COMMENT, _WIDEST = 32, 110  # columns: where comments begin, and where lines end
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_]*(?:[/-][A-Za-z0-9_]+)*")
_WORDS = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}


def quoted(text: str) -> str:
    r"""A YAML scalar on one line that means this text, whatever it holds.

    Examples
    --------
    >>> quoted("noise"), quoted("no"), quoted("a: b # c\n")
    ('noise', '"no"', '"a: b # c\\n"')
    """
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    dumped = yaml.safe_dump(text, default_style='"', allow_unicode=True, width=float("inf"))
    return str(dumped).removesuffix("\n")


def commented(line: str, comment: str) -> list[str]:
    """A line with its comment in a column of its own, on as many lines as it takes.

    Examples
    --------
    >>> commented("seed: 0", "all random draws start here")
    ['seed: 0                         # all random draws start here']
    """
    told = textwrap.wrap(comment, _WIDEST - _COMMENT - 2, break_long_words=False, break_on_hyphens=False)
    return [f"{text.ljust(_COMMENT)}# {part}" for text, part in zip_longest([line], told, fillvalue="")]


def refuse_overwrite(path: Path, *, force: bool) -> None:
    """Stop if a file cannot be written there.

    Raises
    ------
    UsageError
        If it is a folder or in none, or a file is there already, unless forced.
    """
    if path.is_dir():
        msg = f"{path} is a folder: name the file to write, such as --output {path / 'config.yaml'}."
        raise UsageError(msg)
    if path.exists() and not force:
        msg = f"{path} exists already: --force overwrites it, or choose another name with --output."
        raise UsageError(msg)
    if not path.parent.is_dir():
        msg = f"{path} cannot be written: there is no folder {path.parent}."
        raise UsageError(msg)


def write_draft(draft: Draft, path: Path, *, force: bool) -> None:
    """Write the config, after its own reader has accepted it, and an empty governance file beside it.

    A governance file that is there already is left as it is, whatever `force` says: people filled it in.

    Raises
    ------
    UsageError
        If there is a config already and `force` is not given, or one of the two cannot be written.
    """
    from tranquillite_ml.config import RunConfig
    from tranquillite_ml.governance import template

    text = "\n".join(_lines(draft, path)) + "\n"
    RunConfig.from_yaml(text, str(path))
    refuse_overwrite(path, force=force)
    if not path.with_name(GOVERNANCE).exists():
        _write(path.with_name(GOVERNANCE), template())
    _write(path, text)


def _write(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_text(text, encoding="utf-8", newline="\n")
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        msg = f"{path} cannot be written ({error.strerror}): choose another name with --output."
        raise UsageError(msg) from error


def print_draft(draft: Draft, path: Path) -> Iterator[str]:
    """Lines that tell what was found and what to look at."""
    funnel, incidents = draft.incidents.funnel, draft.incidents
    yield f"{clean(path)}: a config for {clean(draft.source)}"
    yield f"  {funnel.accepted:,} of {funnel.read:,} rows can be used, in {len(incidents.origins)} categories"
    for ours, theirs in draft.columns.mapped.items():
        yield f"  {ours} is {clean(repr(theirs))}"
    for theirs, why in draft.columns.dropped.items():
        yield f"  {clean(repr(theirs))} describes persons ({why}): it is never loaded"
    yield from (f"  {CHECK}: {clean(question)}" for question in draft.questions)
    yield f"{clean(path.with_name(GOVERNANCE))}: who answers for it; the report shows what is left empty"
    yield f"Next: tranquillite check {clean(path)}"


def _lines(draft: Draft, path: Path) -> Iterator[str]:
    file = clean(path)
    yield f"# Written by `tranquillite init` after a look at {clean(draft.source)}. Read it through, then:"
    yield "#"
    yield f"#   tranquillite check {file}      look at the data without training"
    yield f"#   tranquillite run   {file}      forecasts, scores, map and an MLflow run"
    yield "#"
    yield "# Recorded incidents are what was reported and written down, not everything that happened."
    yield from (f"# {CHECK}: {clean(question)}" for question in draft.questions)
    yield ""
    yield f"name: {quoted(_run_name(draft.source))}"
    yield "seed: 0                         # all random draws start here: same seed, same results"
    yield ""
    yield "incidents:"
    yield from (f"  {line}" for line in _source(draft))
    yield from (f"  {line}" for line in _categories(draft))
    yield "  duplicates: keep              # flag | drop | keep: a repeated row is a second record, or a slip"
    yield ""
    yield from _rest(draft)
    yield ""
    yield "# Who answers for the forecasts, and what has been allowed. With it, `tranquillite forecast` asks"
    yield "# for a signed approval (`tranquillite signoff`, then `promote`) or for --allow-unsigned."
    yield f"governance: {{path: {quoted(str(path.with_name(GOVERNANCE)))}}}"


def _run_name(source: str) -> str:
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(source).stem).strip("-._")
    return stem[:64] or "my-city"


def _source(draft: Draft) -> Iterator[str]:
    yield f"path: {quoted(draft.source)}"
    doubt = (
        "guessed from the coordinates" if draft.tz_is_sure else f"{CHECK}: the time zone of the file's times"
    )
    yield f"tz: {quoted(draft.tz)}  # {doubt}"
    if draft.time_format:
        asked = any(question.startswith("time_format") for question in draft.questions)
        yield f"time_format: {quoted(draft.time_format)}" + (f"  # {CHECK}: day first?" if asked else "")
    yield "columns:                      # our name: the file's column"
    for ours, theirs in draft.columns.mapped.items():
        asked = any(question.startswith(f"{ours}:") for question in draft.questions)
        yield f"  {ours}: {quoted(theirs)}" + (f"  # {CHECK}" if asked and ours in REQUIRED else "")
    if draft.columns.dropped:
        yield "drop_columns:                 # these describe persons: they are never loaded"
        yield from (f"  - {quoted(name)}  # {clean(why)}" for name, why in draft.columns.dropped.items())


def _categories(draft: Draft) -> Iterator[str]:
    ranked = rank_categories(draft.incidents)
    target = choose_target(ranked)
    others = [(name, n) for name, n, fits in ranked if fits and name != target]
    counts = {name: n for name, n, _ in ranked}
    yield "categories:                   # what is forecast; every other category is kept as context"
    yield "  # Say who makes the records where you know it: {from: [...], origin: citizen}"
    yield "  # (citizen, sensor, agent, arrest, fine, inspection). Unknown ones are not used as features."
    yield f"  {quoted(target)}: {{from: [{quoted(target)}]}}  # {counts[target]:,} recorded incidents"
    if others:
        yield "  # To forecast others too, take away their #:"
    for name, n in others[:_SUGGESTED]:
        yield f"  # {quoted(name)}: {{from: [{quoted(name)}]}}  # {n:,}"
    agents = [
        name for name, origin in draft.incidents.origins.items() if origin == "agent" and writable(name)
    ]
    if agents:
        yield f"origins:                      # {CHECK}: by their names, these records follow patrols"
        yield from (f"  {quoted(name)}: agent  # {counts[name]:,}" for name in agents)


def _rest(draft: Draft) -> Iterator[str]:
    plan = draft.plan
    unit = "day" if plan.period == 1 else f"{plan.period} days"
    when = draft.incidents.table["occurred_at"]
    yield "grid:"
    yield "  resolution: 9                 # H3: 9 is about 0.1 km², 8 about 0.7 km²; 10 is the finest"
    yield "  dilate: 1                     # rings around the cells with incidents before the first cutoff"
    yield "  # study_area: area.geojson    # better: the polygon of the area that is answered for"
    yield ""
    yield "time: {freq: 1D}                # length of a time bin"
    yield f"forecast: {{period: {plan.period}, horizons: [1]}}    # the next {unit}"
    yield ""
    yield "features:"
    yield "  - history                     # counts of the past in each cell"
    yield "  - neighbourhood               # the same in the rings around it"
    yield "  - near_repeat                 # incidents close in space and time"
    yield "  - calendar                    # season, weekday; with holidays: calendar: {country: FR}"
    yield ""
    kinds = " | ".join(kind for kind in MODEL_KINDS if kind != "none")
    yield from commented("model: {kind: lightgbm}", f"{kinds} | none (the ladder of plain counts alone)")
    added = f"in addition to the ladder, which is always there: {', '.join(EXTRA_BASELINES)}"
    yield from commented("baselines: []", added)
    yield ""
    yield f"backtest:                       # the record: {when.min():%Y-%m-%d} to {when.max():%Y-%m-%d}"
    yield f"  folds: {plan.folds}"
    yield f"  every: {plan.every}D"
    yield f"  first_cutoff: {plan.first_cutoff}      # the last fold ends with the record"
    yield "  refit: never                  # never | every_fold"
    yield ""
    yield "calibration:"
    yield f"  window: {plan.window}D                  # days before the cutoff that rates are recalibrated on"
    yield "  strata: activity              # one factor for each level of activity; none: one for all"
    yield ""
    yield "output: runs                    # the folder of all runs"
