"""What every part of a config is made of: strict models, and values as a user writes them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    InstanceOf,
    PlainSerializer,
    ValidationInfo,
)
from pydantic_core import PydanticCustomError

from actors.market.timeframe import Timeframe
from actors.upstox.limits import reach

#: Kind of a mistake that lies between two keys; it may be an option's fault.
REVERSED = "reversed_range"

_ISO_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_SHOWN = 40  # characters of a wrong value that are repeated to the user


class Section(BaseModel):
    """A mapping of a config: no unknown keys, no guessing of types, not changed once read."""

    model_config = ConfigDict(
        strict=True,
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        hide_input_in_errors=True,
        serialize_by_alias=True,
    )


@dataclass(frozen=True, slots=True)
class Reading:
    """What the meaning of a config's values depends on."""

    folder: Path  # of the config file: relative paths start here
    today: date  # IST


def nearest(word: str, known: Iterable[str]) -> str:
    """`; did you mean X?`, or nothing where no known word is near."""
    found = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {found[0]}?" if found else ""


def quoted(value: object) -> str:
    """Repeat a wrong value, shortened."""
    text = repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def refuse_reversed(first: date | None, last: date | None) -> None:
    if first is not None and last is not None and first > last:
        raise PydanticCustomError(
            REVERSED, "the first day {first} comes after the last, {last}", _days(first, last)
        )


def _days(first: date, last: date) -> dict[str, str]:
    return {"first": str(first), "last": str(last)}


def _day(value: object) -> date | None:
    if value is None or type(value) is date:
        return value
    if isinstance(value, str) and _ISO_DAY.fullmatch(value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise ValueError(f"there is no day {value}") from None
    raise ValueError(f"{quoted(value)} is no date; write YYYY-MM-DD")


def _past_day(value: object, info: ValidationInfo) -> date | None:
    day = _day(value)
    if day is not None and isinstance(info.context, Reading) and day > info.context.today:
        raise ValueError(f"{day} is in the future; there are no candles yet")
    return day


def timeframe_of(value: object) -> Timeframe:
    """Read a timeframe's label. Raises ValueError if it is none, or none that the provider has."""
    if isinstance(value, Timeframe):
        return value
    timeframe = Timeframe.parse(value if isinstance(value, str) else quoted(value))
    reach(timeframe)
    return timeframe


def _beside_config(value: object, info: ValidationInfo) -> Path | None:
    if value is None or isinstance(value, Path):
        return value
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise ValueError(f"{quoted(value)} is no path of a file")
    path = Path(value).expanduser()
    path = info.context.folder / path if isinstance(info.context, Reading) else path
    if not path.is_file():
        raise ValueError(f"{path} is a folder" if path.is_dir() else f"there is no file {path}")
    return path


def _not_empty(values: tuple[object, ...]) -> tuple[object, ...]:
    # pydantic's own `min_length` does not count entries that are refused for themselves.
    if not values:
        raise ValueError("is empty")
    return values


def _one_or_more(value: object) -> object:
    return (value,) if isinstance(value, str) else value


Day = Annotated[date | None, BeforeValidator(_day)]
PastDay = Annotated[date | None, BeforeValidator(_past_day)]
Label = Annotated[InstanceOf[Timeframe], BeforeValidator(timeframe_of), PlainSerializer(str)]
ConfigPath = Annotated[Path | None, BeforeValidator(_beside_config)]
Text = Annotated[str, Field(min_length=1)]
Texts = Annotated[tuple[Text, ...], Field(strict=False)]
NotEmpty = AfterValidator(_not_empty)
OneOrMore = Annotated[Texts, BeforeValidator(_one_or_more)]
