"""What a run prints: every estimate with its interval where the terminal is wide enough, and its n."""

from tranquillite_ml.cli.summary import print_summary


def test_hit_rates_and_pai_come_with_their_intervals_and_n(summary, monkeypatch):
    for row in summary["hotspots"]:
        row |= {"hit_rate_upper": 0.146, "pai_lower": 9.02, "pai_upper": 10.71}
    told = "\n".join(print_summary(summary))
    assert "burglary: 1,234 recorded incidents in 13 folds" in told
    assert told.count("0.123 [0.100, 0.146]") == told.count("9.9 [9.0, 10.7]") == 3 * len(summary["scores"])
    assert told.count("1.010 [0.970, 1.050]") == len(summary["scores"])
    monkeypatch.setattr("tranquillite_ml.cli.summary._width", lambda: 60)
    narrow = "\n".join(print_summary(summary))
    assert "[0.100, 0.146]" not in narrow
    assert narrow.count("9.9") == 3 * len(summary["scores"])


def test_the_report_is_told_in_its_own_sentence(summary):
    summary["report"] = {"sentence": "It must not be used: C17 proxies (fail)."}
    assert "Report: It must not be used: C17 proxies (fail)." in "\n".join(print_summary(summary))
