"""Categories whose names attack shells, spreadsheets, browsers, paths and terminals, through a whole run."""

import csv
import json
import os
import pty
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from html.parser import HTMLParser

import pandas as pd
import pytest

from tests.cli.conftest import rows

NAMES = [
    "<script>alert(1)</script>",
    "=cmd|' /C calc'!A0",
    "../../x",
    "two\nlines",
    "n" * 300,
    "🔥 \"feu\" & 'co'",
    "\u202eesion\u202c שלום",
    "</script><img src=x onerror=alert(1)>",
]
HARMLESS = [f"category {number}" for number in range(len(NAMES))]


def config_of(names):
    listed = {name: {"from": [name], "origin": "citizen"} for name in names}
    return f"""\
name: hostile
incidents: {{path: incidents.csv, tz: Europe/Paris, categories: {json.dumps(listed)}}}
forecast: {{period: 7}}
model: {{kind: none}}
backtest: {{folds: 1, every: 7D}}
calibration: {{window: 28D}}
tracking: {{experiment: "<b>=x</b>"}}
"""


def run_in_terminal(folder, names):
    """Run with a terminal as standard error, so that there is a progress bar; give what was written to it."""
    table = rows(n=1600).assign(category=[names[row % len(names)] for row in range(1600)])
    table.to_csv(folder / "incidents.csv", index=False)
    (folder / "run.yaml").write_text(config_of(names), encoding="utf-8")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "tranquillite_ml", "run", "run.yaml", "--no-report"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        try:
            while part := os.read(ours, 65536):
                shown += part
        except OSError:  # the other end is closed
            pass
        out = process.stdout.read().decode()
    os.close(ours)
    assert process.returncode == 0, shown.decode()
    return out, shown.decode()
