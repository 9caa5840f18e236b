"""The prose check finds a fault in a text; what only code writes so is no fault."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ALONE = {"HOME": os.devnull, "XDG_CONFIG_HOME": os.devnull}  # settings of a user's own count too
CODE = """\
# A chapter

```{code-cell} ipython3
colour, rest = spikes[0, ...], "the color" != "colour"
```
"""


def check(project: Path, text: Path) -> subprocess.CompletedProcess[str]:
    """What proselint says of a text with the project's settings."""
    return subprocess.run(
        [sys.executable, "-m", "proselint", "check", text],
        cwd=project,
        env=os.environ | ALONE,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_planted_fault_is_found_also_over_the_end_of_a_line(
    project: Path, tmp_path: Path
) -> None:
    text = tmp_path / "page.md"
    text.write_text("# A page\n\nThe spikes leave the\nthe layer.\n", encoding="utf-8")
    result = check(project, text)
    assert result.returncode == 1
    assert "lexical_illusions" in result.stdout


def test_what_the_settings_leave_to_code_is_no_fault(project: Path, tmp_path: Path) -> None:
    text = tmp_path / "page.md"
    text.write_text(CODE, encoding="utf-8")
    result = check(project, text)
    assert (result.returncode, result.stdout) == (0, "")
