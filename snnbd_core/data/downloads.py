"""Files from the net, taken only when asked for and only with the right hash."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from snnbd_core.data.errors import CorruptData, DataNotFound
from snnbd_core.data.stores import File, Zip, reading

__all__ = ["BY_HAND", "SOURCES", "Source", "download", "fetch", "warn_of_others"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Source:
    """Where a file can be had: its address, and its hash as pooch writes it (``md5:...``)."""

    url: str
    known_hash: str


_MNIST = "https://ossci-datasets.s3.amazonaws.com/mnist/"
_GTSRB = "https://sid.erda.dk/public/archives/daaeac0d7ce1152aea9b61d9f1e19370/"
_NMNIST = "https://data.mendeley.com/public-files/datasets/468j46mzdv/files/"
_MD5 = {
    "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
}

# Each file by its place. The hashes are the publishers' own, torchvision's for MNIST and for the
# test part of GTSRB, tonic's for N-MNIST; of GTSRB's training part, those that its users name.
SOURCES: dict[str, dict[str, Source]] = {
    "mnist": {f"MNIST/raw/{name}": Source(_MNIST + name, f"md5:{_MD5[name]}") for name in _MD5},
    "cifar10": {
        "cifar-10-binary.tar.gz": Source(
            "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
            "md5:c32a1d4ab5d03f1284b67883e8d87530",
        )
    },
    "cifar100": {
        "cifar-100-binary.tar.gz": Source(
            "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
            "md5:03b5dce01913d631647c71ecec9e9cb8",
        )
    },
    "gtsrb": {
        f"GTSRB/{name}.zip": Source(f"{_GTSRB}{name}.zip", f"md5:{md5}")
        for name, md5 in {
            "GTSRB_Final_Training_Images": "f33fd80ac59bff73c82d25ab499e03a3",
            "GTSRB_Final_Test_Images": "c7e4e6327067d32654124b0fe9e82185",
            "GTSRB_Final_Test_GT": "fe31e9c9270bbcd7b84b7f21a9d9d9e5",
        }.items()
    },
    "nmnist": {
        "NMNIST/train.zip": Source(
            _NMNIST + "39c25547-014b-4137-a934-9d29fa53c7a0/file_downloaded",
            "md5:20959b8e626244a1b502305a9e6e2031",
        ),
        "NMNIST/test.zip": Source(
            _NMNIST + "05a4d654-7e03-4c15-bdfa-9bb2bcbea494/file_downloaded",
            "md5:69ca8762b2fe404d9b9bad1103e97832",
        ),
    },
}
SOURCES["cifar10-small"] = SOURCES["cifar10-events"] = SOURCES["cifar10"]

_FIGSHARE = "https://figshare.com/ndownloader/files/"

# How to get the other published sets; the addresses are tonic's and the authors'.
BY_HAND = {
    "dvs-gesture": f"Unpack both archives ({_FIGSHARE}38022171 and {_FIGSHARE}38020584)",
    "cifar10-dvs": f"Unpack CIFAR10DVS.zip ({_FIGSHARE}38023437) and its archives",
    "ncaltech101": "Unpack N-Caltech101-archive.zip "
    "(https://www.garrickorchard.com/datasets/n-caltech101)",
}


def warn_of_others(name: str, files: Iterable[File]) -> None:
    """Warns of each archive that has a published name of the set, but not the published contents.

    It is read all the same: a sample of the set may lie under this name. MNIST's files are
    compared unpacked, see ``mnist``.

    Args:
        name: of the set.
        files: those that its samples come from; archives, or files in them.
    """
    known = {PurePosixPath(place).name: source for place, source in SOURCES[name].items()}
    paths = [
        store.path if isinstance(store := file.store, Zip) else store.path / file.member
        for file in files
    ]
    for path in dict.fromkeys(path for path in paths if path.name in known):
        with reading(path), path.open("rb") as opened:
            found = hashlib.file_digest(opened, "md5").hexdigest()
        published = known[path.name].known_hash.removeprefix("md5:")
        if found != published:
            _log.warning(
                "%s: %s has the name of the published file, but its md5 is %s and not %s: a sample "
                "of the set, or another set, or damaged (then get it again)",
                name,
                path,
                found,
                published,
            )


def download(name: str, root: Path) -> None:
    """Fetch a set's files into ``root``; files already there with the right hash are left alone."""
    if name not in SOURCES:
        allowed = ", ".join(sorted(SOURCES))
        raise ValueError(f"download=True is not possible for {name!r}; allowed for: {allowed}")
    for place, source in SOURCES[name].items():
        fetch(source, root / place, name)


def fetch(source: Source, path: Path, name: str) -> None:
    """Fetch one file to ``path``; pooch writes it under a temporary name first.

    DataNotFound where the server does not answer, CorruptData for a wrong hash.
    """
    import pooch  # slow to import
    import requests

    _log.info("%s: fetching %s", name, source.url)
    try:
        pooch.retrieve(source.url, source.known_hash, fname=path.name, path=path.parent)
    except requests.RequestException as error:
        raise DataNotFound(
            f"{name}: could not fetch {source.url} for {path.parent} ({error}). "
            f"Put the file there by hand as {path.name}"
        ) from error
    except ValueError as error:
        raise CorruptData(
            f"{path}: what came from {source.url} has a wrong hash (an interrupted download?) and "
            f"was not stored ({error})"
        ) from error
