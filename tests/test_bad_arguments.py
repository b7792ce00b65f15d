"""Whatever a public function gets as its first argument, or as a number, a choice or a path: one sentence."""

import inspect
import warnings

import numpy as np
import pytest
import xarray as xr

import akpsim
from akpsim import AkpsimError

JUNK = {
    "none": None,
    "no word": "",
    "two lines": "x\ny",
    "negative": -1,
    "nan": float("nan"),
    "infinite": float("inf"),
    "huge": 10**20,
    "list": [],
    "words": ["a", "b"],
    "dict": {},
    "object": object(),
    "empty array": np.array([]),
    "matrix of nan": np.full((12, 12), np.nan),
    "wide": np.ones((2, 3)),
    "asymmetric": np.arange(144.0).reshape(12, 12),
    "array of words": np.array(["a"] * 12),
    "four axes": np.ones((2, 2, 2, 2)),
    "bytes": b"x",
    "true": True,
    "series": xr.DataArray([1.0, 2.0]),
    "dataset": xr.Dataset(),
    "complex": 1j,
}
OF_RUNS = ("class_means", "classification_table", "compare_over", "compare_within", "happiness", "training_curves")
OF_FILES = ("open_result", "open_run", "read_attributes", "read_features", "read_trajectory")
OF_DISTANCES = ("anosim", "calibrate", "disperse", "nmds", "permanova", "permdisp", "wd_star")


def outcome(function, *arguments, **options):
    """Return what a call is refused with, None if it is accepted; anything but an AkpsimError is a failure."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            function(*arguments, **options)
        except AkpsimError as error:
            return str(error).strip() or pytest.fail("an error that says nothing")
    return None


@pytest.mark.parametrize("name", OF_RUNS + OF_FILES)
def test_what_is_no_run_and_no_file_is_refused_in_one_sentence(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    function = getattr(akpsim, name)
    extra = {"over": "layer"} if name in ("compare_over", "compare_within") else {}
    refused = [label for label, junk in JUNK.items() if outcome(function, junk, **extra)]
    assert len(refused) >= 20, set(JUNK) - set(refused)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", OF_DISTANCES)
def test_what_is_no_matrix_of_distances_or_no_number_is_refused_in_one_sentence(name):
    function = getattr(akpsim, name)
    points = np.random.default_rng(0).normal(size=(12, 3))
    good = np.linalg.norm(points[:, None] - points, axis=-1)
    by = {} if name == "nmds" else {"by": ["a", "b"] * 6}
    refused = [label for label, junk in JUNK.items() if outcome(function, junk, **by)]
    assert len(refused) >= 20, set(JUNK) - set(refused)
    for option in ("permutations", "axes", "repetitions"):
        if option in inspect.signature(function).parameters:
            for label, junk in JUNK.items():
                if label != "huge":
                    assert outcome(function, good, **by, **{option: junk}), (option, label)


def others(run):
    """Give the functions whose first argument is neither a run, a file nor distances, with what else they need."""
    rng = np.random.default_rng(0)
    points = rng.normal(size=(12, 3))
    dist = np.linalg.norm(points[:, None] - points, axis=-1)
    members = [f"m{i}" for i in range(12)]
    matrix = xr.DataArray(dist, dims=("member", "other"), coords={"member": members, "other": members})
    ordination = akpsim.pcoa(matrix, by=["a", "b"] * 6)
    time, waves = np.arange(9.0), {"populations": np.exp(rng.normal(size=(9, 2)))}
    rates = {"a": 1.0, "b": 0.5, "c": 0.5, "d": 0.8}
    yield from ((name, {}) for name in ("as_distance", "between_families", "noise_ceiling", "similarity_pairs"))
    yield from ((name, {}) for name in ("correlation_graph", "crisis", "minibatch_cka", "panels", "pca", "fit_members"))
    yield from ((name, {}) for name in ("bootstrap_lotka_volterra", "profile_lotka_volterra", "cluster_neurons"))
    yield from ((name, {}) for name in ("from_maps", "ordinate", "pcoa"))
    yield from ((name, {"by": ["a", "b"] * 6}) for name in ("disperse_layers",))
    yield from ((name, {"other": ordination}) for name in ("mantel", "procrustes"))
    yield "disperse_on", {"on": np.arange(12.0)}
    yield "disperse_without_readout", {"projected": matrix, "by": ["a", "b"] * 6}
    yield "envfit", {"variables": ["dose"]}
    yield "place", {"new": dist[:2]}
    yield "with_effect", {"dispersion": akpsim.disperse(matrix, ["a", "b"] * 6, permutations=19, seed=0)}
    yield "without_readout", {"logits": run.representations("logits")}
    yield "feature_map", {"features": waves["populations"]}
    yield from ((name, waves) for name in ("fit_lotka_volterra", "select_dynamics", "interaction_test"))
    yield "fit_segments", waves | {"breakpoints": [4.0]}
    yield "fit_dynamics", waves | {"time": time}
    yield "simulate_dynamics", {"time": time, "rates": rates, "initial": (1, 1)}
    yield "swap_times", {"member": "noisy-0"}
    yield "populations", {}
    yield "load_study", {}
    yield "simulate_lotka_volterra", rates | {"initial": (1, 1)}
    yield "save", {"path": "result.nc"}


def test_first_arguments_of_every_other_kind_are_refused_in_one_sentence(tiny_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tried = {}
    for name, options in others(tiny_run):
        function = getattr(akpsim, name)
        tried[name] = sum(outcome(function, junk, **options) is not None for junk in JUNK.values())
    assert min(tried.values()) >= 12, tried
    print(f"\n{sum(tried.values())} bad arguments of {len(tried)} functions, 0 tracebacks")  # noqa: T201
