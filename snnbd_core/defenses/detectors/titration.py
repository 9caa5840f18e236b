"""Noise-response analysis (Erichson et al. 2021): where does a network go when it sees noise?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from snnbd_core import checks
from snnbd_core.defenses.bench import frozen, taken
from snnbd_core.defenses.detectors.verdict import Verdict
from snnbd_core.metrics import decide

__all__ = ["NoiseResponse"]


@dataclass(frozen=True, kw_only=True)
class NoiseResponse:
    """Share of noise inputs that one class gets, largest over noise levels and classes.

    Uniform noise of growing strength is shown; a backdoored network is said to send it to the
    target with confidence. A share above the threshold is an alarm. Silent and tied answers count
    for no class.

    Args:
        levels: strengths of the noise, each > 0.
        inputs: noise inputs at each level, at least 1.
        frames: T of noise for event networks, at least 1.
        threshold: of the share, 0..1; ours, the paper looks at curves.

    Raises:
        ValueError: for any argument outside what is said above; a network with a single class,
            which gets all noise.
        NotVisible: neither clean samples nor a network that says what it reads.
    """

    data_free: ClassVar[bool] = True

    levels: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0)
    inputs: int = 64
    frames: int = 8
    threshold: float = 0.9

    def __post_init__(self) -> None:
        checks.fields(self, ("inputs", "frames"), checks.whole, 1)
        checks.settings(
            self,
            levels=checks.all_above("levels", self.levels, 0),
            threshold=checks.within("threshold", self.threshold, 0, 1),
        )

    def inspect(
        self,
        net: nn.Module,
        clean_samples: Any = None,
        *,
        seed: int = 0,
        device: str | torch.device = "auto",
        steps: int = 4,
    ) -> Verdict:
        """The titration's largest share; of samples nothing but their shape is used."""
        most = self.shares(net, clean_samples, seed=seed, device=device).amax(dim=0)
        score, target = float(most.max()), int(most.argmax())
        return Verdict(
            score > self.threshold, target, score, self.threshold, values=tuple(most.tolist())
        )

    @torch.no_grad()
    def shares(
        self,
        net: nn.Module,
        clean_samples: Any = None,
        *,
        seed: int = 0,
        device: str | torch.device = "auto",
    ) -> Tensor:
        """The titration: share of the noise inputs that each class gets, [levels, classes].

        Rows sum to less than 1 where answers are silent or tied. The network is left as it was.

        Args:
            net: left as it was.
            clean_samples: give the shape of the inputs; None takes it from the network.
            seed: of the noise.
            device: where the network is run.
        """
        draw = torch.Generator().manual_seed(seed)
        with frozen(net, taken(clean_samples), device=device, steps=1) as bench:
            shape = (self.inputs, self.frames, *bench.view.input_shape)
            classes = bench.view.classes
            checks.classes(classes, 2, "noise response")
            shares = torch.zeros(len(self.levels), classes)
            for number, level in enumerate(self.levels):
                noise = level * torch.rand(shape, generator=draw).to(bench.device)
                answers = decide(bench(noise)).cpu()
                counted = torch.bincount(answers[answers >= 0], minlength=classes)
                shares[number] = counted / self.inputs
        return shares
