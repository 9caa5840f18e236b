"""Networks beside themselves: samples alone and in a batch, captured by torch.compile and not."""

from __future__ import annotations

import pytest
import torch

from snnbd_core import networks
from snnbd_core.networks.layers import PoissonCode


def test_a_samples_spikes_do_not_depend_on_what_else_is_in_the_batch():
    code = PoissonCode().eval()
    images = torch.rand(5, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    together = code(images.expand(6, *images.shape))
    for number, image in enumerate(images):
        assert torch.equal(code(image.expand(6, 1, *image.shape))[:, 0], together[:, number])
    backwards = code(images.flip(0).expand(6, *images.shape))
    assert torch.equal(backwards.flip(1), together)
    assert torch.equal(code(images.repeat(6, 1, 1, 1, 1)), together)  # copies, not one expanded
    assert not torch.equal(together[:, 0], together[:, 1])


def test_spikes_in_evaluation_come_at_the_rate_of_the_pixel():
    """2,000 samples of 16 steps that differ in one pixel: 32,000 draws, deviation 0.0028."""
    images = torch.full((2000, 1, 2, 2), 0.3)
    images[:, 0, 0, 0] = torch.linspace(0, 1, 2000)
    spikes = PoissonCode().eval()(images.expand(16, *images.shape))
    assert spikes[:, :, 0, 1, 1].mean().item() == pytest.approx(0.3, abs=0.02)
    assert spikes[:, :, 0, 0, 1].mean().item() == pytest.approx(0.3, abs=0.02)


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
def test_a_network_under_torch_compile_answers_as_before():
    net = networks.build("quick-conv", (2, 12, 12), 3, seed=0).eval()
    frames = torch.rand(4, 2, 2, 12, 12, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(torch.compile(net, backend="eager")(frames), net(frames))


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
def test_gradients_under_torch_compile_are_those_of_the_network():
    frames = torch.rand(4, 2, 2, 12, 12, generator=torch.Generator().manual_seed(0))
    gradients = []
    for compiled in (False, True):
        net = networks.build("quick-conv", (2, 12, 12), 3, seed=0).train()
        answers = (torch.compile(net, backend="aot_eager") if compiled else net)(frames)
        torch.autograd.backward(answers.square().sum())
        gradients.append([weight.grad for weight in net.parameters()])
    for captured, plain in zip(*gradients, strict=True):
        torch.testing.assert_close(captured, plain)
