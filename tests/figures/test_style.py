"""The book's look: set once, readable, without leaking into figures of others."""

from __future__ import annotations

import subprocess
import sys

import matplotlib as mpl
from matplotlib import pyplot as plt

from snnbd_book.figures import style


def test_a_new_figure_is_not_left_open_with_pyplot_and_leaves_settings_alone() -> None:
    before = dict(mpl.rcParams)
    figure = style.new_figure(2.5)
    assert tuple(figure.get_size_inches()) == (style.WIDTH, 2.5)
    assert plt.get_fignums() == []
    assert dict(mpl.rcParams) == before


def test_the_whole_package_draws_without_a_display_and_without_warnings() -> None:
    script = (
        "import snntorch, tonic, numba, sklearn\n"  # their own warnings are not ours
        "import warnings; warnings.simplefilter('error')\n"
        "from snnbd_book import figures; figures.use_style()\n"
        "figures.draw_neuron(*figures.State().run()).canvas.draw()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "")
