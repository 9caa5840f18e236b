"""The book's look: set once, readable, without leaking into figures of others."""

from __future__ import annotations

import subprocess
import sys

import matplotlib as mpl
import nbformat
import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from nbclient import NotebookClient

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


def drawn(panels: int, names: str = "", ticks: bool = True) -> Figure:
    """Squares in a row, the first with a long name at its left."""
    figure = style.new_figure(2.0)
    for axes in figure.subplots(1, panels, sharey=True, squeeze=False)[0]:
        axes.imshow(np.zeros((2, 2)), aspect="auto")
        at = [0] if ticks else []
        axes.set(xticks=at, yticks=at)
    figure.axes[0].set_ylabel(names)
    figure.draw_without_rendering()
    return figure


def test_three_panels_have_room_and_four_have_not() -> None:
    style.require_room(drawn(3))
    with pytest.raises(ValueError, match=r"panel 1 is 1\d\d pixels wide; allowed: 200 or more"):
        style.require_room(drawn(4))


def test_pictures_without_ticks_may_be_smaller_and_not_too_small() -> None:
    style.require_room(drawn(4, ticks=False))
    with pytest.raises(ValueError, match=r"panel 1 is \d\d pixels wide; allowed: 100 or more"):
        style.require_room(drawn(6, names="\n".join("abcdefgh"), ticks=False))


def test_scales_and_empty_places_are_no_panels_and_seven_panels_are_too_many() -> None:
    figure = style.new_figure(9.0)
    grid = figure.subplots(4, 2).ravel()
    grid[-1].set_axis_off()
    with pytest.raises(ValueError, match="figure has 7 panels; allowed: at most 6"):
        style.require_room(figure)
    one = style.new_figure(2.0)
    axes = one.subplots()
    one.colorbar(axes.imshow(np.zeros((2, 2)), aspect="auto"))
    one.draw_without_rendering()
    style.require_room(one)


def test_a_cell_that_shows_a_crowded_figure_fails_in_a_build_and_not_at_a_readers() -> None:
    notebook = nbformat.v4.new_notebook()
    show = "figures.style.new_figure(2.0).subplots(1, {}, sharey=True).flat[0].figure"
    notebook.cells = [
        nbformat.v4.new_code_cell(source)
        for source in (
            "from snnbd_book import figures; figures.use_style()",
            show.format(4),
            f"import os; os.environ['{style.CHECKED}'] = '1'",
            show.format(2),
            show.format(4),
        )
    ]
    done = NotebookClient(notebook, kernel_name="python3", allow_errors=True).execute()
    kinds = [[output.output_type for output in cell.outputs] for cell in done.cells]
    assert kinds[:4] == [[], ["execute_result"], [], ["execute_result"]]
    (error,) = (output for output in done.cells[4].outputs if output.output_type == "error")
    assert "pixels wide; allowed: 200 or more" in error.evalue
