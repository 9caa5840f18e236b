"""One network in every library: conv 2 -> 8 (3x3), neurons, dense 32, neurons, dense read-out.

The neurons are the same in all: v = beta v + x, a spike where v passes the threshold, then v = 0 in
the same step. Weights that are multiples of 1/64, frames of whole numbers and beta = 1/2 make all
sums exact, and no sum is the threshold 0.7: with `grid` weights the spikes are equal bit by bit.
"""

from __future__ import annotations

import importlib
import warnings

import torch
from torch import nn

import snnbd_core as sb
from snnbd_core.networks.building import VOTERS, Network
from snnbd_core.networks.layers import Folded
from snnbd_core.view import adapt

SHAPE = (2, 12, 12)
FEATURES = 8 * 10 * 10
HIDDEN = 32
SPIKING = (
    "ours",
    "own",
    "snntorch",
    "snntorch-loop",
    "spikingjelly",
    "spikingjelly-step",
    "norse",
    "norse-loop",
    "sinabs",
    "sinabs-squeeze",
)
RECTIFIED = ("relu", "relu-step", "relu-folded")
KINDS = (*SPIKING, *RECTIFIED)
STEPS = 6  # of sinabs-squeeze, which is built for a number of steps


def matched(
    kind,
    readout="linear",
    *,
    classes=4,
    voters=None,
    beta=0.5,
    threshold=0.7,
    batch_norm=False,
    seed=0,
):
    """A network [T, B, 2, 12, 12] -> logits [B, classes].

    Args:
        kind: one of `KINDS`; "ours" is a `Network`, which needs 10 voters.
        readout: "linear" ends with the dense layer, "rate" with neurons.
        voters: outputs per class; None is 10 for "ours" and 1 for the others.
    """
    voters = voters or (VOTERS if kind == "ours" else 1)
    library = kind.partition("-")[0]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = BUILT[library](kind, readout, classes * voters, beta, threshold, batch_norm)
        grid(net)
    if kind == "ours":
        return Network(net, SHAPE, classes)
    layout = {
        "sinabs": "BTCHW",
        "sinabs-squeeze": "BTCHW",
        "snntorch": "step",
        "norse": "step",
        "spikingjelly-step": "step",
        "relu-step": "step",
    }.get(kind, "TBCHW")
    read = "logits" if kind == "relu" else "rate"
    return adapt(net, layout=layout, readout=read, input_shape=SHAPE, classes=classes)


def load(name):
    """Imports a library; what it warns of by being imported is not ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module(name)


def frames(steps=STEPS, batch=5, seed=0):
    """Event counts [T, B, 2, 12, 12]."""
    draw = torch.Generator().manual_seed(seed)
    return torch.poisson(torch.full((steps, batch, *SHAPE), 0.4), generator=draw)


def weighted(net):
    """Its convolutions, dense layers and batch norms, in order."""
    kinds = (nn.Conv2d, nn.Linear, nn.BatchNorm2d)
    return [module for module in net.modules() if isinstance(module, kinds)]


@torch.no_grad()
def grid(net):
    """Rounds weights to multiples of 1/64, large enough for the neurons to spike."""
    for module in weighted(net):
        if not isinstance(module, nn.BatchNorm2d):
            for tensor in module.parameters():
                tensor.copy_((tensor * 2 * 64).round() / 64)


def copy_weights(source, target):
    """The weights of a network of one library into one of another."""
    for one, other in zip(weighted(source), weighted(target), strict=True):
        other.load_state_dict(one.state_dict())


def body(
    neuron,
    outputs,
    readout,
    batch_norm,
    conv=nn.Conv2d,
    linear=nn.Linear,
    flatten=nn.Flatten,
    norm=nn.BatchNorm2d,
    before=lambda: [],
):
    """The layers in order, with a library's own."""
    return [
        conv(2, 8, 3),
        *([norm(8)] if batch_norm else []),
        *before(),
        neuron(),
        flatten(),
        linear(FEATURES, HIDDEN),
        *before(),
        neuron(),
        linear(HIDDEN, outputs),
        *([*before(), neuron()] if readout == "rate" else []),
    ]


def lif(beta, threshold):
    return lambda: sb.LIF(beta, threshold, reset="zero", update="spikingjelly")


class Whole(nn.Module):
    """Layers of neurons over whole sequences, all other layers over folded ones."""

    def __init__(self, layers, neuron):
        super().__init__()
        self.net, self.neuron = nn.ModuleList(layers), neuron

    def forward(self, x):
        first, second = x.shape[:2]
        for layer in self.net:
            if isinstance(layer, self.neuron):
                x = layer(x)
            else:
                x = layer(x.flatten(0, 1)).unflatten(0, (first, second))
        return x


def ours(kind, readout, outputs, beta, threshold, batch_norm):
    neuron = lif(beta, threshold)
    layers = body(neuron, outputs, readout, batch_norm)
    return nn.ModuleList(one if isinstance(one, sb.LIF) else Folded(one) for one in layers)


def own(kind, readout, outputs, beta, threshold, batch_norm):
    return Whole(body(lif(beta, threshold), outputs, readout, batch_norm), sb.LIF)


class Loop(nn.Module):
    """snnTorch with explicit states, unrolled by its author; gives spikes and potentials."""

    def __init__(self, layers, neuron):
        super().__init__()
        self.net, self.neuron = nn.ModuleList(layers), neuron

    def forward(self, x):
        mems = {layer: layer.reset_mem() for layer in self.net if isinstance(layer, self.neuron)}
        outputs, potentials = [], []
        for h in x:
            for layer in self.net:
                if layer in mems:
                    h, mems[layer] = layer(h, mems[layer])
                else:
                    h = layer(h)
            outputs.append(h)
            potentials.append(list(mems.values())[-1])
        return torch.stack(outputs), torch.stack(potentials)


def snntorch(kind, readout, outputs, beta, threshold, batch_norm):
    snntorch = load("snntorch")

    hidden = kind == "snntorch"

    def neuron():
        return snntorch.Leaky(
            beta, threshold=threshold, init_hidden=hidden, reset_mechanism="zero", reset_delay=False
        )

    layers = body(neuron, outputs, readout, batch_norm)
    return nn.Sequential(*layers) if hidden else Loop(layers, snntorch.Leaky)


def spikingjelly(kind, readout, outputs, beta, threshold, batch_norm):
    layer = load("spikingjelly.activation_based.layer")
    neuron = load("spikingjelly.activation_based.neuron")
    surrogate = load("spikingjelly.activation_based.surrogate")
    functional = load("spikingjelly.activation_based.functional")

    def node():
        return neuron.LIFNode(
            1 / (1 - beta),
            decay_input=False,
            v_threshold=threshold,
            surrogate_function=surrogate.ATan(),
        )

    layers = body(
        node,
        outputs,
        readout,
        batch_norm,
        layer.Conv2d,
        layer.Linear,
        layer.Flatten,
        layer.BatchNorm2d,
    )
    net = nn.Sequential(*layers)
    functional.set_step_mode(net, "s" if kind == "spikingjelly-step" else "m")
    return net


class Scaled(nn.Module):
    """norse and sinabs scale currents by 1 - beta: this takes it back."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, x):
        return x * self.factor


class NorseLoop(Loop):
    def forward(self, x):
        states, outputs = {}, []
        for h in x:
            for layer in self.net:
                if isinstance(layer, self.neuron):
                    h, states[layer] = layer(h, states.get(layer))
                else:
                    h = layer(h)
            outputs.append(h)
        return torch.stack(outputs)


def norse(kind, readout, outputs, beta, threshold, batch_norm):
    library = load("norse.torch")

    settings = library.LIFBoxParameters(
        tau_mem_inv=torch.tensor(1000 * (1 - beta)), v_th=torch.tensor(threshold)
    )

    def neuron():
        return library.LIFBoxCell(settings, dt=0.001)

    layers = body(neuron, outputs, readout, batch_norm, before=lambda: [Scaled(1 / (1 - beta))])
    if kind == "norse":
        return library.SequentialState(*layers)
    return NorseLoop(layers, library.LIFBoxCell)


class Squeezed(nn.Module):
    def __init__(self, layers):
        super().__init__()
        self.net = nn.Sequential(*layers)

    def forward(self, x):
        return self.net(x.flatten(0, 1)).unflatten(0, x.shape[:2])


def sinabs(kind, readout, outputs, beta, threshold, batch_norm):
    activation, layers = load("sinabs.activation"), load("sinabs.layers")

    settings = {
        "tau_mem": -1 / float(torch.log(torch.tensor(beta))),
        "spike_threshold": torch.tensor(threshold),
        "spike_fn": activation.SingleSpike,
        "reset_fn": activation.MembraneReset(),
        "norm_input": False,
    }
    if kind == "sinabs-squeeze":
        return Squeezed(
            body(
                lambda: layers.LIFSqueeze(num_timesteps=STEPS, **settings),
                outputs,
                readout,
                batch_norm,
            )
        )
    return Whole(body(lambda: layers.LIF(**settings), outputs, readout, batch_norm), layers.LIF)


class Averaged(nn.Module):
    """An ANN that is shown the mean of all frames."""

    def __init__(self, layers):
        super().__init__()
        self.net = nn.Sequential(*layers)

    def forward(self, x):
        return self.net(x.mean(0))


def relu(kind, readout, outputs, beta, threshold, batch_norm):
    layers = body(nn.ReLU, outputs, readout, batch_norm)
    if kind == "relu":
        return Averaged(layers)
    return nn.Sequential(*layers) if kind == "relu-step" else Squeezed(layers)


BUILT = {
    "ours": ours,
    "own": own,
    "snntorch": snntorch,
    "spikingjelly": spikingjelly,
    "norse": norse,
    "sinabs": sinabs,
    "relu": relu,
}
