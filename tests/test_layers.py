"""Several layers share their relabelings; the omnibus adds them up."""

import numpy as np
import pytest
import xarray as xr
from scipy.spatial.distance import cdist
from threadpoolctl import threadpool_limits

import akpsim
from akpsim.errors import AkpsimError

LABELS = np.repeat(["none", "severe"], 10)


def layers(spreads, seed=0):
    rng = np.random.default_rng(seed)
    found = {}
    for index, spread in enumerate(spreads):
        points = rng.normal(size=(20, 10)) * np.where(LABELS == "severe", spread, 1)[:, None]
        found[f"dense_{index + 1}"] = cdist(points, points)
    return found


def test_a_layer_says_what_it_says_alone():
    distances = layers((1, 2))
    together = akpsim.disperse_layers(distances, LABELS, seed=1)
    for layer, matrix in distances.items():
        alone = akpsim.disperse(matrix, LABELS, seed=1)
        for name in ("log_ratio", "log_ratio_lower", "p", "p_location"):
            assert float(together[name].sel(layer=layer)) == float(alone[name])
        assert str(together.verdict.sel(layer=layer).item()) == alone.attrs["verdict"]


def test_the_number_of_threads_does_not_change_a_bit(monkeypatch):
    distances = layers((1, 2, 1.5, 1))
    found = []
    for cores in (1, 4):
        monkeypatch.setattr("akpsim.parallel.usable_cores", lambda cores=cores: cores)
        with threadpool_limits(cores):
            found.append(akpsim.disperse_layers(distances, LABELS, seed=1))
    xr.testing.assert_equal(*found)


def test_adjusted_p_values_are_larger_and_only_the_layer_with_an_effect_is_found():
    found = akpsim.disperse_layers(layers((1, 2, 1, 1)), LABELS, seed=0)
    assert (found.p_adjusted >= found.p).all()
    assert (found.p_adjusted <= 0.05).values.tolist() == [False, True, False, False]
    rate = akpsim.disperse_layers(layers((1, 2, 1, 1)), LABELS, seed=0, adjust="fdr")
    assert ((rate.p_adjusted >= found.p) & (rate.p_adjusted <= 1)).all()


def test_one_layer_needs_no_adjustment_and_is_its_own_omnibus():
    found = akpsim.disperse_layers(layers((2,)), LABELS, seed=0)
    assert float(found.p_adjusted[0]) == float(found.p[0]) == float(found.omnibus_p)
    assert float(found.omnibus_log_ratio) == pytest.approx(float(found.log_ratio[0]))


def test_the_omnibus_does_not_depend_on_the_scale_of_a_layer():
    distances = layers((1.5, 1.5))
    one = akpsim.disperse_layers(distances, LABELS, seed=0)
    two = akpsim.disperse_layers(distances | {"dense_2": 100 * distances["dense_2"]}, LABELS, seed=0)
    assert float(one.omnibus_log_ratio) == pytest.approx(float(two.omnibus_log_ratio))


def test_layers_with_other_members_are_refused():
    distances = layers((1, 1))
    with pytest.raises(AkpsimError, match="layers dense_1 and dense_2 have different members or another order of them"):
        akpsim.disperse_layers(distances | {"dense_2": distances["dense_2"][:8, :8]}, LABELS)
    with pytest.raises(AkpsimError, match="one layer at least is needed, got none"):
        akpsim.disperse_layers({}, LABELS)
    with pytest.raises(AkpsimError, match="unknown `adjust` 'holm': there are: maxt, fdr"):
        akpsim.disperse_layers(distances, LABELS, adjust="holm")
