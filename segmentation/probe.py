"""How far a network looks: its stride and its dependency, measured on any `nn.Module`.

The plan:

0. Make a slim copy: each convolution gets the mean of its input's channels, with one positive kernel
   for all of its own. Where it looks stays as it was, and a network of 134 million weights is probed
   within seconds and without a copy of them.
1. Make a copy of that whose gradient cannot vanish: positive weights, no biases, pointwise layers
   replaced by the identity, max-pooling by average pooling.
2. Back-propagate from a block of outputs in the middle of a long strip. The *stride* is the
   smallest block whose gradient moves along when the block moves by its own length.
   The *dependency* is how far the gradient reaches past such a block. Once per axis.
3. Cross-check on the slim copy itself, without any of step 1: with NaN everywhere beyond the
   dependency the block must stay finite. Where it does not, the dependency is what keeps it finite.

A gradient that reaches the ends of the longest strip has no bound: global pooling, attention,
normalisation over the image at hand. Neither has one that changes from place to place:
interpolation whose weights depend on the size of the image.
"""

import bisect
import copy
import itertools
import math
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn
from torch.nn import functional

from segflow.errors import ModelError
from segflow.segmentation.spec import Guarantee

STRIDES = (1, 2, 4, 8, 16, 32, 64)  # px; what networks use
_BREADTH = max(STRIDES)  # px; breadth of a strip: the smallest multiple of all STRIDES
_FIRST_LENGTH = 4 * _BREADTH  # px; of a strip; doubled until the gradient fits into it
_UNBOUNDED_MARGIN = 128  # px; what a tile gets of a context that has no end

_POINTWISE = (
    nn.BatchNorm2d,
    nn.Dropout,
    nn.Dropout2d,
    nn.ELU,
    nn.GELU,
    nn.Hardswish,
    nn.LeakyReLU,
    nn.LocalResponseNorm,
    nn.Mish,
    nn.PReLU,
    nn.ReLU,
    nn.ReLU6,
    nn.SiLU,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What was measured of a network.

    Attributes
    ----------
    stride
        Total downsampling: moving the input by `stride` moves the output by `stride` [px].
    dependency
        How far past a block of `stride` × `stride` outputs the inputs lie that change it [px];
        None where there is no bound.
    """

    stride: int
    dependency: int | None


def probe_network(network: nn.Module, in_channels: int, *, limit: int = 2048) -> Probe:
    """Measure stride and dependency of a network.

    Parameters
    ----------
    network
        Maps (n, in_channels, h, w) to (n, classes, h, w) for h and w that are multiples of its stride.
        An attribute `multiple` of it, where there is one, says what stride [px] it has if unbounded.
    in_channels
        Channels of its input.
    limit
        Longest strip to try [px]; a dependency that does not fit into it counts as unbounded.

    Raises
    ------
    ModelError
        If the output has another size than the input.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        plain = _slim(network)
        line = _linearised(plain)
        length = _FIRST_LENGTH
        while True:
            probe = _probe_strips(line, plain, in_channels, length)
            if probe.dependency is not None and probe.dependency + _leap(network, probe.stride) < length // 2:
                return probe
            if 2 * length > limit:
                return Probe(stride=probe.stride, dependency=None)
            length *= 2


def guarantee_for(probe: Probe, margin: int | None = None) -> tuple[int, Guarantee]:
    """Give the margin of a model [px] and what it guarantees; `margin` None: as much as exactness needs."""
    if probe.dependency is None:
        return (_UNBOUNDED_MARGIN if margin is None else margin), "unbounded"
    if margin is None:
        margin = -(-probe.dependency // probe.stride) * probe.stride
    return margin, "exact" if margin >= probe.dependency else "bounded"


def measure_worst_difference(
    network: nn.Module, inputs: torch.Tensor, *, stride: int, margin: int, core: int = 256, temperature: float = 1.0
) -> float:
    """Give the largest difference of a class probability between tiles and the whole.

    Parameters
    ----------
    network
        The network, in eval mode.
    inputs
        (1, bands, height, width) normalised pixels, with sides that are multiples of `stride`.
    stride, margin, core
        How the tiles lie [px].
    temperature
        What the logits are divided by before the softmax.
    """
    height, width = inputs.shape[-2:]
    reach = -(-margin // stride) * stride
    worst = 0.0
    with torch.inference_mode():
        whole = (network(inputs) / temperature).softmax(1)
        for top, left in itertools.product(range(0, height, core), range(0, width, core)):
            y, x = max(0, top - reach), max(0, left - reach)
            part = (network(inputs[..., y : top + core + reach, x : left + core + reach]) / temperature).softmax(1)
            part = part[..., top - y : top - y + core, left - x : left - x + core]
            difference = (part - whole[..., top : top + core, left : left + core]).abs().max()
            worst = max(worst, float(difference))
    return worst


class _SlimConvolution(nn.Module):
    """A convolution, transposed or not, that looks where another does, with one kernel between all channels."""

    def __init__(self, layer: nn.Conv2d | nn.ConvTranspose2d) -> None:
        super().__init__()
        self.out_channels = layer.out_channels
        weight = torch.empty(1, 1, *layer.kernel_size, dtype=torch.float64).uniform_(0.5, 1.5)
        self.weight = nn.Parameter(weight.div_(weight.numel()), requires_grad=False)  # keeps activations near 1
        self.convolve = partial(functional.conv2d, stride=layer.stride, padding=layer.padding, dilation=layer.dilation)
        if isinstance(layer, nn.ConvTranspose2d):
            self.convolve = partial(
                functional.conv_transpose2d,
                stride=layer.stride,
                padding=layer.padding,  # type: ignore[arg-type]  # only plain convolutions may have a word here
                output_padding=layer.output_padding,
                dilation=layer.dilation,
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # (n, in_channels, h, w) → (n, out_channels, h', w')
        """Give the same map for every channel."""
        return self.convolve(x.mean(1, keepdim=True), self.weight).repeat(1, self.out_channels, 1, 1)


def _slim(network: nn.Module) -> nn.Module:
    """Give a copy in double precision whose convolutions are slim; their weights are never copied."""
    replaced: dict[int, object] = {
        id(layer): _SlimConvolution(layer)
        for layer in network.modules()
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)
    }
    return copy.deepcopy(network, replaced).cpu().double().eval()


def _linearised(network: nn.Module) -> nn.Module:
    """Give a copy whose gradient reaches wherever the network looks and never cancels."""
    line = copy.deepcopy(network)
    for parent in list(line.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, _POINTWISE):
                setattr(parent, name, nn.Identity())
            elif isinstance(child, nn.MaxPool2d):
                setattr(parent, name, _averaging(child))
    with torch.no_grad():
        for name, parameter in line.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()
            elif parameter.ndim < 2:  # noqa: PLR2004  # a vector of scales
                parameter.fill_(1)
            else:
                parameter.uniform_(0.5, 1.5).div_(parameter[0].numel())  # keeps activations near 1
    return line.requires_grad_(requires_grad=False)


def _leap(network: nn.Module, stride: int) -> int:
    """Give how far the widest layer looks to one side [px]: no path leaps over more than that."""
    return max((_span(layer, stride) for layer in network.modules()), default=0)


def _span(layer: nn.Module, stride: int) -> int:
    """Give how far one layer looks [px], whose input's pixels are at most those of the network's coarsest level."""
    kernel, dilation, step = (
        max(sides) if isinstance(sides, tuple) else sides
        for sides in (getattr(layer, name, 1) or 1 for name in ("kernel_size", "dilation", "stride"))
    )
    span: int = (kernel - 1) * dilation * stride
    return -(-span // step)  # one that steps over its input is not on the coarsest level; a transposed one looks less


def _averaging(pool: nn.MaxPool2d) -> nn.Module:
    """Give the average over the same window; a dilated one, which averaging lacks, stays."""
    if pool.dilation not in {1, (1, 1)}:
        return pool
    return nn.AvgPool2d(pool.kernel_size, pool.stride, pool.padding, pool.ceil_mode)


def _probe_strips(line: nn.Module, plain: nn.Module, in_channels: int, length: int) -> Probe:
    """Probe along columns and along rows, on strips of one length."""
    along = [_probe_axis(line, plain, in_channels, length, turned=turned) for turned in (False, True)]
    reaches = [probe.dependency for probe in along]
    known = [reach for reach in reaches if reach is not None]
    return Probe(
        stride=math.lcm(*(probe.stride for probe in along)),
        dependency=max(known) if len(known) == len(reaches) else None,
    )


def _probe_axis(line: nn.Module, plain: nn.Module, in_channels: int, length: int, *, turned: bool) -> Probe:
    """Probe along one axis; `turned` strips lie along the rows."""
    shape = (1, in_channels, length, _BREADTH) if turned else (1, in_channels, _BREADTH, length)
    inputs = torch.ones(shape, dtype=torch.float64).requires_grad_()  # even, so that a block's place does not matter
    outputs = line(inputs)
    if outputs.shape[-2:] != inputs.shape[-2:]:
        found, needed = tuple(outputs.shape[-2:]), tuple(inputs.shape[-2:])
        msg = f"the network gives {found} px for {needed} px, but needs to keep the size: add padding or upsampling"
        raise ModelError(msg)
    axis = 2 if turned else 3
    middle = length // 2  # a multiple of every stride
    unbounded = int(getattr(plain, "multiple", 1))  # a stride that cannot be told from a gradient without end
    weights = torch.rand(max(STRIDES), dtype=torch.float64).add_(0.5)

    def gradient(start: int, size: int) -> torch.Tensor:
        """Give the gradient of a weighted block of outputs, summed to one axis: (length,)."""
        block = outputs.narrow(axis, start, size).sum(dim=(0, 1, 5 - axis)) @ weights[:size]
        (found,) = torch.autograd.grad(block, inputs, retain_graph=True)
        return found.abs().sum(dim=(0, 1, 5 - axis))

    for stride in STRIDES:
        here, there = gradient(middle, stride), gradient(middle + stride, stride)
        reached = here.nonzero()[:, 0]
        first, last = int(reached[0]), int(reached[-1])
        if first == 0 or last >= length - stride:
            return Probe(stride=unbounded, dependency=None)
        if torch.allclose(here[:-stride], there[stride:], rtol=1e-6, atol=0):
            guess = max(middle - first, last - (middle + stride - 1), 0)
            return Probe(stride=stride, dependency=_confirm(plain, inputs.detach(), axis, stride, guess))
    return Probe(stride=unbounded, dependency=None)  # its answer depends on the place


def _confirm(plain: nn.Module, inputs: torch.Tensor, axis: int, stride: int, guess: int) -> int | None:
    """Give the smallest reach from `guess` on beyond which NaN does not touch the middle block."""
    length = inputs.shape[axis]
    middle = length // 2

    def touched(reach: int) -> bool:
        spoilt = inputs.clone()
        spoilt.narrow(axis, 0, middle - reach).fill_(torch.nan)
        end = middle + stride + reach
        spoilt.narrow(axis, end, length - end).fill_(torch.nan)
        with torch.inference_mode():
            return bool(plain(spoilt).narrow(axis, middle, stride).isnan().any())

    largest = length // 2 - stride - 1
    if not touched(guess):
        return guess
    if touched(largest):
        return None
    return guess + 1 + bisect.bisect_left(range(guess + 1, largest), x=True, key=lambda reach: not touched(reach))
