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


ANYTHING = ("forecasts", "progress", "show_progress", "significance", "strict")
"""Options that are on or off: whatever Python takes for true will do."""
NEVER = ("two lines", "negative", "nan", "list", "dict", "matrix of nan", "dataset", "complex")
"""What no other option takes, but for those in `FINE`, by function, option and label if not all."""
FINE = {
    ("compare", "cache", "two lines"),
    ("significance", "cache", "two lines"),
    ("compare_over", "epoch"),  # of no use when epochs are compared
    ("compare_within", "epoch"),
    ("compare", "positions"),  # of maps
    ("populations", "classes"),  # of populations by class
}


def calls(run):
    """Give functions with arguments that they take."""
    rng = np.random.default_rng(0)
    points, by, few = rng.normal(size=(12, 3)), ["a", "b"] * 6, {"permutations": 5}
    dist = np.linalg.norm(points[:, None] - points, axis=-1)
    members = [f"m{i}" for i in range(12)]
    matrix = xr.DataArray(dist, dims=("member", "other"), coords={"member": members, "other": members})
    ordination = akpsim.pcoa(matrix, by=by).assign_coords(dose=("member", np.arange(12.0)))
    table = xr.DataArray(
        rng.normal(size=(12, 2, 4)), dims=("member", "epoch", "attribute"), coords={"member": members, "epoch": [0, 1]}
    )
    time, rates, begin = np.linspace(0, 20, 25), {"a": 1.0, "b": 0.5, "c": 0.5, "d": 0.8}, {"initial": (1, 1)}
    waves = akpsim.simulate_lotka_volterra(time, **rates, **begin, noise=0.05, seed=0).populations
    representations = run.representations()
    similarity = akpsim.compare(representations)
    for name in ("anosim", "disperse", "permanova", "permdisp", "wd_star"):
        yield name, (dist, by), few
    yield "bootstrap_lotka_volterra", (akpsim.fit_lotka_volterra(time, waves, starts=1),), {"resamples": 19}
    for name in ("between_families", "noise_ceiling", "similarity_pairs"):
        yield name, (similarity,), {}
    yield "calibrate", (dist, by), few | {"repetitions": 2}
    yield "class_means", (run,), {}
    yield "cluster_neurons", (points,), {}
    for name in ("compare", "significance"):
        yield name, (representations,), {}
    for name in ("compare_over", "compare_within"):
        yield name, (run, "epoch"), {}
    yield "correlation_graph", (points,), few | {"bootstrap": 5}
    yield "crisis", (table, by), few | {"bootstrap": 5}
    yield "disperse_layers", ({"x": dist}, by), few
    yield "disperse_on", (dist, np.arange(12.0)), few
    yield "envfit", (ordination, ["dose"]), few
    yield "fit_dynamics", ("lotka_volterra", time, waves), {"starts": 1}
    for name in ("fit_lotka_volterra", "interaction_test", "select_dynamics"):
        yield name, (time, waves), {"starts": 1}
    yield "fit_members", (akpsim.populations(run),), {"starts": 1}
    yield "fit_segments", (time, waves), {"starts": 1, "breakpoints": [10.0]}
    yield "from_maps", (np.ones((9, 3, 4, 4)),), {"positions": 2, "rule": "flatten"}
    for name in ("mantel", "procrustes"):
        yield name, (dist, dist**2), few
    yield "nmds", (dist,), {"starts": 1}
    yield "ordinate", (dist,), {}
    yield "pca", (points,), {}
    yield "pcoa", (dist,), {}
    yield "populations", (run,), {}
    yield "simulate_dynamics", ("lotka_volterra", time, rates), begin
    yield "simulate_lotka_volterra", (time,), rates | begin


def test_every_option_of_every_function_is_looked_at_in_one_sentence(tiny_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tried, accepted = 0, []
    for name, arguments, options in calls(tiny_run):
        function = getattr(akpsim, name)
        for key, parameter in inspect.signature(function).parameters.items():
            if parameter.kind is parameter.KEYWORD_ONLY and key not in ANYTHING:
                for label in NEVER:
                    said = outcome(function, *arguments, **options | {key: JUNK[label]})
                    tried += said is not None
                    if said is None and not {(name, key), (name, key, label)} & FINE:
                        accepted.append((name, key, label))
    print(f"\n{tried} bad options, 0 tracebacks")  # noqa: T201
    assert not accepted
    assert tried >= 1000
    assert {path.name for path in tmp_path.iterdir()} <= {JUNK["two lines"]}  # two caches
