"""What goes into a page as HTML: whole elements, and pictures as addresses that hold them."""

from __future__ import annotations

import io
from base64 import b64encode
from collections.abc import Callable

from IPython.display import HTML

as_html: Callable[[str], HTML] = HTML  # IPython has no type hints; this gives it ours


def address(write: Callable[[io.BytesIO], object]) -> str:
    """A picture as an address; ``write`` puts it as PNG into a buffer."""
    buffer = io.BytesIO()
    write(buffer)
    return f"data:image/png;base64,{b64encode(buffer.getvalue()).decode('ascii')}"
