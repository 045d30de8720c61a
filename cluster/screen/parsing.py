"""From the text of an expression to its tree.

Python's own parser reads the text; what it finds is walked over by a short list of what may stand
there, and never compiled, much less run.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Mapping
from itertools import islice
from types import MappingProxyType

from actors.market.errors import UsageError
from actors.market.timeframe import Timeframe
from cluster.screen.misread import Misread, shortened
from cluster.screen.reader import Reader
from cluster.screen.tree import Constant, Tree, is_condition, walk

MAX_CHARACTERS = 2_000
MAX_PARTS = 2_000
MAX_LEVELS = 100


def parse(
    text: str,
    timeframes: Mapping[str, Timeframe],
    where: str = "",
    defined: Mapping[str, Tree] = MappingProxyType({}),
) -> Tree:
    """Read an expression over these timeframes, by name; what names none means the first.

    Raises UsageError, naming the place in the text; `where` is what the text itself is called.
    `defined` are words that stand for expressions.
    """
    if len(text) > MAX_CHARACTERS:
        raise UsageError(f"is longer than {MAX_CHARACTERS} characters", where)
    flat = " ".join(text.split())
    try:
        tree = Reader(timeframes, defined).read(_python(flat), next(iter(timeframes)))
    except Misread as misread:
        raise UsageError(misread.placed(flat), where) from None
    if isinstance(tree, Constant):
        raise UsageError(f"`{flat}` says nothing of any candle", where)
    problem = _too_much(tree)
    if problem:
        raise UsageError(f"{problem}, with all that its words stand for", where)
    return tree


def _too_much(tree: Tree) -> str | None:
    """Words that stand for words may unfold into more than any text could hold."""
    if sum(1 for _ in islice(walk(tree), MAX_PARTS + 1)) > MAX_PARTS:
        return f"has more than {MAX_PARTS} parts"
    return f"is nested deeper than {MAX_LEVELS} levels" if _levels(tree) > MAX_LEVELS else None


def _levels(tree: Tree) -> int:
    return 1 + max(map(_levels, tree.parts), default=0)


def condition(
    text: str,
    timeframes: Mapping[str, Timeframe],
    where: str = "",
    defined: Mapping[str, Tree] = MappingProxyType({}),
) -> Tree:
    tree = parse(text, timeframes, where, defined)
    if not is_condition(tree):
        raise UsageError(f"`{text}` is a number, not a condition; compare it with something", where)
    return tree


def _python(text: str) -> ast.expr:
    if not text:
        raise Misread("is empty")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of `1and 2`, which is read or refused all the same
            return ast.parse(text, mode="eval").body
    except SyntaxError as error:
        if "=" in text and not any(sign in text for sign in ("==", "<", ">", "!")):
            raise Misread("is no expression; is it compared by `==`?") from None
        at = f" at column {error.offset}" if error.offset else ""
        raise Misread(f"`{shortened(text)}` is no expression: {error.msg}{at}") from None
    except (RecursionError, MemoryError):
        raise Misread("is nested too deeply") from None
    except ValueError:  # a zero byte, half a surrogate
        raise Misread("holds characters that no expression has") from None
