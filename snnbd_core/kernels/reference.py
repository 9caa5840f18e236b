"""The reference kernel: plain torch, one Python step per time step, gradients by autograd.

Every other kernel is tested against this one, so it is written to be read. The order of its
floating-point operations is snnTorch's: with snnTorch's rule it gives the same bits. `forward` and
`backward` are for those who trace, see ``operator``.
"""

from __future__ import annotations

import torch
from torch import Tensor

from snnbd_core.kernels.rule import Rule
from snnbd_core.kernels.surrogates import spike

DTYPES = frozenset({torch.float16, torch.bfloat16, torch.float32, torch.float64})


def step(
    current: Tensor, beta: Tensor, threshold: Tensor, rule: Rule, *, return_potential: bool = True
) -> tuple[Tensor, Tensor | None]:
    """Steps neurons through time; see ``snnbd_core.kernels.step`` for the arguments."""
    if current.shape[0] == 0:
        return torch.zeros_like(current), torch.zeros_like(current) if return_potential else None
    run = _snntorch if rule.update == "snntorch" else _spikingjelly
    spikes, potentials = run(current, beta, threshold, rule)
    return torch.stack(spikes), torch.stack(potentials) if return_potential else None


def _snntorch(
    current: Tensor, beta: Tensor, threshold: Tensor, rule: Rule
) -> tuple[list[Tensor], list[Tensor]]:
    """snnTorch's ``Leaky``: the spike of step t-1 resets the potential at step t.

    v[t] = beta v[t-1] + x[t] - s[t-1] threshold     (reset "subtract")
    v[t] = beta (1 - s[t-1]) v[t-1] + x[t]           (reset "zero")
    s[t] = v[t] > threshold
    """
    spikes: list[Tensor] = []
    potentials: list[Tensor] = []
    potential = fired = torch.zeros_like(current[0])
    for x in _scaled(current, beta, rule).unbind(0):
        reset = fired.detach() if rule.detach else fired
        if rule.reset == "zero":
            potential = (1 - reset) * potential
        potential = beta * potential + x
        if rule.reset == "subtract":
            potential = potential - reset * threshold
        fired = spike(potential - threshold, rule.surrogate, rule.slope)
        spikes.append(fired)
        potentials.append(potential)
    return spikes, potentials


def _spikingjelly(
    current: Tensor, beta: Tensor, threshold: Tensor, rule: Rule
) -> tuple[list[Tensor], list[Tensor]]:
    """SpikingJelly's ``LIFNode`` with v_reset = 0: charge, fire and reset in one step.

    h[t] = beta v[t-1] + x[t],  s[t] = h[t] >= threshold
    v[t] = h[t] - s[t] threshold  ("subtract")  or  (1 - s[t]) h[t]  ("zero")
    """
    spikes: list[Tensor] = []
    potentials: list[Tensor] = []
    potential = torch.zeros_like(current[0])
    for x in _scaled(current, beta, rule).unbind(0):
        potential = beta * potential + x
        fired = spike(potential - threshold, rule.surrogate, rule.slope, at_threshold=True)
        reset = fired.detach() if rule.detach else fired
        if rule.reset == "zero":
            potential = (1 - reset) * potential
        elif rule.reset == "subtract":
            potential = potential - reset * threshold
        spikes.append(fired)
        potentials.append(potential)
    return spikes, potentials


def _scaled(current: Tensor, beta: Tensor, rule: Rule) -> Tensor:
    return (1 - beta) * current if rule.decay_input else current


def forward(
    current: Tensor, beta: Tensor, threshold: Tensor, rule: Rule, potential: bool, learns: bool
) -> tuple[Tensor, Tensor | None, tuple[Tensor, ...]]:
    """See ``fused.Kernel``."""
    flat = current.flatten(1).to(beta.dtype)
    spikes, reported = step(
        flat, beta.reshape(-1), threshold.reshape(-1), rule, return_potential=potential
    )
    shaped = None if reported is None else reported.to(current.dtype).view(current.shape)
    return spikes.to(current.dtype).view(current.shape), shaped, (current,)


def backward(
    saved: tuple[Tensor, ...],
    beta: Tensor,
    threshold: Tensor,
    rule: Rule,
    d_spikes: Tensor | None,
    d_potential: Tensor | None,
    learns: bool,
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """See ``fused.Kernel``; runs forward again."""
    current = saved[0].flatten(1)
    each = (value.reshape(-1).expand(current.shape[1]) for value in (beta, threshold))
    leaves = [value.detach().requires_grad_() for value in (current, *each)]
    # Within an operator of torch's, autograd is switched off in two places.
    autograd = torch._C.DispatchKey.AutogradFunctionality
    with torch._C._SetExcludeDispatchKeyGuard(autograd, False), torch.enable_grad():
        spikes, reported, _ = forward(leaves[0], leaves[1], leaves[2], rule, True, learns)
    assert reported is not None
    upstream = [
        torch.zeros_like(current) if given is None else given.flatten(1)
        for given in (d_spikes, d_potential)
    ]
    d_current, *d_each = torch.autograd.grad(
        (spikes, reported), leaves, upstream, allow_unused=True, materialize_grads=True
    )
    return d_current.view(saved[0].shape), d_each[0], d_each[1]
