"""What there is in a folder of images, and what is wrong with it: damage, copies, copies across classes or parts."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from akpsim.errors import InvalidData
from akpsim.families.datasets.duplicates import NEAR_LIMIT, equal_pairs, fingerprint, groups_of, near_pairs
from akpsim.families.datasets.folder import LabelledFile, labelled_files
from akpsim.families.datasets.pictures import content_hash, read_picture, shape_text
from akpsim.progress import Progress


@dataclass(frozen=True)
class Findings:
    """What `verify_folder` found; lists of names are paths below the folder.

    Parameters
    ----------
    counts : dict
        Images of each class.
    sizes : dict
        "width x height" -> number of images, the most frequent first.
    damaged : list of str
        One sentence a file that cannot be used.
    exact, near : list of list of str
        Groups of images with equal pixels; pairs of nearly equal pictures.
    across : list of str
        One sentence a copy that is in two classes, or in two parts of the folder's split.
    searched : bool
        False if there are too many images to look for near-duplicates.
    """

    counts: dict[str, int]
    sizes: dict[str, int]
    damaged: list[str] = field(default_factory=list)
    exact: list[list[str]] = field(default_factory=list)
    near: list[list[str]] = field(default_factory=list)
    across: list[str] = field(default_factory=list)
    searched: bool = True

    @property
    def sound(self) -> bool:
        """Whether nothing is damaged and no copy is in two classes or two parts of a split."""
        return not self.damaged and not self.across


def verify_folder(root: Path | str, *, show: bool = False) -> Findings:
    """Look at every image of a folder with one sub-folder a class.

    Copies inside a class are no fault: splits keep them on one side.  Equal pixels in two classes are: one of the
    labels is wrong.  So are near-duplicates in two classes, unless the classes are meant to look alike; splits keep
    these on one side, too.

    Parameters
    ----------
    root : Path
        As for the data set ``folder``.
    show : bool
        Show progress.
    """
    root = Path(root)
    files = labelled_files(root)
    damaged, sound, sizes, hashes, prints = [], [], Counter[str](), [], []
    with Progress("images", total=len(files), show=show) as progress:
        for file in files:
            try:
                pixels = read_picture(file.path)
            except InvalidData as error:
                damaged.append(str(error))
            else:
                sound.append(file)
                sizes[shape_text(pixels)] += 1
                hashes.append(content_hash(pixels))
                prints.append(fingerprint(pixels))
            progress.advance()
    names = [file.path.relative_to(root).as_posix() for file in sound]
    equal = equal_pairs(hashes)
    near = [(one, other) for one, other in near_pairs(np.array(prints)) if hashes[one] != hashes[other]]
    groups = groups_of(len(sound), equal)
    members = [[names[i] for i in np.flatnonzero(groups == group)] for group in sorted({groups[i] for i, _ in equal})]
    return Findings(
        counts=dict(sorted(Counter(file.label for file in files).items())),
        sizes=dict(sizes.most_common()),
        damaged=damaged,
        exact=members,
        near=[[names[one], names[other]] for one, other in near],
        across=faults_of(sound, names, equal, "have the same pixels")
        + faults_of(sound, names, near, "are nearly the same"),
        searched=len(sound) <= NEAR_LIMIT,
    )


def faults_of(files: list[LabelledFile], names: list[str], pairs: list[tuple[int, int]], what: str) -> list[str]:
    """Return a sentence for each pair that is in two classes or two parts."""
    faults = []
    for one, other in pairs:
        if files[one].label != files[other].label:
            faults.append(f"{names[one]} and {names[other]} {what}, in two classes")
        elif files[one].part != files[other].part:
            faults.append(f"{names[one]} and {names[other]} {what}, in two parts of the split")
    return faults
