"""Microscopes' files give their planes exactly, or one sentence says why not."""

import sys
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
import tifffile

from akpsim.errors import InvalidData
from akpsim.families.datasets.microscopy import open_stack

REFERENCE = Path(__file__).parent / "reference"

PLANES = np.random.default_rng(0).integers(0, 4096, (2, 5, 40, 30)).astype(np.uint16)  # channel, layer, y, x


def planes_of(path, **kwargs):
    with open_stack(path, **kwargs) as stack:
        planes = [[stack.plane(c, z) for z in range(stack.layers)] for c in range(stack.channels)]
        assert all(plane.dtype == stack.dtype for row in planes for plane in row)
        return np.array(planes)


def fault(path, **kwargs):
    with pytest.raises(InvalidData) as error:
        planes_of(path, **kwargs)
    return str(error.value).replace(str(path), "FILE")


def write(path, array, axes, **kwargs):
    tifffile.imwrite(path, array, metadata={"axes": axes}, **kwargs)
    return path


ZCYX = PLANES.transpose(1, 0, 2, 3).copy()
WRITERS = {
    "ome.ome.tif": lambda path: write(path, PLANES, "CZYX", ome=True),
    "ome_zcyx.ome.tiff": lambda path: write(path, ZCYX, "ZCYX", ome=True),
    "ome_zlib.ome.tif": lambda path: write(path, PLANES, "CZYX", ome=True, compression="zlib"),
    "ome_lzw.ome.tif": lambda path: write(path, PLANES, "CZYX", ome=True, compression="lzw"),
    "ome_tiles.ome.tif": lambda path: write(path, PLANES, "CZYX", ome=True, tile=(16, 16)),
    "ome_big.ome.tif": lambda path: write(path, PLANES, "CZYX", ome=True, bigtiff=True, byteorder=">"),
    "imagej.tif": lambda path: write(path, ZCYX, "ZCYX", imagej=True),
    "shaped.tif": lambda path: write(path, PLANES, "CZYX"),
    "shaped_zlib.tif": lambda path: write(path, PLANES, "CZYX", compression="zlib"),
}


@pytest.mark.parametrize("name", WRITERS)
def test_planes_of_a_two_channel_stack_are_exactly_those_written(name, tmp_path):
    np.testing.assert_array_equal(planes_of(WRITERS[name](tmp_path / name)), PLANES)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.uint32, np.float32, np.float64])
def test_every_type_of_pixel_comes_back(dtype, tmp_path):
    values = (PLANES % 200).astype(dtype)
    np.testing.assert_array_equal(planes_of(write(tmp_path / "x.tif", values, "CZYX")), values)


def test_the_fly_wings_shape_of_thirteen_layers_and_two_channels_round_trips_as_ome_tiff(tmp_path):
    planes = np.random.default_rng(1).integers(0, 2**16, (2, 13, 32, 48)).astype(np.uint16)
    np.testing.assert_array_equal(planes_of(write(tmp_path / "wing.ome.tif", planes, "CZYX", ome=True)), planes)


def test_channels_interleaved_as_samples_are_colours(tmp_path):
    colour = PLANES[0, :3].transpose(1, 2, 0).copy()
    tifffile.imwrite(tmp_path / "rgb.tif", colour, photometric="rgb")
    np.testing.assert_array_equal(planes_of(tmp_path / "rgb.tif")[:, 0], PLANES[0, :3])
    tifffile.imwrite(tmp_path / "planar.tif", PLANES[0, :3], photometric="rgb", planarconfig="separate")
    np.testing.assert_array_equal(planes_of(tmp_path / "planar.tif")[:, 0], PLANES[0, :3])


def test_axes_can_be_said_where_the_file_does_not(tmp_path):
    tifffile.imwrite(tmp_path / "plain.tif", PLANES[0], metadata=None)
    assert fault(tmp_path / "plain.tif") == (
        "FILE has axes IYX of lengths 5 x 40 x 30 and does not say what I is; say it with `--axes`, "
        "for example `--axes ZYX`"
    )
    np.testing.assert_array_equal(planes_of(tmp_path / "plain.tif", axes="zyx"), PLANES[:1])
    np.testing.assert_array_equal(planes_of(tmp_path / "plain.tif", axes="CYX")[:, 0], PLANES[0])
    np.testing.assert_array_equal(planes_of(tmp_path / "plain.tif", axes="ZXY"), PLANES[:1].swapaxes(2, 3))


def test_layers_stored_as_the_fastest_axis_are_found(tmp_path):
    last = np.ascontiguousarray(PLANES[0].transpose(1, 2, 0))
    for compression in (None, "zlib"):
        tifffile.imwrite(tmp_path / "last.tif", last, metadata=None, compression=compression)
        np.testing.assert_array_equal(planes_of(tmp_path / "last.tif", axes="YXZ"), PLANES[:1])


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("order", ["".join(order) for order in permutations("CZYX")])
def test_axes_may_lie_in_any_order(order, compression, tmp_path):
    small = PLANES[:, :3, :9, :7]
    array = np.ascontiguousarray(small.transpose(["CZYX".index(axis) for axis in order]))
    path = tmp_path / "any.tif"
    tifffile.imwrite(path, array, photometric="minisblack", compression=compression)
    np.testing.assert_array_equal(planes_of(path, axes=order), small)


def test_planes_that_the_metadata_promise_and_the_file_lacks_are_missed(tmp_path):
    path = WRITERS["ome_zlib.ome.tif"](tmp_path / "promise.ome.tif")
    content = path.read_bytes()
    assert content.count(b'SizeZ="5"') == 1
    path.write_bytes(content.replace(b'SizeZ="5"', b'SizeZ="6"'))
    assert fault(path).startswith("FILE is damaged")


def test_axes_that_do_not_fit_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "plain.tif", PLANES[0], metadata=None)
    assert fault(tmp_path / "plain.tif", axes="ZCYX") == (
        "`--axes ZCYX` names 4 axes, but FILE has 3, of lengths 5 x 40 x 30 (its metadata say IYX)"
    )
    for axes in ("ABC", "ZZX", "ZCY"):
        assert fault(tmp_path / "plain.tif", axes=axes) == (
            f"`--axes` names each of T, C, Z, Y, X, S at most once, Y and X among them; got {axes!r}"
        )


def test_a_file_with_time_needs_a_time_point(tmp_path):
    path = write(tmp_path / "time.ome.tif", np.stack([PLANES, PLANES + 1]), "TCZYX", ome=True)
    assert fault(path) == ("FILE has 2 time points (axes TCZYX, lengths 2 x 2 x 5 x 40 x 30); choose one with `--time`")
    np.testing.assert_array_equal(planes_of(path, time=2), PLANES + 1)
    assert fault(path, time=3) == "FILE: `--time` must lie in [1, 2], got 3"
    assert fault(path, time=0) == "FILE: `--time` must lie in [1, 2], got 0"


def test_planes_of_different_bit_depth_in_one_file_are_refused(tmp_path):
    with tifffile.TiffWriter(tmp_path / "mixed.tif") as file:
        file.write(PLANES[0, 0], metadata=None)
        file.write(PLANES[0, 1].astype(np.uint8), metadata=None)
    assert fault(tmp_path / "mixed.tif") == (
        "FILE holds 2 images of different place, shape or bit depth (uint16 (40, 30), uint8 (40, 30)); "
        "save the stack alone"
    )


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_cut_short_anywhere_is_refused_or_whole(name, tmp_path):
    # tifffile alone opens an ImageJ stack cut in the middle as a single good plane
    path = WRITERS[name](tmp_path / name)
    content = path.read_bytes()
    refused = 0
    for length in np.linspace(0, len(content) - 1, 41).astype(int):
        path.write_bytes(content[:length])
        try:
            np.testing.assert_array_equal(planes_of(path), PLANES)
        except InvalidData as error:
            assert str(path) in str(error)  # noqa: PT017
            refused += 1
    assert refused >= 35


def test_damaged_missing_and_foreign_files_are_named(tmp_path):
    (tmp_path / "text.tif").write_text("no image")
    assert fault(tmp_path / "text.tif").startswith("FILE is damaged or no TIFF: ")
    assert fault(tmp_path / "absent.tif") == "FILE does not exist"
    (tmp_path / "x.nd2").write_text("")
    assert fault(tmp_path / "x.nd2") == "FILE: a stack ends in one of .tif, .tiff, .lsm, .btf, .tf8, .czi"
    tifffile.imwrite(tmp_path / "complex.tif", PLANES[0, 0].astype(np.complex64))
    assert fault(tmp_path / "complex.tif") == "FILE has pixels of type complex64; whole or real numbers are allowed"


# CZI files written by pylibCZIrw 6.1.0 (Zeiss' own writer): plane (c, z) of 16 x 12 holds counts times 257 modulo 65521
CZI_PLANES = (np.arange(2 * 3 * 16 * 12).reshape(2, 3, 16, 12) * 257 % 65521).astype(np.uint16)


@pytest.mark.parametrize("kind", ["zstd0", "zstd1", "mosaic"])
def test_planes_of_a_czi_file_are_those_that_zeiss_library_wrote(kind):
    pytest.importorskip("czifile")
    np.testing.assert_array_equal(planes_of(REFERENCE / f"pylibczirw_6_1_{kind}.czi"), CZI_PLANES)


@pytest.mark.parametrize(("kind", "shape"), [("bgr", (6, 4, 3)), ("bgr_zstd1", (16, 12, 3))])
def test_colours_of_a_czi_file_are_red_green_blue(kind, shape):
    pytest.importorskip("czifile")
    expected = (np.arange(np.prod(shape)) % 251).reshape(shape).transpose(2, 0, 1)
    np.testing.assert_array_equal(planes_of(REFERENCE / f"pylibczirw_6_1_{kind}.czi")[:, 0], expected)


def test_a_czi_file_cut_short_is_refused_or_whole(tmp_path):
    # czifile alone leaves a tile that it cannot read black
    pytest.importorskip("czifile")
    content = (REFERENCE / "pylibczirw_6_1_zstd1.czi").read_bytes()
    path = tmp_path / "cut.czi"
    for length in np.linspace(0, len(content) - 64, 21).astype(int):
        path.write_bytes(content[:length])
        assert fault(path).startswith("FILE is damaged")
    zstd = b"\x28\xb5\x2f\xfd"  # how compressed pixels begin
    assert content.count(zstd) == 6
    path.write_bytes(content.replace(zstd, bytes(4)))
    assert fault(path).startswith("FILE is damaged or cut short at plane 1: ")


def test_czi_without_its_extra_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "czifile", None)
    (tmp_path / "x.czi").write_text("")
    assert fault(tmp_path / "x.czi") == ("FILE: to read CZI files, install akpsim[czi], or export the file as OME-TIFF")
