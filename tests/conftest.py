"""Small studies and runs that many tests share."""

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

# One thread a test process: xdist runs one a core, and results must not depend on threads.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of features of our own, not the user's."""
    folder = tmp_path_factory.mktemp("cache")
    os.environ["AKPSIM_CACHE"] = str(folder)
    return folder


TINY = {
    "name": "tiny",
    "members": 2,
    "network": {"backbone": "none", "dense": [32, 16]},
    "training": {"epochs": 3, "batch_size": 64, "learning_rate": 0.01},
    "capture": {"epochs": [0, 1, -1], "populations": 10, "around_swaps": True},
    "families": [
        {"name": "baseline"},
        {
            "name": "noisy",
            "stress": "severe",
            "dose": 0.8,
            "perturbations": [
                {"name": "label_noise", "strength": 0.8},
                {"name": "swap_activation", "at": [2, 3], "order": ["tanh"], "finally": "relu"},
            ],
        },
    ],
}


@pytest.fixture(scope="session")
def tiny_study():
    """Two families of two small heads on digits, three epochs."""
    from akpsim import load_study

    return load_study(TINY)


@pytest.fixture(scope="session")
def tiny_run(tiny_study, tmp_path_factory: pytest.TempPathFactory, cache_folder: Path):
    """A run of `tiny_study`, trained in about a second; do not write into it."""
    from akpsim.families import train_family

    return train_family(tiny_study, tmp_path_factory.mktemp("runs") / "tiny")


@pytest.fixture(scope="session")
def four_members(tmp_path_factory: pytest.TempPathFactory, cache_folder: Path) -> Path:
    """A run of `tiny_study` with four members a family, where the documentation's examples look for it."""
    from akpsim import load_study
    from akpsim.families import train_family

    path = tmp_path_factory.mktemp("four") / "runs" / "digits"
    train_family(load_study(TINY | {"members": 4}), path)
    return path


@pytest.fixture
def cli(cache_folder: Path):
    """Run the command line in process: ``cli("compare", path)`` gives (exit code, standard output, standard error)."""
    from akpsim_cli.main import app

    def run(*arguments: object) -> tuple[int, str, str]:
        result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
        return result.exit_code, result.stdout, result.stderr

    return run
