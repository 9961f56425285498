# %% [markdown]
# # What the audits found
#
# A short summary of one or several reports: the verdict, each check's status and its reason, and the measurements that cross a
# limit. The whole report stays the place to read; this is what is kept beside the code.
#
#     python experiments/18_audits.py runs/stlouis-weekly-…/report.json runs/chicago-weekly-…/report.json --output experiments/results

# %%
import argparse
import json
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("reports", nargs="+", type=Path)
parser.add_argument("--output", type=Path, default=None, help="folder for the summaries as JSON")
arguments = parser.parse_args()
SAID = (
    "name",
    "category",
    "group",
    "subject",
    "value",
    "ci95",
    "adjusted",
    "n",
    "unit_of_n",
    "min_detectable",
)


def shortened(report):
    limits = report["thresholds"]["values"]["checks"]
    checks = []
    for check in report["checks"]:
        judged = [one for one in check["measurements"] if one["name"] in limits[check["id"]]["limits"]]
        kept = [{name: one[name] for name in SAID if one[name] is not None} for one in judged]
        checks.append(
            {
                "id": check["id"],
                "title": check["title"],
                "status": check["status"],
                "reason": check["reason"]["en"],
            }
            | {"measurements": kept}
        )
    return {
        "system": report["system"]["name"],
        "verdict": report["verdict"],
        "sentence": report["verdict_sentence"]["en"],
        "thresholds_sha256": report["thresholds"]["sha256"],
        "package_digest": report["run"].get("package_digest"),
        "checks": checks,
    }


# %%
for path in arguments.reports:
    found = shortened(json.loads(path.read_text(encoding="utf-8")))
    print(f"\n## {found['system']}\n\n{found['verdict']}: {found['sentence']}\n")
    print("| check | status | why |\n|---|---|---|")
    for check in found["checks"]:
        print(f"| {check['id']} {check['title']} | {check['status'].replace('_', ' ')} | {check['reason']} |")
    if arguments.output is not None:
        arguments.output.mkdir(parents=True, exist_ok=True)
        text = json.dumps(found, indent=1, sort_keys=True)
        (arguments.output / f"18_audit_{found['system']}.json").write_text(text + "\n", encoding="utf-8")
