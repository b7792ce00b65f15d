"""The page of study files is made from the models and current; faults are named as the file names them."""

from pathlib import Path

import pytest

from akpsim import load_study
from akpsim.errors import AkpsimError
from akpsim.study.page import TABLES, study_page

PAGE = Path(__file__).parents[1] / "docs" / "study.md"


def test_the_page_of_study_files_is_current():
    assert PAGE.read_text(encoding="utf-8") == study_page(), "write docs/study.md again with akpsim.study.page"


@pytest.mark.parametrize(
    ("model", "key"), [(m, key) for models in TABLES.values() for m in models for key in m.model_fields]
)
def test_every_key_of_a_study_file_is_described(model, key):
    assert model.model_fields[key].description


def test_the_page_says_what_is_allowed():
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    assert "| `epochs` | whole number >= 1 and <= 1,000,000 | `20` | Of a member. |" in lines
    assert any(line.startswith('| `rule` | `"margin"`, `"median"`, `"continuous"` | `"margin"` |') for line in lines)


@pytest.mark.parametrize(
    ("study", "message"),
    [
        ({"strength": 2}, "`families.f.perturbations.blur.strength`: Input should be less than or equal to 1, got 2"),
        ({"strength": [[1, 7]]}, "`families.f.perturbations.blur.strength.0.1`: Input should be less than or equal"),
        ({"at": []}, "`families.f.perturbations.blur.at`: must hold at least 1, got"),
    ],
)
def test_a_fault_is_named_by_family_and_perturbation(study, message):
    with pytest.raises(AkpsimError) as raised:
        load_study({"families": [{"name": "f", "perturbations": [{"name": "blur"} | study]}]})
    assert message in str(raised.value)


def test_an_unknown_pool_names_those_there_are():
    with pytest.raises(AkpsimError, match=r"`capture.pool`: must be avg, max, none or points:K, such as points:5, got"):
        load_study({"capture": {"pool": "mean"}})
