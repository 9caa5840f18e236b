"""Noise-response analysis (Erichson et al. 2021): where does a network go when it sees noise?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from snnbd_core import checks
from snnbd_core.checks import Count, Levels, Unit
from snnbd_core.defenses.bench import Bench
from snnbd_core.defenses.detectors.detector import ModelDetector
from snnbd_core.defenses.detectors.verdict import Verdict
from snnbd_core.metrics import decide

__all__ = ["NoiseResponse"]


@dataclass(frozen=True, kw_only=True)
class NoiseResponse(ModelDetector):
    """Share of noise inputs that one class gets, largest over noise levels and classes.

    Uniform noise of growing strength is shown; a backdoored network is said to send it to the
    target with confidence. A share above the threshold is an alarm. Silent and tied answers count
    for no class.

    The authors' code was not at hand. A titration published for the TrojAI contest (utrerf/TrojAI)
    adds normal noise to images, and counts the confident ones of the answers that noise changed.

    Args:
        levels: strengths of the noise.
        inputs: noise inputs at each level.
        frames: T of the noise; None is that of the samples, and where these are static images, or
            there are none, one image in every step.
        threshold: of the share; ours, the paper looks at curves.

    Needs two classes, and clean samples or a network that says what it reads.
    """

    data_free: ClassVar[bool] = True

    levels: Levels = (0.25, 0.5, 1.0, 2.0)
    inputs: Count = 64
    frames: Count | None = None
    threshold: Unit = 0.9

    def _verdict(self, bench: Bench) -> Verdict:
        most = self._titrated(bench).amax(dim=0)
        score, target = float(most.max()), int(most.argmax())
        values = tuple(most.tolist())
        return Verdict(score > self.threshold, target, score, self.threshold, values=values)

    def shares(self, net: nn.Module, clean_samples: Any = None, **settings: Any) -> Tensor:
        """The titration: share of the noise inputs that each class gets, [levels, classes].

        Rows sum to less than 1 where answers are silent or tied. Arguments are those of `inspect`.
        """
        with self._bench(net, clean_samples, **settings) as bench:
            return self._titrated(bench)

    @torch.no_grad()
    def _titrated(self, bench: Bench) -> Tensor:
        draw = torch.Generator().manual_seed(bench.seed)
        shape, classes = bench.made_up(self.inputs, self.frames), bench.view.classes
        checks.classes(classes, 2, "noise response")
        shares = torch.zeros(len(self.levels), classes)
        for number, level in enumerate(self.levels):
            noise = level * torch.rand(shape, generator=draw).to(bench.device)
            answers = decide(bench(noise)).cpu()
            shares[number] = torch.bincount(answers[answers >= 0], minlength=classes) / self.inputs
        return shares
