"""A network for evaluation alone: the same function with less work.

In evaluation mode a batch norm is a scale and a shift a channel, which the convolution before it can hold.  On a CPU a
ReLU behind a convolution costs nothing if oneDNN applies it while the results are in its registers, and the weights
need not be brought into its layout for each batch anew.
"""

from collections import Counter
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import GraphModule, Node, symbolic_trace
from torch.fx.experimental.optimization import fuse
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

FOLDED = (_ConvNd, nn.Linear, _BatchNorm)
"""What `fuse` replaces: a layer before a batch norm by one that does both."""
RELUS = {"call_function": (torch.relu, functional.relu), "call_method": ("relu",)}
"""How a ReLU is written that is no module."""


def for_evaluation(module: nn.Module) -> nn.Module:
    """Return a network that answers as `module` does in evaluation mode, faster; Inception v3 by a tenth.

    It is `module` itself where nothing can be gained, and where folding could change the answer or what is seen of
    it: without batch norm, with a layer that is used or registered twice, with hooks, or if it cannot be traced.
    """
    layers = list(module.modules())
    hooks = any(layer._forward_hooks or layer._forward_pre_hooks for layer in layers)
    if hooks or not any(isinstance(layer, nn.BatchNorm2d) for layer in layers):
        return module
    try:
        traced = symbolic_trace(module)
    except Exception:  # what tracing raises is torch's affair or the network's: branches, sizes, arguments
        return module
    if shared(module, traced):
        return module
    folded: Any = fuse(traced, no_trace=True).to(memory_format=torch.channels_last)
    on_cpu = all(parameter.device.type == "cpu" for parameter in folded.parameters())
    faster: nn.Module = packed(folded) if on_cpu and torch.backends.mkldnn.is_available() else folded
    return faster


def shared(module: nn.Module, traced: GraphModule) -> bool:
    """Tell whether a layer that may be folded is used or registered twice, or its weights are read elsewhere."""
    names = Counter(layer for _, layer in module.named_modules(remove_duplicate=False))
    calls = Counter(traced.get_submodule(str(node.target)) for node in traced.graph.nodes if node.op == "call_module")
    read = {_owner(traced, str(node.target)) for node in traced.graph.nodes if node.op == "get_attr"}
    uses = calls + Counter(read)
    return any(isinstance(layer, FOLDED) and max(names[layer], uses[layer]) > 1 for layer in names)


def _owner(traced: GraphModule, attribute: str) -> nn.Module:
    return traced.get_submodule(attribute.rpartition(".")[0])


def packed(traced: GraphModule) -> GraphModule:
    """Put convolutions of oneDNN into a traced network, each with the ReLU behind it if that is all that reads it."""
    for node in list(traced.graph.nodes):
        layer = _module(traced, node)
        if type(layer) is not nn.Conv2d or isinstance(layer.padding, str) or layer.padding_mode != "zeros":
            continue
        if node.kwargs:  # called as layer(input=x)
            continue
        readers = list(node.users)
        rectified = len(readers) == 1 and _is_relu(traced, readers[0])
        traced.set_submodule(node.target, PackedConvolution(layer, rectified=rectified))
        if rectified:
            readers[0].replace_all_uses_with(node)
            traced.graph.erase_node(readers[0])
    traced.recompile()
    return traced


def _module(traced: GraphModule, node: Node) -> nn.Module | None:
    return traced.get_submodule(str(node.target)) if node.op == "call_module" else None


def _is_relu(traced: GraphModule, node: Node) -> bool:
    return type(_module(traced, node)) is nn.ReLU or node.target in RELUS.get(node.op, ())


class PackedConvolution(nn.Module):
    """A convolution by oneDNN, perhaps with a ReLU, whose weights are in its layout from the first batch on.

    Parameters
    ----------
    layer : Conv2d
        Padded by zeros, on the CPU.
    rectified : bool
        Whether a ReLU follows.
    """

    def __init__(self, layer: nn.Conv2d, *, rectified: bool) -> None:
        super().__init__()
        self.weight, self.bias = layer.weight.detach(), None if layer.bias is None else layer.bias.detach()
        self.places = (list(layer.padding), list(layer.stride), list(layer.dilation), layer.groups)
        self.after = "relu" if rectified else "none"
        self.weight_packed: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Return the convolution of a batch (sample, channel, height, width)."""
        weight = self.weight_packed
        if weight is None:  # the layout suits batches of this size; others give the same values to rounding
            weight = torch.ops.mkldnn._reorder_convolution_weight(self.weight, *self.places, list(x.shape))
            self.weight_packed = weight
        convolved: Tensor = torch.ops.mkldnn._convolution_pointwise(
            x, weight, self.bias, *self.places, self.after, [], ""
        )
        return convolved
