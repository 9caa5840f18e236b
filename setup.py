"""The claims travel with the package: a chapter on Colab has no checkout to read them from."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["snnbd_core*"]), "snnbd_core._claims"],
    package_dir={"snnbd_core._claims": "claims"},
    package_data={"snnbd_core._claims": ["*.yaml"]},
)
