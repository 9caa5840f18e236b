"""The three profiles: sizes of a run.

=========  =====================================================================================
profile    what it is for
=========  =====================================================================================
quick      the embedded digits-events on a CPU; seconds a run, needs no network
sample     real N-MNIST recordings from a folder (``$SNNBD_DATA``) on a CPU; minutes a run
paper      the paper's data, network and epochs (Abad et al. 2022 and 2024); needs a GPU
=========  =====================================================================================
"""

from __future__ import annotations

from typing import Any

CHANGES_NO_NUMBER = True

# The training settings of quick and sample are the best of a small grid by the clean accuracy of
# clean and of poisoned networks on a validation split of the training set, with seeds that no
# chapter uses: benchmarks/choose_training.py. quick is held to 12 epochs and sample to 20, to
# keep builds short.
PROFILES: dict[str, dict[str, Any]] = {
    "quick": {
        "data": "digits-events",
        "frames": 8,
        "network": "quick-conv",
        "epochs": 12,
        "batch_size": 32,
        "learning_rate": 3e-3,
    },
    "sample": {
        "data": "nmnist",
        "frames": 16,
        "network": "quick-conv",
        "epochs": 20,
        "batch_size": 32,
        "learning_rate": 5e-3,
    },
    "paper": {
        "data": "nmnist",
        "frames": 16,
        "network": "nmnist-conv",
        "epochs": 20,
        "batch_size": 16,
        "learning_rate": 1e-3,
    },
}


def sizes(profile: str) -> dict[str, Any]:
    """A copy of a profile's settings: field of `Experiment` -> value.

    Raises:
        ValueError: an unknown profile.
    """
    if profile not in PROFILES:
        raise ValueError(f"profile={profile!r} is unknown; allowed: {', '.join(PROFILES)}")
    return dict(PROFILES[profile])
