"""The figures of the overview. Pure: frames in, plotly figures out."""

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
import polars as pl
from plotly.subplots import make_subplots

from reconcile.money import exponent

# Legible on light and dark alike; the same meaning as everywhere: green settled, blue pending, amber waiting.
STRIPE, BOOKS, GREEN, BLUE = "#6c63e0", "#2f9e8f", "#2da06b", "#4b8fe0"
AMBER, RED, GREY = "#d99a2b", "#d1545a", "#8b93a1"
SMALL_PX = 230
DAYS_MAX, WEEKS_MAX_DAYS = 31, 370  # a bar a day, a week, a month
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
    hover = _hover(currency)
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
    """Where the entries of each day stand now. A point's customdata is its day, twice, and its standing."""
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
                customdata=[[day.isoformat(), day.isoformat(), standing] for day in rows["day"]],
            )
    figure.update_layout(barmode="stack")
    return _styled(figure, height=300)


def ages(found: Sequence[tuple[str, int, int]], currency: str) -> go.Figure:
    """How much waits, by the days it has; (age, how many, minor units). A point's customdata is its age.

    Numbers make the bars: of sums, what comes in and what goes out would hide each other.
    """
    figure = go.Figure()
    scale = 10 ** exponent(currency)
    figure.add_bar(
        x=[name for name, _, _ in found],
        y=[number for _, number, _ in found],
        text=[f"{number:,}" if number else "" for _, number, _ in found],
        textangle=0,
        hovertext=[f"{minor / scale:,.{exponent(currency)}f}" for _, _, minor in found],
        customdata=[[name] for name, _, _ in found],
        marker={"color": AMBER, "line": {"width": 0}},
        hovertemplate=f"%{{y:,}} waiting, %{{hovertext}} {currency}<extra></extra>",
    )
    _styled(figure, SMALL_PX)
    figure.update_xaxes(type="category")
    return figure


def settled(days: pl.DataFrame, currency: str) -> go.Figure:
    """Of each period the share of its entries that is settled, and the value of what waits of it.

    A point's customdata is the first and the last day of its period.
    """
    frame = by_period(days)
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.45, 0.55], vertical_spacing=0.08)
    shares = [row["settled"] / row["entries"] if row["entries"] else None for row in frame.to_dicts()]
    ends = zip(frame["day"], frame["last"], strict=True)
    figure.add_scatter(
        x=frame["day"].to_list(),
        y=shares,
        name="settled",
        line={"color": GREEN, "width": 2},
        hovertemplate="%{y:.1%}",
    )
    figure.add_bar(
        x=frame["day"].to_list(),
        y=_major(frame, "waiting_minor", currency),
        name="waiting",
        customdata=[[first.isoformat(), last.isoformat()] for first, last in ends],
        marker={"color": AMBER, "line": {"width": 0}},
        hovertemplate=_hover(currency),
        row=2,
        col=1,
    )
    _styled(figure, SMALL_PX)
    figure.update_yaxes(tickformat=".0%", rangemode="normal", row=1, col=1)
    return figure


def costs(days: pl.DataFrame, currency: str) -> go.Figure:
    """Fees as a share of what customers paid; and what was refunded or disputed.

    A point's customdata is the first and the last day of its period, and "fees", "refunds" or "disputes".
    """
    frame = by_period(days, least="1w")
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.45, 0.55], vertical_spacing=0.08)
    rows = frame.to_dicts()
    figure.add_scatter(
        x=frame["day"].to_list(),
        y=[row["fees_minor"] / row["volume_minor"] if row["volume_minor"] > 0 else None for row in rows],
        name="fees of volume",
        line={"color": STRIPE, "width": 2},
        hovertemplate="%{y:.2%}",
        customdata=_ends(frame, "fees"),
    )
    for name, color in (("refunds", BLUE), ("disputes", RED)):
        figure.add_bar(
            x=frame["day"].to_list(),
            y=_major(frame, f"{name}_minor", currency),
            name=name,
            marker={"color": color, "line": {"width": 0}},
            hovertemplate=_hover(currency),
            customdata=_ends(frame, name),
            row=2,
            col=1,
        )
    figure.update_layout(barmode="relative")
    _styled(figure, SMALL_PX)
    figure.update_yaxes(tickformat=".1%", row=1, col=1)
    return figure


def _ends(periods: pl.DataFrame, what: str) -> list[list[str]]:
    return [[first.isoformat(), last.isoformat(), what] for first, last in periods.select("day", "last").iter_rows()]


def by_period(days: pl.DataFrame, least: str = "1d") -> pl.DataFrame:
    """Sums of days, weeks or months, so that there are few enough bars to see: from `day` through `last`."""
    if days.is_empty():
        return days.with_columns(last=pl.col("day"))
    first, last = days["day"][0], days["day"][-1]
    span = (last - first).days
    every = "1mo" if span > WEEKS_MAX_DAYS else "1w" if span > DAYS_MAX or least == "1w" else "1d"
    grouped = days.group_by(pl.col("day").dt.truncate(every)).agg(pl.exclude("day").sum()).sort("day")
    return grouped.with_columns(last=pl.col("day").dt.offset_by(every).dt.offset_by("-1d"))


def _hover(currency: str) -> str:
    return f"%{{y:,.{exponent(currency)}f}} {currency}"


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
