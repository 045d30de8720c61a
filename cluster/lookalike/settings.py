"""Every switch of the look-alike, as a frozen dataclass and as flags of its program."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field, dataclass, field, fields
from datetime import date, datetime, timedelta, timezone
from typing import Any

from cluster.lookalike.faults import Fault
from cluster.lookalike.split import Split

IST = timezone(timedelta(hours=5, minutes=30), "IST")

#: (limit, seconds), per user, for the standard APIs, candles among them. Source: Upstox's page
#: "Rate limiting", read 2026-09.
PUBLISHED_WINDOWS = ((50, 1.0), (500, 60.0), (2000, 1800.0))
_LAST_PORT = 65_535
AUTH_MODES = ("off", "bad_token", "required")

Windows = tuple[tuple[int, float], ...]


def _read_windows(text: str) -> Windows:
    pairs = [part.split("/") for part in text.split(",") if part]
    return tuple((int(limit), float(seconds)) for limit, seconds in pairs)


def _show_windows(windows: Windows) -> str:
    return ",".join(f"{limit}/{seconds!r}" for limit, seconds in windows)


def _read_rates(text: str) -> dict[str, float]:
    pairs = [part.split("=") for part in text.split(",") if part]
    return {kind: float(rate) for kind, rate in pairs}


def _show_rates(rates: Mapping[str, float]) -> str:
    return ",".join(f"{kind}={rate!r}" for kind, rate in rates.items())


def _read_splits(text: str) -> dict[str, Split]:
    splits = {}
    for part in filter(None, text.split(",")):
        key, _, terms = part.rpartition("=")
        ratio, _, ex_date = terms.partition("@")
        splits[key] = Split(float(ratio), date.fromisoformat(ex_date))
    return splits


def _show_splits(splits: Mapping[str, Split]) -> str:
    return ",".join(f"{key}={split.ratio!r}@{split.ex_date}" for key, split in splits.items())


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=IST)


def _flag(
    default: Any, read: Callable[[str], Any], meaning: str, show: Callable[[Any], str] = str
) -> Any:
    metadata = {"read": read, "show": show, "help": meaning}
    if isinstance(default, dict):
        return field(default_factory=lambda: dict(default), metadata=metadata)
    return field(default=default, metadata=metadata)


def _switch(meaning: str) -> Any:
    return field(default=False, metadata={"help": meaning})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """See `python -m cluster.lookalike --help` for what each means."""

    port: int = _flag(0, int, "port on 127.0.0.1; 0 takes a free one")
    seed: int = _flag(0, int, "which market; the same seed is the same market, always")
    now: datetime | None = _flag(  # noqa: RUF009 - makes a dataclass field
        None,
        _moment,
        "the exchange's time at its start, ISO 8601, IST unless it says; default the real time",
        datetime.isoformat,
    )
    clock_rate: float = _flag(
        1.0, float, "seconds of the exchange to a real second; 0 stands still"
    )
    windows: Windows = _flag(  # noqa: RUF009 - likewise
        PUBLISHED_WINDOWS, _read_windows, "limit/seconds,... in any sliding window", _show_windows
    )
    unlimited: bool = _switch("measure the windows but refuse nobody")
    count_refused: bool = _switch("refused requests use up the windows too")
    retry_after_s: int | None = _flag(None, int, "send Retry-After with a refusal")
    auth: str = _flag("off", str, f"one of {', '.join(AUTH_MODES)}")
    token: str = _flag("lookalike-token", str, "the token that counts as good")
    latency_s: float = _flag(0.0, float, "mean wait before an answer")
    jitter_s: float = _flag(0.0, float, "the wait is within so much of the mean, evenly spread")
    faults: Mapping[str, float] = _flag(
        {},
        _read_rates,
        f"kind=probability,... or mixed=p, or worst=p; kinds are {', '.join(Fault)}",
        _show_rates,
    )
    fault_seed: int = _flag(0, int, "which requests the faults fall on")
    faults_per_path: int | None = _flag(None, int, "most faults dealt to one path")
    faults_matching: str = _flag("", str, "deal faults only to paths that hold this text, decoded")
    insane_share: float = _flag(0.01, float, "share of the rows an insane answer gets wrong")
    stall_s: float = _flag(5.0, float, "how long a stalled answer holds its connection")
    drip_s: float = _flag(5.0, float, "how long a dripping body takes")
    cache_mb: int = _flag(64, int, "memory for bodies answered before; 0 for none")
    log_arrivals: bool = _switch("keep every arrival for GET /judge?log=1")
    splits: Mapping[str, Split] = _flag(
        {}, _read_splits, "key=ratio@ex-date,...: history rewritten overnight", _show_splits
    )
    intraday_last_day: bool = _switch("on closed days, intraday answers with the last session")
    intraday_differs: float = _flag(
        0.0, float, "share of the intraday bars that history will not confirm"
    )
    with_parent: bool = _switch("end when stdin does")

    def __post_init__(self) -> None:
        if not 0 <= self.port <= _LAST_PORT:
            raise ValueError(f"port is from 0 to {_LAST_PORT}, not {self.port}")
        if self.auth not in AUTH_MODES:
            raise ValueError(f"auth is one of {', '.join(AUTH_MODES)}, not {self.auth!r}")
        if any(limit < 1 or seconds <= 0 for limit, seconds in self.windows):
            raise ValueError("a window holds at least 1 request in more than 0 seconds")
        if not (self.latency_s >= 0 and self.jitter_s >= 0):
            raise ValueError("latency and jitter are 0 seconds or more")
        if self.jitter_s > self.latency_s:
            raise ValueError("jitter cannot exceed the mean latency")

    def argv(self) -> list[str]:
        """The flags that make these settings again."""
        flags: list[str] = []
        usual = Settings()
        for one in fields(self):
            value = getattr(self, one.name)
            if value == getattr(usual, one.name):
                continue
            if "read" in one.metadata:
                flags.append(f"{_name(one)}={one.metadata['show'](value)}")
            else:
                flags.append(_name(one))
        return flags


def _in_words(read: Callable[[str], Any], meaning: str) -> Callable[[str], Any]:
    """Reads a flag, and refuses by what the flag means."""

    def reading(text: str) -> Any:
        try:
            return read(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} will not do: {meaning}") from None

    return reading


def _help(one: Field[Any], usual: Any) -> str:
    """What the flag means, and its default unless that is nothing."""
    meaning: str = one.metadata["help"]
    if usual in (None, "", {}):
        return meaning
    return f"{meaning} (default {one.metadata['show'](usual)})"


def _name(one: Field[Any]) -> str:
    return "--" + one.name.replace("_", "-")


def read_argv(
    argv: Sequence[str] | None = None, prog: str = "python -m cluster.lookalike"
) -> Settings:
    parser = argparse.ArgumentParser(
        prog=prog,
        description="An exchange that looks like Upstox, on loopback. Its candles are synthetic.",
    )
    usual = Settings()
    for one in fields(Settings):
        read = one.metadata.get("read")
        meaning = one.metadata["help"]
        if read is None:
            parser.add_argument(_name(one), action="store_true", help=meaning)
        else:
            reading = _in_words(read, meaning)
            shown = _help(one, getattr(usual, one.name))
            parser.add_argument(
                _name(one), type=reading, default=argparse.SUPPRESS, metavar="", help=shown
            )
    try:
        return Settings(**vars(parser.parse_args(argv)))
    except ValueError as mistake:
        parser.error(str(mistake))
