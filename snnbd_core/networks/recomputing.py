"""Less memory for more time: what lies between layers of neurons is run again in backward.

Backward through a block (convolution, batch norm, neurons, pooling) needs a tensor of the block's
size from each of its layers. `recomputed` keeps one, the spikes, which are the next block's input,
and runs the block again when backward comes to it (Chen et al. 2016). Neurons are then what they
were, batch norms do not count the batch once more, and dropout drops the same units, so gradients
have the same bits. Hooks run again too: they must be in place until then and do the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from types import TracebackType

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from snnbd_core.neurons import LIF, as_now

__all__ = ["recomputed"]


def recomputed(layers: Sequence[nn.Module], sequence: Tensor) -> Tensor:
    """What the layers give one after the other, as ``nn.Sequential`` would.

    Args:
        layers: in order. What runs up to a layer of neurons, and it, makes up a group.
        sequence: their input [T, B, ...].

    Raises:
        RuntimeError: in backward, weights or held statistics that were changed since.
    """
    group: list[nn.Module] = []
    for layer in layers:
        group.append(layer)
        if any(isinstance(part, LIF | nn.ReLU) for part in layer.modules()):
            sequence = _run_again_in_backward(nn.Sequential(*group), sequence)
            group = []
    return nn.Sequential(*group)(sequence) if group else sequence


def _run_again_in_backward(group: nn.Sequential, sequence: Tensor) -> Tensor:
    out: Tensor = checkpoint(
        group, sequence, use_reentrant=False, context_fn=lambda: (nullcontext(), _AsBefore(group))
    )
    return out


class _AsBefore(AbstractContextManager[None]):
    """Snapshot of the module group, restored before each recomputation."""

    def __init__(self, group: nn.Sequential) -> None:
        self._overridden = as_now(group)
        # Not the new Sequential itself, which is in training mode whatever its layers are in.
        self._modes = [(part, part.training) for layer in group for part in layer.modules()]
        self._versions = [(tensor, tensor._version) for tensor in self._held()]

    def _held(self) -> list[Tensor]:
        """What must not change: weights, and buffers but for statistics that a run itself moves."""
        held: list[Tensor] = []
        for module, training in self._modes:
            held += module.parameters(recurse=False)
            if not (training and isinstance(module, _BatchNorm)):
                held += module.buffers(recurse=False)
        return held

    def __enter__(self) -> None:
        if any(tensor._version != version for tensor, version in self._versions):
            raise RuntimeError(
                "weights or statistics of a network with recompute=True were changed between "
                "forward and backward: call backward() first"
            )
        with ExitStack() as left:
            left.enter_context(self._overridden())
            for module, training in self._modes:
                left.callback(setattr, module, "training", module.training)
                module.training = training
                if training and isinstance(module, _BatchNorm):
                    left.callback(setattr, module, "momentum", module.momentum)
                    left.callback(
                        setattr, module, "num_batches_tracked", module.num_batches_tracked
                    )
                    module.momentum, module.num_batches_tracked = 0.0, None
            self._left = left.pop_all()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._left.close()
