"""The folder of a run: which code its identity stands for."""

from pathlib import Path

import pytest

from tranquillite_ml.runfolder import package_digest, source_digest

FILES = {
    "module.py": "x = 1",
    "report/templates/page.html.j2": "<p>{{ x }}</p>",
    "report/templates/page.css": "p {}",
    "report/texts/words.yaml": "en: yes",
    "report/report.schema.json": "{}",
}


@pytest.fixture
def package(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize("name", FILES)
def test_code_templates_and_texts_are_all_part_of_the_digest(package: Path, name: str) -> None:
    before = source_digest(package)
    (package / name).write_text(FILES[name] + " ")
    assert source_digest(package) != before
    (package / name).write_text(FILES[name])
    assert source_digest(package) == before
    (package / name).rename(package / f"{name.partition('.')[0]}2.{name.partition('.')[2]}")
    assert source_digest(package) != before


def test_what_running_leaves_and_where_configurations_lie_does_not_matter(package: Path) -> None:
    before = source_digest(package)
    for name in ("__pycache__/module.cpython-311.pyc", "py.typed", "configs/demo.yaml", "words.yaml~"):
        (package / name).parent.mkdir(exist_ok=True)
        (package / name).write_text("anything")
    assert source_digest(package) == before


def test_the_digest_of_this_package_covers_its_report() -> None:
    import tranquillite_ml

    root = Path(tranquillite_ml.__file__).parent
    assert package_digest() == source_digest(root)
    assert list(root.glob("report/texts/*.yaml"))
    assert list(root.glob("report/templates/*.j2"))
