"""Where a layer's output (sample, ...) has its channels: on the second axis, as in a convolution, or on the last.

A shape does not say it, the layers do.  The last layer inside a module that says so decides: what torch calls 1d, 2d or
3d, and group norm, have channels second; Linear, LayerNorm and Embedding last; a Permute moves them.
"""

from collections.abc import Iterator

from torch import nn
from torchvision.models.maxvit import PartitionAttentionLayer
from torchvision.ops import Permute

LAST = (nn.Linear, nn.LayerNorm, nn.Embedding)
SECOND = (nn.GroupNorm, nn.PixelShuffle, PartitionAttentionLayer)
"""Besides what is called 2d; attention between windows takes and returns maps."""


def channels_last(module: nn.Module, *, ndim: int, within: nn.Module | None = None) -> bool:
    """Tell whether a module's output of so many axes has its channels on the last one.

    Parameters
    ----------
    module : Module
    ndim : int
        With the axis of samples.
    within : Module, optional
        The network: a module in which no layer says it, such as an activation, is like the layer registered before it.

    Returns
    -------
    bool
        Where nothing says it, true of three axes (sample, token, neuron) and false of more.
    """
    earlier = () if within is None else _before(module, within)
    said = (_inside(layer, ndim) for layer in (module, *earlier))
    return next((one for one in said if one is not None), ndim == 3)


def _before(module: nn.Module, within: nn.Module) -> Iterator[nn.Module]:
    """Give the modules registered before a module, from the nearest: its own siblings first, then its parent's."""
    for parent in within.modules():
        siblings = list(parent.children())
        if module in siblings:
            yield from reversed(siblings[: siblings.index(module)])
            yield from _before(parent, within)
            return


def _inside(module: nn.Module, ndim: int) -> bool | None:
    """Return what a module says, or the last layer inside it that says something."""
    said = _alone(module, ndim)
    if said is not None:
        return said
    inside = (_inside(child, ndim) for child in reversed(list(module.children())))
    return next((one for one in inside if one is not None), None)


def _alone(module: nn.Module, ndim: int) -> bool | None:
    """Return whether a layer has channels last; None if that is not known of its kind."""
    if isinstance(module, Permute):
        return _moved(tuple(module.dims), ndim)
    names = (kind.__name__ for kind in type(module).__mro__)
    if isinstance(module, SECOND) or any(name.endswith(f"{ndim - 2}d") for name in names):
        return False
    return True if isinstance(module, LAST) else None


def _moved(axes: tuple[int, ...], ndim: int) -> bool | None:
    """Return what moving axes says: from the second to the last, or from the last to the second."""
    if len(axes) != ndim:
        return None
    return True if axes[-1] == 1 else False if axes[1] == ndim - 1 else None
