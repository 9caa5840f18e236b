"""The generated page *Performance*: what the committed benchmarks measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from matplotlib import rc_context

from snnbd_book import figures
from snnbd_book.build.settings import Book

PAGE = "book/performance"
PICTURE = "performance.svg"
_RESULTS = "benchmarks/results/neurons.json"
_BY_DEFAULT = "benchmarks/results/neurons_default_memory.json"
_DUAL = "benchmarks/results/dual_spike.json"
_PRECISION = "benchmarks/results/precision.json"
_QUICK = "benchmarks/results/quick_run.json"
_OURS = "snnbd"
_HEAD = """# Performance

How long a layer of neurons, a training step and a trigger take beside other libraries: medians of
{runs} runs or more, all libraries in one process by turns, after it was asserted that they give the
same spikes. `make bench` measures again; `benchmarks/README.md` says how. Ratios are what counts,
for they were taken on one machine: {processor}, {threads} threads, Python {python}, {versions}.

*Against ours* is a time divided by that of `snnbd`. A *copy* reads a tensor of the layer's size and
writes one, the least that a forward pass has to move. Forward and backward together have to move at
least two and a half times as much. *Linear* is the product of the dense layer before, which the
times of the layers leave out. An *empty call* is what autograd takes to call a function that does
nothing, forward and backward; small layers wait for it too.

Where a name says *bf16*, convolutions and dense layers compute in bfloat16 (`torch.autocast`), and
what goes between layers is held so. How much faster that is depends on the processor: those with
AMX multiply several times as fast in bfloat16, others hardly faster or slower than in float32.
Training takes bf16 by itself where there is AMX (`precision="auto"`). *Compiled* is our network
under `torch.compile`, which takes all of it as one graph and is no faster here.

All are measured in a process that keeps freed memory. Training with `snnbd` does that by itself
(`snnbd_core.kernels.memory`; `SNNBD_KEEP_MEMORY=0` opts out); it helps the others too.

"""
_FIGURE = f"""```{{figure}} {PICTURE}
---
name: fig-performance
alt: Bars of the times in the tables below, a panel for each, with a line where a copy would be.
target: ../_images/{PICTURE}
---
Median time of a run (bars; whiskers: quartiles) of `snnbd` (blue) and the others (grey). The dashed
line is the time that a copy of as many bytes takes as must be moved. Shorter is better.
```

"""
_DEFAULT = """## With memory as it is by default

The same with `SNNBD_KEEP_MEMORY=0`, for all, on {processor}: what a program sees that sets nothing.
Each large tensor is then fresh memory from the system, and the fewer a library makes, the less it
waits. How long that takes is the machine's affair; on a virtual one, as here, it can be most of the
time.

"""
_PASSES = """## Dual-spike learning in one pass and in two

BadSNN's training looks at each batch with nominal and at a few samples with malicious neurons. With
a threshold for each sample both go through the network in one pass. Trainings of the quick profile,
{epochs} epochs, {rounds} of each kind by turns, with one thread on {processor}; median and
quartiles.

"""
_EQUAL = """## Networks trained in bf16

Whether they are as good: the networks of the profiles quick and sample, trained on poisoned data
from {seeds} seeds in both precisions on {processor}. The difference is that of the means, bf16
less float32, with its 90 % interval; both are equivalent where two one-sided t-tests on the pairs
of a seed place it within the margin, two standard deviations of float32 over the seeds but at least
one percentage point, which was fixed in advance.

"""
_RUN = """## A run of the quick profile

Where the time of a whole run goes: training, evaluating and, with a trigger, poisoning and stealth.
Medians of {rounds} runs in a process that has run before, in seconds of the processor ({processor},
one thread). *Other* is the share that is not the network's forward pass, the loss, the backward
pass or the optimiser: data, trigger, metrics and records.

"""
_FRESH = """A fresh process takes {first:.2f} s to the first spikes of a layer whose kernel is
compiled already, for it loads the machine code without numba, and a worker of a sweep
{worker:.1f} s until its first small run is done.

"""
_NOTHING = "# Performance\n\nNo measurement is committed yet: `make bench` makes one.\n"
_STEPS = (("training", "nmnist-conv"), ("vgg16", "VGG-16"))
_LAYERS = (("lif", "A layer of neurons alone"), ("linear", "The layer after a dense one"))


def write(book: Book, folder: Path) -> None:
    """Writes the page into the staged book, with its picture; without results it says so."""
    measured = book.root / _RESULTS
    if measured.is_file():
        picture = figures.draw_timings(json.loads(measured.read_text(encoding="utf-8")))
        # The same file each time, or the book would be rendered again.
        with rc_context({"svg.hashsalt": PICTURE}):
            picture.savefig((folder / PAGE).with_name(PICTURE), metadata={"Date": None})
    parts = [
        make(json.loads((book.root / source).read_text(encoding="utf-8")))
        for source, make in (
            (_RESULTS, page),
            (_BY_DEFAULT, by_default),
            (_DUAL, dual_spike),
            (_PRECISION, precision),
            (_QUICK, quick_run),
        )
        if (book.root / source).is_file()
    ]
    text = "".join(parts) or _NOTHING
    (folder / PAGE).with_suffix(".md").write_text(text, encoding="utf-8")


def page(results: dict[str, Any]) -> str:
    """Markdown of the measured workloads.

    Args:
        results: what ``benchmarks.neurons`` wrote.
    """
    machine = results["machine"]
    versions = ", ".join(f"{name} {of}" for name, of in machine["versions"].items() if of)
    head = _HEAD.format(
        runs=_fewest(results),
        processor=machine["processor"],
        threads=machine["threads"],
        python=machine["python"],
        versions=versions,
    )
    text = head + _FIGURE + _networks(results, "##")
    if "poisoning" in results:
        text += f"## Triggers on {results['poisoning']['recordings']} recordings\n\n"
        text += _poisoning(results["poisoning"])
    return text


def by_default(results: dict[str, Any]) -> str:
    """Markdown of the workloads that were measured with ``SNNBD_KEEP_MEMORY=0``."""
    head = _DEFAULT.format(processor=results["machine"]["processor"])
    return head + _networks(results, "###")


def dual_spike(results: dict[str, Any]) -> str:
    """Markdown of what ``benchmarks.dual_spike`` wrote."""
    times = results["training"]
    rows = [["passes", "a training (s)", "quartiles", "against one pass"]]
    for name, of in times.items():
        low, median, high = (of[part] / 1e3 for part in ("q1", "median", "q3"))
        ratio = of["median"] / times["one"]["median"]
        rows.append([name, f"{median:.2f}", f"{low:.2f} to {high:.2f}", f"{ratio:.2f}"])
    head = _PASSES.format(
        epochs=results["epochs"],
        rounds=times["one"]["runs"],
        processor=results["machine"]["processor"],
    )
    return head + _markdown(rows)


def precision(results: dict[str, Any]) -> str:
    """Markdown of what ``benchmarks.precision`` wrote."""
    rows = [["data", "measure", "float32", "difference", "90 % interval", "margin", "equivalent"]]
    for data, measures in results["sets"].items():
        for name, of in measures.items():
            mean = sum(of["float32"]) / len(of["float32"])
            low, high = of["interval"]
            cells = [f"{mean:.1%}", f"{of['difference']:+.2%}", f"{low:+.2%} to {high:+.2%}"]
            verdict = "yes" if of["equivalent"] else "not shown"
            rows.append([data, name.replace("_", " "), *cells, f"{of['margin']:.2%}", verdict])
    head = _EQUAL.format(seeds=len(of["float32"]), processor=results["machine"]["processor"])
    return head + _markdown(rows)


def quick_run(results: dict[str, Any]) -> str:
    """Markdown of what ``benchmarks.quick_run`` wrote."""
    parts = ("forward", "loss", "backward", "optimiser", "all")
    rows = [["run", *(f"{part} (s)" for part in parts), "other"]]
    for name, of in results["runs"].items():
        rows.append([name, *(f"{of[part]:.2f}" for part in parts), f"{of['other']:.0%}"])
    head = _RUN.format(rounds=results["rounds"], processor=results["machine"]["processor"])
    fresh = _FRESH.format(first=results["first_forward"], worker=results["sweep_start"])
    return head + _markdown(rows) + fresh


def _networks(results: dict[str, Any], level: str) -> str:
    """A table for each layer and for each training step, where they were measured."""
    parts = []
    for name, title in _LAYERS:
        for result in results.get(name, []):
            steps, batch, neurons = result["shape"]
            parts.append(f"{level} {title}: T = {steps}, B = {batch}, N = {neurons}\n\n")
            parts.append(_layer(result))
    for name, title in _STEPS:
        if name in results:
            parts.append(f"{level} A training step of {title}\n\n")
            parts.append(_table({"step": results[name]["step"]}, results[name]))
    return "".join(parts)


def _layer(result: dict[str, Any]) -> str:
    measures = {"forward": result["forward"], "forward + backward": result["forward_backward"]}
    return _table(measures, result)


def _table(measures: dict[str, dict[str, Any]], result: dict[str, Any]) -> str:
    """A row for each library: times, how many times ours, peak memory."""
    peaks = result.get("peak_memory") or {}
    head = ["library"]
    for name in measures:
        head += [f"{name} (ms)", "against ours"]
    rows = [[*head, "peak memory (MiB)"]]
    libraries = dict.fromkeys(name for times in measures.values() for name in times)
    for library in sorted(libraries, key=lambda name: not name.startswith(_OURS)):
        cells = [library]
        for times in measures.values():
            cells += _against_ours(times, library)
        peak = peaks.get(library)
        rows.append([*cells, "-" if peak is None else f"{peak / 2**20:.0f}"])
    return _markdown(rows)


def _against_ours(times: dict[str, Any], library: str) -> list[str]:
    """Milliseconds and the ratio to ours; "-" for what has no such pass, as the dense layer."""
    if library not in times:
        return ["-", "-"]
    median = times[library]["median"]
    return [f"{median:.2f}", f"{median / times[_OURS]['median']:.2f}"]


def _poisoning(result: dict[str, Any]) -> str:
    rows = [["trigger", "time (ms)", "million events a second"]]
    for name, times in result["run"].items():
        rate = result["events_per_second"][name] / 1e6
        rows.append([name, f"{times['median']:.0f}", f"{rate:.1f}"])
    return _markdown(rows)


def _markdown(rows: list[list[str]]) -> str:
    lines = [rows[0], ["---"] + ["---:"] * (len(rows[0]) - 1), *rows[1:]]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n\n"


def _fewest(results: dict[str, Any]) -> int:
    """How many timed runs there were of the workload with the fewest."""
    timed = [
        times
        for name, _ in _LAYERS
        for result in results.get(name, [])
        for measure in ("forward", "forward_backward")
        for times in result[measure].values()
    ]
    for name, _ in _STEPS:
        timed += results.get(name, {}).get("step", {}).values()
    timed += results.get("poisoning", {}).get("run", {}).values()
    return min(times["runs"] for times in timed)
