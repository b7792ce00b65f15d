"""Projection, stretch and colours: against numpy on the whole stack, and by hand."""

import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
import tifffile

from akpsim.errors import AkpsimError, InvalidData
from akpsim.families.datasets.microscopy import open_stack, stack_of
from akpsim.families.datasets.projection import (
    PROJECTIONS,
    coloured,
    colours_for,
    image_of,
    project,
    stretched,
    value_range,
)

PLANES = np.random.default_rng(0).integers(0, 4096, (2, 13, 8, 9)).astype(np.uint16)


@pytest.mark.parametrize("method", PROJECTIONS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_projection_plane_by_plane_is_that_of_the_whole_stack(method, dtype):
    planes = PLANES.astype(dtype)
    expected = getattr(np, method)(planes.astype(float), axis=1)
    np.testing.assert_allclose(project(stack_of(planes), method), expected, rtol=1e-12)


def test_maximum_of_negative_values_is_not_zero():
    planes = np.full((1, 3, 2, 2), -5, dtype=np.int16)
    assert (project(stack_of(planes)) == -5).all()


def test_standard_deviation_does_not_cancel_on_a_bright_background():
    planes = np.array([1e9, 1e9 + 1, 1e9 + 2]).reshape(1, 3, 1, 1)
    assert project(stack_of(planes), "std").item() == pytest.approx(np.sqrt(2 / 3), rel=1e-9)  # by hand


def test_what_cannot_be_projected_is_said():
    with pytest.raises(AkpsimError, match=r"unknown projection 'maximum': did you mean 'max'\?"):
        project(stack_of(PLANES), "maximum")
    with pytest.raises(InvalidData, match="array has one layer, whose standard deviation is zero; project by max"):
        project(stack_of(PLANES[:, :1]), "std")
    broken = PLANES.astype(float)
    broken[1, 2, 0, 0] = np.nan
    with pytest.raises(InvalidData, match="array: channel 2, layer 3 has pixels that are not finite"):
        project(stack_of(broken))


def test_stretch_by_hand():
    np.testing.assert_allclose(stretched(np.array([0, 10, 15, 20, 99]), 10, 20), [0, 0, 0.5, 1, 1])
    assert (stretched(np.array([7, 7]), 7, 7) == 0).all()
    assert value_range(np.arange(1001), (0.5, 99.8)) == (5, 998)  # by hand: the k-th of 0..1000 is k
    with pytest.raises(InvalidData, match=r"`--percentiles` must be two rising numbers in \[0, 100\], got 99 1"):
        value_range(np.arange(5), (99, 1))


def test_stretch_of_large_whole_numbers_keeps_neighbours_apart():
    values = np.array([2**31, 2**31 + 1, 2**31 + 2], dtype=np.uint32)
    np.testing.assert_allclose(stretched(values, 2**31, 2**31 + 2), [0, 0.5, 1])


def test_green_and_magenta_overlap_in_white():
    green, magenta = np.array([[1, 0, 1, 0.5]]), np.array([[0, 1, 1, 0.5]])
    image = coloured([green, magenta], ("green", "magenta"))
    assert image[0].tolist() == [[0, 255, 0], [255, 0, 255], [255, 255, 255], [128, 128, 128]]


def test_two_channels_in_one_colour_do_not_wrap_around():
    assert coloured([np.ones((1, 1))] * 2, ("red", "red"))[0, 0].tolist() == [255, 0, 0]


def test_a_channel_can_be_left_out():
    assert coloured([np.ones((1, 1))] * 2, ("green", "none"))[0, 0].tolist() == [0, 255, 0]


def test_colours_must_be_known_and_one_a_channel():
    assert colours_for(2) == ("green", "magenta")
    with pytest.raises(AkpsimError, match=r"unknown colour 'greeen': did you mean 'green'\?"):
        colours_for(1, ["greeen"])
    with pytest.raises(InvalidData, match="2 channels need 2 colours, got 1: green"):
        colours_for(2, ["green"])
    with pytest.raises(InvalidData, match="5 channels need a colour each: `--colours`"):
        colours_for(5)


def test_twelve_bits_in_sixteen_use_the_whole_range_of_colours():
    image = image_of(stack_of(PLANES), percentiles=(0, 100))
    assert (image.min(), image.max()) == (0, 255)
    flat = PLANES[0].max(axis=0).astype(float)
    green = np.rint((flat - flat.min()) / np.ptp(flat) * 255)
    assert np.abs(image[..., 1] - green).max() <= 1


def test_memory_grows_with_a_plane_and_not_with_the_stack(tmp_path):
    path = tmp_path / "long.tif"
    planes = np.random.default_rng(0).integers(0, 2**16, (40, 2, 256, 256)).astype(np.uint16)
    tifffile.imwrite(path, planes, imagej=True, metadata={"axes": "ZCYX"})
    tracemalloc.start()
    try:
        with open_stack(path) as stack:
            project(stack, "std")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    plane = 256 * 256 * 8
    assert peak < 10 * plane < planes.nbytes  # two channels: mean, deviation, and two temporaries


MEASURE = """
import resource, sys, numpy as np
from akpsim.families.datasets.microscopy import open_stack
from akpsim.families.datasets.projection import image_of
with open_stack(sys.argv[1]) as stack:
    size = stack.channels * stack.layers * stack.height * stack.width * stack.dtype.itemsize
    image = image_of(stack, projection=sys.argv[2])
    one = np.random.default_rng(stack.layers - 1).integers(0, 4096, (2, stack.height, stack.width)).astype(np.uint16)
print(size, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


@pytest.mark.slow
@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("method", ["max", "std"])
def test_two_gigabytes_are_projected_in_three_hundred_megabytes(tmp_path, method, compression):
    def planes():
        for layer in range(256):
            yield from np.random.default_rng(layer).integers(0, 4096, (2, 1448, 1448)).astype(np.uint16)

    path = tmp_path / "large.ome.tif"
    shape = {"shape": (256, 2, 1448, 1448), "dtype": np.uint16, "metadata": {"axes": "ZCYX"}}
    tifffile.imwrite(path, planes(), ome=True, compression=compression, bigtiff=True, **shape)
    command = [sys.executable, "-c", MEASURE, str(path), method]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    size, peak = map(int, said.split())
    print(f"{method}, {compression}: {size / 2**30:.2f} GiB projected, peak {peak / 2**20:.0f} MiB")  # noqa: T201
    assert size >= 2e9
    assert peak < 300e6
