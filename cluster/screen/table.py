"""An answer for people, on a terminal."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta

from rich.table import Table

from actors.market.sessions import IST
from cluster.screen.answer import Answer, Match
from cluster.wording import printable

#: So many instruments that were not screened are named for each reason; `--format json` names all.
NAMED = 5


def table(answer: Answer) -> Table:
    """Matches, best first, each with how old and how complete what it rests on is."""
    ranked = any(match.rank is not None for match in answer.matches)
    heads = ["symbol", "last", "bar (IST)", "age", "complete", *answer.labels]
    shown = Table(*heads, *(["rank"] if ranked else []))
    for column in shown.columns[1:]:
        column.justify = "right"
    for match in answer.matches:
        values = [*match.shown, *([match.rank] if ranked else [])]
        shown.add_row(
            printable(match.symbol),
            number(match.close),
            moment(match.ts),
            age(answer.asked_at - match.end),
            complete(match),
            *map(number, values),
        )
    return shown


def lines(answer: Answer) -> Iterator[str]:
    """What is said below: who was not screened and why, and a sum that adds up."""
    named: dict[str, list[str]] = defaultdict(list)
    for each in answer.not_screened:
        named[each.reason].append(f"{each.symbol} ({each.detail})")
    for reason, those in named.items():
        more = f" and {len(those) - NAMED:,} more" if len(those) > NAMED else ""
        yield f"not screened, {reason}: {', '.join(those[:NAMED])}{more}"
    yield f"{answer.origin()}."
    if len(answer.matches) < answer.found:
        yield f"The first {len(answer.matches):,} of {answer.found:,} matches are shown."
    yield answer.sum()


def number(value: float | None) -> str:
    """As many digits as prices have, or four that count."""
    if value is None:
        return "-"
    return f"{value:,.2f}" if abs(value) >= 1 or value == 0 else f"{value:.4g}"


def moment(ts: datetime) -> str:
    """A bar's start; of a day or longer, its day."""
    ts = ts.astimezone(IST)
    return f"{ts:%Y-%m-%d}" if (ts.hour, ts.minute) == (0, 0) else f"{ts:%Y-%m-%d %H:%M}"


def age(since: timedelta) -> str:
    """How long a bar has been over, in the two greatest units; a bar that still forms has no age."""
    minutes = int(since.total_seconds() // 60)
    if minutes < 0:
        return "forming"
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    if days:
        return f"{days}d {hours}h"
    return f"{hours}h {minutes}m" if hours else f"{minutes}m"


def complete(match: Match) -> str:
    return "yes" if not match.not_final else f"{match.not_final:,} not final"
