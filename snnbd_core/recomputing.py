"""Less memory for more time: what lies between layers of neurons is run again in backward.

Backward through a block (convolution, batch norm, neurons, pooling) needs a tensor of the block's
size from each of its layers. `recomputed` keeps one, the spikes, which are the next block's input,
and runs the block again when backward comes to it (Chen et al. 2016). Gradients have the same bits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from snnbd_core.neurons import LIF, as_now


def recomputed(layers: Sequence[nn.Module], sequence: Tensor) -> Tensor:
    """What the layers give one after the other, as ``nn.Sequential`` would.

    Args:
        layers: in order. What runs up to a layer of neurons, and it, is kept as one group.
        sequence: their input [T, B, ...].
    """
    group: list[nn.Module] = []
    for layer in layers:
        group.append(layer)
        if any(isinstance(one, LIF | nn.ReLU) for one in layer.modules()):
            sequence = _run_again_in_backward(nn.Sequential(*group), sequence)
            group = []
    return nn.Sequential(*group)(sequence) if group else sequence


def _run_again_in_backward(group: nn.Sequential, sequence: Tensor) -> Tensor:
    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), _second_run(group, as_now(group))

    out: Tensor = checkpoint(group, sequence, use_reentrant=False, context_fn=contexts)
    return out


@contextmanager
def _second_run(group: nn.Module, neurons: AbstractContextManager[None]) -> Iterator[None]:
    """Neurons as in the first run, and batch norms that do not count the batch once more."""
    norms = [one for one in group.modules() if isinstance(one, _BatchNorm)]
    with ExitStack() as left:
        left.enter_context(neurons)
        for norm in norms:
            left.callback(setattr, norm, "momentum", norm.momentum)
            left.callback(setattr, norm, "num_batches_tracked", norm.num_batches_tracked)
            norm.momentum, norm.num_batches_tracked = 0.0, None
        yield
