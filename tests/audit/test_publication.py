"""Nothing that must stay hidden can be told from what is published; what leaks is found."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from scipy.sparse import csr_matrix

from tests.audit.builders import forecasts_of, groups_of
from tests.builders import make_panel
from tranquillite_ml.audit.attack import told_apart
from tranquillite_ml.audit.evidence import Evidence
from tranquillite_ml.audit.publication import DEFINITIONS, publishable
from tranquillite_ml.audit.suppression import Rules, suppress
from tranquillite_ml.errors import InputDataError, UsageError
from tranquillite_ml.governance import load_thresholds
from tranquillite_ml.panel import Panel

LIMITS = load_thresholds()
HOSTILE = "<img src=x onerror=alert(1)>"


def published(panel: Panel, category: str, begin: int, end: int, homes: float | None = 50) -> pd.DataFrame:
    given = None if homes is None else np.full(panel.n_cells, homes)
    return publishable(panel, category, begin, end, households=given)


def run(panel: Panel, table: object, homes: float | None = 50):
    groups = groups_of(panel, homes)
    evidence = Evidence(panel=panel, groups=groups, records={"published": table})
    return DEFINITIONS[0].run(forecasts_of(panel), evidence, LIMITS)


# ---------------------------------------------------------------------- suppress


def test_a_table_by_hand() -> None:
    # Area 1: a 12 alone; rest b+c = 1+2 = 3 < 5, so a joins: 15, rounded 15.
    # Area 2: d 6 and e 9 alone; rest f+g = 4+3 = 7 is enough: rounded 5.
    table = pd.DataFrame({"cell": list("abcdefg"), "count": [12, 1, 2, 6, 9, 4, 3]})
    parents = dict(zip("abcdefg", [1, 1, 1, 2, 2, 2, 2], strict=True))
    found = suppress(table, dict.fromkeys("abcdefg", 30), parents)
    got = {row.cells: (row.level, row.incidents) for row in found.itertuples()}
    assert got == {
        "a b c": ("rest of an area", 15),
        "d": ("cell", 5),
        "e": ("cell", 10),
        "f g": ("rest of an area", 5),
    }


def test_few_households_hide_a_cell_with_many_incidents() -> None:
    # b has 40 incidents but 3 households: it goes into the rest, with c: 3 + 20 households, 41 incidents.
    table = pd.DataFrame({"cell": list("abc"), "count": [30, 40, 1]})
    found = suppress(table, {"a": 20, "b": 3, "c": 20}, dict.fromkeys("abc", "p"))
    assert dict(zip(found["cells"], found["incidents"], strict=True)) == {"a": 30, "b c": 40}
    # With 3 + 2 households the rest is too small for itself: a joins, and all are one number, 71 → 70.
    found = suppress(table, {"a": 20, "b": 3, "c": 2}, dict.fromkeys("abc", "p"))
    assert dict(zip(found["cells"], found["incidents"], strict=True)) == {"a b c": 70}


def test_a_city_with_too_few_is_withheld_and_periods_are_apart() -> None:
    table = pd.DataFrame({"cell": list("abab"), "count": [1, 2, 30, 40], "week": [1, 1, 2, 2]})
    found = suppress(table, dict.fromkeys("ab", 30), dict.fromkeys("ab", "p"), by=["week"])
    first = found[found["week"] == 1]
    assert first["incidents"].isna().all()
    assert found[found["week"] == 2]["incidents"].tolist() == [30, 40]


def test_without_households_no_cell_stands_alone() -> None:
    table = pd.DataFrame({"cell": list("abcd"), "count": [300, 200, 50, 80]})
    found = suppress(table, None, {"a": 1, "b": 1, "c": 2, "d": 2})
    assert found["n_cells"].tolist() == [2, 2]
    assert suppress(table[:1], None, {"a": 1})["incidents"].isna().all()


@pytest.mark.parametrize(
    ("table", "parents", "words"),
    [
        ({"cell": ["a", "a"], "count": [1, 2]}, {"a": 1}, "repeats"),
        ({"cell": ["a"], "count": [-1]}, {"a": 1}, "whole numbers"),
        ({"cell": ["a"], "count": [1.5]}, {"a": 1}, "whole numbers"),
        ({"cell": ["a"], "count": [float("nan")]}, {"a": 1}, "whole numbers"),
        ({"cell": [HOSTILE], "count": [1]}, {}, "no parent"),
        ({"cell": ["a"]}, {"a": 1}, "missing"),
        ({"cell": [], "count": []}, {}, "missing"),
    ],
)
def test_tables_that_cannot_be_right_are_refused(table: dict, parents: dict, words: str) -> None:
    with pytest.raises(InputDataError, match=words):
        suppress(pd.DataFrame(table), None, parents)


def test_rules_must_make_sense() -> None:
    with pytest.raises(UsageError, match="odd"):
        Rules(round_to=4)


@st.composite
def tables(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    n = draw(st.integers(2, 9))
    some = st.one_of(st.integers(0, 6), st.integers(0, 60), st.just(0))
    counts = np.array(draw(st.lists(some, min_size=n, max_size=n)))
    homes = np.array(draw(st.lists(st.integers(0, 40), min_size=n, max_size=n)))
    areas = np.array(draw(st.lists(st.integers(0, 3), min_size=n, max_size=n)))
    return counts, homes, areas


@settings(max_examples=220, deadline=None)
@given(tables())
def test_random_tables_tell_no_hidden_cell(table: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    """The oracle is a linear programme of its own, on every hidden cell, with the city's total known."""
    counts, homes, areas = table
    names = [f"c{k}" for k in range(len(counts))]
    found = suppress(
        pd.DataFrame({"cell": names, "count": counts}),
        dict(zip(names, homes, strict=True)),
        dict(zip(names, areas, strict=True)),
    )
    covered = [name for text in found["cells"] for name in text.split()]
    assert sorted(covered) == sorted(names)  # a partition: every cell is in one unit
    place = {name: k for k, name in enumerate(names)}
    rows, low, high = [np.ones(len(counts))], [counts.sum()], [counts.sum()]
    for unit in found.dropna(subset="incidents").itertuples():
        mine = [place[name] for name in unit.cells.split()]
        assert counts[mine].sum() >= 5
        assert homes[mine].sum() >= 11
        assert unit.incidents % 5 == 0
        assert abs(unit.incidents - counts[mine].sum()) <= 2
        rows.append(np.isin(np.arange(len(counts)), mine).astype(float))
        low.append(max(unit.incidents - 2, 5))
        high.append(unit.incidents + 2)
    a, hidden = np.array(rows), (counts >= 1) & ((counts < 5) | (homes < 11))
    for k in np.flatnonzero(hidden):
        ends = []
        for sign in (1, -1):
            aim = np.zeros(len(counts))
            aim[k] = sign
            solved = linprog(aim, A_ub=np.vstack([a, -a]), b_ub=np.concatenate([high, -np.array(low)]))
            assert solved.status == 0
            ends.append(sign * solved.fun)
        assert ends[1] - ends[0] >= 1 - 1e-6
    assert not told_apart(csr_matrix(a), np.array(low, float), np.array(high, float), hidden).any()


# ---------------------------------------------------------------------- the attack


@st.composite
def statements(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    n, m = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    truth = np.array(draw(st.lists(st.integers(0, 3), min_size=n, max_size=n)))
    rows = draw(st.lists(st.lists(st.booleans(), min_size=n, max_size=n), min_size=m, max_size=m))
    sums = np.array(rows, dtype=float)
    slack = np.array(draw(st.lists(st.integers(0, 1), min_size=m, max_size=m)))
    total = sums @ truth
    return sums, np.maximum(total - slack, 0), total + slack, truth


@settings(max_examples=200, deadline=None)
@given(statements())
def test_the_attack_agrees_with_trying_all_numbers(given: tuple[np.ndarray, ...]) -> None:
    sums, lower, upper, _ = given
    n = sums.shape[1]
    top = int(upper.max()) + 1  # counts without any statement are free: values up to here show it
    every = np.array(list(product(range(top + 1), repeat=n)))
    held = every @ sums.T
    possible = every[((held >= lower) & (held <= upper)).all(axis=1)]
    expected = [len(np.unique(possible[:, k])) == 1 for k in range(n)]
    found = told_apart(csr_matrix(sums), lower, upper, np.ones(n, dtype=bool))
    assert found.tolist() == expected


def test_periods_that_nest_tell_the_difference() -> None:
    # Cell a: 9 in a fortnight, 6 in its first week, both printed as they are: 3 in the second week.
    sums = csr_matrix(np.array([[1.0, 1.0], [1.0, 0.0]]))
    assert told_apart(sums, np.array([9.0, 6.0]), np.array([9.0, 6.0]), np.array([False, True])).tolist() == [
        False,
        True,
    ]


# ---------------------------------------------------------------------- the check


@pytest.fixture(scope="module")
def panel() -> Panel:
    return make_panel(60, rings=3, rate=0.12, seed=3)


def test_what_suppress_publishes_passes(panel: Panel) -> None:
    weeks = [published(panel, name, a, a + 28) for name in panel.categories for a in (0, 28)]
    check = run(panel, pd.concat(weeks))
    told = check.measurements[0]
    assert (check.status, told.value) == ("PASS", 0.0)
    assert told.n > 20
    assert check.tables["recoverable"].empty


def test_nested_periods_stay_hidden_by_rounding(panel: Panel) -> None:
    table = pd.concat([published(panel, "noise", 0, end) for end in (28, 35, 42)])
    assert run(panel, table).measurements[0].value == 0


def test_plain_counts_fail_by_what_is_published_alone(panel: Panel) -> None:
    counts = panel.counts("noise", 0, 28).sum(axis=0)
    table = published(panel, "noise", 0, 28)[["category", "period_start", "period_end"]].iloc[
        [0] * panel.n_cells
    ]
    table = table.assign(cells=panel.grid.names(), incidents=counts)
    check = run(panel, table)
    assert check.status == "FAIL"
    # Exactly the cells with one to four incidents.
    assert check.measurements[0].value == ((counts >= 1) & (counts < 5)).sum()


def test_a_parent_beside_its_children_fails(panel: Panel) -> None:
    """One cell withheld, its parent printed: the difference is the cell."""
    counts = panel.counts("noise", 0, 28).sum(axis=0)
    hidden = int(np.flatnonzero((counts >= 1) & (counts < 5))[0])
    names = panel.grid.names()
    head = published(panel, "noise", 0, 28)[["category", "period_start", "period_end"]].iloc[0].to_dict()
    others = np.delete(np.arange(panel.n_cells), hidden)
    rows = [head | {"cells": " ".join(names[others]), "incidents": counts[others].sum()}]
    check = run(panel, pd.DataFrame(rows))
    # The rest is printed exactly, and so is the city's total: the difference is the hidden cell.
    assert check.status == "FAIL"
    assert check.tables["recoverable"]["cell"].tolist() == [names[hidden]]


def test_without_households_it_cannot_be_assessed_and_fine_cells_fail(panel: Panel) -> None:
    coarse = published(panel, "noise", 0, 60, homes=None)
    check = run(panel, coarse, homes=None)
    assert check.status == "NOT_ASSESSABLE"
    assert "households" in check.reason["en"]
    assert "ménages" in check.reason["fr"]
    alone = published(panel, "noise", 0, 60)  # cells of resolution 9 on their own
    assert (alone["level"] == "cell").any()
    assert run(panel, alone, homes=None).status == "FAIL"


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("cells", HOSTILE, "none"),
        ("cells", "", "none"),
        ("incidents", -5, "whole numbers"),
        ("incidents", "=1+1", "whole numbers"),
        ("category", HOSTILE, "no category"),
    ],
)
def test_what_cannot_have_been_published_is_refused(
    panel: Panel, column: str, value: object, words: str
) -> None:
    table = published(panel, "noise", 0, 28).astype(object)
    table.loc[0, column] = value
    with pytest.raises(Exception, match=words):
        run(panel, table)


def test_it_is_read_from_a_file_too(panel: Panel, tmp_path) -> None:
    path = tmp_path / "published.csv"
    published(panel, "theft", 0, 28).to_csv(path, index=False)
    assert run(panel, path).status == "PASS"
