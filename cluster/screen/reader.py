"""What may stand in an expression, and what it means there."""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from actors.market.timeframe import Timeframe
from cluster.config.section import nearest
from cluster.screen.bars import fineness
from cluster.screen.binding import Bound, bind, every_function, function_named, words
from cluster.screen.misread import Misread
from cluster.screen.tree import (
    COLUMNS,
    Call,
    Column,
    Constant,
    Function,
    Operation,
    Shifted,
    Tree,
    is_condition,
)

MAX_DEPTH = 50
MOST_BARS_AGO = 100_000

_ARITHMETIC: dict[type[ast.AST], str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
_COMPARISONS: dict[type[ast.AST], str] = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
}
_INSTEAD: dict[type[ast.AST], str] = {
    ast.BitAnd: "write `and` for &",
    ast.BitOr: "write `or` for |",
    ast.Invert: "write `not` for ~",
    ast.Pow: "there is no power; multiply",
    ast.IfExp: "there is no `if`; write `and` and `or`",
}


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads one expression. Raises Misread."""

    timeframes: Mapping[str, Timeframe]
    defined: Mapping[str, Tree]  # what other words stand for

    def read(self, node: ast.expr, frame: str, depth: int = 0) -> Tree:
        """`frame` is what is meant where none is named."""
        if depth > MAX_DEPTH:
            raise Misread(f"is nested deeper than {MAX_DEPTH} levels")
        inner = depth + 1
        match node:
            case ast.Constant():
                return Constant(_number(node))
            case ast.Name() | ast.Attribute() | ast.Call():
                return self._named(node, frame, inner)
            case ast.Subscript():
                return self._shifted(node, frame, inner)
            case ast.Compare():
                return self._comparison(node, frame, inner)
            case ast.BoolOp() | ast.UnaryOp() | ast.BinOp():
                return self._operation(node, frame, inner)
        raise Misread(_INSTEAD.get(type(node), "this has no meaning in a screen"), node)

    def _named(self, node: ast.Name | ast.Attribute | ast.Call, frame: str, depth: int) -> Tree:
        match node:
            case ast.Name(id=name):
                return self.defined.get(name) or self._column(node, name, frame)
            case ast.Attribute(value=ast.Name(id=first), attr=name):
                return self._column(node, name, self._frame(first, node))
            case ast.Attribute(value=ast.Call() as call):
                return self._call(call, node, frame, depth)
            case ast.Call():
                return self._call(node, None, frame, depth)
        raise Misread("only timeframes and indicators have parts", node)

    def _operation(
        self, node: ast.BoolOp | ast.UnaryOp | ast.BinOp, frame: str, depth: int
    ) -> Tree:
        match node:
            case ast.BoolOp():
                sign = "and" if isinstance(node.op, ast.And) else "or"
                parts = [self._condition(part, frame, depth, sign) for part in node.values]
                return self._joined(sign, parts, node)
            case ast.UnaryOp(op=ast.Not()):
                return self._joined(
                    "not", [self._condition(node.operand, frame, depth, "not")], node
                )
            case ast.UnaryOp(op=ast.USub() | ast.UAdd()):
                of = self._number(node.operand, frame, depth)
                if isinstance(node.op, ast.UAdd):
                    return of
                return (
                    Constant(-of.value)
                    if isinstance(of, Constant)
                    else self._joined("neg", [of], node)
                )
            case ast.BinOp() if type(node.op) in _ARITHMETIC:
                sides = [self._number(side, frame, depth) for side in (node.left, node.right)]
                return self._joined(_ARITHMETIC[type(node.op)], sides, node)
        raise Misread(_INSTEAD.get(type(node.op), "this has no meaning in a screen"), node)

    def _condition(self, node: ast.expr, frame: str, depth: int, sign: str) -> Tree:
        tree = self.read(node, frame, depth)
        if not is_condition(tree):
            raise Misread(f"is a number; `{sign}` takes conditions such as `close > 100`", node)
        return tree

    def _number(self, node: ast.expr, frame: str, depth: int) -> Tree:
        tree = self.read(node, frame, depth)
        if is_condition(tree):
            raise Misread("is a condition; a number is wanted here", node)
        return tree

    def _joined(self, sign: str, parts: Sequence[Tree], node: ast.expr) -> Tree:
        frame = self._finest(parts)
        if frame is not None:
            return Operation(frame, sign, tuple(parts))
        return Constant(_computed(sign, [p.value for p in parts if isinstance(p, Constant)], node))

    def _finest(self, parts: Sequence[Tree]) -> str | None:
        """The timeframe of the shortest bars; None: these are plain numbers."""
        frames = {part.frame for part in parts if not isinstance(part, Constant)}
        return min(frames, key=lambda name: fineness(self.timeframes[name]), default=None)

    def _comparison(self, node: ast.Compare, frame: str, depth: int) -> Tree:
        sides = [self._number(side, frame, depth) for side in (node.left, *node.comparators)]
        links: list[Tree] = []
        for op, left, right in zip(node.ops, sides[:-1], sides[1:], strict=True):
            if type(op) not in _COMPARISONS:
                raise Misread("compare with < <= > >= == or !=", node)
            links.append(self._joined(_COMPARISONS[type(op)], [left, right], node))
        return links[0] if len(links) == 1 else self._joined("and", links, node)

    def _frame(self, name: str, node: ast.expr) -> str:
        if name in self.timeframes:
            return name
        there = f"there are {', '.join(self.timeframes)}"
        if len(self.timeframes) == 1:
            there = "there is one, which goes without saying"
        advice = nearest(name, self.timeframes) or f"; {there}"
        raise Misread(f"there is no timeframe {name} in this screen{advice}", node)

    def _column(self, node: ast.expr, name: str, frame: str) -> Tree:
        if name.lower() in COLUMNS:
            return self._series(frame, name.lower())
        if name in self.timeframes:
            raise Misread(f"is a timeframe; write {name}.close", node)
        function = function_named(name)
        if function is not None:
            raise Misread(f"is called with brackets: {words(function)}", node)
        known = [*COLUMNS, *self.timeframes, *self.defined]
        raise Misread(f"there is no column {name}{nearest(name, known)}", node)

    def _series(self, frame: str, column: str) -> Column:
        return Column(frame, column, self._shown(frame, column))

    def _shown(self, frame: str, text: str) -> str:
        return text if len(self.timeframes) == 1 else f"{frame}.{text}"

    def _shifted(self, node: ast.Subscript, frame: str, depth: int) -> Tree:
        back = node.slice
        if not isinstance(back, ast.Constant) or not isinstance(back.value, int):
            is_future = isinstance(back, ast.UnaryOp) and isinstance(back.op, ast.USub)
            future = "; no bar to come is ever looked at" if is_future else ""
            raise Misread(f"how many bars ago is a whole number, as in close[1]{future}", node)
        if back.value > MOST_BARS_AGO:
            raise Misread(f"looks back more than {MOST_BARS_AGO} bars", node)
        of = self.read(node.value, frame, depth)
        if isinstance(of, Constant):
            raise Misread("a number is the same at every bar", node)
        return Shifted(of, back.value) if back.value else of

    def _call(self, node: ast.Call, output: ast.Attribute | None, frame: str, depth: int) -> Tree:
        frame, name = self._called(node.func, frame)
        function = function_named(name)
        if function is None:
            near = nearest(name.upper(), every_function())
            raise Misread(f"there is no indicator {name}{near}", node)
        given = [self._argument(argument, frame, depth) for argument in node.args]
        named = {word.arg: self._argument(word.value, frame, depth) for word in node.keywords}
        own = self._finest(given) or frame
        part = None if output is None else output.attr
        bound = bind(function, given, named, part, lambda column: self._series(own, column))
        if isinstance(bound, str):
            raise Misread(bound, output or node)
        problem = self._unfit(function, bound, own)
        if problem:
            raise Misread(problem, node)
        shown = bound.shown if bound.names_series else self._shown(own, bound.shown)
        return Call(own, function, bound.inputs, bound.params, bound.output, shown)

    def _argument(self, node: ast.expr, frame: str, depth: int) -> Tree:
        if isinstance(node, ast.Starred):
            raise Misread("this has no meaning in a screen", node)
        return self.read(node, frame, depth)

    def _called(self, node: ast.expr, frame: str) -> tuple[str, str]:
        """In which timeframe, and the name."""
        match node:
            case ast.Name(id=name):
                return frame, name
            case ast.Attribute(value=ast.Name(id=first), attr=name):
                return self._frame(first, node), name
        raise Misread("only indicators are called", node)

    def _unfit(self, function: Function, bound: Bound, frame: str) -> str | None:
        timeframe = self.timeframes[frame]
        if function.needs_minutes and not timeframe.is_intraday:
            return f"{function.name} is of a session's course, and a bar of {timeframe} has none"
        return function.refusal(bound.params, timeframe.minutes if timeframe.is_intraday else None)


def _computed(sign: str, numbers: Sequence[float], node: ast.expr) -> float:
    """Of plain numbers."""
    if sign not in _ARITHMETIC.values():
        raise Misread("compares plain numbers, which are the same at every bar", node)
    a, b = numbers
    if sign == "/" and b == 0:
        raise Misread("divides by zero", node)
    return _finite({"+": a + b, "-": a - b, "*": a * b, "/": a / (b or 1)}[sign], node)


def _number(node: ast.Constant) -> float:
    value = node.value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Misread("is no number", node)
    try:
        return _finite(float(value), node)
    except OverflowError:
        raise Misread("is too large a number", node) from None


def _finite(number: float, node: ast.expr) -> float:
    if not math.isfinite(number):
        raise Misread("is too large a number", node)
    return number
