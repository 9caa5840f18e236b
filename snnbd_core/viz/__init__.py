"""Figures, animations and widgets, and what carries values from a cell into the text."""

from __future__ import annotations

from snnbd_core.viz.answers import draw_confusion, draw_losses
from snnbd_core.viz.attacks import patch_boxes, report_table
from snnbd_core.viz.badsnn import (
    draw_answers,
    draw_images,
    draw_layer_rates,
    draw_thresholds,
    draw_traces,
    most_changed,
    targets_table,
    thresholds_table,
)
from snnbd_core.viz.bounded import scored_bounded, shaded_image
from snnbd_core.viz.claims import (
    claims_table,
    compare,
    draw_claims,
    draw_rates,
    kept_note,
    verdict,
)
from snnbd_core.viz.conventions import run_conventions, run_leaky, spike_table
from snnbd_core.viz.defences import (
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
from snnbd_core.viz.detecting import (
    draw_by_level,
    draw_cards,
    draw_clusters,
    draw_features,
    draw_masks,
    draw_scores,
    draw_verdicts,
    pool_scores,
)
from snnbd_core.viz.events import animate, draw_frames, draw_recording, polarity_image
from snnbd_core.viz.explorer import State, explore, explore_offline
from snnbd_core.viz.glue import glue
from snnbd_core.viz.layers import draw_layers, record_spikes
from snnbd_core.viz.neurons import draw_comparison, draw_curves, draw_neuron
from snnbd_core.viz.repairs import (
    changed_rates,
    draw_attention,
    draw_channels,
    draw_clamps,
    draw_gaps,
    draw_isolated,
    draw_strengths,
)
from snnbd_core.viz.rules import (
    cost_table,
    dense_operations,
    draw_bars,
    draw_figures,
    draw_migration,
    draw_pipeline,
    draw_rates_of_conversion,
    rules_table,
)
from snnbd_core.viz.stills import draw_states, sliders, stills
from snnbd_core.viz.style import use_style
from snnbd_core.viz.timings import draw_timings
from snnbd_core.viz.triggers import (
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
