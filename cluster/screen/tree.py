"""What an expression means, as a tree. Trees are values: equal ones are computed once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from cluster.screen.bars import Bars, Values

#: Value of a parameter: whole numbers are ints.
Number = int | float
Params = tuple[Number, ...]

COLUMNS = ("open", "high", "low", "close", "volume", "oi")


@dataclass(frozen=True, slots=True)
class Slot:
    """A series that a function takes."""

    name: str
    column: str | None = None  # taken where the caller names none; None: it has to be named
    condition: bool = False  # a condition, not a number


@dataclass(frozen=True, slots=True)
class Param:
    """A number that a function takes."""

    name: str
    default: Number | None  # None: it has to be given
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Reach:
    """How far back a value looks."""

    bars: int = 0  # before the one it is of; with fewer there is no value
    settling: int = 0  # more of them, until what came before weighs less than 1e-9
    days: int = 0  # of the calendar; with fewer there is no value
    all: bool = False  # to the first bar there is

    def then(self, other: Reach) -> Reach:
        """Of a value over values that reach as far as `other`."""
        return Reach(
            self.bars + other.bars,
            self.settling + other.settling,
            self.days + other.days,
            self.all or other.all,
        )

    def beside(self, other: Reach) -> Reach:
        return Reach(
            max(self.bars, other.bars),
            max(self.bars + self.settling, other.bars + other.settling)
            - max(self.bars, other.bars),
            max(self.days, other.days),
            self.all or other.all,
        )


class Function(Protocol):
    """An indicator of TA-Lib, or one of ours."""

    @property
    def name(self) -> str: ...
    @property
    def slots(self) -> tuple[Slot, ...]: ...
    @property
    def params(self) -> tuple[Param, ...]: ...
    @property
    def outputs(self) -> tuple[str, ...]: ...
    @property
    def is_condition(self) -> bool: ...
    @property
    def on_prices(self) -> bool:
        """Whether its values are prices where its series are."""
        ...

    @property
    def needs_minutes(self) -> bool:
        """Whether it is of a session's course, so that bars of a day or longer have none."""
        ...

    def refusal(self, params: Params, minutes: int | None) -> str | None:
        """What is wrong with these parameters over bars of so many minutes (None: days)."""
        ...

    def reach(self, params: Params) -> Reach: ...
    def compute(self, bars: Bars, inputs: list[Values], params: Params) -> tuple[Values, ...]: ...


@dataclass(frozen=True, slots=True)
class Constant:
    value: float

    @property
    def parts(self) -> tuple[Tree, ...]:
        return ()

    def __str__(self) -> str:
        return f"{self.value:g}"


@dataclass(frozen=True, slots=True)
class Column:
    frame: str
    name: str
    shown: str  # as its author would write it: without the frame where there is one only

    @property
    def parts(self) -> tuple[Tree, ...]:
        return ()

    def __str__(self) -> str:
        return self.shown


@dataclass(frozen=True, slots=True)
class Call:
    """One output of a function, over series of its own frame or of longer bars."""

    frame: str
    function: Function
    inputs: tuple[Tree, ...]
    params: Params
    output: int
    shown: str

    @property
    def parts(self) -> tuple[Tree, ...]:
        return self.inputs

    def __str__(self) -> str:
        return self.shown


@dataclass(frozen=True, slots=True)
class Shifted:
    """What it was so many bars ago."""

    of: Tree
    bars: int

    @property
    def frame(self) -> str:
        assert not isinstance(self.of, Constant)
        return self.of.frame

    @property
    def parts(self) -> tuple[Tree, ...]:
        return (self.of,)

    def __str__(self) -> str:
        return f"{_bracketed(self.of)}[{self.bars}]"


@dataclass(frozen=True, slots=True)
class Operation:
    """`+ - * /` and `neg` over numbers; comparisons; `and or not` over conditions."""

    frame: str
    sign: str
    parts: tuple[Tree, ...]

    def __str__(self) -> str:
        if self.sign in ("not", "neg"):
            word = "not " if self.sign == "not" else "-"
            return f"{word}{_bracketed(self.parts[0])}"
        return f" {self.sign} ".join(map(_bracketed, self.parts))


Tree = Constant | Column | Call | Shifted | Operation

COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")


def is_condition(tree: Tree) -> bool:
    match tree:
        case Call():
            return tree.function.is_condition
        case Shifted():
            return is_condition(tree.of)
        case Operation():
            return tree.sign in (*COMPARISONS, "and", "or", "not")
    return False


def walk(tree: Tree) -> Iterator[Tree]:
    """The tree and every part of it, each part before what it is a part of."""
    for part in tree.parts:
        yield from walk(part)
    yield tree


def reach(tree: Tree) -> dict[str, Reach]:
    """How far back the value of one bar looks, in each frame."""
    found: dict[str, Reach] = {}
    for part in tree.parts:
        for frame, far in reach(part).items():
            found[frame] = found.get(frame, Reach()).beside(far)
    if isinstance(tree, Constant):
        return found
    own = _own_reach(tree)
    found.setdefault(tree.frame, Reach())
    return {frame: own.then(far) if frame == tree.frame else far for frame, far in found.items()}


def _own_reach(tree: Tree) -> Reach:
    match tree:
        case Call():
            return tree.function.reach(tree.params)
        case Shifted():
            return Reach(tree.bars)
    return Reach()


def _bracketed(tree: Tree) -> str:
    return f"({tree})" if isinstance(tree, Operation) else str(tree)
