"""Two outlets for one log: JSON lines in the run's folder, human lines on stderr."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from cluster.wording import printable

# What every record carries by itself; anything else came with `extra`.
_STANDARD = set(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


def _extra(record: logging.LogRecord) -> dict[str, object]:
    # Ray stamps every record made while it is imported.
    return {
        k: v for k, v in vars(record).items() if k not in _STANDARD and not k.startswith("_ray")
    }


class JsonLines(logging.Formatter):
    """One object a line: `at` (UTC), `level`, `event`, and the event's own numbers."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **_extra(record),
        }
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str)


#: Events that people should read, as sentences.
_SENTENCES = {
    "run.stopping": "Stopping: {reason}. What was fetched is being stored.",
    "run.abandoned": "Gave up waiting for {in_flight} requests under way.",
    "ray.starting": "Waiting up to {at_most_s:g} s for Ray to start; the machine may be busy.",
    "fleet.starting": "Waiting up to {at_most_s:g} s for {actors} to start; the machine may be busy.",
    "fleet.slowed": "Slowed down: {reason}.",
    "budget.frozen": "The provider refused a request (429) though we had counted {own_count}; "
    "nothing is sent for {next_try_s} s.",
    "fleet.resumed": "Memory is back under its limit; going on.",
    "provider.failing": "The provider fails ({error}); until it answers, only one request now and "
    "then is sent.",
    "provider.answers": "The provider answers; going on.",
    "head.lost": "The head of the Ray cluster does not answer. Unless it comes back soon, the run ends; what "
    "was fetched is kept, and the same command fetches the rest.",
    "fetcher.lost": "{fetcher} does not answer; its chunks will be asked again.",
    "fetch.broke": "Fetching {chunk} broke, which should not happen: see the run's log.",
    "commit.broke": "Committing broke, which should not happen: see the run's log.",
    "fetcher.returned": "{fetcher} is back.",
    "node.barren": "{fetcher} could not start on {host}, and will try on {other}: see the run's log.",
    "writer.lost": "The writer does not answer, and restarts if it has died; it commits what it had kept.",
    "cluster.installing": "Waiting up to {minutes:g} minutes until the cluster has installed our packages.",
    "store.untidy": "The store was not put in order: {error}",
}


def sentence(record: logging.LogRecord) -> str:
    """The event in words, or with its numbers where there are no words for it."""
    extra = _extra(record)
    if record.getMessage() in _SENTENCES:
        return _SENTENCES[record.getMessage()].format_map(extra)
    return "  ".join([record.getMessage(), *(f"{k}={v}" for k, v in extra.items())])


class _HumanLines(logging.Handler):
    """Warnings and worse, on the console that also shows the progress (so neither tears the other)."""

    def __init__(self, console: Console) -> None:
        super().__init__(logging.WARNING)
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        style = "red" if record.levelno >= logging.ERROR else "yellow"
        text = printable(sentence(record))
        self._console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)


class _Lines(logging.FileHandler):
    """The file. That it cannot be written is said once, on the console; the run does not end for that."""

    def __init__(self, path: Path, console: Console) -> None:
        super().__init__(path, encoding="utf-8")
        self.setFormatter(JsonLines())
        self._console: Console | None = console

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # its name in logging
        error = sys.exception()
        if not isinstance(error, OSError):
            super().handleError(record)
        elif self._console is not None:
            text = f"The run's log cannot be written ({error.strerror})."
            self._console.print(text, style="yellow", markup=False, highlight=False)
            self._console = None

    def close(self) -> None:
        with suppress(OSError):  # what could not be written before cannot be now
            super().close()


@contextmanager
def run_log(path: Path, console: Console) -> Iterator[None]:
    """Within, what our own packages log goes to `path` (INFO and up) and to the console."""
    path.parent.mkdir(parents=True, exist_ok=True)
    to_file = _Lines(path, console)
    try:
        with _heard_by(to_file, _HumanLines(console)):
            yield
    finally:
        to_file.close()


@contextmanager
def aloud(console: Console) -> Iterator[None]:
    """Within, what people should read of what our own packages log goes to the console."""
    with _heard_by(_HumanLines(console)):
        yield


@contextmanager
def _heard_by(*handlers: logging.Handler) -> Iterator[None]:
    ours = [logging.getLogger(name) for name in ("actors", "cluster")]
    for logger in ours:
        logger.setLevel(logging.INFO)
        for handler in handlers:
            logger.addHandler(handler)
    try:
        yield
    finally:
        for logger in ours:
            for handler in handlers:
                logger.removeHandler(handler)
