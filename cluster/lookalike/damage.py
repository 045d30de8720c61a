"""Good answers made bad, and answers that were never good. Chance comes in as dice."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from cluster.lookalike.answers import Answer, cloudflare_ban, refusal, web_page
from cluster.lookalike.faults import Fault

Row = list[Any]

_FIELDS = 7
_HIGH, _LOW, _CLOSE, _VOLUME = 2, 3, 4, 5


def damaged(fault: Fault, answer: Answer, dice: random.Random, share: float) -> Answer:
    """The answer with its rows out of order, or about `share` of them (one at least) insane."""
    if not answer.candles:
        return answer
    changes: dict[Fault, Callable[[list[Row]], list[Row]]] = {
        Fault.SHUFFLED: lambda rows: _shuffle(rows, dice),
        Fault.INSANE: lambda rows: _break_copies(rows, dice, share),
        Fault.TIMED_DAYS: _time_days,
        Fault.SPOILED: lambda rows: _break_rows(rows, dice, share),
    }
    content = json.loads(answer.body)
    content["data"]["candles"] = changes[fault](content["data"]["candles"])
    return replace(answer, body=json.dumps(content, separators=(",", ":")).encode())


def false_answer(fault: Fault, dice: random.Random) -> Answer:
    """What is said instead of an answer."""
    match fault:
        case Fault.TOO_MANY:
            return refusal("UDAPI10005")
        case Fault.UNAUTHORIZED:
            return refusal("UDAPI100050")
        case Fault.CLOUDFLARE:
            return cloudflare_ban()
        case Fault.HTML:
            return web_page(200, "Welcome")
        case Fault.ERROR_200:
            return refusal(dice.choice(["UDAPI10005", "UDAPI100500"]), status=200)
        case Fault.SERVER_ERROR:
            return dice.choice(
                [
                    refusal("UDAPI100500"),
                    web_page(502, "502 Bad Gateway"),
                    refusal("UDAPI100500", status=503),
                ]
            )
    raise ValueError(f"{fault} says something, or nothing")


def _shuffle(rows: list[Row], dice: random.Random) -> list[Row]:
    """Every row, in no order, one in ten twice."""
    doubled = rows + rows[::10]
    dice.shuffle(doubled)
    return doubled


def _break_copies(rows: list[Row], dice: random.Random, share: float) -> list[Row]:
    broken = _chosen(len(rows), dice, share)
    mixed: list[Row] = []
    for place, row in enumerate(rows):
        mixed.append(row)
        if place in broken:
            mixed.append(_break(row, dice))
    return mixed


def _break_rows(rows: list[Row], dice: random.Random, share: float) -> list[Row]:
    broken = _chosen(len(rows), dice, share)
    return [_break(row, dice) if place in broken else row for place, row in enumerate(rows)]


def _time_days(rows: list[Row]) -> list[Row]:
    """One in ten."""
    for row in rows[::10]:
        row[0] = row[0].replace("T00:00", "T09:45")
    return rows


def _chosen(count: int, dice: random.Random, share: float) -> set[int]:
    wanted = min(count, max(1, round(count * share)))
    return set(dice.sample(range(count), wanted))


def _break(row: Row, dice: random.Random) -> Row:
    """A copy that no exchange could mean."""
    broken = list(row)
    match dice.randrange(6):
        case 0:
            broken[_HIGH], broken[_LOW] = row[_LOW] - 1, row[_HIGH] + 1
        case 1:
            broken[_LOW] = -row[_LOW]
        case 2:
            broken[0] = row[0].replace(":00+05:30", ":17+05:30")  # no bar starts in mid-minute
        case 3:
            broken = broken[: _FIELDS - 2]
        case 4:
            broken[_CLOSE] = None
        case _:
            broken[_VOLUME] = -1 - row[_VOLUME]
    return broken
