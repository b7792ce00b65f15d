"""Happy and unhappy members, by the rule that the study fixed; members that say one class to everything.

Accuracy is that on the test images, representations are those of the probe images: no image is in both.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from akpsim.checks import instance
from akpsim.distances import groups_of
from akpsim.errors import InvalidData
from akpsim.store import Run, provenance
from akpsim.study import Happiness

HAPPY, UNHAPPY = "happy", "unhappy"


def happiness(run: Run, rule: Happiness | None = None) -> xr.Dataset:
    """Return which members of a run are happy.

    Parameters
    ----------
    run : Run
        A run folder.
    rule : Happiness, optional
        By default that of the run's study.

    Returns
    -------
    Dataset
        Along ``member``: ``accuracy``, ``majority_baseline``, ``happiness`` ("happy" or "unhappy"; absent for the
        continuous rule), ``one_class_share`` (largest share of test images given one class), ``collapsed``.
        attrs: ``rule`` in words, ``collapsed_members``.

    Raises
    ------
    InvalidData
        If the rule puts all members on one side.
    """
    instance(run, "run", Run, "a run, as `akpsim.open_run` gives it")
    rule = run.study.happiness if rule is None else instance(rule, "rule", Happiness, "a rule of a study")
    members = run.members
    baseline = members["majority_baseline"].values
    share = one_class_share(run.table("test")["probability"].values)
    found = xr.Dataset(
        {
            "accuracy": ("member", members["accuracy"].values),
            "majority_baseline": ("member", baseline),
            "one_class_share": ("member", share),
            "collapsed": ("member", (share >= rule.collapsed).astype(np.int8)),
        },
        coords={"member": members["member"].values}
        | {name: ("member", members[name].values) for name in ("family", "stress", "optimizer", "seed")},
        attrs=provenance(rule=words(rule), source=str(run.path)) | {"result": "happiness"},
    )
    found.attrs["collapsed_members"] = int(found["collapsed"].sum())
    if rule.rule == "continuous":
        return found
    blocks = None if rule.block is None else groups_of(found["accuracy"], rule.block, name="happiness.block")
    labels = happy(found["accuracy"].values, baseline, rule, blocks)
    if len(set(labels.tolist())) == 1:
        raise InvalidData(
            f"all {len(labels)} members are {labels[0]} by the rule of the study: {words(rule)}; "
            "there is nobody to compare them with"
        )
    return found.assign(happiness=("member", labels))


def happy(
    accuracy: Sequence[float] | np.ndarray, baseline: Any, rule: Happiness, blocks: np.ndarray | None = None
) -> np.ndarray:
    """Return "happy" or "unhappy" for each accuracy, by a rule with two sides."""
    accuracy = np.asarray(accuracy, dtype=np.float64)
    if rule.rule == "margin":
        least = np.asarray(baseline, dtype=np.float64) + rule.margin
    else:
        blocks = np.zeros(len(accuracy), dtype=int) if blocks is None else blocks
        least = np.array([np.median(accuracy[blocks == block]) for block in blocks])
    labels: np.ndarray = np.where(accuracy > least, HAPPY, UNHAPPY)
    return labels


def words(rule: Happiness) -> str:
    """Return a rule in words."""
    if rule.rule == "margin":
        return f"accuracy above the majority baseline + {rule.margin:g}"
    if rule.rule == "median":
        return "accuracy above the median of " + (f"each {rule.block}" if rule.block else "all members")
    return "continuous: distance to the others regressed on accuracy"


def one_class_share(probability: np.ndarray) -> np.ndarray:
    """Return, for each member, the largest share of samples that it gives one class.

    Parameters
    ----------
    probability : array, shape (member, sample, class)
        Outputs; the largest is what a member says.
    """
    said = probability.argmax(axis=-1)
    counts = np.array([np.bincount(row).max() for row in said])
    share: np.ndarray = counts / probability.shape[1]
    return share
