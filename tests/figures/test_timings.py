"""Bars of measured times are as long as they were, and the floor is where a copy would be."""

from __future__ import annotations

from matplotlib.colors import to_hex

from snnbd_book import figures
from snnbd_book.figures import style


def times(median: float) -> dict[str, float]:
    return {"median": median, "q1": 0.9 * median, "q3": 1.2 * median, "runs": 20}


LAYER = {
    "shape": [16, 64, 1024],
    "copies": {"forward": 1.0, "forward_backward": 2.5},
    "forward": {
        "snnbd": times(2.0),
        "other": times(30.0),
        "copy": times(1.0),
        "Linear": times(9.0),
    },
    "forward_backward": {
        "other": times(50.0),
        "snnbd": times(4.0),
        "copy": times(1.2),
        "empty call": times(0.1),
    },
}


def test_each_workload_has_a_panel_with_its_times_and_floor() -> None:
    step = {"step": {"snnbd": times(7.0)}}
    half = {"step": {"snnbd": times(6.0), "snnbd, bf16": times(5.0)}}
    picture = figures.draw_timings({"lif": [LAYER], "training": step, "vgg16": half})
    forward, both, step, deep = picture.axes
    assert [label.get_text() for label in both.get_yticklabels()] == ["other", "snnbd"]
    assert [bar.get_width() for bar in both.patches] == [50.0, 4.0]
    assert [to_hex(bar.get_facecolor()) for bar in both.patches] == [style.CURRENT, style.POTENTIAL]
    assert [bar.get_width() for bar in forward.patches] == [30.0, 2.0]  # no bar of the dense layer
    floors = [list(axes.lines[-1].get_xdata()) for axes in (forward, both)]
    assert floors == [[1.0, 1.0], [3.0, 3.0]]
    assert "T=16, B=64, N=1024" in forward.get_title()
    assert [bar.get_width() for bar in step.patches] == [7.0]
    assert [bar.get_width() for bar in deep.patches] == [6.0, 5.0]
    assert {to_hex(bar.get_facecolor()) for bar in deep.patches} == {style.POTENTIAL}
