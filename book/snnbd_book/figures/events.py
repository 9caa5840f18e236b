"""Pictures of what an event camera sees: frames, whole recordings, short animations.

Frames are [T, 2, H, W] with channel 0 = OFF and channel 1 = ON. Colours: see
:mod:`snnbd_book.figures.style`. A pixel shows which polarities occurred, not how often.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from html import escape
from string import Template
from typing import Any
from uuid import uuid4

import numpy as np
import torch
from IPython.display import HTML
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.image import imsave
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from snnbd_book.figures import style
from snnbd_book.figures.pages import address, as_html

Box = tuple[int, int, int, int]
"""A rectangle to point out: x and y of its top left pixel, width, height."""

_LEGEND = (("ON", style.ON), ("OFF", style.OFF), ("both", style.BOTH))


def polarity_image(frame: torch.Tensor | np.ndarray) -> np.ndarray:
    """Colour one frame by the polarities in each pixel.

    Args:
        frame: event counts [2, H, W]; any count above zero is shown.

    Returns:
        uint8 [H, W, 3]: white where nothing happened, else the colour of ON, OFF or both.

    Raises:
        ValueError: if the shape is not [2, H, W] or a count is negative or not finite.
    """
    counts = np.asarray(frame)
    if counts.ndim != 3 or counts.shape[0] != 2:
        raise ValueError(f"frame has shape {counts.shape}; allowed: (2, H, W)")
    if not np.all(np.isfinite(counts)) or counts.min(initial=0) < 0:
        raise ValueError("frame holds a negative or not finite count; allowed: numbers from 0 up")
    seen = counts > 0
    image: np.ndarray = _table()[seen[0] + 2 * seen[1].astype(np.intp)]
    return image


def draw_frames(
    frames: torch.Tensor | np.ndarray,
    titles: Sequence[str] | None = None,
    *,
    ncols: int = 3,
    box: Box | Sequence[Box | None] | None = None,
) -> Figure:
    """Draw T frames in a grid, read like a line of text.

    Args:
        frames: event counts [T, 2, H, W].
        titles: one for each frame; by default the number of the frame, counted from 0.
        ncols: frames in one row.
        box: rectangle to outline, the same in all frames or one (or None) for each frame.

    Raises:
        ValueError: if a shape does not fit, or titles or boxes are not one for each frame.
    """
    images = _images(frames)
    names = [f"t = {step}" for step in range(len(images))] if titles is None else list(titles)
    boxes = _boxes(box, len(images))
    if len(names) != len(images):
        raise ValueError(f"titles has {len(names)} entries; allowed: one for each {len(images)}")
    if ncols < 1:
        raise ValueError(f"ncols is {ncols}; allowed: 1 or more")
    columns = min(ncols, len(images))
    rows = -(-len(images) // columns)
    height, width = images[0].shape[:2]
    cell = style.WIDTH / max(columns, 3)
    figure = style.new_figure(rows * (cell * height / width + 0.22) + 0.35, columns * cell)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, image, name, outline in zip(grid, images, names, boxes, strict=False):
        _show(axes, image, name, outline)
    for axes in grid[len(images) :]:
        axes.set_axis_off()
    handles = [Patch(facecolor=colour, label=name) for name, colour in _LEGEND]
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure


def draw_recording(events: np.ndarray, sensor_size: tuple[int, int, int]) -> Figure:
    """Draw every event of a recording as a dot: in space and time, and column against time.

    Args:
        events: structured array with fields x, y, t (microseconds) and p.
        sensor_size: (width, height, 2), as in tonic.

    Raises:
        ValueError: if there are no events.
    """
    if len(events) == 0:
        raise ValueError("events is empty; allowed: a recording with at least one event")
    width, height, _ = sensor_size
    milliseconds = (events["t"] - events["t"][0]) / 1000
    colours = np.where(events["p"].astype(bool), style.ON, style.OFF)
    size = float(np.clip(4000 / len(events), 0.1, 3.0))
    figure = style.new_figure(3.6)
    # Fixed places: constrained layout does not see the labels of a 3-D axis and overlaps them.
    figure.set_layout_engine("none")
    cloud: Any = figure.add_axes((0.0, 0.12, 0.54, 0.8), projection="3d")
    cloud.scatter(milliseconds, events["x"], events["y"], c=colours, s=size, linewidths=0)
    cloud.set(xlabel="time (ms)", ylabel="x (px)", zlabel="y (px)", title="in space and time")
    cloud.set(ylim=(0, width), zlim=(height, 0))
    cloud.tick_params(labelsize=7, pad=0)
    cloud.set_box_aspect((1.6, 1, height / width), zoom=0.95)
    flat = figure.add_axes((0.65, 0.25, 0.33, 0.67))
    flat.scatter(milliseconds, events["x"], c=colours, s=size, linewidths=0, rasterized=True)
    flat.set(xlabel="time (ms)", ylabel="x (px)", ylim=(-0.5, width - 0.5), title="column by time")
    handles = [
        Line2D([], [], color=colour, marker="o", linestyle="", label=name)
        for name, colour in _LEGEND[:2]
    ]
    figure.legend(handles=handles, loc="lower center", ncols=2)
    return figure


def animate(
    frames: torch.Tensor | np.ndarray,
    *,
    alt: str,
    fps: float = 8,
    name: str | None = None,
    size: int = 272,
) -> HTML:
    """Play frames in the page itself, with nothing fetched from another host.

    The first frame is an ordinary picture with ``alt`` as its text, so it also shows without
    JavaScript. With it, the frames play in a loop, with a button to pause and a slider to step;
    for readers who asked their system for reduced motion, nothing moves before they press play.

    Args:
        frames: event counts [T, 2, H, W], or images uint8 [T, H, W, 3].
        alt: what is to be seen, in words, for readers who cannot see it.
        fps: frames in a second.
        name: of the element in its page, to be unique there; None makes one up.
        size: what its longer side has at most, in the page's pixels; each of the camera's is shown
            as the largest square of whole pixels that this allows.

    Raises:
        ValueError: if the shape does not fit, ``alt`` is blank or ``fps`` is not positive.
    """
    images = _images(frames)
    if not alt.strip():
        raise ValueError(f"alt is {alt!r}; allowed: a description of the animation in words")
    if not fps > 0:
        raise ValueError(f"fps is {fps}; allowed: a number above 0")
    height, width = images[0].shape[:2]
    scale = max(1, size // max(height, width))
    uris = [address(partial(imsave, arr=image, format="png")) for image in images]
    page = _PLAYER.substitute(
        id=name or f"animation-{uuid4().hex}",
        alt=escape(alt, quote=True),
        first=uris[0],
        uris=",".join(f'"{uri}"' for uri in uris),
        width=width * scale,
        height=height * scale,
        last=len(uris) - 1,
        count=len(uris),
        wait=round(1000 / fps),
    )
    return as_html(page)


def _table() -> np.ndarray:
    """Return the colours by (OFF seen) + 2 * (ON seen), uint8 [4, 3]."""
    colours = (style.EMPTY, style.OFF, style.ON, style.BOTH)
    return np.array([[round(255 * part) for part in to_rgb(one)] for one in colours], np.uint8)


def _images(frames: torch.Tensor | np.ndarray) -> list[np.ndarray]:
    counts = np.asarray(frames)
    if counts.ndim == 4 and len(counts) and counts.shape[3] == 3 and counts.dtype == np.uint8:
        return list(counts)
    if counts.ndim != 4 or counts.shape[0] < 1 or counts.shape[1] != 2:
        raise ValueError(f"frames has shape {counts.shape}; allowed: (T, 2, H, W), T 1 or more")
    return [polarity_image(frame) for frame in counts]


def _boxes(box: Box | Sequence[Box | None] | None, count: int) -> list[Box | None]:
    if box is None:
        return [None] * count
    parts: list[Any] = list(box)
    if len(parts) == 4 and all(isinstance(part, (int, np.integer)) for part in parts):
        return [(parts[0], parts[1], parts[2], parts[3])] * count
    if len(parts) != count:
        raise ValueError(f"box has {len(parts)} entries; allowed: one box, or {count} of them")
    return parts


def _show(axes: Axes, image: np.ndarray, title: str, box: Box | None) -> None:
    axes.imshow(image, interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    axes.set_title(title, fontsize=8)
    axes.spines[["top", "right"]].set_visible(True)
    if box is not None:
        x, y, width, height = box
        outline = Rectangle((x - 0.5, y - 0.5), width, height, fill=False, linewidth=1.5)
        outline.set(edgecolor=style.MARK, clip_on=False)
        axes.add_patch(outline)


_PLAYER = Template("""
<div id="$id" class="snnbd-animation" role="group" aria-label="animation">
<img src="$first" alt="$alt" width="$width" height="$height"
 style="image-rendering: pixelated; border: 1px solid #888; background: #fff; max-width: 100%">
<div class="controls" style="display: none">
<button type="button" aria-label="play or pause the animation">Play</button>
<input type="range" min="0" max="$last" value="0" aria-label="frame to show">
<span>frame 1 of $count</span>
</div>
<script>
(() => {
  const root = document.getElementById("$id");
  if (!root) return;
  const frames = [$uris];
  const [picture, button, slider, label] =
    ["img", "button", "input", "span"].map((name) => root.querySelector(name));
  let timer = null;
  const show = (index) => {
    picture.src = frames[index];
    slider.value = index;
    label.textContent = "frame " + (index + 1) + " of " + frames.length;
  };
  const pause = () => { clearInterval(timer); timer = null; button.textContent = "Play"; };
  const play = () => {
    timer = setInterval(() => show((Number(slider.value) + 1) % frames.length), $wait);
    button.textContent = "Pause";
  };
  button.addEventListener("click", () => (timer === null ? play() : pause()));
  slider.addEventListener("input", () => { pause(); show(Number(slider.value)); });
  root.querySelector(".controls").style.display = "";
  if (!window.matchMedia("(prefers-reduced-motion: reduce)").matches) play();
})();
</script>
</div>
""")
