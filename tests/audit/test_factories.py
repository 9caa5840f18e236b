"""Weights of each framework's own networks go into what the user's factory builds, and are run."""

from __future__ import annotations

import hashlib
import json
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from snnbd_core.view import View

from .conftest import Invoke
from .made import CLASSES, SIDE
from .test_command import DATA

pytestmark = pytest.mark.filterwarnings("ignore")  # of the frameworks' own imports
SHAPE = (2, SIDE, SIDE)

NETS = """
import torch
from torch import nn
import snnbd_core as sb

INPUTS, CLASSES, SIDE = {inputs}, {classes}, {side}


def adapted(net, layout):
    return sb.adapt(net, layout=layout, input_shape=(2, SIDE, SIDE), classes=CLASSES)


def snntorch():
    import snntorch
    neurons = snntorch.Leaky(0.5, 0.4, init_hidden=True, learn_beta=True, learn_threshold=True)
    return adapted(nn.Sequential(nn.Flatten(), nn.Linear(INPUTS, CLASSES), neurons), "step")


def spikingjelly():
    from spikingjelly.activation_based import neuron
    neurons = neuron.ParametricLIFNode(v_threshold=0.4)
    return adapted(nn.Sequential(nn.Flatten(), nn.Linear(INPUTS, CLASSES), neurons), "step")


class Steps(nn.Module):
    def __init__(self):
        super().__init__()
        import norse.torch as norse
        self.dense = nn.Linear(INPUTS, CLASSES)
        self.cell = norse.LIFBoxCell(norse.LIFBoxParameters(v_th=torch.tensor(0.1)), dt=0.001)

    def forward(self, sequence):
        state, spikes = None, []
        for frame in sequence:
            out, state = self.cell(self.dense(frame.flatten(1)), state)
            spikes.append(out)
        return torch.stack(spikes)


def norse():
    return adapted(Steps(), "TBCHW")


def sinabs():
    import sinabs.layers
    neurons = sinabs.layers.IAF(spike_threshold=0.2)  # several spikes a step
    return adapted(nn.Sequential(nn.Flatten(2), nn.Linear(INPUTS, CLASSES), neurons), "BTCHW")
"""


@pytest.fixture
def nets(here: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The user's module of factories, in the current folder."""
    text = NETS.format(inputs=2 * SIDE * SIDE, classes=CLASSES, side=SIDE)
    Path("of_frameworks.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(str(here))
    monkeypatch.delitem(sys.modules, "of_frameworks", raising=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the frameworks' own imports
        import of_frameworks  # type: ignore[import-not-found]  # written above
    yield of_frameworks
    sys.modules.pop("of_frameworks", None)


@pytest.mark.parametrize("zoo", [False, True], ids=["safetensors", "zoo"])
@pytest.mark.parametrize("name", ["snntorch", "spikingjelly", "norse", "sinabs"])
def test_a_network_of_each_framework_comes_back(
    invoked: Invoke, asked: list[Any], nets: Any, name: str, zoo: bool
) -> None:
    torch.manual_seed(0)
    sent = getattr(nets, name)()
    x = torch.randint(0, 3, (6, 4, *SHAPE), generator=torch.Generator().manual_seed(0)).float()
    with torch.no_grad():
        wanted = View(sent, x)(x)
    assert wanted.any()
    assert (wanted.max() > 1) == (name == "sinabs")
    file = Path("weights.safetensors")
    states = ("mem", "v_mem", "spk", ".v")
    state = {key: value for key, value in sent.net.state_dict().items() if value.numel()}
    save_file({key: value for key, value in state.items() if not key.endswith(states)}, file)
    if zoo:
        Path("zoo").mkdir()
        file = file.rename("zoo/model.safetensors")
        said = {"sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
        Path("zoo/checkpoint.json").write_text(json.dumps(said), encoding="utf-8")
        file = Path("zoo")
    status, _, error = invoked(file, "--factory", f"of_frameworks:{name}", *DATA)
    assert status == 1, error  # of the audit that stands in
    ((net, _, _),) = asked
    with torch.no_grad():
        assert torch.equal(View(net, x)(x), wanted)
    assert {layer.adapter.library for layer in View(net, x).spiking_layers} == {name}
