"""What is drawn of a match: its last bars, and what the screen holds prices against."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING

import numpy as np

from cluster.screen.bars import Bars, Values
from cluster.screen.evaluation import Evaluation
from cluster.screen.history import History
from cluster.screen.question import DRAWN, Question
from cluster.screen.tree import Call, Column, Shifted, Tree, walk

if TYPE_CHECKING:
    from actors.writer.reading import Store

BARS_DRAWN = 120

_PRICES = ("open", "high", "low", "close")


@dataclass(frozen=True, slots=True)
class Drawing:
    """The last bars of one instrument, oldest first."""

    instrument_key: str
    ts: list[int]  # microseconds since 1970 UTC, their starts
    columns: dict[str, list[float]]  # those of DRAWN
    lines: dict[str, list[float | None]]  # values on the scale of prices, by their text


def drawings(
    question: Question, store: Store, keys: Sequence[str], on: date | None
) -> Iterator[Drawing]:
    """Of these instruments, each of which has bars in every timeframe."""
    longer = replace(question, drawn=BARS_DRAWN)
    history = History.of(store, longer, on)
    for frames in history.pieces(sorted(keys), everybody=False):
        yield from _drawn(longer, frames)


def _drawn(question: Question, frames: Mapping[str, Bars]) -> Iterator[Drawing]:
    evaluation = Evaluation(frames)
    base = frames[question.base]
    lines = {str(tree): evaluation.over(tree, question.base) for tree in on_prices(question)}
    for key, first, end in zip(base.keys, base.starts[:-1], base.starts[1:], strict=True):
        mine = slice(max(int(first), int(end) - BARS_DRAWN), int(end))
        yield Drawing(
            instrument_key=key,
            ts=base.ts[mine].tolist(),
            columns={name: base.columns[name][mine].tolist() for name in DRAWN},
            lines={text: _known(values[mine]) for text, values in lines.items()},
        )


def on_prices(question: Question) -> list[Tree]:
    """The outermost parts of a question that are prices, and no plain columns; each once."""
    found: dict[Tree, None] = {}
    for tree in question.trees:
        inner: set[Tree] = set()
        for part in reversed([*walk(tree)]):
            if part in inner or not _is_price(part):
                continue
            inner |= {*walk(part)}
            if not isinstance(part, Column) and any(isinstance(p, Call) for p in walk(part)):
                found[part] = None
    return [*found]


def _is_price(tree: Tree) -> bool:
    match tree:
        case Column():
            return tree.name in _PRICES
        case Shifted():
            return _is_price(tree.of)
        case Call():
            is_level = (
                tree.function.outputs[tree.output] != "trend"
            )  # Supertrend's, which is a sign
            return tree.function.on_prices and is_level and any(map(_is_price, tree.inputs))
    return False


def _known(values: Values) -> list[float | None]:
    return [None if np.isnan(value) else value for value in values.tolist()]
