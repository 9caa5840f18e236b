"""How much of a backdoor migrates, by hand: networks that give answers written down here."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from snnbd_core import metrics
from snnbd_core.metrics import Migration, Rate, Trial
from snnbd_core.metrics.migration_rates import compare
from snnbd_core.triggers import Patch


class Numbered:
    """Eight images of three classes; the last pixel says which one it is."""

    input_shape = (1, 4, 4)
    classes = 3
    labels = np.array([0, 0, 1, 1, 1, 2, 2, 2])

    def __len__(self) -> int:
        return 8

    def batch(self, rows) -> tuple[Tensor, Tensor]:
        images = torch.zeros(len(rows), 1, 4, 4)
        images[:, 0, 3, 3] = torch.as_tensor(rows) / 8
        return images, torch.from_numpy(self.labels[rows])


class Gives(nn.Module):
    """The answer that is written down for each image."""

    def __init__(self, *written: int) -> None:
        super().__init__()
        self.written = torch.tensor(written)

    def forward(self, sequence: Tensor) -> Tensor:
        numbers = (8 * sequence[0, :, 0, 3, 3]).round().long()
        return nn.functional.one_hot(self.written[numbers], 3).float()


ANN = Gives(0, 0, 0, 0, 0, 0, 2, 2)  # 4 of 6 others hit the target 0
SNN = Gives(0, 1, 0, 0, 1, 2, 2, 0)  # 3 of 6, of which 2 where the ANN does
CLEAN_ANN = Gives(0, 0, 1, 1, 1, 2, 2, 0)  # floor 1 of 6
CLEAN_SNN = Gives(0, 0, 1, 1, 1, 2, 2, 2)  # floor 0
CORNER = Patch(size=0.25, position="top-left")


def test_migration_is_counted_over_the_other_classes():
    found = metrics.migration(ANN, SNN, Numbered(), CORNER, device="cpu")
    assert found == Migration(
        ann_success=Rate(4, 6),
        snn_success=Rate(3, 6),
        mr1=None,
        mr2=Rate(2, 4),
        agreement=Rate(3, 6),
    )


def test_clean_networks_give_the_first_rate_its_floors():
    floors = {"clean_ann": CLEAN_ANN, "clean_snn": CLEAN_SNN}
    found = metrics.migration(ANN, SNN, Numbered(), CORNER, target=np.int64(0), **floors)
    assert found.mr1 == pytest.approx((3 / 6 - 0) / (4 / 6 - 1 / 6))
    same = metrics.migration(CLEAN_ANN, SNN, Numbered(), CORNER, **floors)
    assert math.isnan(same.mr1)


def test_a_report_has_the_same_counts():
    figures = compare(Trial(net=SNN, source=ANN, test=Numbered(), trigger=CORNER, device="cpu"))
    assert figures == {
        "ann_clean_accuracy": Rate(4, 8),
        "ann_success": Rate(4, 6),
        "migration_per_sample": Rate(2, 4),
        "agreement": Rate(3, 6),
    }
    clean = compare(Trial(net=SNN, source=ANN, test=Numbered(), device="cpu"))
    assert clean == {"ann_clean_accuracy": Rate(4, 8)}


def test_a_target_that_is_no_class_and_half_a_floor_are_refused():
    with pytest.raises(ValueError, match="target=3 is not a class"):
        metrics.migration(ANN, SNN, Numbered(), CORNER, target=3)
    with pytest.raises(ValueError, match="MR1 needs a floor for both networks or neither"):
        metrics.migration(ANN, SNN, Numbered(), CORNER, clean_snn=CLEAN_SNN)


def test_a_trial_without_the_network_it_comes_from_is_refused() -> None:
    with pytest.raises(ValueError, match=r"trial\.source=None: needed is the ANN"):
        compare(Trial(net=nn.Identity(), source=None, test=Numbered()))
