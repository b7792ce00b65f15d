"""Whatever comes in, what comes out is one sentence: never a traceback, never a file."""

import io
import json
import os
import pickle
import struct
import zipfile
from itertools import islice

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from akpsim import AkpsimError, load_study, open_result, open_run, read_features
from akpsim.study import presets

SETTINGS = settings(
    max_examples=80,
    derandomize=True,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(allow_nan=True, allow_infinity=True),
    st.text(max_size=5),
    st.sampled_from(["", "../../x", "/etc/passwd", "a/b", "a\x00b", "<script>", "; rm -rf /", "-x", "%s%n", "x" * 200]),
    st.lists(st.integers(-2, 2), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)


class Bomb:
    """What a pickle would do to whoever opens it."""

    def __reduce__(self):
        return os.mkdir, ("exploded",)


def refused(tried, label, function, *arguments):
    """Call a function that may refuse what it gets; anything but an AkpsimError is a traceback for the user."""
    try:
        function(*arguments)
        return
    except AkpsimError as error:
        said = str(error).strip()
    assert said, label
    assert "\n" not in said, f"{label}: not one sentence: {said}"
    tried.add(label)


def places(table, where=()):
    """Give the place of every value in nested tables and lists."""
    for key, value in table.items() if isinstance(table, dict) else enumerate(table):
        yield (*where, key)
        if isinstance(value, dict | list) and value:
            yield from places(value, (*where, key))


def test_study_files_of_any_kind_are_refused_in_one_sentence(tmp_path):
    tried = set()
    sources = [load_study(name).model_dump(mode="json") for name in presets()][:2]

    @SETTINGS
    @given(st.data())
    def wrong_values(data):
        content = json.loads(json.dumps(data.draw(st.sampled_from(sources))))
        *path, last = data.draw(st.sampled_from(list(places(content))))
        table = content
        for key in path:
            table = table[key]
        junk = data.draw(JUNK)
        if isinstance(table, dict) and data.draw(st.integers(0, 3)) == 0:
            last = data.draw(st.text(min_size=1, max_size=8))
        table[last] = junk
        refused(tried, f"study {path} {last} {junk!r}", lambda: list(islice(load_study(content).design(), 200)))

    @SETTINGS
    @given(st.one_of(st.binary(max_size=60), st.text(max_size=60).map(lambda text: text.encode("utf-8", "replace"))))
    def no_toml(content):
        path = tmp_path / "study.toml"
        path.write_bytes(content)
        refused(tried, f"toml {content!r}", load_study, path)

    wrong_values()
    no_toml()
    for name in ("", ".", "..", "/", "nowhere.toml", "a\x00b.toml", "x" * 300 + ".toml", str(tmp_path) + ".toml"):
        refused(tried, f"path {name!r}", load_study, name)
    for content in ({"name": object()}, {"members": np.ones(2)}, {1: b"x"}):
        refused(tried, f"study {content}", load_study, content)
    (tmp_path / "folder.toml").mkdir()
    refused(tried, "folder.toml", load_study, tmp_path / "folder.toml")
    print(f"\n{len(tried)} bad studies, 0 tracebacks")  # noqa: T201
    assert len(tried) >= 80


def bad_features(rng):
    """Give names and contents of files that hold no features."""
    good = io.BytesIO()
    np.save(good, rng.normal(size=(9, 4)))
    yield from ((f"cut-{keep}.npy", good.getvalue()[:keep]) for keep in (0, 1, 6, 10, 60, 127, 130, 300, 415))
    for dtype in ("O", "U3", "S3", "M8[s]", "c16", "V4"):
        file = io.BytesIO()
        np.save(file, np.zeros((9, 4), dtype=dtype), allow_pickle=True)
        yield f"dtype-{dtype[0]}.npy", file.getvalue()
    file = io.BytesIO()
    np.save(file, np.array([[Bomb()]], dtype=object), allow_pickle=True)
    yield "bomb.npy", file.getvalue()
    yield "pickle.npy", pickle.dumps(Bomb())
    yield "pickle.npz", pickle.dumps(Bomb())
    for shape in (
        "(1000000000000, 8)",
        "(-1, 8)",
        "(9,)",
        "()",
        "(0, 0)",
        "(9, 4, 2, 2)",
        "__import__('os')",
        "(9, 'a')",
    ):
        header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".encode()
        yield f"shape-{shape.replace('/', '')}.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header
    yield "header.npy", b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**31) + b"{" * 1000
    for name, content in (("bomb.npy", file.getvalue()), ("../../out.npy", good.getvalue()[:50]), ("x.txt", b"x")):
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as zipped:
            zipped.writestr(name, content)
        yield f"archive-{name.replace('/', '_')}.npz", archive.getvalue()
        yield f"cut-{name.replace('/', '_')}.npz", archive.getvalue()[:-30]
    yield "empty.npz", zipfile_of({})
    for length in (0, 1, 2**40, 2**63):
        yield f"length-{length}.safetensors", struct.pack("<Q", length) + b"{}"
    header = json.dumps({"x": {"dtype": "F32", "shape": [10**9, 10**9], "data_offsets": [0, 4]}}).encode()
    yield "shape.safetensors", struct.pack("<Q", len(header)) + header + bytes(4)
    for text in ("", "\n\n", "a,b\n", "1,2\n3\n", "a,b\n1,x\n", "1,2\n3,\n", "\x00", "1;2\n3;4\n", '"', "é,1\n", "nan"):
        yield f"text-{len(text)}-{text[:1].encode().hex()}.csv", text.encode()
    yield "latin.csv", b"\xff\xfe\x00a,\xe9"
    yield "magic.nc", b"\x89HDF\r\n\x1a\n" + bytes(500)
    yield "classic.nc", b"CDF\x01" + b"\xff" * 100
    for suffix in (".npy", ".npz", ".nc", ".safetensors", ".csv"):
        yield from ((f"noise-{size}{suffix}", rng.bytes(size)) for size in (1, 8, 100, 5000))
    yield from ((f"unknown{suffix}", b"x") for suffix in (".pkl", ".pt", ".txt", "", ".npy.gz"))


def zipfile_of(content):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as zipped:
        for name, data in content.items():
            zipped.writestr(name, data)
    return archive.getvalue()


def test_feature_and_result_files_of_any_kind_are_refused_in_one_sentence(tmp_path, monkeypatch, tiny_run):
    monkeypatch.chdir(tmp_path)
    tried = set()
    for name, content in bad_features(np.random.default_rng(0)):
        path = tmp_path / name.replace("..", "_")
        path.write_bytes(content)
        refused(tried, f"features {name}", read_features, [path])
        refused(tried, f"result {name}", open_result, path)
    whole = tiny_run.file("baseline-0").read_bytes()
    for keep in np.linspace(1, len(whole) - 1, 12).astype(int):
        (tmp_path / "cut.nc").write_bytes(whole[:keep])
        refused(tried, f"features cut.nc {keep}", read_features, [tmp_path / "cut.nc"])
        refused(tried, f"result cut.nc {keep}", open_result, tmp_path / "cut.nc")
    for name, dataset in {
        "scalar": xr.Dataset({"x": 1.0}),
        "words": xr.Dataset({"x": (("sample", "neuron"), np.array([["a", "b"]]))}),
        "empty": xr.Dataset(),
    }.items():
        dataset.to_netcdf(f"{name}.nc", engine="netcdf4")
        refused(tried, f"features {name}.nc", read_features, [f"{name}.nc"])
        refused(tried, f"result {name}.nc", open_result, f"{name}.nc")
    for path in (tmp_path, tmp_path / "no.npy", "", "a\x00b.npy"):
        refused(tried, f"features {path}", read_features, [path])
        refused(tried, f"result {path}", open_result, path)
    assert not (tmp_path / "exploded").exists()
    print(f"\n{len(tried)} bad files, 0 tracebacks")  # noqa: T201
    assert len(tried) >= 120


def test_manifests_and_studies_of_a_run_that_were_tampered_with_are_refused(tiny_run, tmp_path):
    tried = set()
    run = tmp_path / "run"
    run.mkdir()
    study = (tiny_run.path / "study.toml").read_text()
    manifest = json.loads((tiny_run.path / "manifest.json").read_text())
    for text in ("", "{", "[]", "null", "1", '"x"', "{}", '{"members": 3}', json.dumps(manifest)[:-4]):
        (run / "study.toml").write_text(study)
        (run / "manifest.json").write_text(text)
        refused(tried, f"manifest {text[:20]}", lambda: open_run(run).representations())
    (run / "manifest.json").write_text(json.dumps(manifest))
    escaping = study.replace('name = "baseline"', 'name = "../../baseline"')
    assert escaping != study
    for text in ("", "x", "seed = -1", "seed = 'a'", study.replace("digits", "\x00"), escaping):
        (run / "study.toml").write_text(text)
        refused(tried, f"study {text[:20]}", lambda: open_run(run).representations())
    assert len(tried) >= 13


COMMANDS = [
    ["compare"],
    ["calibrate"],
    ["crisis"],
    ["data", "fetch"],
    ["data", "stack"],
    ["data", "verify"],
    ["disperse"],
    ["fit-lv"],
    ["list"],
    ["ordinate"],
    ["plot"],
    ["table"],
    ["train-family"],
]
ARGUMENTS = [
    ["nowhere.toml"],
    ["nowhere"],
    ["no.npy"],
    ["junk.nc"],
    ["junk.npy"],
    ["bomb.npy", "bomb.npy"],
    ["."],
    ["--nonsense"],
    ["--out"],
    ["", ""],
    ["a\x01b"],
    ["../../../etc"],
    ["--json", "junk.nc"],
    ["junk.nc", "--seed", "x"],
    ["junk.nc", "--epoch", "x"],
    ["junk.nc", "--members", "0"],
    ["junk.nc", "--workers", "-1"],
    ["junk.nc", "--workers", "10000"],
    ["$(touch exploded)"],
    ["; touch exploded"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_commands_with_wrong_arguments_exit_with_1_or_2_and_write_nothing(command, cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "junk.nc").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    (tmp_path / "junk.npy").write_bytes(b"junk")
    np.save(tmp_path / "bomb.npy", np.array([[Bomb()]], dtype=object), allow_pickle=True)
    before = sorted(tmp_path.rglob("*"))
    for arguments in ARGUMENTS:
        code, out, error = cli(*command, *arguments)
        assert code in (1, 2), (command, arguments)
        assert "Traceback" not in error
        assert error.startswith("akpsim: ") if code == 1 else "Error" in error, (command, arguments, error)
        assert sorted(tmp_path.rglob("*")) == before, (command, arguments)
        assert out == ""
