"""What a framework's network loses when it is written to NIR and read back by the same framework.

    python -m benchmarks.export_losses [--out FILE]

Each row is one thing that a network has, each column a framework that writes a small network with
it and reads its own file back, as its documentation says. A cell says how many of 100 answers
change, or who refuses. The last row reads the files by `sb.exchange.read_nir` with a step of 1 ms,
as somebody would who does not ask. Weights are multiples of 1/64, inputs whole numbers and decays
powers of 1/2, so that sums are exact and cells the same on all processors.
"""

from __future__ import annotations

import json
import logging
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import Tensor, nn

import snnbd_core as sb
from benchmarks.export_libraries import (
    COUNT,
    LIBRARIES,
    SHAPE,
    STEPS,
    Neurons,
    NoSuchNeurons,
    SnnTorch,
    grid,
)
from snnbd_core.files import write_atomically
from snnbd_core.metrics import decide

OUT = Path(__file__).parent / "results" / "export_losses.json"
SAME = "kept"


def dense(library: SnnTorch, recurrent: bool = False, **given: Any) -> nn.Module:
    """16 inputs, 8 neurons, 3 neurons."""
    reset = given.pop("reset", library.reset)
    return _weighted(
        library.net(
            nn.Linear(16, 8),
            library.neuron(Neurons((8,), reset, recurrent=recurrent, **given)),
            nn.Linear(8, 3),
            library.neuron(Neurons((3,), reset, **given)),
        )
    )


def potentials(library: SnnTorch) -> nn.Module:
    """16 inputs, 8 neurons, and 3 potentials that are the answer."""
    spiking = library.neuron(Neurons((8,), library.reset))
    layers = nn.Linear(16, 8), spiking, nn.Linear(8, 3), library.readout(3)
    return _weighted(library.net(*layers))


def image(library: SnnTorch, *between: nn.Module, norm: bool = False) -> nn.Module:
    """A convolution, maybe batch norm, neurons, a pooling, dense neurons."""
    side = 2 if between else 4
    scaled = nn.BatchNorm2d(4)
    with torch.no_grad():
        for values in (scaled.weight, scaled.running_mean, scaled.running_var, scaled.bias):
            assert values is not None
            values.copy_(torch.tensor([0.25, 0.5, 1.0, 2.0]))
    return _weighted(
        library.net(
            nn.Conv2d(2, 4, 3),
            *([scaled] if norm else []),
            library.neuron(Neurons((4, 4, 4), library.reset)),
            *between,
            nn.Flatten(),
            nn.Linear(4 * side * side, 3),
            library.neuron(Neurons((3,), library.reset)),
        )
    )


def _weighted(net: nn.Module) -> nn.Module:
    layers = [layer for layer in net.modules() if isinstance(layer, nn.Linear | nn.Conv2d)]
    recurrent = {id(part.recurrent) for part in net.modules() if hasattr(part, "recurrent")}
    with torch.no_grad():
        for seed, layer in enumerate(one for one in layers if id(one) not in recurrent):
            layer.weight.copy_(grid(*layer.weight.shape, seed=seed) + 0.125)
            assert layer.bias is not None
            layer.bias.copy_(grid(len(layer.bias), seed=seed + 5))
    return net.eval()


ROWS: dict[str, Callable[[SnnTorch], nn.Module]] = {
    "reset to zero": lambda library: dense(library, reset="zero"),
    "reset by subtraction": lambda library: dense(library, reset="subtract"),
    "threshold": lambda library: dense(library, threshold=1.3),
    "decay": lambda library: dense(library, beta=0.75),
    "surrogate gradient": lambda library: dense(library, slope=8.0),
    "batch norm": lambda library: image(library, norm=True),
    "flatten": image,
    "average pooling": lambda library: image(library, nn.AvgPool2d((2, 2))),
    "max pooling": lambda library: image(library, nn.MaxPool2d((2, 2))),
    "recurrent weights": lambda library: dense(library, recurrent=True),
    "read-out of potentials": potentials,
    "step, read with 1 ms": dense,
}


def main(out: Annotated[Path, typer.Option(help="Where the table is written.")] = OUT) -> None:
    """Write the table."""
    text = json.dumps({"versions": versions(), "rows": measured()}, indent=1) + "\n"
    write_atomically(out, lambda file: file.write(text.encode()))
    typer.echo(text)


def versions() -> dict[str, str]:
    """Of the frameworks and of nir."""
    from importlib.metadata import version

    names = [library.package for library in LIBRARIES if library.package != "snnbd_core"]
    return {name: version(name) for name in (*names, "nir", "nirtorch")}


def measured() -> dict[str, dict[str, str]]:
    """What happens to each row's thing in each framework."""
    with _quiet():
        return {row: {library.name: _cell(row, library) for library in LIBRARIES} for row in ROWS}


class _quiet(warnings.catch_warnings):  # noqa: N801 - used as a function
    """What the frameworks say of their own code is left out."""

    def __enter__(self) -> Any:
        logging.disable(logging.WARNING)
        found = super().__enter__()
        warnings.simplefilter("ignore")  # of the frameworks' own modules
        return found

    def __exit__(self, *error: Any) -> None:
        logging.disable(logging.NOTSET)
        super().__exit__(*error)


def _cell(row: str, library: SnnTorch) -> str:
    drawn = torch.Generator().manual_seed(0)
    flat = row not in ("batch norm", "flatten", "average pooling", "max pooling")
    x = torch.randint(0, 3, (STEPS, COUNT, *((16,) if flat else SHAPE)), generator=drawn).float()
    try:
        net = ROWS[row](library)
    except NoSuchNeurons:
        return "has none"
    before = library.run(net, x, False).detach()
    assert before.mean() > 0.02, (row, library.name)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.nir"
        try:
            _write(library, net, x, path)
        except Exception as error:  # each framework has its own
            return f"not written ({type(error).__name__})"
        if row.startswith("step"):
            return _hasty(library, path, x, before)
        try:
            other = library.read(_graph(path)).eval()
            if row != "surrogate gradient":
                return _told(before, library.run(other, x, True).detach())
            own, read = _gradient(library, net, False, x), _gradient(library, other, True, x)
            return SAME if torch.allclose(own, read) else "another gradient"
        except Exception as error:
            return f"written, not read ({type(error).__name__})"


def _write(library: SnnTorch, net: nn.Module, x: Tensor, path: Path) -> None:
    import nir

    graph = library.write(net, x)
    if isinstance(graph, bytes):
        path.write_bytes(graph)
    else:
        nir.write(path, graph, compression=None)


def _graph(path: Path) -> Any:
    import nir

    return nir.read(path)


def _gradient(library: SnnTorch, net: nn.Module, read: bool, x: Tensor) -> Tensor:
    given = x.clone().requires_grad_()
    library.run(net, given, read).sum().backward()
    assert given.grad is not None
    return given.grad


def _hasty(library: SnnTorch, path: Path, x: Tensor, before: Tensor) -> str:
    """The cell of who reads a file by the right reset and a step of 1 ms."""
    try:
        net = sb.exchange.read_nir(path, **{**library.right, "dt": 1e-3})
    except ValueError as error:
        return "refused: dt above tau" if "must be at most tau" in str(error) else str(error)
    with torch.no_grad():
        return _told(before, net(x.reshape(STEPS, COUNT, *net.input_shape))[None])


def _told(before: Tensor, after: Tensor) -> str:
    changed = int((decide(before.mean(0)) != decide(after.mean(0))).sum())
    if torch.allclose(before.mean(0), after.mean(0), atol=1e-6):
        return SAME
    return f"{changed} of {COUNT} answers change" if changed else "spikes change, no answer"


if __name__ == "__main__":
    typer.run(main)
