"""Good answers made bad, and answers that were never good. Chance comes in as dice."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

from cluster.lookalike.answers import HTML, Answer, cloudflare_ban, refusal, web_page
from cluster.lookalike.faults import Fault

Row = list[Any]

_ELSEWHERE = "https://elsewhere.invalid/login"
_NESTED = b'{"status":"success","data":{"candles":' + b"[" * 100_000 + b"]" * 100_000 + b"}}"
_CROWD = 1_000_000
_BOMB_BYTES, _BOMB_TIMES = 10_000_000, 100

_FIELDS = 7
_HIGH, _LOW, _CLOSE, _VOLUME = 2, 3, 4, 5


def damaged(fault: Fault, answer: Answer, dice: random.Random, share: float) -> Answer:
    """The answer with its rows out of order, about `share` of them (one at least) insane, or mislabelled."""
    if not answer.candles:
        return answer
    changes: dict[Fault, Callable[[list[Row]], list[Row]]] = {
        Fault.SHUFFLED: lambda rows: _shuffle(rows, dice),
        Fault.INSANE: lambda rows: _break_copies(rows, dice, share),
        Fault.TIMED_DAYS: _time_days,
        Fault.NO_NUMBERS: _add_no_numbers,
        Fault.SPOILED: lambda rows: _break_rows(rows, dice, share),
    }
    if fault is Fault.WRONG_TYPE:
        return replace(answer, content_type=HTML)
    if fault is Fault.NO_UTF8:
        return replace(answer, body=answer.body.replace(b'"success"', b'"succ\xe9ss"'))
    content = json.loads(answer.body)
    content["data"]["candles"] = changes[fault](content["data"]["candles"])
    return replace(answer, body=json.dumps(content, separators=(",", ":")).encode())


def false_answer(fault: Fault, dice: random.Random) -> Answer:
    """What is said instead of an answer."""
    says: dict[Fault, Callable[[], Answer]] = {
        Fault.TOO_MANY: lambda: refusal("UDAPI10005"),
        Fault.UNAUTHORIZED: lambda: refusal("UDAPI100050"),
        Fault.CLOUDFLARE: cloudflare_ban,
        Fault.HTML: lambda: web_page(200, "Welcome"),
        Fault.REDIRECT: lambda: replace(
            web_page(302, "302 Found"), headers=(("location", _ELSEWHERE),)
        ),
        Fault.NESTED: lambda: Answer(200, _NESTED),
        Fault.CROWD: lambda: Answer(200, _crowd()),
        Fault.BOMB: lambda: Answer(200, _bomb(), headers=(("content-encoding", "gzip"),)),
        Fault.ERROR_200: lambda: refusal(dice.choice(["UDAPI10005", "UDAPI100500"]), status=200),
        Fault.SERVER_ERROR: lambda: dice.choice(
            [
                refusal("UDAPI100500"),
                web_page(502, "502 Bad Gateway"),
                refusal("UDAPI100500", status=503),
            ]
        ),
    }
    return says[fault]()


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


def _add_no_numbers(rows: list[Row]) -> list[Row]:
    """Beside the first row; JSON has no such numbers, but its writers do."""
    strange = [float("nan"), float("inf"), float("-inf"), 10**400]
    odd = [[*row[:_CLOSE], value, *row[_VOLUME:]] for row in rows[:1] for value in strange]
    return rows[:1] + odd + rows[1:]


@cache
def _crowd() -> bytes:
    row = b'["2024-01-01T09:15:00+05:30",1.0,1.0,1.0,1.0,1,0]'
    return b'{"status":"success","data":{"candles":[' + b",".join([row] * _CROWD) + b"]}}"


@cache
def _bomb() -> bytes:
    """In many members, each of which unpacks to blanks, which JSON may begin with."""
    return gzip.compress(b" " * _BOMB_BYTES) * _BOMB_TIMES


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
