"""The cache by content, batches, and convolutional maps."""

import itertools

import numpy as np
import pytest
import torch

import akpsim
from akpsim.comparing import cache as caching
from akpsim.errors import InvalidData, UndefinedMetric, UnknownName


def arrays(count=4, n=20, width=6):
    rng = np.random.default_rng(0)
    shared = rng.normal(size=(n, width))
    return [shared + rng.normal(size=(n, width)) for _ in range(count)]


@pytest.mark.parametrize("metric", ["cka", "cka_debiased"])
def test_the_cache_gives_the_engine_s_values_the_first_time_and_again(tmp_path, metric):
    xs = arrays()
    expected = akpsim.compare(xs, metric=metric)
    for _ in range(2):
        np.testing.assert_allclose(akpsim.compare(xs, metric=metric, cache=tmp_path), expected, atol=1e-13)


def test_one_more_member_costs_one_gram_matrix(tmp_path, monkeypatch):
    xs = arrays(count=5)
    akpsim.compare(xs[:4], cache=tmp_path)
    made = []
    monkeypatch.setattr(caching, "fill", lambda *some, real=caching.fill: made.append(1) or real(*some))
    found = akpsim.compare(xs, cache=tmp_path)
    assert len(made) == 1
    np.testing.assert_allclose(found, akpsim.compare(xs), atol=1e-13)


def test_changed_numbers_are_another_content_and_damage_is_computed_again(tmp_path):
    xs = arrays()
    akpsim.compare(xs, cache=tmp_path)
    xs[0] = xs[0].copy()
    xs[0][0, 0] += 1
    np.testing.assert_allclose(akpsim.compare(xs, cache=tmp_path), akpsim.compare(xs), atol=1e-13)
    for path in tmp_path.glob("*.np*"):
        path.write_bytes(path.read_bytes()[:50])
    np.testing.assert_allclose(akpsim.compare(xs, cache=tmp_path), akpsim.compare(xs), atol=1e-13)


@pytest.mark.parametrize("which", ["products", "gram", "exchanged", "gone"])
def test_a_damaged_file_of_the_cache_is_never_believed(tmp_path, which):
    xs = arrays(count=4)
    expected = akpsim.compare(xs).to_numpy()
    akpsim.compare(xs[:3], cache=tmp_path)
    products = tmp_path / "products.npz"
    grams = sorted(set(tmp_path.glob("*.npz")) - {products})
    assert len(grams) == 3
    for path in [products] if which == "products" else grams[:1]:
        if which == "exchanged":
            path.write_bytes(grams[1].read_bytes())
        elif which == "gone":
            path.unlink()
        else:  # one bit of a number, where no format would notice but for a checksum
            content = bytearray(path.read_bytes())
            content[len(content) // 2] ^= 64
            path.write_bytes(content)
    np.testing.assert_allclose(akpsim.compare(xs, cache=tmp_path), expected, atol=1e-13)
    np.testing.assert_allclose(akpsim.compare(xs, cache=tmp_path), expected, atol=1e-13)


def test_few_gram_matrices_at_a_time_and_a_folder_that_cannot_be_written_give_the_same(tmp_path):
    xs = [x.astype(np.float32) for x in arrays(count=7, n=64)]
    expected = akpsim.compare(xs).to_numpy()
    small = akpsim.compare(xs, cache=tmp_path / "small", memory=80_000)
    np.testing.assert_allclose(small, expected, atol=1e-6)
    assert len(list((tmp_path / "small").glob("*.npz"))) == 8
    (tmp_path / "file").write_text("")
    np.testing.assert_allclose(akpsim.compare(xs, cache=tmp_path / "file"), expected, atol=1e-6)


def test_scales_and_precisions_are_kept_apart_in_the_cache(tmp_path):
    xs = arrays(count=3)
    tiny = [x * 1e-170 for x in xs]
    np.testing.assert_allclose(akpsim.compare(tiny, cache=tmp_path), akpsim.compare(xs), atol=1e-12)
    single = [x.astype(np.float32) for x in xs]
    akpsim.compare(single, cache=tmp_path)
    mixed = akpsim.compare([single[0], *xs[1:]], cache=tmp_path)
    np.testing.assert_allclose(mixed, akpsim.compare([single[0].astype(float), *xs[1:]]), atol=1e-12)


def test_a_constant_member_is_not_cached(tmp_path):
    found = akpsim.compare([*arrays(), np.ones((20, 3))], cache=tmp_path)
    assert np.isnan(found[4]).all()
    assert np.isfinite(found[:4, :4]).all()


def test_one_batch_of_all_samples_is_debiased_cka():
    x, y = arrays(2)
    found = akpsim.minibatch_cka([(x, y)])
    assert found.similarity.item() == pytest.approx(akpsim.METRICS["cka_debiased"](x, y), abs=1e-12)
    assert np.isnan(found.standard_error.item())


@pytest.mark.parametrize("last", [0, 1, 3, 4, 17])
def test_batches_of_any_size_agree_with_all_samples_within_their_error(last):
    x, y = arrays(2, n=800 + last)
    cuts = [*range(0, 801, 20), *([800 + last] if last else [])]
    found = akpsim.minibatch_cka([(x[a:b], y[a:b]) for a, b in itertools.pairwise(cuts)])
    whole = akpsim.METRICS["cka_debiased"](x, y)
    assert abs(found.similarity.item() - whole) < 4 * found.standard_error.item()
    assert found.samples_left_out.item() == (last if last < 4 else 0)


def test_batches_without_four_samples_or_variation_are_refused():
    x, y = arrays(2, n=3)
    with pytest.raises(UndefinedMetric, match="needs a batch of at least 4 samples, got none"):
        akpsim.minibatch_cka([(x, y)])
    with pytest.raises(UndefinedMetric, match="does not vary within batches"):
        akpsim.minibatch_cka([(np.ones((5, 2)), np.eye(5))])


def test_maps_become_representations_by_one_rule():
    maps = np.arange(2 * 3 * 4 * 5, dtype=float).reshape(2, 3, 4, 5)
    np.testing.assert_array_equal(akpsim.from_maps(maps, "pool"), maps.mean(axis=(2, 3)))
    np.testing.assert_array_equal(akpsim.from_maps(maps, "flatten"), maps.reshape(2, -1))
    spread = akpsim.from_maps(maps, "space_as_samples")
    assert spread.shape == (40, 3)
    np.testing.assert_array_equal(spread[7], maps[0, :, 1, 2])
    one, two = (akpsim.from_maps(m, "space_as_samples", positions=6) for m in (maps, torch.from_numpy(maps)))
    np.testing.assert_array_equal(one, two)
    assert one.shape == (12, 3)


def test_maps_in_a_comparison_are_told_in_its_attributes():
    rng = np.random.default_rng(0)
    maps = [rng.normal(size=(8, 3, 4, 4)) for _ in range(2)]
    found = akpsim.compare(maps, maps="flatten", positions=5)
    assert (found.attrs["maps"], found.attrs["positions"]) == ("flatten", 5)
    expected = akpsim.METRICS["cka"](*(akpsim.from_maps(m, "flatten", positions=5) for m in maps))
    assert found[0, 1].item() == pytest.approx(expected, abs=1e-12)
    with pytest.raises(UndefinedMetric, match=r"compares arrays \(sample, neuron\), got one of shape \(8, 3, 4, 4\)"):
        akpsim.compare(maps)


def test_other_rules_and_other_arrays_are_refused():
    with pytest.raises(UnknownName, match="unknown `rule` 'pol': did you mean 'pool'"):
        akpsim.from_maps(np.ones((2, 3, 4, 4)), "pol")
    with pytest.raises(InvalidData, match=r"maps are arrays \(sample, channel, height, width\), got shape \(2, 3\)"):
        akpsim.from_maps(np.ones((2, 3)))
