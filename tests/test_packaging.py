"""What is installed: every sub-package, no package called `cli`, studies and stubs; the borders between the halves."""

import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest
from setuptools import find_packages

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_every_sub_package_is_listed():
    listed = set(PROJECT["tool"]["setuptools"]["packages"])
    assert listed == {*find_packages(str(ROOT), include=["akpsim", "akpsim.*"]), "akpsim.presets", "akpsim_cli"}


@pytest.fixture(scope="module")
def wheel_names(tmp_path_factory):
    """Names of the files in a wheel built from a copy of the sources."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for folder in ("akpsim", "cli"):
        shutil.copytree(ROOT / folder, source / folder)
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, source / file)
    build = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
    subprocess.run([sys.executable, "-c", build, str(out)], check=True, capture_output=True, cwd=source)
    return zipfile.ZipFile(next(out.glob("*.whl"))).namelist()


def test_a_wheel_has_no_package_called_cli_and_everything_else(wheel_names):
    tops = {name.split("/")[0] for name in wheel_names if ".dist-info" not in name}
    assert tops == {"akpsim", "akpsim_cli"}
    for needed in (
        "akpsim/__init__.pyi",
        "akpsim/families/__init__.pyi",
        "akpsim/presets/digits.toml",
        "akpsim/py.typed",
    ):
        assert needed in wheel_names
    sources = {path.relative_to(ROOT).as_posix() for path in (ROOT / "akpsim").rglob("*.py")}
    assert sources <= set(wheel_names)


def test_the_script_is_installed():
    scripts = {entry.name: entry.value for entry in distribution("akpsim").entry_points}
    assert scripts["akpsim"] == "akpsim_cli.main:app"


def test_importing_the_analysis_half_never_imports_torch():
    code = (
        "import sys, akpsim\n"
        "for name in akpsim.__all__: getattr(akpsim, name)\n"
        "print('torch' in sys.modules, 'akpsim_cli' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_extras_are_those_the_readme_names():
    extras = PROJECT["project"]["optional-dependencies"]
    assert {"test", "dev", "docs", "cluster", "czi"} <= set(extras)


def test_no_module_is_longer_than_three_hundred_lines():
    long = {
        path.relative_to(ROOT).as_posix(): lines
        for folder in ("akpsim", "cli")
        for path in (ROOT / folder).rglob("*.py")
        if (lines := len(path.read_text().splitlines())) > 300
    }
    assert not long


def test_nothing_unpickles():
    banned = ("import pickle", "allow_pickle=True", "joblib.load", "joblib.dump")
    found = [
        f"{path.relative_to(ROOT)}: {word}"
        for folder in ("akpsim", "cli")
        for path in (ROOT / folder).rglob("*.py")
        for word in banned
        if word in path.read_text()
    ]
    assert not found
