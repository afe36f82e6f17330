"""The project agrees with itself: versions, dependencies, addresses, and the form of the chapters."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from mutants import MUTANTS
from recorded import FOLDER, hash_code, read_record

import nstlib

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
BOOK = ROOT / "book"


def read_yaml(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
REPOSITORY: str = read_yaml("_config.yml")["repository"]["url"]
TOC: list[str] = [
    read_yaml("_toc.yml")["root"],
    *(entry["file"] for part in read_yaml("_toc.yml")["parts"] for entry in part["chapters"]),
]
CHAPTERS = [name for name in TOC if re.fullmatch(r"book/\d\d_\w+", name)]


@cache
def committed_files() -> list[Path]:
    """The files of the project: those that git tracks or would track."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return [ROOT / name for name in listing.split("\0") if name and (ROOT / name).is_file()]


def text_of(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None


# ---------------------------------------------------------------- versions, dependencies, addresses


def test_versions_agree() -> None:
    assert nstlib.__version__ == PROJECT["version"] == str(read_yaml("CITATION.cff")["version"])


def split(requirement: str) -> tuple[str, str]:
    """`"Torch>=2.4; python_version < '3.11'"` -> `("torch", ">=2.4")`."""
    match = re.fullmatch(r"([A-Za-z0-9._-]+)(\[.*\])?\s*([^;]*?)\s*(;.*)?", requirement)
    assert match, requirement
    return re.sub(r"[-_.]+", "-", match[1]).lower(), match[3]


def wanted_by_pyproject() -> dict[str, str]:
    """What pyproject.toml asks for on a Python of at least 3.11, which is what the conda environment has."""
    extras = (entry for extra in PROJECT["optional-dependencies"].values() for entry in extra)
    entries = [entry for entry in (*PROJECT["dependencies"], *extras) if not re.search(r"python_version\s*<", entry)]
    return dict(split(entry) for entry in entries)


def wanted_by_conda() -> dict[str, str]:
    entries = read_yaml("environment.yml")["dependencies"]
    flat = [entry for entry in entries if isinstance(entry, str)]
    flat += [entry for group in entries if isinstance(group, dict) for entry in group["pip"]]
    wanted = dict(split(entry) for entry in flat if entry not in ("pip", "-e ."))
    wanted["torch"] = wanted.pop("pytorch")  # conda-forge's name for it
    del wanted["python"]
    return wanted


def test_conda_asks_for_what_pyproject_asks_for() -> None:
    assert wanted_by_conda() == wanted_by_pyproject()


def test_pre_commit_runs_the_ruff_of_the_project() -> None:
    (hooks,) = read_yaml(".pre-commit-config.yaml")["repos"]
    assert hooks["rev"].replace("v", "==") == wanted_by_pyproject()["ruff"]


def test_workflows_run_the_oldest_versions_that_pyproject_promises() -> None:
    oldest = json.dumps(read_yaml(".github/workflows/tests.yml")["jobs"]["oldest"])
    assert f'"python-version": "{PROJECT["requires-python"].removeprefix(">=")}"' in oldest
    for name in ("torch", "torchvision"):
        assert f"{name}{wanted_by_pyproject()[name].replace('>=', '==')}.*" in oldest


def test_conda_installs_the_package_itself() -> None:
    groups = [group["pip"] for group in read_yaml("environment.yml")["dependencies"] if isinstance(group, dict)]
    assert "-e ." in groups[0]


def test_every_import_is_declared() -> None:
    import_names = {"pillow": "PIL", "scikit-image": "skimage"}
    names = [split(entry)[0] for entry in PROJECT["dependencies"]]
    declared = {import_names.get(name, name) for name in names}
    imported = set()
    for path in (ROOT / "nstlib").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                imported.add(str(node.module).partition(".")[0])
    outside = imported - set(sys.stdlib_module_names) - {"nstlib", "IPython"}
    extras = PROJECT["optional-dependencies"]
    optional = {split(entry)[0].replace("-", "_") for entry in (*extras["video"], *extras["export"])} - {"onnxscript"}
    assert outside == (declared | optional) - {
        "skimage"
    }  # only its pictures are read, and onnxscript is for torch.onnx


def test_one_repository() -> None:
    assert read_yaml("CITATION.cff")["repository-code"] == REPOSITORY
    assert PROJECT["urls"]["Repository"] == REPOSITORY
    for path in committed_files():
        for url in re.findall(r"https://github\.com/[\w.-]+/nstlib\b", text_of(path) or ""):
            assert url == REPOSITORY, path


def test_no_path_of_one_machine() -> None:
    absolute = re.compile(r"(?<![\w.$~/-])/(?:home|root|Users|work|mnt|tmp|opt)/[\w.-]+/")
    for path in committed_files():
        found = absolute.search(text_of(path) or "")
        assert found is None, f"{path.relative_to(ROOT)} names {found}"


def test_files_are_small() -> None:
    for path in committed_files():
        assert path.stat().st_size < (6e6 if path.parent.name == "weights" else 4e6), path


# ---------------------------------------------------------------- the chapters


@cache
def read_notebook(name: str) -> dict[str, Any]:
    notebook: dict[str, Any] = json.loads((ROOT / f"{name}.ipynb").read_text(encoding="utf-8"))
    return notebook


def source(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def code_cells(name: str) -> list[dict[str, Any]]:
    return [cell for cell in read_notebook(name)["cells"] if cell["cell_type"] == "code"]


def tags(cell: dict[str, Any]) -> set[str]:
    return set(cell["metadata"].get("tags", ()))


def shows_picture(cell: dict[str, Any]) -> bool:
    kinds = (kind for output in cell["outputs"] for kind in output.get("data", ()))
    return any(kind.startswith("image/") for kind in kinds)


def test_toc_lists_what_exists() -> None:
    for name in TOC:
        assert (ROOT / f"{name}.md").is_file() or (ROOT / f"{name}.ipynb").is_file(), name
    assert {f"book/{path.stem}" for path in BOOK.glob("*.ipynb")} == set(CHAPTERS)


def test_intro_and_readme_link_every_chapter() -> None:
    for name in CHAPTERS:
        file = f"{name.removeprefix('book/')}.ipynb"
        assert file in (BOOK / "intro.md").read_text(encoding="utf-8")
        assert file in (ROOT / "README.md").read_text(encoding="utf-8")


def test_chapters_share_their_first_cell() -> None:
    first = {source(code_cells(name)[0]) for name in CHAPTERS}
    assert len(first) == 1
    assert re.findall(r"git\+(\S+)", first.pop()) == [REPOSITORY]
    assert all("remove-cell" in tags(code_cells(name)[0]) for name in CHAPTERS)


def test_what_the_chapters_recorded_is_what_their_code_computes() -> None:
    """Each function marked `@recorded` has a file that was made by the code as it stands, and no file lies there unused."""
    codes: dict[str, str] = {}
    for name in CHAPTERS:
        for text in filter(re.compile("^@recorded", re.MULTILINE).search, map(source, code_cells(name))):
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.FunctionDef) and any(
                    "recorded" in ast.unparse(one) for one in node.decorator_list
                ):
                    assert node.name not in codes, node.name
                    codes[node.name] = hash_code(ast.unparse(node))
    records = {path.stem: read_record(path) for path in FOLDER.iterdir()}
    assert {name: record["code"] for name, record in records.items()} == codes
    assert all(f"book/{record['chapter']}".removesuffix(".ipynb") in CHAPTERS for record in records.values())
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 8e6


@pytest.mark.parametrize("module", MUTANTS)
def test_every_mutant_still_finds_what_it_changes(module: str) -> None:
    source = (ROOT / "nstlib" / f"{module}.py").read_text(encoding="utf-8")
    assert [old for old, _ in MUTANTS[module] if source.count(old) != 1] == []


@pytest.mark.parametrize("name", CHAPTERS)
class TestChapter:
    def test_begins_with_its_title(self, name: str) -> None:
        markdown = [source(cell) for cell in read_notebook(name)["cells"] if cell["cell_type"] == "markdown"]
        prose = re.sub(r"```.*?```", "", "\n\n".join(markdown), flags=re.DOTALL)
        assert read_notebook(name)["cells"][0]["cell_type"] == "markdown"
        assert markdown[0].startswith("# ")
        assert len(re.findall(r"^# ", prose, re.MULTILINE)) == 1

    def test_was_run_from_top_to_bottom(self, name: str) -> None:
        run = [cell for cell in code_cells(name) if source(cell).strip() and "skip-execution" not in tags(cell)]
        assert [cell["execution_count"] for cell in run] == list(range(1, len(run) + 1))
        for cell in run:
            failed = any(output["output_type"] == "error" for output in cell["outputs"])
            assert not failed or "raises-exception" in tags(cell), source(cell)

    def test_pictures_have_alt_text(self, name: str) -> None:
        for cell in filter(shows_picture, code_cells(name)):
            alt = cell["metadata"].get("mystnb", {}).get("image", {}).get("alt", "")
            assert len(alt.split()) >= 3, source(cell)
            assert sum("data" in output for output in cell["outputs"]) == 1, source(cell)

    def test_printed_pictures_have_alt_text(self, name: str) -> None:
        for cell in code_cells(name):
            for output in cell["outputs"]:
                for picture in re.findall(r"<img[^>]*>", "".join(output.get("data", {}).get("text/html", ()))):
                    assert re.search(r'alt="[^"]{3,}"', picture), source(cell)

    def test_has_no_widgets_and_no_noise(self, name: str) -> None:
        notebook = read_notebook(name)
        assert set(notebook["metadata"]) == {"kernelspec", "language_info"}
        for cell in notebook["cells"]:
            assert set(cell["metadata"]) <= {"mystnb", "tags"}, source(cell)
            for output in cell.get("outputs", ()):
                assert "application/vnd.jupyter.widget-view+json" not in output.get("data", ()), source(cell)
                assert output.get("name") != "stderr", source(cell)

    def test_every_exercise_has_a_solution(self, name: str) -> None:
        text = "\n".join(source(cell) for cell in read_notebook(name)["cells"])
        exercises = re.findall(r"\{exercise\}[^\n]*\n:label: (\S+)", text)
        solutions = re.findall(r"\{solution(?:-start)?\} (\S+)\n:class: dropdown", text)
        assert len(exercises) >= 4
        assert sorted(exercises) == sorted(solutions)

    def test_shows_a_graphics_card_cell(self, name: str) -> None:
        cells = [cell for cell in code_cells(name) if '"vgg19"' in source(cell)]
        assert any({"skip-execution", "nbval-skip"} <= tags(cell) for cell in cells)
