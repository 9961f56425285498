"""axe-core in headless Chromium finds nothing to object to, in either language and edition.

It runs where both are installed: set ``AXE_CORE`` to the path of ``axe.min.js``.
"""

from __future__ import annotations

import html as markup
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.report.reports import LIMITS
from tranquillite_ml.report.public import public_edition
from tranquillite_ml.report.render import render

AXE = Path(os.environ.get("AXE_CORE", "axe.min.js"))
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium"),
    pytest.mark.skipif(not AXE.is_file(), reason="AXE_CORE does not name axe-core's axe.min.js"),
]
RUN = """<script>window.addEventListener("load", function () {
  axe.run(document, {resultTypes: ["violations"]}).then(function (found) {
    var told = document.createElement("pre");
    told.id = "axe-result";
    told.textContent = JSON.stringify({
      passes: found.passes.length,
      violations: found.violations.map(function (one) { return one.id + ": " + one.nodes[0].html; })
    });
    document.body.appendChild(told);
  });
});</script>"""


@pytest.mark.parametrize("edition", ["full", "public"])
@pytest.mark.parametrize("language", ["en", "fr"])
def test_axe_finds_nothing(edition: str, language: str, made: Any, audited: Any, tmp_path: Path) -> None:
    report, drawings = made
    if edition == "public":
        forecasts, evidence = audited
        latest = forecasts.latest().select(model="smoothed_count")
        report, drawings, _ = public_edition(report, latest=latest, evidence=evidence, thresholds=LIMITS)
    html = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", render(report, drawings))
    script = f"<script>{AXE.read_text(encoding='utf-8')}</script>{RUN}</head>"
    page = tmp_path / "page.html"
    page.write_text(html.replace("</head>", script, 1), encoding="utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=60000", "--dump-dom"]
    command = [str(CHROMIUM), *options, f"file://{page}#{language}-main"]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    found = re.search(r'<pre id="axe-result">(.*?)</pre>', shown, re.DOTALL)
    assert found is not None
    told = json.loads(markup.unescape(found[1]))
    assert told["violations"] == []
    assert told["passes"] > 20
