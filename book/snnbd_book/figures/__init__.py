"""Figures, animations and widgets, and what carries values from a cell into the text."""

from __future__ import annotations

from snnbd_book.figures.answers import draw_confusion
from snnbd_book.figures.bars import draw_bars, draw_figures
from snnbd_book.figures.defences import accused_table, costs_table
from snnbd_book.figures.detecting import draw_scores, draw_verdicts, pool_scores
from snnbd_book.figures.events import animate, draw_frames, draw_recording, polarity_image
from snnbd_book.figures.explorer import State, explore, explore_offline
from snnbd_book.figures.glue import glue
from snnbd_book.figures.maps import (
    areas_of_networks,
    draw_map,
    draw_stacked,
    effectiveness_of,
    figures_of,
    show_map,
    turned,
)
from snnbd_book.figures.neurons import draw_comparison, draw_curves, draw_neuron
from snnbd_book.figures.pictures import draw_rows
from snnbd_book.figures.rates import draw_rates
from snnbd_book.figures.stills import draw_states, sliders, stills
from snnbd_book.figures.style import use_style
from snnbd_book.figures.thresholds import draw_thresholds
from snnbd_book.figures.timings import draw_timings

__all__ = [
    "State",
    "accused_table",
    "animate",
    "areas_of_networks",
    "costs_table",
    "draw_bars",
    "draw_comparison",
    "draw_confusion",
    "draw_curves",
    "draw_figures",
    "draw_frames",
    "draw_map",
    "draw_neuron",
    "draw_rates",
    "draw_recording",
    "draw_rows",
    "draw_scores",
    "draw_stacked",
    "draw_states",
    "draw_thresholds",
    "draw_timings",
    "draw_verdicts",
    "effectiveness_of",
    "explore",
    "explore_offline",
    "figures_of",
    "glue",
    "polarity_image",
    "pool_scores",
    "show_map",
    "sliders",
    "stills",
    "turned",
    "use_style",
]
