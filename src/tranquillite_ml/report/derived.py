"""What follows again: statuses and texts from measurements, facts from the files that a report is about."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tranquillite_ml.audit import Evidence
from tranquillite_ml.audit.check import Check, Measurement, derive_status
from tranquillite_ml.config.words import shown
from tranquillite_ml.errors import TranquilliteError
from tranquillite_ml.forecasts import read_forecasts
from tranquillite_ml.governance import Governance, Thresholds, load_governance
from tranquillite_ml.report import facts
from tranquillite_ml.report.exhibits import from_check
from tranquillite_ml.report.summary import always_said, check_entry, concluded, home_of, leaves, ratified
from tranquillite_ml.report.worth import worth_of
from tranquillite_ml.runfolder import package_digest, plain

if TYPE_CHECKING:
    from tranquillite_ml.config import RunConfig
    from tranquillite_ml.forecasts import Forecasts

ABSENT = "absent"
_TEXTS = ("title", "titles", "rule", "anchors", "about", "methods")
"""What a check says that follows from its measurements and the thresholds."""
_OF_FORECASTS = (
    "h3_resolution",
    "slot_hours",
    "horizons",
    "audited_model",
    "models",
    "n_cells",
    "study_area_km2",
    "out_of_scope",
    "version",
)
"""What a report says of the system that follows from the forecasts and this version of the software."""


@dataclass(frozen=True)
class Problem:
    """One thing that is not as it should be.

    Parameters
    ----------
    where : str
        Path in the JSON file (RFC 6901), or the name of a file.
    told : str
    """

    where: str
    told: str


def same_version(report: Mapping[str, Any]) -> bool:
    """Whether this version of the software wrote a report: another one has other words."""
    return bool(report["run"]["package_sha256"] == package_digest())


def not_derived(report: Mapping[str, Any]) -> Iterator[Problem]:
    """Statuses, texts and figures that do not follow from a report's own measurements and thresholds."""
    thresholds = Thresholds.model_validate(report["thresholds"]["values"])
    if thresholds.digest != report["thresholds"]["sha256"]:
        yield Problem("/thresholds/sha256", "the thresholds are not those of this digest")
    if report["edition"] not in {"full", "public"}:
        yield Problem("/edition", f"there is no edition {shown(report['edition'])}")
    yield from _named(
        "/thresholds", ("ratified_by", "committed_at"), report["thresholds"], ratified(thresholds)
    )
    few = thresholds.setting("C19", "min_incidents")
    yield from differing("/suppression/min_incidents", report["suppression"]["min_incidents"], plain(few))
    same, public = same_version(report), report["edition"] == "public"
    figures = {one["id"]: number for number, one in enumerate(report["figures"])}
    for number, check in enumerate(report["checks"]):
        measured = tuple(Measurement.from_dict(one) for one in check["measurements"])
        again = Check(
            check["id"],
            thresholds.checks[check["id"]].title,
            derive_status(check["id"], measured, thresholds),
            measurements=measured,
            method=check["method"],
        )
        follows = plain(check_entry(again, thresholds))
        withheld = any(one.suppressed and one.value != one.value for one in measured)
        names = _TEXTS if same else ()
        if not (withheld and public):  # the citizens' edition withholds what its status comes from
            names = ("status", "judged", *names)
        yield from _named(f"/checks/{number}", names, check, follows)
        for one in from_check(again, home_of(check["id"]), thresholds) if same and not public else ():
            if one["id"] not in figures:
                yield Problem("/figures", f"{one['id']} is missing, and follows from the measurements")
            else:
                place = figures[one["id"]]
                yield from differing(f"/figures/{place}", report["figures"][place], plain(one))
    yield from _conclusions(report, same=same, public=public)


def _conclusions(report: Mapping[str, Any], *, same: bool, public: bool) -> Iterator[Problem]:
    expected = concluded(report)
    kept = [one for one in expected["sections"] if one["public"] or not public]
    if [one["id"] for one in report["sections"]] != [one["id"] for one in kept]:
        yield Problem("/sections", "sections are missing, or in another order")
        return
    names = tuple(kept[0]) if same else ("status",)
    for number, (one, follows) in enumerate(zip(report["sections"], kept, strict=True)):
        yield from _named(f"/sections/{number}", names, one, follows)
    names = ("verdict", "use", "verdict_sentence") if same else ("verdict", "use")
    yield from _named("", names, report, expected)
    if same:
        always = always_said(report)
        yield from _named("", tuple(always), report, always)


def not_of_its_files(
    report: Mapping[str, Any], folder: Path, config: RunConfig | None, sound: set[str]
) -> Iterator[Problem]:
    """Facts that a report states, and that its files, whose digests are right, do not.

    Parameters
    ----------
    report : mapping
    folder : Path
        Of the run.
    config : RunConfig, optional
        Its configuration, if it is there.
    sound : set of str
        Names of the files whose digests are those of the report.
    """
    run, files = report["run"], report["run"]["files"]
    parts = {"model_sha256": "model/manifest.json", "forecast_sha256": "forecasts.parquet"}
    yield from _named("/run", tuple(parts), run, {key: files.get(name) for key, name in parts.items()})
    if not same_version(report):
        return
    given = config if "config.yaml" in sound else None
    governance = _governance(given) if "governance" in sound else None
    evidence = Evidence(run=folder, config=given, governance=governance)
    if given is not None:
        yield from _of_config(report, evidence, sound)
    if "forecasts.parquet" in sound:
        forecasts = read_forecasts(folder / "forecasts.parquet")
        held = report["system"]
        system = plain(facts.system_of(forecasts, evidence, None))
        if sorted(system["models"]) == sorted(held["models"]):  # the audited one comes first
            system |= {"models": held["models"], "audited_model": held["models"][0]}
        yield from _named("/system", _OF_FORECASTS, held, system)
        yield from _named("/run", ("windows",), run, {"windows": plain(facts.windows_of(forecasts))})
        yield from differing("/worth", report["worth"], plain(_worth(report, forecasts)))


def _worth(report: Mapping[str, Any], forecasts: Forecasts) -> list[dict[str, Any]]:
    """What the model adds to plain counts, of the categories that the edition has."""
    kept = {one["category"] for one in report["worth"]} if report["edition"] == "public" else None
    every = worth_of(forecasts, report["system"]["audited_model"])
    return [one for one in every if kept is None or one["category"] in kept]


def _of_config(report: Mapping[str, Any], evidence: Evidence, sound: set[str]) -> Iterator[Problem]:
    """Facts that follow from the configuration, and from the intake and the governance file beside it."""
    config = evidence.config
    if config is None:
        return
    follows: dict[str, Any] = {"seed": config.seed, "config_sha256": config.digest()}
    yield from _named("/run", tuple(follows), report["run"], follows)
    yield from differing("/system/name", report["system"]["name"], config.name)
    if "intake.json" in sound:
        rows = [one for one in report["run"]["inputs"] if one["sha256"] is None]
        yield from differing("/run/inputs", rows, facts.rows_of(evidence))
        yield from differing("/data", report["data"], plain(facts.data_of(evidence)))
    if "governance" in sound:
        on = date.fromisoformat(report["generated_at"][:10])
        said = {"legal_status": facts.legal_of(evidence), "governance": facts.governance_of(evidence, on)}
        yield from _named("", tuple(said), report, plain(said))
        given = evidence.governance or Governance()
        answers = {"owner": given.owner, "contact": given.contact, "intended_use": given.purpose}
        yield from _named("/system", tuple(answers), report["system"], answers)
        impact = plain(facts.impact_of(report["system"], evidence))
        impact[2]["said"] = report["impact"][2]["said"]  # the groups of places are in no file of the run
        yield from differing("/impact", report["impact"], impact)


def _governance(config: RunConfig | None) -> Governance | None:
    """What the governance file says; None if it cannot be read, which is what a report then was made with."""
    if config is None or config.governance is None:
        return None
    try:
        return load_governance(config.governance.path)
    except (TranquilliteError, OSError):
        return None


def _named(
    where: str, names: tuple[str, ...], held: Mapping[str, Any], follows: Mapping[str, Any]
) -> Iterator[Problem]:
    """Values of some keys that are not what follows."""
    for name in names:
        yield from differing(f"{where}/{name}", held[name], follows[name])


def differing(where: str, held: Any, follows: Any) -> Iterator[Problem]:
    """Values that are not what follows, by their paths."""
    says, should = dict(leaves(held, where)), dict(leaves(follows, where))
    for path in sorted(says.keys() | should.keys()):
        if _written(says.get(path, ABSENT)) != _written(should.get(path, ABSENT)):
            yield Problem(
                path,
                f"it says {shown(says.get(path, ABSENT))}, but {shown(should.get(path, ABSENT))} follows",
            )


def _written(value: Any) -> str:
    """A value as JSON writes it: 1 is not true, and 1.0 is not 1."""
    return json.dumps(value, sort_keys=True)
