"""The scaling curves as pictures, for docs/performance.md."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
mpl.rcParams.update(
    {"svg.hashsalt": "bench", "svg.fonttype": "path", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
)

from matplotlib import pyplot as plt  # noqa: E402  the backend is chosen first

_COLOURS = {"sqlite": "#1f5fa8", "memory": "#b0561d"}
_NAMES = {"sqlite": "SQLite", "memory": "in memory"}


def draw(scaling: dict[str, Any], folder: Path) -> list[str]:
    """Write the pictures whose points there are; gives their file names."""
    stores = tuple(_NAMES)
    made = [
        _picture(
            folder / "performance-steps.svg",
            scaling,
            [(f"steps-{store}", store) for store in stores],
            [
                ("per_step", 1e6, "µs per step"),
                ("bytes_per_step", 1 / 1024, "peak memory per step, KB"),
                ("build_per_step", 1e6, "µs per step to build the plan"),
            ],
            "steps in the plan",
        ),
        _picture(
            folder / "performance-runs.svg",
            scaling,
            [(f"runs-{store}", store) for store in stores],
            [("per_step", 1e6, "µs per step"), ("bytes_per_run", 1 / 1024, "peak memory per run, KB")],
            "runs at once, 12 steps each",
        ),
        _picture(
            folder / "performance-history.svg",
            scaling,
            [("history-sqlite", "sqlite")],
            [("per_step", 1e6, "µs per step, 100 tenants at once"), ("status_seconds", 1e3, "ms for the status of one run")],
            "events in the store before",
        ),
    ]
    return [name for name in made if name]


def _picture(
    file: Path, scaling: dict[str, Any], curves: Sequence[tuple[str, str]], figures: Sequence[tuple[str, float, str]], what: str
) -> str | None:
    known = {store: [point for point in scaling.get(key, ()) if "size" in point] for key, store in curves}
    if not any(known.values()):
        return None
    chart, axes = plt.subplots(1, len(figures), figsize=(3.6 * len(figures), 2.8), layout="constrained")
    for axis, (figure, factor, label) in zip(axes, figures, strict=True):
        for store, points in known.items():
            sizes = [max(point["size"], 1) for point in points]
            axis.plot(
                sizes, [point[figure] * factor for point in points], "o-", color=_COLOURS[store], label=_NAMES[store], markersize=4
            )
        axis.set(xscale="log", xlabel=what, ylabel=label)
        axis.set_ylim(bottom=0) if not label.startswith("peak") else axis.set_yscale("log")
        axis.grid(alpha=0.25)
    if len(known) > 1:
        axes[0].legend(frameon=False)
    chart.savefig(file, metadata={"Date": None, "Creator": None})
    plt.close(chart)
    return file.name
