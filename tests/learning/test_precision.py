"""bfloat16 in training: when it is taken, what stays float32, what is said where it fails."""

from __future__ import annotations

import numpy as np
import pytest
import snntorch
import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

import snnbd_core as sb
from snnbd_core import attacks, learning
from snnbd_core.learning import precision
from snnbd_core.learning.loop import answers_of
from snnbd_core.networks.layers import Folded

CPU = torch.device("cpu")


@pytest.fixture
def processor(monkeypatch):
    """Gives the processor some instructions and no others."""

    def has(*names: str) -> None:
        monkeypatch.setattr(precision, "_instructions", lambda name: name in names)

    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    return has


def wide(neuron=sb.LIF) -> nn.Module:
    """Just large enough."""
    return nn.Sequential(nn.Linear(1000, 1000), neuron())


def test_auto_takes_bf16_for_large_networks_on_processors_with_amx(processor):
    processor("avx512_bf16", "amx_tile")
    assert precision.chosen("auto", wide(), CPU) == "bf16"
    assert precision.chosen("auto", wide(nn.ReLU), CPU) == "bf16"
    assert precision.chosen("float32", wide(), CPU) == "float32"
    small = nn.Sequential(nn.Linear(999, 1000), sb.LIF())
    assert precision.chosen("auto", small, CPU) == "float32"
    assert precision.chosen("bf16", small, CPU) == "bf16"


@pytest.mark.parametrize("shape", [(1, 8, 8), (2, 16, 16), (1, 28, 28), (2, 34, 34)])
@pytest.mark.parametrize("name", ["quick-conv", "quick-resnet"])
def test_networks_of_the_quick_profile_stay_in_float32_everywhere(processor, name, shape):
    processor("avx512_bf16", "amx_tile")
    net = sb.networks.build(name, shape, 10, seed=0)
    assert precision.chosen("auto", net, CPU) == "float32"


@pytest.mark.parametrize(
    "net",
    [
        wide(lambda: snntorch.Leaky(0.9, init_hidden=True)),
        nn.Sequential(wide(), snntorch.Leaky(0.9, init_hidden=True)),
        nn.Sequential(nn.Linear(1000, 1000)),  # whose neurons, if any, are not known
        wide().double(),
    ],
    ids=["other neurons", "some other neurons", "no known neurons", "float64"],
)
def test_auto_leaves_networks_whose_state_it_does_not_know(processor, net):
    processor("avx512_bf16", "amx_tile")
    assert precision.chosen("auto", net, CPU) == "float32"


def test_without_amx_auto_is_float32_and_bf16_is_taken_if_asked_for(processor):
    processor("avx512_bf16")
    assert precision.chosen("auto", wide(), CPU) == "float32"
    assert precision.chosen("bf16", wide(), CPU) == "bf16"


@pytest.mark.parametrize("limit", ["AVX2", "AVX512_CORE"])
def test_instructions_that_onednn_may_not_use_do_not_count(processor, monkeypatch, limit):
    processor("avx512_bf16", "amx_tile")
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", limit)
    assert precision.chosen("auto", wide(), CPU) == "float32"
    with pytest.raises(ValueError, match="precision='bf16' needs instructions for bfloat16"):
        precision.chosen("bf16", wide(), CPU)


def test_bf16_on_a_processor_without_it_is_refused(processor, toy):
    processor()
    with pytest.raises(ValueError, match=r"not here \(on a CPU: AVX-512 BF16.*allowed is auto, fl"):
        learning.train(toy.network(), toy.Toy(), **toy.SETTINGS | {"precision": "bf16"})


def test_bf16_for_weights_in_float64_is_refused(processor):
    processor("avx512_bf16")
    with pytest.raises(ValueError, match="needs weights in float32"):
        precision.chosen("bf16", wide().double(), CPU)


def test_an_unknown_precision_is_refused(toy):
    with pytest.raises(ValueError, match=r"precision='half'.*auto, float32, bf16"):
        learning.train(toy.network(), toy.Toy(), **toy.SETTINGS | {"precision": "half"})
    with pytest.raises(ValueError, match="precision='half'"):
        learning.Task.of(toy.network(), toy.Toy(), epochs=1, precision="half")


# what is computed in which


class Watched(sb.LIF):
    """Neurons that write down what they are given and give."""

    def forward(self, current: Tensor, return_potential: bool = False):
        spikes = super().forward(current, return_potential)
        self.seen = (current.dtype, spikes.dtype)
        return spikes


def test_only_what_goes_from_layer_to_layer_is_bfloat16(processor, toy):
    processor("avx512_bf16")
    net = sb.networks.build("quick-conv", (2, 6, 6), 3, neuron=Watched, seed=0)
    losses = []

    def loss(logits: Tensor, labels: Tensor) -> Tensor:
        losses.append(logits.dtype)
        return nn.functional.cross_entropy(logits, labels)

    settings = toy.SETTINGS | {"precision": "bf16", "loss": loss, "epochs": 2}
    history = learning.train(net, toy.Toy(), **settings)
    assert {layer.seen for layer in net.modules() if isinstance(layer, Watched)} == {
        (torch.bfloat16, torch.bfloat16)
    }
    assert set(losses) == {torch.float32}
    held = [*net.parameters(), *(weight.grad for weight in net.parameters()), *net.buffers()]
    assert {value.dtype for value in held if value.is_floating_point()} == {torch.float32}
    assert history.precision == "bf16"
    assert learning.History.from_dict(history.to_dict()) == history
    with torch.no_grad():
        assert answers_of(net, torch.ones(4, 1, 2, 6, 6)).dtype == torch.float32
    assert net.layers[1].seen == (torch.float32, torch.float32)  # the training is over


def test_float32_is_what_a_small_network_is_trained_in_and_its_record_is_as_before(toy):
    nets = [toy.network(), toy.network()]
    histories = [
        learning.train(net, toy.Toy(), **toy.SETTINGS | {"precision": name})
        for net, name in zip(nets, ("auto", "float32"), strict=True)
    ]
    assert histories[0].loss == histories[1].loss
    assert histories[0].precision == "float32"
    assert set(histories[0].to_dict()) == {"loss", "accuracy", "learning_rate", "seconds"}


def test_every_rule_and_attack_takes_the_tasks_precision(processor, toy):
    processor("avx512_bf16")
    settings = {"epochs": 1, "batch_size": 16, "device": "cpu", "precision": "bf16"}

    frames = TensorDataset(torch.from_numpy(toy.Toy().x), torch.from_numpy(toy.Toy().labels))

    def task() -> learning.Task:
        return learning.Task.of(toy.network(), frames, rate=0.5, **settings)

    rules = (
        learning.SurrogateGradient(),
        learning.SpikeRepresentation(),
        sb.badsnn.DualSpike(share=0.2),
        attacks.Federated(clients=2, attackers=0),
    )
    for rule in rules:
        assert rule.fit(task()).history.precision == "bf16", rule
    history = sb.badsnn.train(toy.network(), frames, share=0.2, progress=False, **settings)
    assert history.precision == "bf16"
    assert attacks.Dynamic().learn(task()).history.precision == "bf16"


def test_a_checkpoint_of_another_precision_is_not_gone_on_with(processor, toy, tmp_path):
    processor("avx512_bf16")
    path = tmp_path / "run.pt"
    learning.train(toy.network(), toy.Toy(), checkpoint=path, **toy.SETTINGS)
    with pytest.warns(UserWarning, match="its precision is 'float32', this run's is 'bf16'"):
        learning.train(
            toy.network(), toy.Toy(), checkpoint=path, **toy.SETTINGS | {"precision": "bf16"}
        )
    again = learning.train(toy.network(), toy.Toy(), checkpoint=path, **toy.SETTINGS)
    assert again.precision == "float32"


# what fails


class Fragile(nn.Module):
    """Not a number in bfloat16."""

    def forward(self, sequence: Tensor) -> Tensor:
        return sequence * torch.nan if sequence.dtype == torch.bfloat16 else sequence


class Readout(nn.Module):
    """Logits that neurons do not hide: NaN never fires one."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            Folded(nn.Flatten(), nn.Linear(72, 12)), sb.LIF(), Folded(nn.Linear(12, 3)), Fragile()
        )

    def forward(self, sequence: Tensor) -> Tensor:
        out: Tensor = self.layers(sequence)
        return out.mean(dim=0)


def test_not_a_number_in_bf16_is_named_at_its_layer(processor, toy):
    processor("avx512_bf16")
    learning.train(Readout(), toy.Toy(), **toy.SETTINGS)
    said = r"loss became nan \(0 samples.*first in layer layers\.3 \(Fragile, torch\.bfloat16\)"
    with pytest.raises(FloatingPointError, match=said):
        learning.train(Readout(), toy.Toy(), **toy.SETTINGS | {"precision": "bf16"})
    with torch.no_grad():  # and the precision is that of before
        assert answers_of(Readout(), torch.ones(4, 2, 2, 6, 6)).isfinite().all()


@pytest.mark.parametrize("name", ["float32", "bf16"])
def test_a_loss_that_overflows_is_named_at_its_layer(processor, toy, name):
    processor("avx512_bf16")
    data = toy.Toy()
    data.x = np.minimum(data.x, 3) * np.float32(1e38)
    net = Readout()
    nn.init.ones_(net.layers[0][1].weight)
    net.layers[1], net.layers[3] = nn.Identity(), nn.Identity()  # nothing hides it
    said = r"loss became (nan|inf).*first in layer layers\.0\.1 \(Linear, torch\.\w*float\d\d\)"
    with pytest.raises(FloatingPointError, match=said):
        learning.train(net, data, **toy.SETTINGS | {"precision": name})
