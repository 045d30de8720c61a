"""Which argument of a call is which: series first, then numbers, as TA-Lib's functions take them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from cluster.config.section import nearest
from cluster.screen.functions import OWN
from cluster.screen.indicators import indicators
from cluster.screen.tree import (
    Constant,
    Function,
    Number,
    Param,
    Params,
    Slot,
    Tree,
    is_condition,
)

ColumnOf = Callable[[str], Tree]


@dataclass(frozen=True, slots=True)
class Bound:
    inputs: tuple[Tree, ...]
    params: Params
    output: int
    shown: str
    names_series: bool  # in what is shown, and with them their timeframe


def function_named(name: str) -> Function | None:
    """Ours come before TA-Lib's: its own VWAP never starts anew with a session."""
    return OWN.get(name.lower()) or indicators().get(name.upper())


def every_function() -> list[str]:
    return [*indicators(), *map(str.upper, OWN)]


def words(function: Function) -> str:
    """How it is called: `MACD(close, fastperiod=12, slowperiod=26, signalperiod=9)`."""
    taken = [slot.column or slot.name for slot in function.slots if not _goes_without(slot)]
    taken += [
        param.name if param.default is None else f"{param.name}={param.default:g}"
        for param in function.params
    ]
    return f"{function.name}({', '.join(taken)})"


def bind(
    function: Function,
    arguments: Sequence[Tree],
    named: Mapping[str | None, Tree],
    output: str | None,
    column: ColumnOf,
) -> Bound | str:
    """The call, or what is wrong with it. `column` gives the series that go without saying."""
    series, numbers = _parted(arguments) if function.params else (arguments, ())
    inputs = _inputs(function, series, column)
    if isinstance(inputs, str):
        return inputs
    params = _params(function, numbers, named)
    if isinstance(params, str):
        return params
    place = _output(function, output)
    if isinstance(place, str):
        return place
    said = series or [
        tree for slot, tree in zip(function.slots, inputs, strict=True) if not _goes_without(slot)
    ]
    values = [*map(str, said), *(f"{value:g}" for value in params)]
    part = f".{function.outputs[place]}" if len(function.outputs) > 1 else ""
    shown = f"{function.name}({', '.join(values)}){part}"
    return Bound(inputs, params, place, shown, bool(said))


def _parted(arguments: Sequence[Tree]) -> tuple[Sequence[Tree], Sequence[Tree]]:
    """Series, up to the first plain number, and what follows."""
    first = next((at for at, tree in enumerate(arguments) if isinstance(tree, Constant)), None)
    return (arguments, []) if first is None else (arguments[:first], arguments[first:])


def _goes_without(slot: Slot) -> bool:
    return slot.column == slot.name


def _inputs(function: Function, series: Sequence[Tree], column: ColumnOf) -> tuple[Tree, ...] | str:
    """Given may be all, those that do not go without saying, or none where all have a default."""
    named = [slot for slot in function.slots if not _goes_without(slot)]
    counts = {len(function.slots), len(named)}
    if all(slot.column for slot in function.slots):
        counts.add(0)
    if len(series) not in counts:
        return f"takes {len(named) or 'no'} series, not {len(series)}: {words(function)}"
    given = iter(series)
    takes = function.slots if len(series) == len(function.slots) else named if series else []
    inputs = tuple(
        next(given) if slot in takes else column(slot.column or "") for slot in function.slots
    )
    for slot, tree in zip(function.slots, inputs, strict=True):
        if slot.condition != is_condition(tree):
            kind = "condition" if slot.condition else "number"
            return f"{tree} is no {kind}, as {words(function)} wants one"
    return inputs


def _params(
    function: Function, numbers: Sequence[Tree], named: Mapping[str | None, Tree]
) -> Params | str:
    names = [param.name for param in function.params]
    if len(numbers) > len(names):
        kind = "number" if len(names) == 1 else "numbers"
        return f"takes {len(names) or 'no'} {kind}, not {len(numbers)}: {words(function)}"
    given = dict(zip(names, numbers, strict=False))
    for name, tree in named.items():
        if name not in names:
            return f"has no parameter {name}{nearest(str(name), names)}: {words(function)}"
        if name in given:
            return f"is given {name} twice: {words(function)}"
        given[name] = tree
    params: list[Number] = []
    for param in function.params:
        value = _value(param, given.get(param.name))
        if isinstance(value, str):
            return f"{value}: {words(function)}"
        params.append(value)
    return tuple(params)


def _value(param: Param, tree: Tree | None) -> Number | str:
    if tree is None:
        return f"needs {param.name}" if param.default is None else param.default
    if not isinstance(tree, Constant):
        return f"{param.name} must be a plain number, not {tree}"
    if param.whole and not tree.value.is_integer():
        return f"{param.name} must be a whole number, not {tree}"
    if abs(tree.value) > _LARGEST:
        return f"{param.name} is too large"
    return int(tree.value) if param.whole else tree.value


_LARGEST = 2**31 - 1  # what TA-Lib's C takes


def _output(function: Function, name: str | None) -> int | str:
    outputs = function.outputs
    if name is None:
        if len(outputs) == 1:
            return 0
        choices = " or ".join(f".{output}" for output in outputs)
        return f"has {len(outputs)} values; say which: {choices}"
    if name in outputs and len(outputs) > 1:
        return outputs.index(name)
    if len(outputs) == 1:
        return f"has one value; leave .{name} out"
    advice = nearest(name, outputs) or f"; there are {', '.join(outputs)}"
    return f"has no value {name}{advice}"
