"""Event pictures: known pixels have the colours of the poster's Figure 1."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from matplotlib.collections import PathCollection
from matplotlib.colors import to_rgb
from matplotlib.image import imread
from matplotlib.patches import Rectangle
from skimage.color import deltaE_ciede2000, rgb2lab

from snnbd_book.figures import animate, draw_frames, draw_recording, polarity_image, style

WHITE, OFF, ON, BOTH = (
    np.round(255 * np.array(to_rgb(colour)))
    for colour in (style.EMPTY, style.OFF, style.ON, style.BOTH)
)

# Machado, Oliveira, Fernandes 2009, severity 1.0, for linear RGB.
DEFICIENCIES = {
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


class Tags(HTMLParser):
    """All tags of a page with their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def named(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.found if tag == name]


def one_of_each() -> torch.Tensor:
    """Three frames [3, 2, 2, 4]; in the first, the top row is: nothing, OFF, ON, both."""
    frames = torch.zeros(3, 2, 2, 4)
    frames[0, 0, 0, 1] = 3
    frames[0, 1, 0, 2] = 1
    frames[0, :, 0, 3] = 2
    return frames


def recording() -> np.ndarray:
    kind = np.dtype([("x", "<i2"), ("y", "<i2"), ("t", "<i8"), ("p", "?")])
    return np.array([(1, 2, 1000, True), (3, 4, 2000, False), (5, 6, 301000, True)], dtype=kind)


def test_each_combination_of_polarities_has_its_colour() -> None:
    image = polarity_image(one_of_each()[0])
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image[0], [WHITE, OFF, ON, BOTH])
    np.testing.assert_array_equal(image[1], [WHITE] * 4)


def test_channel_0_is_off_and_dark_blue_and_channel_1_is_on_and_green() -> None:
    _, off, on, both = polarity_image(one_of_each()[0])[0].astype(int)
    assert off.argmax() == 2 and off.sum() < 200
    assert on.argmax() == 1
    assert both.argmax() == 2 and both.sum() > 400


@pytest.mark.parametrize("sight", ["normal", *DEFICIENCIES])
def test_the_colours_stay_apart_for_readers_with_a_colour_vision_deficiency(sight: str) -> None:
    seen = np.array([WHITE, OFF, ON, BOTH]) / 255
    if sight in DEFICIENCIES:
        linear = np.where(seen > 0.04045, ((seen + 0.055) / 1.055) ** 2.4, seen / 12.92)
        linear = np.clip(linear @ np.array(DEFICIENCIES[sight]).T, 0, 1)
        seen = np.where(linear > 0.0031308, 1.055 * linear ** (1 / 2.4) - 0.055, 12.92 * linear)
    lab = rgb2lab(seen[None])[0]
    pairs = [(a, b) for a in range(4) for b in range(a)]
    assert min(float(deltaE_ciede2000(lab[a], lab[b])) for a, b in pairs) > 20


def test_drawn_frames_show_the_polarity_images_in_reading_order() -> None:
    frames = one_of_each()
    figure = draw_frames(frames, ncols=2)
    shown = [axes for axes in figure.axes if axes.images]
    assert [axes.get_title() for axes in shown] == ["t = 0", "t = 1", "t = 2"]
    for axes, frame in zip(shown, frames, strict=True):
        np.testing.assert_array_equal(axes.images[0].get_array(), polarity_image(frame))
    assert len({axes.get_position().y0 for axes in shown}) == 2


def test_drawn_frames_are_saved_in_those_colours() -> None:
    buffer = io.BytesIO()
    frame = torch.zeros(1, 2, 2, 2)
    frame[0, 0, :, 0] = 1
    frame[0, 1, :, 1] = 1
    draw_frames(frame).savefig(buffer, format="png")
    buffer.seek(0)
    pixels = np.round(255 * imread(buffer)[..., :3]).reshape(-1, 3)
    for colour in (OFF, ON):
        assert (pixels == colour).all(axis=1).sum() > 1000


def test_a_box_outlines_whole_pixels_in_the_frames_it_is_given_for() -> None:
    figure = draw_frames(one_of_each(), box=[None, (1, 0, 2, 2), None])
    boxes = [axes.patches for axes in figure.axes]
    assert [len(found) for found in boxes] == [0, 1, 0]
    outline = boxes[1][0]
    assert isinstance(outline, Rectangle)
    # The centre of a pixel has whole coordinates, so its edges lie at halves.
    assert outline.get_xy() == (0.5, -0.5)
    assert (outline.get_width(), outline.get_height()) == (2, 2)


def test_one_box_is_drawn_in_every_frame() -> None:
    figure = draw_frames(one_of_each(), box=(1, 0, 2, 2))
    assert [len(axes.patches) for axes in figure.axes] == [1, 1, 1]


def test_a_recording_shows_every_event_in_milliseconds_from_its_first() -> None:
    figure = draw_recording(recording(), (34, 34, 2))
    flat = figure.axes[1]
    dots = flat.collections[0]
    assert isinstance(dots, PathCollection)
    np.testing.assert_allclose(dots.get_offsets(), [[0, 1], [1, 3], [300, 5]])
    colours = np.round(255 * dots.get_facecolors()[:, :3])
    np.testing.assert_array_equal(colours, [ON, OFF, ON])


def test_an_animation_carries_all_frames_and_nothing_from_another_host() -> None:
    page = animate(one_of_each(), alt="a square", fps=4).data
    uris = re.search(r"const frames = \[(.*?)\];", page, re.DOTALL)
    assert uris is not None
    pictures = [decoded(uri) for uri in json.loads(f"[{uris[1]}]")]
    assert len(pictures) == 3
    np.testing.assert_array_equal(pictures[0], polarity_image(one_of_each()[0]))
    assert not re.search(r"https?:|(src|href)=.//", page)
    assert "setInterval" in page and ", 250)" in page  # milliseconds at 4 frames a second


def test_an_animation_is_a_picture_with_alternative_text_without_javascript() -> None:
    tags = Tags(animate(one_of_each(), alt='a "square" <b> of light').data)
    (image,) = tags.named("img")
    assert image["alt"] == 'a "square" <b> of light'
    assert not tags.named("b")
    np.testing.assert_array_equal(decoded(image["src"] or ""), polarity_image(one_of_each()[0]))


@pytest.mark.parametrize(("size", "width"), [(272, 272), (275, 272), (8, 8), (1, 4)])
def test_an_animation_shows_the_cameras_pixels_as_whole_squares(size: int, width: int) -> None:
    page = animate(one_of_each(), alt="a square", size=size).data
    (image,) = Tags(page).named("img")
    assert (image["width"], image["height"]) == (str(width), str(width // 2))


def test_an_animation_can_be_paused_and_waits_for_readers_who_want_no_motion() -> None:
    page = animate(one_of_each(), alt="a square").data
    assert len(Tags(page).named("button")) == 1
    assert "prefers-reduced-motion: reduce" in page


def test_two_animations_on_one_page_do_not_share_an_id() -> None:
    pages = [animate(one_of_each(), alt="a square").data for _ in range(2)]
    assert len({Tags(page).named("div")[0]["id"] for page in pages}) == 2


def test_drawing_leaves_the_frames_as_they_were() -> None:
    frames = one_of_each()
    before = frames.clone()
    draw_frames(frames)
    animate(frames, alt="a square")
    assert torch.equal(frames, before)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda f: polarity_image(f), r"frame has shape \(3, 2, 2, 4\); allowed: \(2, H, W\)"),
        (lambda f: polarity_image(-f[0]), "negative or not finite count"),
        (lambda f: polarity_image(f[0] / 0), "negative or not finite count"),
        (lambda f: draw_frames(f[0]), r"frames has shape \(2, 2, 4\); allowed: \(T, 2, H, W\)"),
        (lambda f: draw_frames(f[:0]), "T 1 or more"),
        (lambda f: draw_frames(f, titles=["a"]), "titles has 1 entries; allowed: one for each 3"),
        (lambda f: draw_frames(f, ncols=0), "ncols is 0; allowed: 1 or more"),
        (lambda f: draw_frames(f, box=[None]), "box has 1 entries; allowed: one box, or 3"),
        (lambda f: animate(f, alt=" "), "alt is ' '; allowed: a description"),
        (lambda f: animate(f, alt="a", fps=0), "fps is 0; allowed: a number above 0"),
        (lambda f: draw_recording(recording()[:0], (34, 34, 2)), "events is empty"),
    ],
)
def test_bad_input_is_named(call: Callable[[torch.Tensor], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(one_of_each())


def decoded(uri: str) -> np.ndarray:
    kind, content = uri.split(",")
    assert kind == "data:image/png;base64"
    return np.round(255 * imread(io.BytesIO(base64.b64decode(content)))[..., :3]).astype(np.uint8)
