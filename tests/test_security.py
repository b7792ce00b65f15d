"""Files can be anybody's: nothing in them is executed, and no name in them leaves its folder."""

import ast
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

import akpsim
from akpsim import AkpsimError, load_study, read_features
from akpsim.families.networks.weights import load_file
from akpsim.study import Family

SOURCES = [*Path(akpsim.__file__).parent.rglob("*.py"), *(Path(__file__).parents[1] / "cli").rglob("*.py")]
FORBIDDEN = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "subprocess"}
SAFE = {"load": {"np": ("allow_pickle", False), "numpy": ("allow_pickle", False), "torch": ("weights_only", True)}}


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("exploded",)


def calls(tree):
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call)]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: "/".join(path.parts[-2:]))
def test_no_source_unpickles_evaluates_or_starts_a_shell(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
        names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
        assert not FORBIDDEN & {name.split(".")[0] for name in names}
    for call in calls(tree):
        if isinstance(call.func, ast.Name):
            assert call.func.id not in ("eval", "exec", "compile", "__import__")
        if isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name):
            where, name = call.func.value.id, call.func.attr
            assert (where, name) not in {("os", "system"), ("os", "popen"), ("pd", "read_pickle")}
            if where in SAFE.get(name, {}):
                keyword, wanted = SAFE[name][where]
                given = {k.arg: getattr(k.value, "value", None) for k in call.keywords}
                assert given.get(keyword) is wanted, f"{where}.{name} without {keyword}={wanted}, line {call.lineno}"


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".nc", ".safetensors", ".csv"])
def test_a_pickle_under_any_name_is_not_executed(suffix, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / f"bomb{suffix}"
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(AkpsimError):
        read_features([path])
    np.save(tmp_path / "objects.npy", np.array([Bomb()], dtype=object), allow_pickle=True)
    with pytest.raises(AkpsimError, match=r"objects\.npy holds no plain numbers: pickled Python"):
        read_features([tmp_path / "objects.npy"])
    assert not (tmp_path / "exploded").exists()


def test_weights_of_a_backbone_that_hold_more_than_tensors_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"weight": Bomb()}, tmp_path / "weights.pt")
    (tmp_path / "bare.pt").write_bytes(pickle.dumps(Bomb()))
    for name in ("weights.pt", "bare.pt"):
        with pytest.raises(AkpsimError, match=name):
            load_file(torch.nn.Linear(2, 2), str(tmp_path / name), name="test")
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize(
    "name", ["../x", "a/b", "/etc/x", "..", "", ".hidden", "a\\b", "a\nb", "a b", "a;b", "$(a)", "é"]
)
def test_a_name_that_becomes_a_file_holds_no_path(name):
    with pytest.raises(AkpsimError, match="name"):
        load_study({"families": [{"name": name}]})
    with pytest.raises(AkpsimError, match="name"):
        load_study({"name": name})
    assert Family.model_fields["name"].metadata


def test_a_message_obeys_no_code_for_terminals_and_stays_one_line():
    with pytest.raises(AkpsimError) as caught:
        load_study({"a\x1b[2J\n\u202e": 1})
    assert str(caught.value).startswith(r"study: unknown key 'a\x1b[2J\n\u202e'")
    assert str(caught.value).isprintable()
