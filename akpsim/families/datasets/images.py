"""Labelled images as arrays: what every dataset loads."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from akpsim.study import Data

SYNTHETIC_NOTE = "SYNTHETIC.txt"
"""A file of this name in a folder of stacks or images says that nobody photographed them, and is passed on."""


@dataclass(frozen=True)
class Images:
    """Labelled images.

    Parameters
    ----------
    images : array, shape (sample, height, width, channel)
        uint8 in [0, 255], or float32 in [0, 1].
    labels : array of int64, shape (sample,)
        Index into `classes`.
    classes : tuple of str
        Names of the classes.
    ids : array of str, shape (sample,)
        One stable name a sample, such as its path below the folder; all different.
    groups : array, shape (sample,), optional
        Samples of one group (duplicates, one animal) stay on one side of every split.
    split : array of str, shape (sample,), optional
        ``train``, ``validation``, ``probe`` or ``test`` where the data come with a split of their own.
    synthetic : bool
        True if nobody ever photographed these.
    source : str
        Where they come from, for the record.
    """

    images: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]
    ids: np.ndarray
    groups: np.ndarray | None = None
    split: np.ndarray | None = None
    synthetic: bool = False
    source: str = ""


@dataclass(frozen=True)
class Dataset:
    """A source of images: `load` gets the study's ``[data]`` section and returns `Images`.

    `ignores` are keys of the section that it has no use for, so that a study which sets one is refused.
    """

    name: str
    load: Callable[[Data], Images]
    summary: str
    ignores: tuple[str, ...] = ()
