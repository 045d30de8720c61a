"""An answer as one page that needs no network: a table that sorts, and a chart of each match."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from plotly.offline import get_plotlyjs

from actors.market.sessions import IST
from cluster.screen import table
from cluster.screen.answer import Answer, Match
from cluster.screen.drawing import Drawing

_HERE = Path(__file__).parent


def page(answer: Answer, drawings: Sequence[Drawing]) -> str:
    """A chart for each drawing, in the order of the matches."""
    drawn = {drawing.instrument_key: drawing for drawing in drawings}
    with_chart = [match for match in answer.matches if match.instrument_key in drawn]
    name = answer.screen.get("name") or "screen"
    left_out = f"{len(answer.not_screened):,} not screened"
    return Template((_HERE / "page.html").read_text(encoding="utf-8")).substitute(
        title=escape(name),
        description=escape(answer.screen.get("description") or ""),
        where=escape(answer.screen["where"]),
        sum=escape(answer.sum()),
        facts=escape(_facts(answer)),
        heads="".join(map(_head, _heads(answer))),
        rows="\n".join(_row(answer, match) for match in answer.matches),
        charts="\n".join(
            f'<h2>{escape(match.symbol)}</h2><div class="chart" data-drawing="{place}"></div>'
            for place, match in enumerate(with_chart)
        ),
        left_out=escape(left_out),
        not_screened="\n".join(
            f"<tr><td>{escape(e.symbol)}</td><td>{e.reason}</td><td>{escape(e.detail)}</td></tr>"
            for e in answer.not_screened
        ),
        plotly=get_plotlyjs(),
        drawings=_harmless([_figure(drawn[match.instrument_key]) for match in with_chart]),
        script=(_HERE / "page.js").read_text(encoding="utf-8"),
    )


def _facts(answer: Answer) -> str:
    asked = answer.asked_at.astimezone(IST)
    shown = f"The first {len(answer.matches):,} of {answer.found:,} matches. "
    shown = shown if len(answer.matches) < answer.found else ""
    return f"{shown}{answer.origin()}; asked on {asked:%Y-%m-%d at %H:%M} IST."


def _heads(answer: Answer) -> list[str]:
    return ["symbol", "last", "bar (IST)", "age", "complete", *answer.labels, "rank"]


def _head(text: str) -> str:
    return f'<th scope="col"><button type="button">{escape(text)}</button></th>'


def _row(answer: Answer, match: Match) -> str:
    age = answer.asked_at - match.end
    numbers = [*match.shown, match.rank]
    cells: list[tuple[object, str]] = [
        (match.symbol, match.symbol),
        (match.close, table.number(match.close)),
        (match.ts.timestamp(), table.moment(match.ts)),
        (age.total_seconds(), table.age(age)),
        (match.not_final, table.complete(match)),
        *(("" if number is None else number, table.number(number)) for number in numbers),
    ]
    inside = "".join(
        f'<td data-value="{escape(str(value))}">{escape(text)}</td>' for value, text in cells
    )
    return f"<tr>{inside}</tr>"


def _figure(drawing: Drawing) -> dict[str, Any]:
    """For Plotly. Bars stand side by side, whatever nights and holidays lie between them."""
    when = [table.moment(datetime.fromtimestamp(us / 1e6, UTC)) for us in drawing.ts]
    prices = {name: drawing.columns[name] for name in ("open", "high", "low", "close")}
    data: list[dict[str, Any]] = [
        {"type": "candlestick", "x": when, **prices, "name": "price"},
        *(
            {"type": "scatter", "mode": "lines", "x": when, "y": values, "name": text}
            for text, values in drawing.lines.items()
        ),
        {
            "type": "bar",
            "x": when,
            "y": drawing.columns["volume"],
            "name": "volume",
            "yaxis": "y2",
            "marker": {"color": "#9aa7b5"},
        },
    ]
    layout = {
        "margin": {"l": 60, "r": 20, "t": 10, "b": 40},
        "xaxis": {"type": "category", "nticks": 8, "rangeslider": {"visible": False}},
        "yaxis": {"domain": [0.28, 1]},
        "yaxis2": {"domain": [0, 0.2]},
        "legend": {"orientation": "h", "y": 1.08},
        "hovermode": "x unified",
    }
    return {"data": data, "layout": layout}


def _harmless(content: object) -> str:
    """JSON that ends no script element, whatever texts it holds."""
    return json.dumps(content, ensure_ascii=False).replace("<", "\\u003c")
