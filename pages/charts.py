"""The figures of the overview. Pure: frames in, plotly figures out."""

from typing import Any

import plotly.graph_objects as go
import polars as pl
from plotly.subplots import make_subplots

from reconcile.money import exponent

# Legible on light and dark alike; the same meaning as everywhere: green settled, blue pending, amber waiting.
STRIPE, BOOKS, GREEN, BLUE, AMBER, GREY = "#6c63e0", "#2f9e8f", "#2da06b", "#4b8fe0", "#d99a2b", "#8b93a1"
STANDINGS = {
    "posted": ("posted", GREEN),
    "matched": ("matched", "#8fceb0"),
    "pending": ("pending", BLUE),
    "waiting": ("waiting", AMBER),
    "ignored": ("set aside", GREY),
}
GRID = "rgba(128, 132, 145, 0.18)"


def balances(days: pl.DataFrame, currency: str) -> go.Figure:
    """Stripe's balance and the clearing account per day, and below them what is between."""
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.72, 0.28], vertical_spacing=0.06)
    dates = days["day"].to_list()
    books, stripe = _major(days, "clearing_minor", currency), _major(days, "stripe_minor", currency)
    hover = f"%{{y:,.{exponent(currency)}f}} {currency}"
    figure.add_scatter(
        x=dates, y=books, name="clearing account", line={"color": BOOKS, "width": 3, "shape": "hv"}, hovertemplate=hover
    )
    figure.add_scatter(
        x=dates,
        y=stripe,
        name="Stripe balance",
        line={"color": STRIPE, "width": 1.6, "shape": "hv"},
        hovertemplate=hover,
    )
    figure.add_bar(
        x=dates,
        y=_major(days, "difference_minor", currency),
        name="difference",
        marker={"color": AMBER, "line": {"width": 0}},
        hovertemplate=hover,
        row=2,
        col=1,
    )
    return _styled(figure, height=300)


def activity(counts: pl.DataFrame) -> go.Figure:
    """Where the entries of each day stand now."""
    figure = go.Figure()
    for standing, (label, color) in STANDINGS.items():
        rows = counts.filter(pl.col("standing") == standing)
        if rows.height:
            figure.add_bar(
                x=rows["day"].to_list(),
                y=rows["count"].to_list(),
                name=label,
                marker={"color": color, "line": {"width": 0}},
                hovertemplate="%{y}",
            )
    figure.update_layout(barmode="stack")
    return _styled(figure, height=300)


def _major(days: pl.DataFrame, column: str, currency: str) -> list[float]:
    """Pixels need no exactness: the only place where money becomes a float, on its way to the eye."""
    scale = 10 ** exponent(currency)
    return [minor / scale for minor in days[column].to_list()]


def _styled(figure: go.Figure, height: int) -> go.Figure:
    axis: dict[str, Any] = {"gridcolor": GRID, "zerolinecolor": GRID, "tickfont": {"size": 11}, "title": None}
    figure.update_layout(
        height=height,
        margin={"l": 0, "r": 0, "t": 6, "b": 0},
        hovermode="x unified",
        bargap=0.25,
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "font": {"size": 12}},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
    )
    figure.update_xaxes(**axis | {"showgrid": False}, tickformat="%-d %b")
    figure.update_yaxes(**axis, tickformat="~s", nticks=5)
    return figure
