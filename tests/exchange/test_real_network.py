"""A network that others trained, where it and real recordings are at hand."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

import snnbd_core as sb
from snnbd_core.data.recordings import five_bytes
from snnbd_core.exchange import read_nir


@pytest.fixture
def network(data_root: Path) -> Path:
    """The N-MNIST network of the NIR paper, in the folder of the data or in models beside it."""
    for folder in (data_root, data_root.parent / "models"):
        if (folder / "cnn_sinabs.nir").is_file():
            return folder / "cnn_sinabs.nir"
    pytest.skip("no cnn_sinabs.nir beside $SNNBD_DATA")


def recordings(archive: Path, each: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Counts in steps of 1 ms, [300, B, 2, 34, 34], and digits."""
    frames, labels = [], []
    with zipfile.ZipFile(archive) as packed:
        for digit in range(10):
            names = sorted(
                n for n in packed.namelist() if f"Test/{digit}/" in n and n[-4:] == ".bin"
            )
            for name in names[:each]:
                events = five_bytes(packed.read(name), (34, 34, 2), name)
                counts = np.zeros((300, 2, 34, 34), np.float32)
                step = np.minimum(events["t"] // 1000, 299)
                np.add.at(counts, (step, events["p"].astype(int), events["y"], events["x"]), 1)
                frames.append(counts)
                labels.append(digit)
    return torch.from_numpy(np.stack(frames, 1)), torch.tensor(labels)


@pytest.mark.slow
@pytest.mark.parametrize("reset", ["zero", "subtract", "multispike"])
def test_a_network_of_sinabs_knows_the_digits_with_every_reset(network, data_root, reset):
    x, labels = recordings(data_root / "nmnist_sample.zip", each=3)
    net = read_nir(network, dt=1, reset=reset)
    with torch.no_grad():
        logits = net(x)
    assert (logits.argmax(1) == labels).float().mean() >= 0.9
    assert [layer.shape for layer in sb.view(net).spiking_layers][-2:] == [(256,), (10,)]
