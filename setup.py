"""Two packages in one distribution: the library at the top, the book's machinery in book/.

The claims, and what the benchmarks of audits wrote, travel with the machinery: a chapter on Colab
has no checkout to read them from.
"""

from setuptools import find_packages, setup

setup(
    packages=[
        *find_packages(include=["snnbd_core*"]),
        *find_packages("book", include=["snnbd_book*"]),
        "snnbd_book._claims",
        "snnbd_book._benchmarks",
    ],
    package_dir={
        "snnbd_book": "book/snnbd_book",
        "snnbd_book._claims": "claims",
        "snnbd_book._benchmarks": "benchmarks/results",
    },
    package_data={
        "snnbd_book._claims": ["*.yaml"],
        "snnbd_book._benchmarks": ["audit*.json", "export_losses.json", "summed_margins.json"],
        "snnbd_book.audit": ["*.jinja"],
        "snnbd_core.data.splits": ["*.txt"],
    },
)
