r"""How well the members of each family classify the test images: the paper's Table 1.

Of each member, per class: precision :math:`TP / (TP + FP)`, recall :math:`TP / (TP + FN)` and their harmonic mean F1;
then accuracy, and balanced accuracy, the mean of the recalls.  A class that is never predicted has precision 0, as the
paper prints it.  Shown are means and standard deviations over the members of a family.

Beside every accuracy stand what always naming the largest class would get, and Wilson's binomial interval: for a share
:math:`p` of :math:`n` images and :math:`z` = 1.96,

.. math:: \frac{p + z^2 / 2n \pm z \sqrt{p (1 - p) / n + z^2 / 4 n^2}}{1 + z^2 / n}.

All members answer to the same test images, so :math:`n` is the number of images and not that times the members.
"""

import csv
import json
import math
from importlib.resources import files
from typing import Any

import numpy as np
import xarray as xr

from akpsim.checks import instance
from akpsim.errors import StoreError
from akpsim.store import Run, open_member, provenance, stored
from akpsim.tables import Table

SCORES = ("precision", "recall", "f1")
COLUMNS = ("prec{}", "rec{}", "f1_{}")
"""Of the paper's Table 1, for a class."""
Z = 1.959963984540054
"""The .975 quantile of the standard normal."""


def classification_table(run: Run) -> xr.Dataset:
    """Score every member of a run on its test images, and summarise by family.

    Parameters
    ----------
    run : Run
        As `akpsim.open_run` gives it.

    Returns
    -------
    Dataset
        ``precision``, ``recall``, ``f1`` (family, class), ``accuracy``, ``balanced_accuracy`` (family,): means over
        members, each with its standard deviation ``NAME_sd`` (NaN for one member); ``accuracy_lower``,
        ``accuracy_upper``; ``members`` (family,) and how many of them are ``constant``, giving one class to every test
        image; ``images`` (class,), ``majority_baseline``.  A run with families of a paper preset also has
        ``paper_precision``, ... with the larger of two classes set beside the paper's class 0, NaN for other families.
        The attribute ``not_finite`` names the members with values that are not finite.

    Raises
    ------
    StoreError
        If a member's file is damaged, or members were tested on different images.
    """
    families = instance(run, "run", Run, "a run, as `akpsim.open_run` gives it").members.family.values
    scored = [scores_of(run, name) for name in run.names]
    labels = scored[0]["labels"]
    if any(not np.array_equal(each["labels"], labels) for each in scored):
        raise StoreError(f"{run.path}: members were tested on different images")
    names = list(dict.fromkeys(families.tolist()))
    images = np.bincount(labels, minlength=len(scored[0]["classes"]))
    table = xr.Dataset(
        {"images": ("class", images), "majority_baseline": images.max() / images.sum()},
        coords={"family": names, "class": list(scored[0]["classes"])},
        attrs=provenance(result="classification", source=str(run.path), study=run.manifest["study"]),
    )
    table.attrs["not_finite"] = ", ".join(n for n, each in zip(run.names, scored, strict=True) if not each["finite"])
    table["members"] = ("family", [int((families == name).sum()) for name in names])
    constant = np.array([each["constant"] for each in scored])
    table["constant"] = ("family", [int(constant[families == name].sum()) for name in names])
    for score in (*SCORES, "accuracy", "balanced_accuracy"):
        values = [
            np.array([each[score] for each, f in zip(scored, families, strict=True) if f == name]) for name in names
        ]
        axes = ("family", "class")[: values[0].ndim]
        table[score] = (axes, np.stack([v.mean(axis=0) for v in values]))
        table[f"{score}_sd"] = (axes, np.stack([deviation(v) for v in values]))
    lower, upper = wilson(table.accuracy.values, int(images.sum()))
    table = table.assign(accuracy_lower=("family", lower), accuracy_upper=("family", upper))
    return table.assign(paper_scores(names, images))


def scores_of(run: Run, member: str) -> dict[str, Any]:
    """Return one member's scores on its test images."""
    from sklearn.metrics import accuracy_score, precision_recall_fscore_support, recall_score

    with open_member(run.file(member)) as file:
        labels, probability = (stored(file, f"test/{name}") for name in ("label", "probability"))
        classes = json.loads(stored(file, "classes"))
        finite = bool(getattr(file, "finite", 1)) and bool(np.isfinite(probability).all())
    said, every = probability.argmax(axis=1), range(len(classes))
    scores = precision_recall_fscore_support(labels, said, labels=every, zero_division=0)[:3]
    return dict(zip(SCORES, scores, strict=True)) | {
        "labels": labels,
        "finite": finite,
        "classes": classes,
        "accuracy": accuracy_score(labels, said),
        "balanced_accuracy": recall_score(labels, said, average="macro", zero_division=0),
        "constant": len(np.unique(said)) == 1,
    }


def deviation(values: np.ndarray) -> np.ndarray:
    """Return the sample standard deviation over members; NaN if there is one."""
    return np.asarray(values.std(axis=0, ddof=1) if len(values) > 1 else np.full(values.shape[1:], np.nan))


def wilson(share: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return Wilson's 95 % interval of a share of `count` images."""
    middle = share + Z**2 / (2 * count)
    half = Z * np.sqrt(share * (1 - share) / count + Z**2 / (4 * count**2))
    return (middle - half) / (1 + Z**2 / count), (middle + half) / (1 + Z**2 / count)


def paper_scores(families: list[str], images: np.ndarray) -> dict[str, Any]:
    """Return the paper's Table 1 for families named as those of its presets, NaN for others; nothing without any."""
    text = files("akpsim.presets").joinpath("paper_table1.csv").read_text(encoding="utf-8")
    rows = {f"{r['group']}_{r['stress']}_{r['optimizer']}".lower(): r for r in csv.DictReader(text.splitlines())}
    if len(images) != 2 or not set(families) & set(rows):
        return {}
    none = dict.fromkeys(("acc", *(column.format(c) for column in COLUMNS for c in (0, 1))), "nan")
    found_rows = [rows.get(name, none) for name in families]
    larger_first = np.argsort(-images, kind="stable")
    found: dict[str, Any] = {"paper_accuracy": ("family", [float(row["acc"]) for row in found_rows])}
    for score, column in zip(SCORES, COLUMNS, strict=True):
        values = np.empty((len(families), 2))
        values[:, larger_first] = [[float(row[column.format(c)]) for c in (0, 1)] for row in found_rows]
        found[f"paper_{score}"] = (("family", "class"), values)
    return found


def records(table: xr.Dataset) -> list[dict[str, str | float | None]]:
    """Return the table for machines: one record a family and class, every number unrounded, None where there is none.

    Parameters
    ----------
    table : Dataset
        As `classification_table` gives it.
    """
    flat = table.to_dataframe(dim_order=["family", "class"]).reset_index()
    return [
        {str(key): None if value != value else value for key, value in record.items()}
        for record in flat.to_dict(orient="records")
    ]


def printable(table: xr.Dataset) -> Table:
    """Return the table for readers: one row a family and class, what a family's rows share on the first of them."""
    rows = []
    for family in table.family.values:
        for index, name in enumerate(table["class"].values):
            first = table.sel({"family": family, "class": name})
            shared = [cell for score in ("accuracy", "balanced_accuracy") for cell in cells(first, score)]
            interval = f"{float(first.accuracy_lower):.2f} to {float(first.accuracy_upper):.2f}"
            scores = [cell for score in SCORES for cell in cells(first, score)]
            own = [str(family), str(name), str(int(first.members)), *scores, *shared, interval]
            rows.append([cell if index == 0 or 0 < place <= len(scores) + 2 else "" for place, cell in enumerate(own)])
            rows[-1][2] = own[2] if index == 0 else ""
    paper = ["paper"] * ("paper_accuracy" in table)
    header = ["family", "class", "n"]
    for score in (*SCORES, "accuracy"):
        header += [score, *paper]
    return Table([*header, "balanced", "95 %"], rows, caption=caption(table), left=2)


def cells(first: xr.Dataset, score: str) -> list[str]:
    """Return a score with its deviation, and the paper's beside it where there is one."""
    mean, sd = float(first[score]), float(first[f"{score}_sd"])
    shown = f"{mean:.2f}" if math.isnan(sd) else f"{mean:.2f} ± {sd:.2f}"
    paper = [float(first[f"paper_{score}"])] if f"paper_{score}" in first else []
    return [shown, *("" if math.isnan(value) else f"{value:.2f}" for value in paper)]


def caption(table: xr.Dataset) -> list[str]:
    """Return the sentences that make the numbers readable."""
    images, largest = int(table.images.sum()), str(table["class"].values[table.images.values.argmax()])
    sentences = [
        f"Means ± standard deviations over n members, on {images} test images.",
        f"Always saying {largest} gets accuracy {float(table.majority_baseline):.2f} and balanced accuracy "
        f"{1 / table.sizes['class']:.2f}.",
        f"95 %: binomial (Wilson) interval of the accuracy; {images} images do not tell apart accuracies within it.",
    ]
    sentences += [*constant_members(table), *members_not_finite(table)]
    if "paper_accuracy" in table:
        sentences.append("paper: the paper's Table 1, on its own images; its class 0 stands beside our larger class.")
    return sentences


def constant_members(table: xr.Dataset) -> list[str]:
    """Return a sentence on members that learnt nothing, as the paper's rows at 63 %; none if there are none."""
    stuck = [
        f"{int(table.constant.sel(family=name))} of {int(table.members.sel(family=name))} in {name}"
        for name in table.family.values[table.constant.values > 0]
    ]
    sentence = f"Members that give one and the same class to every image: {', '.join(stuck)}."
    return [sentence] if stuck else []


def members_not_finite(table: xr.Dataset) -> list[str]:
    """Return a sentence on members whose training went to infinity; none if there are none."""
    names = table.attrs["not_finite"]
    return [f"Members with values that are not finite, whose scores mean nothing: {names}."] if names else []
