"""Features of a frozen trunk, computed once and kept.

Training a head for 30 epochs shows every image to the trunk 30 times, and a frozen trunk answers the same each time.
The features are kept in a file named by a hash of everything they depend on: the trunk's architecture, weights and
preparation, the images' content, the kind of device and torch's version.  A trunk that trains, or images that are
augmented, have no features to keep, and asking for them is an error.
"""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pooch
import torch
from torch import Tensor

from akpsim.errors import InvalidStudy, StoreError
from akpsim.families.datasets.images import Images
from akpsim.families.devices import device_of, reproducible
from akpsim.families.networks.inference import for_evaluation
from akpsim.families.networks.trunks import Trunk
from akpsim.families.training.tensors import load_tensors, save_tensors
from akpsim.parallel import usable_cores
from akpsim.progress import Progress

BATCH = {"cpu": 4, "cuda": 64}
"""Images at once: what a convolution reads and writes then stays in a CPU's caches, and a GPU has enough to do."""
MOST_THREADS = {"cpu": 8, "cuda": 2}
"""On a GPU a second one prepares images; each has a batch's activations in the GPU's memory."""


def cache_folder() -> Path:
    """Return where features are kept: ``AKPSIM_CACHE`` if set, else the user's cache folder."""
    return Path(os.environ.get("AKPSIM_CACHE") or pooch.os_cache("akpsim")) / "features"


def cached_features(
    trunk: Trunk,
    images: Images | np.ndarray,
    *,
    cache: Path | None = None,
    augmented: bool = False,
    progress: bool = False,
    threads: int | None = None,
) -> Tensor:
    """Return a frozen trunk's features of images, from the cache if they are there.

    Parameters
    ----------
    trunk : Trunk
        Frozen.
    images : Images or array, shape (sample, height, width, channel)
        As they are kept; the trunk prepares them.
    cache : Path, optional
        Folder; see `cache_folder` for the default.
    augmented : bool
        True if images change from epoch to epoch, which is refused.
    progress : bool
        Show how far it is.
    threads : int, optional
        Batches computed at the same time; by default one a usable core, at most 8, or 2 for a GPU.  The bits do not
        depend on it.

    Returns
    -------
    Tensor, shape (sample, feature)
        float32 on the CPU.

    Raises
    ------
    InvalidStudy
        If the trunk trains or the images are augmented.
    StoreError
        If the folder cannot be written.
    """
    if trunk.trains:
        raise InvalidStudy(f"features of {trunk.name} cannot be cached while it trains: write frozen = true")
    if augmented:
        raise InvalidStudy(f"features of {trunk.name} cannot be cached: augmented images differ in each epoch")
    array = images.images if isinstance(images, Images) else images
    if trunk.name == "none":
        return compute_features(trunk, array)  # pixels need no trunk, and no copy on disk
    key = features_key(trunk, array)
    path = (cache or cache_folder()) / f"{trunk.name}-{key}.safetensors"
    found = _read(path, key=key, shape=(len(array), trunk.features))
    if found is not None:
        return found
    _check_writable(path.parent)
    threads = threads or min(usable_cores(), MOST_THREADS[device_of(trunk.module).type])
    computed = compute_features(trunk, array, threads=threads, progress=progress)
    save_tensors(path, {"features": computed}, {"key": key})
    return computed


def compute_features(trunk: Trunk, images: np.ndarray, *, threads: int = 1, progress: bool = False) -> Tensor:
    """Return a trunk's features of images (sample, height, width, channel), in evaluation mode, without gradients.

    Every batch is computed by one thread alone, so that the number of threads does not change a bit.
    """
    device = device_of(trunk.module)
    batch = BATCH[device.type]
    parts = range(0, len(images), batch)
    module = for_evaluation(trunk.module.eval())

    def forward(start: int) -> Tensor:
        with torch.no_grad():
            features: Tensor = module(trunk.prepare(images[start : start + batch]).to(device))
        return features.cpu()

    computed = []
    with (
        reproducible(),
        ThreadPoolExecutor(threads) as pool,
        Progress("trunk", total=len(parts), show=progress) as bar,
    ):
        # The first alone: the layout of packed weights follows the size of the batch that comes first.
        for some in (parts[:1], parts[1:]):
            for features in pool.map(forward, some):
                computed.append(features)
                bar.advance()
    return torch.cat(computed) if computed else torch.empty(0, trunk.features)


def features_key(trunk: Trunk, images: np.ndarray) -> str:
    """Return the hash of everything that the features depend on."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(
        f"packed {trunk.key} {device_of(trunk.module).type} {torch.__version__} {images.shape} {images.dtype}".encode()
    )
    digest.update(np.ascontiguousarray(images).data)
    return digest.hexdigest()


def _read(path: Path, *, key: str, shape: tuple[int, int]) -> Tensor | None:
    """Return the features in a file, or None if it is absent or not what its name says, so that it is made anew."""
    try:
        tensors, header = load_tensors(path)
    except StoreError:
        return None
    features = tensors.get("features")
    return features if features is not None and header.get("key") == key and features.shape == shape else None


def _check_writable(folder: Path) -> None:
    """Say before the work, not after it, that its result cannot be kept."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or error
    else:
        if os.access(folder, os.W_OK):
            return
        reason = "no permission"
    raise StoreError(f"cannot write features to {folder} ({reason}); set AKPSIM_CACHE to a folder of yours")
