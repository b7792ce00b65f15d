"""A memory cap is kept by every metric, or refused with what is needed, and changes no value."""

import gc
import tracemalloc

import numpy as np
import pytest

import akpsim
from akpsim.errors import AkpsimError


def arrays(count, n, width=12):
    rng = np.random.default_rng(0)
    shared = rng.normal(size=(n, width))
    return [shared + rng.normal(size=(n, width)) for _ in range(count)]


@pytest.mark.parametrize("metric", ["cka_rbf", "procrustes", "soft_match", "svcca"])
def test_a_memory_cap_holds_for_every_metric_and_changes_no_value(metric):
    xs = arrays(count=22, n=128, width=6)
    more = {"components": 4} if metric == "svcca" else {}
    whole = akpsim.compare(xs, metric=metric, **more)
    size = 8 * 128 * (128 if metric == "cka_rbf" else 6)
    cap = 30 * size  # of 22 points, and what making one takes
    gc.collect()
    tracemalloc.start()
    found = akpsim.compare(xs, metric=metric, memory=cap, **more)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_allclose(found, whole, atol=1e-12)
    assert found.attrs == whole.attrs
    if metric == "cka_rbf":  # of the others, points are small beside what Python itself takes
        assert peak < cap + 200_000


def test_too_little_memory_is_refused_with_what_is_needed():
    xs = arrays(count=3, n=100)
    with pytest.raises(AkpsimError, match=r"`memory` must be at least (\d+) bytes for cka_rbf .*, got 1000") as refused:
        akpsim.compare(xs, metric="cka_rbf", memory=1000)
    enough = int(str(refused.value).split("at least ")[1].split(" ")[0])
    akpsim.compare(xs, metric="cka_rbf", memory=int(1.05 * enough))
    with pytest.raises(AkpsimError, match="`memory` must be at least"):
        akpsim.significance(xs, metric="cka", permutations=9, memory=500_000)
