"""Thresholds: every check has its own, and the values are those agreed."""

import math

import pytest

from tranquillite_ml.config import shipped_files
from tranquillite_ml.errors import ConfigError, UsageError
from tranquillite_ml.governance import CHECKS, Bound, Limit, load_thresholds

NAN = math.nan
JACCARD = "jaccard: {warn: {below: 0.7}, fail: {below: 0.5}}"


@pytest.fixture(scope="module")
def text():
    return shipped_files()["thresholds"].read_text(encoding="utf-8")


@pytest.fixture
def load(tmp_path):
    def read(text):
        path = tmp_path / "thresholds.yaml"
        path.write_text(text, encoding="utf-8")
        return load_thresholds(path)

    return read


def test_every_check_has_thresholds():
    found = load_thresholds()
    assert CHECKS[0] == "C01"
    assert CHECKS[-1] == "C28"
    assert list(found.checks) == list(CHECKS)
    assert all(check.limits for check in found.checks.values())


@pytest.mark.parametrize(
    ("check", "measurement", "value", "interval", "status"),
    [
        ("C01", "exposure_ratio", 0.79, (), "WARN"),
        ("C01", "exposure_ratio", 1.25, (), "PASS"),
        ("C01", "need_adjusted_ratio", 1.5, (1.26, 1.8), "FAIL"),
        ("C01", "need_adjusted_ratio", 1.5, (1.2, 1.8), "PASS"),
        ("C01", "need_adjusted_ratio", 1.5, (), "NOT_ASSESSABLE"),
        ("C02", "selected_share", 0.95, (), "FAIL"),
        ("C03", "observed_to_expected", 1.2, (1.12, 1.3), "WARN"),
        ("C03", "observed_to_expected", 1.2, (1.05, 1.35), "PASS"),
        ("C03", "observed_to_expected", 0.7, (0.6, 0.79), "FAIL"),
        ("C04", "recall_ratio", 0.7, (0.5, 0.9), "WARN"),
        ("C06", "overall_skill", 0.0, (), "FAIL"),
        ("C06", "group_skill", 0.1, (-0.1, 0.3), "WARN"),
        ("C07", "lift", 1.9, (1.5, 2.3), "WARN"),
        ("C07", "lift", 3.0, (0.9, 5.0), "FAIL"),
        ("C09", "lock_in_ratio", 1.2, (1.1, 1.3), "WARN"),
        ("C11", "agent_share", 0.05, (), "WARN"),
        ("C11", "agent_share", 0.2, (), "WARN"),
        ("C11", "denied_categories", 1, (), "FAIL"),
        ("C14", "jaccard", 0.49, (), "FAIL"),
        ("C20", "funnel_gap", -1, (), "FAIL"),
        ("C22", "logged_share", 0.94, (), "WARN"),
        ("C28", "missing_rate_ratio", 3.1, (), "FAIL"),
        ("C28", "missing_rate_ratio", NAN, (), "NOT_ASSESSABLE"),
    ],
)
def test_values_become_the_status_that_was_agreed(check, measurement, value, interval, status):
    assert load_thresholds().limit(check, measurement).status(value, *interval) == status


def test_the_digest_is_of_the_values_only(load, text):
    shipped = load_thresholds().digest
    assert load(text + "\n# a comment\n").digest == shipped
    assert load(
        text.replace("{warn: {below: 0.7}, fail: {below: 0.5}}", "{fail: {below: 0.5}, warn: {below: 0.7}}")
    )
    assert load(text.replace("below: 0.7}, fail", "below: 0.71}, fail")).digest != shipped
    ratified = text.replace("ratified_by:", "ratified_by: board", 1).replace(
        "ratified_on:", "ratified_on: 2026-01-01", 1
    )
    assert load(ratified).ratified
    assert load(ratified).digest != shipped


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("  C28:\n", "  C29:\n", "['C28'] missing"),
        (JACCARD, JACCARD.replace("0.7", "0.4"),
         "fails at 0.5, before it warns"),
        (JACCARD, "jaccard: {}", "expected `warn`, `fail` or both"),
        ("jaccard: {warn: {below: 0.7}", "jaccard: {warn: {bellow: 0.7}", "Did you mean 'below'"),
        ("jaccard: {warn: {below: 0.7}", "jaccard: {warn: {below: 0.7, at_most: 1}",
         "one of below and at_most"),
        ("ratified_on:", "ratified_on: 2026-01-01", "both ratified_by and ratified_on"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_refused_in_words(load, text, old, new, told):
    with pytest.raises(ConfigError) as caught:
        load(text.replace(old, new, 1))
    assert told in str(caught.value)


def test_numbers_are_asked_for_by_name():
    found = load_thresholds()
    assert (found.setting("C19", "min_households"), found.intervals.min_blocks) == (11, 26)
    assert found.settings("C25", "penalties") == (0, 0.1, 1, 10)
    with pytest.raises(UsageError, match="Did you mean 'jaccard'"):
        found.limit("C14", "jacard")
    with pytest.raises(UsageError, match="a check must be one of"):
        found.limit("C99", "jaccard")
    with pytest.raises(UsageError, match="Ask for its `settings`"):
        found.setting("C25", "penalties")


def test_a_part_that_is_not_there_never_warns():
    assert Limit(fail=Bound(above=1)).status(1) == "PASS"
    assert Limit(warn=Bound(at_least=1)).status(9) == "WARN"
