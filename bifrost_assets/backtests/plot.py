"""The equity curves of a run, as a small picture."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping

import polars as pl


def curves_png(curves: Mapping[str, pl.DataFrame]) -> bytes:
    """A PNG of growth of 1 by session, log scale: each curve (session, equity), and the longest one's benchmark."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3), dpi=80, layout="tight")
    axes = figure.add_subplot()
    for name, curve in curves.items():
        axes.plot(curve["session"].to_list(), (curve["equity"] / curve["equity"][0]).to_list(), label=name, linewidth=1)
    longest = max(curves.values(), key=len)
    grown = (longest["benchmark"] / longest["benchmark"][0]).to_list()
    axes.plot(longest["session"].to_list(), grown, label="index, held", linewidth=1, color="grey", linestyle="--")
    axes.set_yscale("log")
    axes.set_ylabel("growth of 1")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    FigureCanvasAgg(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def as_markdown(png: bytes) -> str:
    """Markdown that shows `png` without a file."""
    return f"![equity curves](data:image/png;base64,{base64.b64encode(png).decode()})"
