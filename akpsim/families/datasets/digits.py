"""Handwritten digits that scikit-learn ships: 1,797 real images of 8 x 8 pixels, the embedded default."""

import numpy as np

from akpsim.families.datasets.images import Dataset, Images
from akpsim.families.datasets.options import options_of
from akpsim.study import Data


def load(data: Data) -> Images:
    """Return the digits with pixels scaled to [0, 1] and ids by their place in scikit-learn's table."""
    options_of(data, {})
    from sklearn.datasets import load_digits  # imports scipy.stats: seconds and 100 MB that other data do not need

    bunch = load_digits()
    return Images(
        images=(bunch.images[..., None] / 16).astype(np.float32),
        labels=bunch.target.astype(np.int64),
        classes=tuple(map(str, bunch.target_names)),
        ids=np.array([f"digit-{index:04d}" for index in range(len(bunch.target))]),
        source="scikit-learn load_digits (UCI Optical Recognition of Handwritten Digits, test part)",
    )


digits = Dataset(
    "digits",
    load,
    "1,797 real handwritten digits, 8 x 8, shipped with scikit-learn; the default",
    ignores=("path", "image_size"),
)
