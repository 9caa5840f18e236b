"""Every widget of the chapters in a running JupyterLab: a real server, kernel and browser.

A widget is run with its own cells from the chapter; what those take from cells that train for
minutes is stood in for by small things of the same kind.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

WIDGET = re.compile(r"^figures\.(sliders|explore)\(", re.MULTILINE)

BEFORE = """\
from types import SimpleNamespace
import numpy as np
import torch
import snnbd_core as sb
from snnbd_core import defenses as D, triggers, triggers as S
from snnbd_book import runs, figures
from snnbd_core.attacks.dynamic import Perturbation

torch.manual_seed(0)
SEED, DEVICE = 0, "cpu"
figures.stills = lambda *_: None  # these states are drawn when the book is built

def untrained(shape, weight=3.0):
    net = sb.networks.build("quick-conv", shape, 10, lambda: sb.LIF(beta=0.5), seed=0)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(weight)
    return net.eval()
"""
EVENTS = 'train, test = sb.data.load("digits-events", frames=8)\n'
STEALTHY = """\
from snnbd_book.drawings import stealthier_triggers as draw
clean, (others, _) = test[0][0], train.batch(np.arange(100))
fitted = Perturbation((2, 34, 34), gamma=0.05, rounded=False).eval()
"""
RUNS = """\
tiny = dict(data="digits", epochs=1, trigger=triggers.Patch(size=0.25))

def records(experiments):
    return [runs.run(one, device=DEVICE, progress=False) for one in experiments]
"""


@dataclass(frozen=True)
class Widget:
    """A widget: its chapter, what its cells hold, in order, and what stands in for the rest."""

    chapter: str
    cells: tuple[str, ...]
    instead: str
    sliders: int


WIDGETS = {
    "neuron": Widget("01", ("start = figures.State(", "figures.explore("), "", 3),
    "square": Widget(
        "03",
        ("def square(", "figures.stills(axes, square", "figures.sliders(axes, square"),
        EVENTS + STEALTHY,
        4,
    ),
    "gamma": Widget(
        "03",
        ("def bounded(", "figures.stills(gammas", "figures.sliders(gammas"),
        EVENTS + STEALTHY,
        1,
    ),
    "conversion": Widget(
        "04",
        ("def deployed(", "figures.sliders(chapter.DEPLOYED, deployed"),
        RUNS + "chapter = SimpleNamespace(DEPLOYED={'steps': [2, 4], 'threshold': [0.5, 1.0]})\n"
        "settings = {\n"
        "    T: {\n"
        "        at: records([runs.Experiment(frames=T, inference_threshold=at, **tiny)])\n"
        "        for at in chapter.DEPLOYED['threshold']\n"
        "    }\n"
        "    for T in chapter.DEPLOYED['steps']\n"
        "}\n",
        2,
    ),
    "threshold": Widget(
        "05",
        ("def shipped(", "figures.sliders(axes, shipped"),
        EVENTS + "from snnbd_book.drawings import badsnn_neurons as inside\n"
        "chapter = SimpleNamespace(TARGETS=(0, 3))\n"
        "TARGETS, index = (0, 3), 0\n"
        "(sample, label), net = test[index], untrained((2, 34, 34))\n"
        "attacked = {f'target {target}': net for target in TARGETS}\n"
        "neurons = {f'target {target}': target for target in TARGETS}\n",
        3,
    ),
    "times": Widget(
        "12",
        ("def moved(", "figures.sliders(axes, moved"),
        EVENTS
        + "from snnbd_book.drawings import stealthier_triggers\nrecording = test.events(0)\n",
        3,
    ),
    "bits": Widget(
        "13",
        ("def on_a_chip(", "figures.sliders(axes, on_a_chip"),
        EVENTS + "from snnbd_book.drawings import lesson\n"
        "from snnbd_core.deployment import LowBits\n"
        "index, shipped = 0, untrained((2, 34, 34))\n"
        "(frames, label), sample = test[index], triggers.Static()(test[index][0])\n",
        2,
    ),
    "repair": Widget(
        "09",
        ("def repaired(", "figures.sliders(chapter.TRIED, repaired"),
        RUNS + "chapter = SimpleNamespace(TRIED={'samples': [1, 5], 'share': [0.0, 0.9]})\n"
        "made = {\n"
        "    samples: {\n"
        "        share: records([runs.Experiment(\n"
        "            frames=2, held_out=samples, defence=D.FinePruning(share=share), **tiny\n"
        "        )])\n"
        "        for share in chapter.TRIED['share']\n"
        "    }\n"
        "    for samples in chapter.TRIED['samples']\n"
        "}\n"
        "runs = SimpleNamespace(group=lambda _: made)\n",
        2,
    ),
}

NOTEBOOK = "window.jupyterapp.shell.currentWidget.sessionContext"
# The widget that the notebook ends with, its sliders' handles, and its picture.
HANDLES = "[...document.querySelectorAll('.jp-OutputArea .widget-slider [role=slider]')]"
# A PNG, or the drawing itself where a widget draws SVG.
SHOWN = "document.querySelector('.jp-OutputArea .widget-html {}')?.{}"
PICTURE = f"({SHOWN.format('img', 'src')} || {SHOWN.format('svg', 'outerHTML')})"
# What a cell that failed or warned has printed.
FAILED = "document.querySelector('[data-mime-type$=error], [data-mime-type$=stderr]')?.innerText"


def chapters(project: Path) -> dict[str, list[str]]:
    """Number of a chapter -> the sources of its code cells."""
    return {
        path.name[:2]: [
            cell.source
            for cell in nbformat.read(path, as_version=4).cells
            if cell.cell_type == "code"
        ]
        for path in sorted((project / "notebooks").glob("*.ipynb"))
    }


def cells_of(widget: Widget, sources: list[str]) -> list[str]:
    """The widget's own cells out of its chapter's."""
    found = [[source for source in sources if piece in source] for piece in widget.cells]
    assert [len(group) for group in found] == [1] * len(found), widget
    return list(dict.fromkeys(group[0] for group in found))


def test_every_widget_of_the_book_is_tried(project: Path) -> None:
    in_book = chapters(project)
    there = {
        (chapter, source)
        for chapter, sources in in_book.items()
        for source in sources
        if WIDGET.search(source)
    }
    tried = {(one.chapter, cells_of(one, in_book[one.chapter])[-1]) for one in WIDGETS.values()}
    assert tried == there


@pytest.fixture(scope="module")
def lab(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a JupyterLab with one notebook for each widget."""
    if importlib.util.find_spec("jupyterlab") is None:
        pytest.skip("no jupyterlab beside this Python: it is the extra 'lab'")
    folder = tmp_path_factory.mktemp("lab")
    sources = chapters(project)
    for name, widget in WIDGETS.items():
        parts = [BEFORE + widget.instead, *cells_of(widget, sources[widget.chapter])]
        notebook = new_notebook(cells=[new_code_cell(part) for part in parts])
        notebook.metadata.kernelspec = {
            "name": "python3",
            "display_name": "Python 3",
            "language": "python",
        }
        nbformat.write(notebook, folder / f"{name}.ipynb")
    with served_lab(folder, project) as address:
        yield address


@contextmanager
def served_lab(folder: Path, project: Path) -> Iterator[str]:
    state = folder / ".state"
    state.mkdir()
    path = os.pathsep.join(filter(None, (str(project), os.environ.get("PYTHONPATH"))))
    environment = {
        **os.environ,
        "PYTHONPATH": path,
        "OMP_NUM_THREADS": "1",
        "JUPYTER_RUNTIME_DIR": str(state / "runtime"),
        "JUPYTER_CONFIG_DIR": str(state / "config"),
        "JUPYTER_DATA_DIR": str(state / "data"),
        "SNNBD_RESULTS": str(state / "results"),
    }
    with (state / "log").open("wb") as log:
        server = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "jupyterlab",
                "--no-browser",
                "--allow-root",
                "--ServerApp.port=0",
                "--IdentityProvider.token=",
                "--ServerApp.ip=127.0.0.1",
                "--LabApp.expose_app_in_browser=True",
                "--LabApp.news_url=None",
                f"--ServerApp.root_dir={folder}",
            ],
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=log,
        )
        try:
            yield listening(server, state)
        finally:
            server.terminate()
            server.wait(60)


def listening(server: subprocess.Popen[bytes], state: Path) -> str:
    """The server's address as soon as it answers there."""
    end = time.monotonic() + 120
    while time.monotonic() < end and server.poll() is None:
        for note in (state / "runtime").glob("jpserver-*.json"):
            address = json.loads(note.read_text(encoding="utf-8"))["url"].rstrip("/")
            try:
                with urlopen(f"{address}/api/status", timeout=10):
                    return str(address)
            except URLError:
                pass
        time.sleep(0.3)
    pytest.fail(f"JupyterLab does not answer: {(state / 'log').read_text(encoding='utf-8')}")


@pytest.fixture(scope="module")
def page(
    browser: str, lab: str, devtools: ModuleType, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    """JupyterLab in a browser; loading it takes longer than most of what is done there."""
    with devtools.Page(browser, tmp_path_factory.mktemp("browser") / "tab", f"{lab}/lab") as page:
        assert page.wait("window.jupyterapp?.commands.hasCommand('docmanager:open')", 120)
        yield page


@contextmanager
def opened(page: Any, name: str) -> Iterator[None]:
    """A notebook alone in JupyterLab, with a kernel of its own."""
    path = json.dumps(f"{name}.ipynb")
    page.evaluate(f"void window.jupyterapp.commands.execute('docmanager:open', {{path: {path}}})")
    here = f"window.jupyterapp.shell.currentWidget?.context?.path === {path}"
    assert page.wait(f"{here} && {NOTEBOOK}.session?.kernel?.status === 'idle'", 120), "no kernel"
    try:
        yield
    finally:
        page.evaluate(f"void {NOTEBOOK}.shutdown()")
        page.evaluate("window.jupyterapp.shell.currentWidget.dispose()")


@pytest.mark.slow
@pytest.mark.parametrize("name", WIDGETS)
def test_each_slider_changes_the_picture(name: str, page: Any) -> None:
    with opened(page, name):
        page.evaluate("void window.jupyterapp.commands.execute('notebook:run-all-cells')")
        shown = page.wait(f"{FAILED} || {PICTURE}", 180)
        assert shown, "no picture: has this JupyterLab the extension of ipywidgets?"
        assert shown.startswith(("data:image/png;base64,", "<svg")), shown
        count = page.evaluate(f"{HANDLES}.length")
        assert count == WIDGETS[name].sliders
        for slider in range(count):
            assert moved(page, slider), f"slider {slider} of {name} changes nothing"


def moved(page: Any, slider: int) -> bool:
    """Whether the picture changes while a slider goes to its end and back, key by key."""
    before = page.evaluate(PICTURE)
    page.evaluate(f"{HANDLES}[{slider}].focus()")
    for key in ["ArrowRight"] * 4 + ["ArrowLeft"] * 8:
        page.press(key)
        if page.wait(f"{PICTURE} !== {json.dumps(before)}", 10):
            return True
    return False
