"""The pipeline's charts. Figures are built once per version of the data and scheme; colours are those of the states."""

from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from app.ui import words
from core.domains.crm import queries
from core.domains.crm.queries import Conversion, Forecast, StageAges, StageInfo, StageTotal
from core.kit import money

HEIGHT = 250
STATUS_TONES = {"open": "blue", "won": "green", "lost": "red"}
LEGEND = {
    "orientation": "h",
    "y": 1.02,
    "yanchor": "bottom",
    "x": 0,
    "traceorder": "normal",
    "font": {"size": 11},
    "entrywidth": 0,
}
AGE_TONES = ("green", "green", "blue", "amber", "amber", "red")


def is_dark() -> bool:
    """Whether the browser shows the dark scheme."""
    return getattr(st.context.theme, "type", "light") == "dark"


def draw(key: str, figure: Any) -> None:
    """Put a figure on the page, without the mode bar: there is nothing to zoom into."""
    st.plotly_chart(figure, key=key, theme="streamlit", config={"displayModeBar": False}, height=HEIGHT)


@st.cache_resource(max_entries=128, show_spinner=False)
def _cached(kind: str, dark: bool, _data: Any, _build: Callable[[Any, bool], Any], print_: str) -> Any:
    return _build(_data, dark)


def figure(kind: str, data: Any, build: Callable[[Any, bool], Any]) -> Any:
    """The figure of these data; built again only when they or the scheme change."""
    return _cached(kind, is_dark(), data, build, repr(data))


def _layout(dark: bool, **more: Any) -> dict[str, Any]:
    soft = "#8E9BB0" if dark else "#667085"
    axis = {
        "gridcolor": "#1E283B" if dark else "#EDF0F5",
        "tickfont": {"size": 11, "color": soft},
        "zeroline": False,
        "fixedrange": True,
    }
    return {
        "margin": {"l": 4, "r": 8, "t": 8, "b": 4},
        "height": HEIGHT,
        "font": {"family": "Inter, sans-serif", "size": 12},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "showlegend": False,
        "bargap": 0.35,
        "xaxis": {**axis, "automargin": True},
        "yaxis": {**axis, "automargin": True},
        "hoverlabel": {"font": {"family": "Inter, sans-serif", "size": 12}},
        **more,
    }


def _major(minor: int) -> float:
    return float(money.to_major(minor, "USD"))


def _name(stage: StageInfo) -> str:
    # Plotly reads tags in its texts
    return words.esc(words.short(stage.name, 24))


def value_by_stage(stages: Sequence[StageTotal], dark: bool) -> Any:
    """Open value by stage, with the number of deals."""
    import plotly.graph_objects as go

    shown = [s for s in stages if s.stage.status == "open"]
    bars = go.Bar(
        x=[_major(s.value_minor) for s in shown],
        y=[_name(s.stage) for s in shown],
        orientation="h",
        marker={"color": words.hex_of("blue", dark), "cornerradius": 4},
        text=[f"{words.amount(s.value_minor, compact=True)} · {words.many(s.deals, 'deal')}" for s in shown],
        textposition="auto",
        hovertemplate="%{y}: %{text}<extra></extra>",
    )
    made = go.Figure(bars, _layout(dark))
    made.update_yaxes(autorange="reversed", showgrid=False)
    made.update_xaxes(tickprefix="$", tickformat="~s", nticks=5)
    return made


def conversion(rows: Sequence[Conversion], dark: bool) -> Any:
    """Of the deals that reached a stage, the share that got further, is still there, and was lost."""
    import plotly.graph_objects as go

    names = [_name(c.stage) for c in rows]
    parts = (
        ("Got further", "green", [c.moved_on for c in rows]),
        ("Still here", "blue", [c.still_here for c in rows]),
        ("Lost here", "red", [max(0, c.entered - c.moved_on - c.still_here) for c in rows]),
    )
    bars = []
    for said, tone, counts in parts:
        shares = [100 * n / c.entered if c.entered else 0 for n, c in zip(counts, rows, strict=True)]
        bar = go.Bar(
            name=said,
            y=names,
            x=shares,
            orientation="h",
            marker={"color": words.hex_of(tone, dark), "cornerradius": 3},
            text=[f"{share:.0f} %" if share > 8 else "" for share in shares],
            customdata=[[f"{n:,}", f"{c.entered:,}"] for n, c in zip(counts, rows, strict=True)],
            hovertemplate=said + ": %{customdata[0]} of %{customdata[1]}<extra>%{y}</extra>",
        )
        bars.append(bar)
    made = go.Figure(bars, _layout(dark, barmode="stack", showlegend=True))
    made.update_layout(legend=LEGEND)
    made.update_yaxes(autorange="reversed", showgrid=False)
    made.update_xaxes(ticksuffix=" %", range=[0, 100], nticks=5)
    return made


def ageing(rows: Sequence[StageAges], dark: bool) -> Any:
    """Open deals by how long they have been in their stage."""
    import plotly.graph_objects as go

    names = [_name(a.stage) for a in rows]
    shades = (1.0, 0.55, 1.0, 0.6, 1.0, 1.0)
    bars = [
        go.Bar(
            name=bucket, x=names, y=[a.buckets[i] for a in rows], opacity=shades[i],
            marker={"color": words.hex_of(AGE_TONES[i], dark)}, hovertemplate="%{y:,} deals " + bucket + "<extra>%{x}</extra>",
        )
        for i, bucket in enumerate(queries.bucket_names())
    ]  # fmt: skip
    made = go.Figure(bars, _layout(dark, barmode="stack", showlegend=True))
    made.update_layout(legend=LEGEND)
    made.update_xaxes(showgrid=False)
    return made


def forecast(found: Forecast, dark: bool) -> Any:
    """Open value by month of expected close, and what of it the win history lets us expect."""
    import plotly.graph_objects as go

    names = ["Overdue" if m.overdue else "No date" if m.month is None else f"{m.month:%b %Y}" for m in found.months]
    shown = [
        go.Bar(
            name="Open value", x=names, y=[_major(m.value_minor) for m in found.months],
            marker={"color": words.hex_of("gray", dark), "cornerradius": 3}, opacity=0.35,
            hovertemplate="%{x}: $%{y:,.0f} open<extra></extra>",
        ),
        go.Bar(
            name="Weighted", x=names, y=[_major(m.weighted_minor) for m in found.months],
            marker={"color": words.hex_of("green", dark), "cornerradius": 3},
            hovertemplate="%{x}: $%{y:,.0f} expected<extra></extra>",
        ),
    ]  # fmt: skip
    made = go.Figure(shown, _layout(dark, barmode="overlay", showlegend=True))
    made.update_layout(legend=LEGEND)
    made.update_xaxes(showgrid=False, type="category")
    made.update_yaxes(tickprefix="$", tickformat="~s", nticks=5)
    return made
