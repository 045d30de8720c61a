from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from actors.market.errors import UsageError
from actors.market.sessions import ist_date
from cluster.config.ask import Ask
from cluster.config.file import read_mapping
from cluster.config.mistakes import KEEP_OUT, Where, in_words, looks_secret, path_of
from cluster.config.own_form import OwnForm
from cluster.config.section import Reading
from cluster.config.seed_form import SeedForm
from cluster.config.settings import Settings


class RunConfig(Settings):
    """A config as everything after it sees it, whichever form it was written in."""

    asks: tuple[Ask, ...]
    custom_params: dict[str, dict[str, Any]] = {}  # noqa: RUF012  # by instrument key; kept, not understood

    def describe(self) -> dict[str, Any]:
        """For a manifest: JSON types only. A config holds no token, so this holds none."""
        return self.model_dump(mode="json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrides:
    """What the command line says over the file. `first` and `last` hold for every timeframe."""

    store: str | None = None
    base_url: str | None = None
    assets_url: str | None = None
    first: str | date | None = None
    last: str | date | None = None


def load(
    path: str | Path, overrides: Overrides | None = None, *, today: date | None = None
) -> RunConfig:
    """Read and check a config; `today` is India's. Raises one UsageError, naming every mistake."""
    path = Path(path)
    raw = read_mapping(path)
    is_seed = "symbols" in raw
    options = _overlay(raw, overrides or Overrides(), is_seed=is_seed)
    form = SeedForm if is_seed else OwnForm
    reading = Reading(path.absolute().parent, today or ist_date(datetime.now(UTC)))
    secrets = [f"{path_of(where)}: {KEEP_OUT}" for where in _secret_keys(raw, ())]
    try:
        read = form.model_validate(raw, context=reading)
    except ValidationError as error:
        raise _refusal(path, [*secrets, *in_words(error, form, options)], options) from None
    if secrets:
        raise _refusal(path, secrets, options)
    common = {name: getattr(read, name) for name in Settings.model_fields}
    custom_params = read.custom_params() if isinstance(read, SeedForm) else {}
    return RunConfig(**common, asks=read.asks(), custom_params=custom_params)


def _overlay(raw: dict[str, Any], overrides: Overrides, *, is_seed: bool) -> dict[Where, str]:
    """Write the overrides into the config as read. Returns which option stands at which key."""
    written: dict[Where, str] = {}
    for where, option, value in _targets(raw, overrides, is_seed=is_seed):
        if value is None:
            continue
        section: Any = raw
        for part in where[:-1]:
            if isinstance(section, dict) and section.get(part) is None:
                section[part] = {}
            section = section[part]
            if not isinstance(section, (dict, list)):
                break
        if isinstance(section, dict):  # else the file is wrong there, and is refused for that
            section[where[-1]] = value
            written[where] = option
    return written


def _targets(
    raw: dict[str, Any], overrides: Overrides, *, is_seed: bool
) -> Iterator[tuple[Where, str, object]]:
    yield ("store",), "--store", overrides.store
    yield ("provider", "base_url"), "--base-url", overrides.base_url
    yield ("provider", "assets_url"), "--assets-url", overrides.assets_url
    symbols, timeframes = raw.get("symbols"), raw.get("timeframes")
    if is_seed:
        places: list[Where] = [
            ("symbols", place, "date_range")
            for place, entry in enumerate(symbols if isinstance(symbols, list) else [])
            if isinstance(entry, dict)
        ]
        names = ("from_date", "to_date")
    else:
        # An option replaces the days of single timeframes too.
        own = [
            ("timeframes", place)
            for place, entry in enumerate(timeframes if isinstance(timeframes, list) else [])
            if isinstance(entry, dict)
        ]
        places = [("dates",), *own]
        names = ("from", "to")
    for place in places:
        yield (*place, names[0]), "--from", overrides.first
        yield (*place, names[1]), "--to", overrides.last


def _secret_keys(value: object, where: Where) -> Iterator[Where]:
    """Keys in `custom_params` that may hold a secret; anywhere else they are unknown anyway."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if "custom_params" in where and looks_secret(str(key)):
                yield (*where, key)
            yield from _secret_keys(inner, (*where, key))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from _secret_keys(inner, (*where, place))


def _refusal(path: Path, problems: list[str], options: dict[Where, str]) -> UsageError:
    if len(problems) == 1:
        by_option = any(problems[0].startswith(f"{option}: ") for option in options.values())
        return UsageError(problems[0]) if by_option else UsageError(problems[0], str(path))
    listed = "".join(f"\n  {problem}" for problem in problems)
    return UsageError(f"{len(problems)} mistakes{listed}", str(path))
