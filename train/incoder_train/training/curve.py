"""The loss curve of a run, as a picture: run/metrics.jsonl goes in, run/loss.png comes out."""

from __future__ import annotations

from pathlib import Path

from incoder_train.training.metrics import read_metrics


def draw_curve(run: Path) -> None:
    from matplotlib.figure import Figure

    lines = read_metrics(run / "metrics.jsonl")
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.add_subplot()
    for key, label, style in (("loss", "training", "C0-"), ("validation_loss", "held out", "C1o-")):
        points = [(line["tokens"] / 1e6, line[key]) for line in lines if key in line]
        if points:
            axes.plot(*zip(*points, strict=True), style, label=label, markersize=4, linewidth=1)
            axes.legend()
    axes.set(xlabel="million tokens seen", ylabel="loss (nats per token)", title=run.name)
    axes.grid(alpha=0.3)
    unfinished = run / ".loss.unfinished.png"
    figure.savefig(unfinished, dpi=120)
    unfinished.replace(run / "loss.png")
