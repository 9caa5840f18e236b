"""A glued value is found by the book's builder."""

from __future__ import annotations

from typing import Any

import nbformat
import pytest
from IPython.core.displaypub import CapturingDisplayPublisher
from IPython.core.interactiveshell import InteractiveShell

from snnbd_book.figures import glue


@pytest.fixture
def outputs() -> Any:
    """What cells display while the test runs."""
    shell = InteractiveShell.instance()
    kept, shell.display_pub = shell.display_pub, CapturingDisplayPublisher()
    yield shell.display_pub.outputs
    shell.display_pub = kept
    InteractiveShell.clear_instance()


def test_a_glued_value_is_read_back_by_myst_nb(outputs: Any) -> None:
    extract = pytest.importorskip("myst_nb.ext.glue").extract_glue_data_cell
    glue("accuracy", 97.25)
    cell = nbformat.v4.new_code_cell(
        outputs=[
            nbformat.v4.new_output(
                "display_data", outputs[0]["data"], metadata=outputs[0]["metadata"]
            )
        ]
    )
    ((name, found),) = extract(cell)
    assert name == "accuracy"
    assert found.data["text/plain"] == "97.25"


def test_a_glued_value_is_not_shown_in_the_notebook(outputs: Any) -> None:
    glue("accuracy", 97.25)
    assert all(kind.startswith("application/papermill.record/") for kind in outputs[0]["data"])


def test_a_blank_name_is_refused() -> None:
    with pytest.raises(ValueError, match="name is ' '; allowed"):
        glue(" ", 1.0)
