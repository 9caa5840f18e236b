"""Figures, animations and widgets, and what carries values from a cell into the text."""

from __future__ import annotations

from snnbd_book.figures.answers import draw_confusion, draw_losses
from snnbd_book.figures.attacks import patch_boxes, report_table
from snnbd_book.figures.badsnn import (
    draw_answers,
    draw_images,
    draw_layer_rates,
    draw_thresholds,
    draw_traces,
    most_changed,
    targets_table,
    thresholds_table,
)
from snnbd_book.figures.bounded import scored_bounded, shaded_image
from snnbd_book.figures.claims import (
    claims_table,
    compare,
    draw_claims,
    draw_rates,
    kept_note,
    verdict,
)
from snnbd_book.figures.conventions import run_conventions, run_leaky, spike_table
from snnbd_book.figures.defences import (
    accused_table,
    areas_table,
    costs_table,
    draw_activity_change,
    draw_repairs,
    draw_rocs,
    effectiveness_table,
    figure_table,
    pooled_curves,
    verdicts_table,
)
from snnbd_book.figures.detecting import (
    draw_by_level,
    draw_cards,
    draw_clusters,
    draw_features,
    draw_masks,
    draw_scores,
    draw_verdicts,
    pool_scores,
)
from snnbd_book.figures.events import animate, draw_frames, draw_recording, polarity_image
from snnbd_book.figures.explorer import State, explore, explore_offline
from snnbd_book.figures.glue import glue
from snnbd_book.figures.layers import draw_layers, record_spikes
from snnbd_book.figures.neurons import draw_comparison, draw_curves, draw_neuron
from snnbd_book.figures.repairs import (
    changed_rates,
    draw_attention,
    draw_channels,
    draw_clamps,
    draw_gaps,
    draw_isolated,
    draw_strengths,
)
from snnbd_book.figures.rules import (
    cost_table,
    dense_operations,
    draw_bars,
    draw_figures,
    draw_migration,
    draw_pipeline,
    draw_rates_of_conversion,
    rules_table,
)
from snnbd_book.figures.stills import draw_states, sliders, stills
from snnbd_book.figures.style import use_style
from snnbd_book.figures.timings import draw_timings
from snnbd_book.figures.triggers import (
    draw_frontier,
    draw_time_position,
    draw_triggers,
    draw_varied,
    scored,
    stealth_table,
)

__all__ = [
    "State",
    "accused_table",
    "animate",
    "areas_table",
    "changed_rates",
    "claims_table",
    "compare",
    "cost_table",
    "costs_table",
    "dense_operations",
    "draw_activity_change",
    "draw_answers",
    "draw_attention",
    "draw_bars",
    "draw_by_level",
    "draw_cards",
    "draw_channels",
    "draw_claims",
    "draw_clamps",
    "draw_clusters",
    "draw_comparison",
    "draw_confusion",
    "draw_curves",
    "draw_features",
    "draw_figures",
    "draw_frames",
    "draw_frontier",
    "draw_gaps",
    "draw_images",
    "draw_isolated",
    "draw_layer_rates",
    "draw_layers",
    "draw_losses",
    "draw_masks",
    "draw_migration",
    "draw_neuron",
    "draw_pipeline",
    "draw_rates",
    "draw_rates_of_conversion",
    "draw_recording",
    "draw_repairs",
    "draw_rocs",
    "draw_scores",
    "draw_states",
    "draw_strengths",
    "draw_thresholds",
    "draw_time_position",
    "draw_timings",
    "draw_traces",
    "draw_triggers",
    "draw_varied",
    "draw_verdicts",
    "effectiveness_table",
    "explore",
    "explore_offline",
    "figure_table",
    "glue",
    "kept_note",
    "most_changed",
    "patch_boxes",
    "polarity_image",
    "pool_scores",
    "pooled_curves",
    "record_spikes",
    "report_table",
    "rules_table",
    "run_conventions",
    "run_leaky",
    "scored",
    "scored_bounded",
    "shaded_image",
    "sliders",
    "spike_table",
    "stealth_table",
    "stills",
    "targets_table",
    "thresholds_table",
    "use_style",
    "verdict",
    "verdicts_table",
]
