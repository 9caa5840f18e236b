"""Spiking neurons as layers: LIF, IF and ParametricLIF over currents [T, B, ...].

A leaky integrate-and-fire neuron follows  tau dv/dt = -v + R i(t);  in discrete time, with the
decay per step ``beta = exp(-dt / tau)`` and the current in units of potential,

    v[t] = beta v[t-1] + x[t],     spike when v passes the threshold, then reset.

Libraries differ in when the reset happens and what scales the current; both published rules are
here (``update=``), equal to their origin: snnTorch's ``Leaky`` and SpikingJelly's ``LIFNode``.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from snnbd_core import guards, kernels
from snnbd_core.kernels import Rule

__all__ = [
    "IF",
    "LIF",
    "ParametricLIF",
    "as_now",
    "checked_beta",
    "checked_threshold",
    "spiking_layers",
]

SETTINGS = ("beta", "threshold")  # of a layer, beside its weights in a state dict


class LIF(nn.Module):
    """Leaky integrate-and-fire neurons; the defaults are those of snnTorch's ``Leaky``.

    ``beta`` and ``threshold`` are numbers or tensors. A tensor [B, 1] holds one value per sample
    and fits layers of any shape; any other tensor broadcasts over the trailing axes, as usual in
    torch ([N] per neuron of a dense layer, [C, 1, 1] per channel of an image).

    Args:
        beta: decay per time step, within 0..1 (1 never forgets).
        threshold: potential at which the neuron fires, > 0, in units of the current.
        reset: ``"subtract"`` (soft), ``"zero"`` (hard) or ``"none"``.
        surrogate: ``"atan"``, ``"fast_sigmoid"`` or ``"triangle"``, see ``kernels.surrogates``.
        slope: steepness of the surrogate (snnTorch's ``alpha`` or ``slope``).
        update: ``"snntorch"`` (reset one step later, fires above the threshold) or
            ``"spikingjelly"`` (charge, fire at the threshold, reset, all in one step).
        decay_input: True scales the current by ``1 - beta``.
        detach_reset: True stops the gradient at the reset.
        learn_beta: True makes beta a parameter; it acts clamped to 0..1, as in snnTorch.
        learn_threshold: True makes the threshold a parameter.

    Raises:
        ValueError: a value outside what is allowed.
    """

    beta: Tensor
    threshold: Tensor

    def __init__(
        self,
        beta: float | Tensor = 0.9,
        threshold: float | Tensor = 1.0,
        *,
        reset: str = "subtract",
        surrogate: str = "atan",
        slope: float = 2.0,
        update: str = "snntorch",
        decay_input: bool = False,
        detach_reset: bool = True,
        learn_beta: bool = False,
        learn_threshold: bool = False,
    ) -> None:
        super().__init__()
        self.rule = Rule(reset, update, surrogate, slope, detach_reset, decay_input)
        self._hold("beta", checked_beta(beta), learn_beta)
        self._hold("threshold", checked_threshold(threshold), learn_threshold)
        self._overrides: dict[str, Tensor] = {}

    def forward(self, current: Tensor, return_potential: bool = False) -> Any:
        """Spikes [T, B, ...] for a current [T, B, ...], starting from a potential of 0.

        Returns:
            The spikes (0 or 1, the current's dtype), or with ``return_potential`` the pair
            (spikes, potential) of equal shapes.

        Raises:
            ValueError: a current with fewer than two axes or not of a floating type, a beta or
                threshold that does not fit it.
        """
        if current.dim() < 2:
            raise ValueError(f"current of shape {list(current.shape)} must be [T, B, ...]")
        if not current.is_floating_point():
            raise ValueError(f"current of dtype {current.dtype} must be floating point")
        threshold, beta = self.in_force()
        if beta.dim():  # else one number for all
            beta = _fitted("beta", beta, current)
        if threshold.dim():
            threshold = _fitted("threshold", threshold, current)
        spikes, potential = self._step(current, beta, threshold, return_potential)
        return (spikes, potential) if return_potential else spikes

    def _step(self, current: Tensor, beta: Tensor, threshold: Tensor, potential: bool) -> Any:
        return kernels.step(current, beta, threshold, self.rule, return_potential=potential)

    def in_force(self) -> tuple[Tensor, Tensor]:
        """Threshold and beta that act now: the overriding ones, else those that are held."""
        threshold, beta = self._overrides.get("threshold"), self._overrides.get("beta")
        return (
            self.threshold if threshold is None else threshold,
            self.decay() if beta is None else beta,
        )

    @contextmanager
    def overridden(self, values: Mapping[str, Tensor]) -> Iterator[None]:
        """Runs this layer with another "threshold" or "beta", for the block's length."""
        before = self._overrides
        try:
            self._overrides = {**before, **values}
            yield
        finally:
            self._overrides = before

    def decay(self) -> Tensor:
        """The beta that acts: the held one, clamped to 0..1 once it can have been learned."""
        return self.beta.clamp(0, 1) if "beta" in self._parameters else self.beta

    def extra_repr(self) -> str:
        rule = self.rule
        return (
            f"beta={_brief(self.decay())}, threshold={_brief(self.threshold)}, "
            f"reset={rule.reset!r}, surrogate={rule.surrogate!r}, slope={rule.slope}, "
            f"update={rule.update!r}, decay_input={rule.decay_input}, detach_reset={rule.detach}"
        )

    def _hold(self, name: str, value: Tensor, learned: bool) -> None:
        """A parameter if learned, else a buffer: a saved network answers as it did."""
        if learned:
            self.register_parameter(name, nn.Parameter(value.detach().clone()))
        else:
            self.register_buffer(name, value)

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *rest: Any) -> None:
        """Takes over settings and guards; a setting that differs from the layer's own is said.

        A state dict without a setting leaves the layer's own.
        """
        own = {
            name[len(prefix) :]: value
            for name, value in state_dict.items()
            if name.startswith(prefix)
        }
        guards.prepare(self, own)
        for name in SETTINGS:
            held, given = self._buffers.get(name), own.get(name)
            if held is None:
                continue
            if given is None:
                state_dict[prefix + name] = held
            elif held.shape != given.shape or not torch.equal(held.cpu(), given.cpu().to(held)):
                warnings.warn(
                    f"{prefix or type(self).__name__ + '.'}{name}={_brief(given)} is loaded in "
                    f"place of {_brief(held)}, which the layer was built with",
                    stacklevel=2,
                )
                self._buffers[name] = torch.empty_like(given, device=held.device)
        super()._load_from_state_dict(state_dict, prefix, *rest)


class IF(LIF):
    """Integrate-and-fire neurons: LIF without leak (beta = 1); all other arguments are LIF's."""

    def __init__(self, threshold: float | Tensor = 1.0, **settings: Any) -> None:
        if "beta" in settings or settings.get("decay_input"):
            raise ValueError("IF has no leak: beta and decay_input are not among its arguments")
        super().__init__(1.0, threshold, **settings)


class ParametricLIF(LIF):
    """LIF whose decay is learned: beta = 1 - sigmoid(w), one w per layer (Fang et al. 2021).

    The defaults are the paper's: SpikingJelly's update, hard reset, decayed input.

    Args:
        init_tau: time constant to start from, in steps, > 1; w starts at -log(init_tau - 1).
        threshold: as in LIF.
        **settings: as in LIF, except ``beta`` and ``learn_beta``.
    """

    def __init__(
        self,
        init_tau: float = 2.0,
        threshold: float | Tensor = 1.0,
        *,
        reset: str = "zero",
        update: str = "spikingjelly",
        decay_input: bool = True,
        **settings: Any,
    ) -> None:
        if not 1.0 < init_tau < float("inf"):
            raise ValueError(f"init_tau={init_tau!r} must be a finite number > 1")
        if "beta" in settings or "learn_beta" in settings:
            raise ValueError("ParametricLIF learns w in place of beta: pass init_tau instead")
        super().__init__(
            1.0 - 1.0 / init_tau,
            threshold,
            reset=reset,
            update=update,
            decay_input=decay_input,
            **settings,
        )
        del self.beta
        self.w = nn.Parameter(-torch.log(torch.tensor(init_tau - 1.0)))

    def decay(self) -> Tensor:
        """1 - sigmoid(w), written as sigmoid(-w), which keeps its digits for large w."""
        return torch.sigmoid(-self.w)


def as_now(net: nn.Module) -> Callable[[], AbstractContextManager[None]]:
    """The overrides of a network's neurons as they are now, as a block that sets them again."""
    layers = spiking_layers(net)
    return partial(_overridden, layers, [layer._overrides for layer in layers])


@contextmanager
def _overridden(layers: list[LIF], values: list[dict[str, Tensor]]) -> Iterator[None]:
    before = [layer._overrides for layer in layers]
    try:
        for layer, own in zip(layers, values, strict=True):
            layer._overrides = own
        yield
    finally:
        for layer, previous in zip(layers, before, strict=True):
            layer._overrides = previous


def spiking_layers(net: nn.Module) -> list[LIF]:
    """All LIF, IF and ParametricLIF layers of a network, in the order of ``net.modules()``."""
    return [layer for layer in net.modules() if isinstance(layer, LIF)]


def checked_beta(value: float | Tensor) -> Tensor:
    """A decay as a tensor; ValueError outside 0..1."""
    beta = _as_tensor("beta", value)
    if not bool(((beta >= 0) & (beta <= 1)).all()):
        raise ValueError(f"beta={_brief(beta)} must lie within 0..1")
    return beta


def checked_threshold(value: float | Tensor) -> Tensor:
    """A threshold as a tensor; ValueError where it is not finite and > 0."""
    threshold = _as_tensor("threshold", value)
    if not bool(((threshold > 0) & torch.isfinite(threshold)).all()):
        raise ValueError(f"threshold={_brief(threshold)} must be finite and > 0")
    return threshold


def _as_tensor(name: str, value: float | Tensor) -> Tensor:
    tensor = torch.as_tensor(value)
    if tensor.dtype == torch.bool or tensor.is_complex():
        raise ValueError(f"{name}={value!r} must be a real number or tensor")
    return tensor if tensor.is_floating_point() else tensor.to(torch.get_default_dtype())


def _fitted(name: str, value: Tensor, current: Tensor) -> Tensor:
    """The value in a shape that broadcasts to [B, ...]."""
    shape = current.shape[1:]
    if value.dim() == 2 and value.shape[1] == 1:
        if value.shape[0] not in (1, shape[0]):
            raise ValueError(
                f"{name} of shape {list(value.shape)} holds one value per sample, "
                f"but current of shape {list(current.shape)} has {shape[0]} samples"
            )
        return value.reshape(-1, *[1] * (len(shape) - 1))
    # Aligned at the last axis, each axis must be 1 or equal; the result must not outgrow current.
    fits = value.dim() <= len(shape) and all(
        size in (1, have)
        for size, have in zip(reversed(value.shape), reversed(shape), strict=False)
    )
    if not fits:
        raise ValueError(
            f"{name} of shape {list(value.shape)} does not broadcast to the neurons of "
            f"current of shape {list(current.shape)}, {list(shape)}"
        )
    return value


def _brief(value: Tensor) -> str:
    if value.numel() == 1:
        return f"{value.item():.6g}"
    low, high = (value.min().item(), value.max().item()) if value.numel() else (0.0, 0.0)
    return f"tensor{list(value.shape)} in {low:.6g}..{high:.6g}"
