"""The tests keep their level: on the user's own members, and (slow) in the settings of the method's page.

Slow studies print their rates; every bound leaves room for two binomial standard errors.
"""

import numpy as np
import pytest
import xarray as xr
from scipy.spatial.distance import cdist

import akpsim
from akpsim.errors import AkpsimError
from akpsim.karenina.calibration import _p_values
from akpsim.karenina.centres import centre_distances, space_of
from akpsim.karenina.disperse import Options
from akpsim.karenina.effect import against_reference, contrast, spreads
from akpsim.karenina.permdisp import group_means, log_range
from akpsim.karenina.readout import project_out
from akpsim.permutations import p_value, shuffled


def test_calibration_counts_rejections_with_an_interval():
    points = np.random.default_rng(0).normal(size=(20, 8))
    points[10:] = 3 * points[10:] + 5  # neither place nor unequal size is left of a group once it is centred
    found = akpsim.calibrate(cdist(points, points), np.repeat(["a", "b"], 10), sizes=(4, 4), repetitions=40, seed=0)
    assert found.test.values.tolist() == ["interval", "permutation", "wd_star", "permanova"]
    assert ((found.rate_lower <= found.rate) & (found.rate <= found.rate_upper)).all()
    assert (found.rate <= 0.2).all()
    # Wilson's interval of none of 40: 0 to z^2 / (40 + z^2), z = 1.96
    none = found.where(found.rate == 0, drop=True)
    np.testing.assert_allclose(none.rate_upper, 1.96**2 / (40 + 1.96**2), rtol=1e-3)


def test_a_pool_smaller_than_a_study_is_refused():
    points = np.random.default_rng(0).normal(size=(6, 2))
    with pytest.raises(AkpsimError, match=r"studies of 5 \+ 5 members need a pool of 10, got 6"):
        akpsim.calibrate(cdist(points, points))
    with pytest.raises(
        AkpsimError, match=r"every group has one member \(6 groups\): nothing is left once they are centred"
    ):
        akpsim.calibrate(cdist(points, points), list("abcdef"), sizes=(2, 2))


def test_calibrate_on_the_command_line(cli, tmp_path):
    rng = np.random.default_rng(0)
    for index in range(9):
        np.save(tmp_path / f"m{index}.npy", rng.normal(size=(12, 3)))
    files = sorted(tmp_path.glob("*.npy"))
    code, said, _ = cli("calibrate", *files, "--n", "3,3", "--reps", 20, "--by", "none", "-o", tmp_path / "c.nc")
    assert code == 0
    assert "false-positive rate at 0.05, 20 studies of 3 + 3 from 9 members" in said
    assert "`--n` takes two whole numbers such as 5,5, got '5'" in cli("calibrate", *files, "--n", "5")[2]


def normal(rng, n, p=50):
    return rng.normal(size=(n, p))


def heavy(rng, n, p=50):
    return rng.standard_t(3, size=(n, p))


SETTINGS = {
    "10 + 10 normal": (normal, 10, 10, 0.0),
    "5 + 15 normal": (normal, 5, 15, 0.0),
    "4 + 16 normal": (normal, 4, 16, 0.0),
    "20 + 20 normal": (normal, 20, 20, 0.0),
    "10 + 10 location shift": (normal, 10, 10, 1.0),
    "5 + 15 location shift": (normal, 5, 15, 1.0),
    "10 + 10 heavy tails (t, 3 df)": (heavy, 10, 10, 0.0),
    "5 + 15 heavy tails (t, 3 df)": (heavy, 5, 15, 0.0),
}


def rates(made, first, second, shift, *, spread=1.0, repetitions=600, seed=1):
    """Return the share of studies that each test rejects."""
    rng = np.random.default_rng(seed)
    codes = np.repeat([0, 1], [first, second])
    found = []
    for _ in range(repetitions):
        points = made(rng, first + second)
        points[codes == 0] *= spread
        points[codes == 1] += shift
        found.append(_p_values(cdist(points, points), codes, 199, rng) <= 0.05)
    return dict(zip(("interval", "permutation", "wd_star", "permanova"), np.mean(found, axis=0), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("name", SETTINGS)
def test_false_positive_rates_of_dispersion(name):
    found = rates(*SETTINGS[name])
    error = np.sqrt(0.05 * 0.95 / 600)
    print(f"\n{name}: interval {found['interval']:.3f}, permutation {found['permutation']:.3f} (s.e. {error:.3f})")
    most = 0.07 if name == "10 + 10 normal" else 0.09
    assert found["interval"] <= most + 2 * error
    assert found["permutation"] <= most + 2 * error
    if name == "10 + 10 normal":
        assert min(found["interval"], found["permutation"]) >= 0.03 - 2 * error


@pytest.mark.slow
def test_wd_star_keeps_its_level_where_permanova_does_not():
    found = rates(normal, 5, 15, 0.0, spread=3.0)
    print(f"\n5 dispersed + 15 tight: W*d {found['wd_star']:.3f}, PERMANOVA {found['permanova']:.3f} (s.e. .010, .020)")
    assert found["wd_star"] <= 0.08 + 2 * 0.011
    assert found["permanova"] > 0.5


@pytest.mark.slow
@pytest.mark.parametrize(("first", "second"), [(10, 10), (5, 15), (20, 20)])
def test_coverage_of_the_interval(first, second):
    rng = np.random.default_rng(2)
    codes = np.repeat([0, 1], [first, second])
    inside = []
    for _ in range(1000):
        points = normal(rng, first + second) * np.where(codes == 1, 1.5, 1)[:, None]
        effect = contrast(
            spreads(cdist(points, points), codes, ["a", "b"]), against_reference(2), confidence=Options().confidence
        )
        inside.append(effect.lower <= np.log(1.5) <= effect.upper)
    print(
        f"\n{first} + {second}, true ratio 1.5: coverage {np.mean(inside):.3f} (s.e. {np.sqrt(0.05 * 0.95 / 1000):.3f})"
    )
    assert np.mean(inside) >= 0.91 - 2 * 0.009


@pytest.mark.slow
def test_permuting_labels_takes_a_shift_for_a_difference_of_spread():
    rng = np.random.default_rng(3)
    codes = np.repeat([0, 1], 15)
    permuted, ours = [], []
    for _ in range(300):
        points = normal(rng, 30, 2)
        points[15:] += 4
        dist = cdist(points, points)
        space = space_of(dist)
        labels = codes[shuffled(30, 199, [np.arange(30)], rng)]
        null, observed = (log_range(group_means(centre_distances(space, c), c)) for c in (labels, codes[None]))
        permuted.append(p_value(null, observed[0]) <= 0.05)
        ours.append(_p_values(dist, codes, 199, rng)[1] <= 0.05)
    print(f"\n15 + 15, shifted: labels permuted {np.mean(permuted):.3f}, ours {np.mean(ours):.3f} (s.e. .025, .013)")
    assert np.mean(ours) <= 0.09
    assert np.mean(permuted) > 0.15


@pytest.mark.slow
@pytest.mark.parametrize("reads", [1, 25])
def test_selection_makes_a_principle_out_of_nothing_and_projection_takes_it_back(reads):
    """Members of one cloud in 50 directions; accuracy reads some of them, and the better half is called happy."""
    rng = np.random.default_rng(4)
    raw, projected = [], []
    for _ in range(400):
        points = rng.normal(size=(40, 50))
        accuracy = -np.linalg.norm(points[:, :reads], axis=1)
        codes = (accuracy <= np.median(accuracy)).astype(int)  # 0 happy, 1 unhappy
        left = project_out(points.T, np.eye(50)[:, :reads]).T
        for values, found in ((points, raw), (left, projected)):
            effect = contrast(spreads(cdist(values, values), codes, ["happy", "unhappy"]), against_reference(2))
            found.append(effect.lower > 0)
    said = f"raw {np.mean(raw):.3f}, projected {np.mean(projected):.3f} (s.e. .025, .009)"
    print(f"\naccuracy reads {reads} of 50 directions: {said}")
    assert np.mean(projected) < 0.08
    if reads == 25:
        assert np.mean(raw) > 0.5


def test_clones_are_no_pool_to_draw_from():
    clones = np.kron([[0, 1], [1, 0]], np.ones((8, 8)))
    with pytest.raises(AkpsimError, match="members of a group are all alike: nothing is left to draw from once groups"):
        akpsim.calibrate(clones, list("a" * 8 + "b" * 8), sizes=(5, 5), repetitions=20, seed=1)
    found = akpsim.calibrate(clones, sizes=(6, 6), repetitions=20, seed=1)  # in one group no draw is all of one kind
    assert np.isfinite(found.rate.values).all()


def test_tests_that_can_never_reject_are_named(cli, tmp_path):
    points = np.random.default_rng(0).normal(size=(12, 4))
    dist = xr.DataArray(
        cdist(points, points),
        dims=("member", "other"),
        coords={"member": range(12)},
        attrs={"result": "distance", "kind": "metric"},
        name="distance",
    )
    path = akpsim.save(dist, tmp_path / "d.nc")
    code, said, _ = cli("calibrate", path, "--n", "3,3", "--reps", 5, "--by", "none", "-o", tmp_path / "c.nc")
    assert code == 0
    assert "all but the interval can never reject: the smallest attainable p is 0.1" in said
