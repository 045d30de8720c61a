"""The local cluster that `candlefleet up` keeps for the runs to come, until `candlefleet down`."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from importlib.metadata import version
from pathlib import Path
from textwrap import shorten

import psutil
from filelock import FileLock, Timeout

from actors.market.errors import CandlefleetError, UsageError
from cluster import local_cluster
from cluster.address import place_of, silence
from cluster.local_cluster import DASHBOARD, NAMED_IN, STAY, Cluster
from cluster.state import made
from cluster.wording import counted, printable

_FILE = "cluster.json"
_LOCK_FILE = "cluster.lock"
LOCKED_WITHIN_S = local_cluster.READY_WITHIN_S + local_cluster.ENDED_WITHIN_S
_SHOWN_CHARS = 100  # of a command line

#: What actors read from the environment, by the beginnings of its names.
_HEEDED = (
    *("UPSTOX_", "AWS_", "SSL_CERT_", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
)

_PACKAGES = ("actors", "cluster")


@dataclass(frozen=True, slots=True)
class Kept:
    """What is written down of it."""

    address: str
    pid: int
    mark: str  # on the command line of its head; the number alone may be another process's by now
    dashboard: str | None = None  # its URL
    code: str = ""  # digests of what its actors are made of, and of what they heed
    environment: str = ""
    salt: str = ""

    def process(self) -> psutil.Process | None:
        """The head that holds it, if it is alive.

        When it began would not tell: that moves when the clock is set.
        """
        with suppress(psutil.Error):
            process = psutil.Process(self.pid)
            # Of a dead one that nobody has buried, it is empty.
            if STAY + self.mark in process.cmdline():
                return process
        return None

    def differs(self) -> str | None:
        """Why this process's run must not use it, in words; None if it may."""
        if self.code != code_digest():
            return "it was started by other code than this"
        if self.environment != environment_digest(self.salt):
            return "it was started with another token, proxy or AWS environment"
        return None

    def as_cluster(self) -> Cluster:
        return Cluster(
            "the cluster that `candlefleet up` keeps",
            lambda _is_over: self.address,
            is_lost=lambda: self.process() is None,
        )


def find(state_dir: Path) -> Kept | None:
    """The one that is kept, if it is there for runs: what its head holds dies before it."""
    kept = _alive(state_dir)
    return kept if kept is not None and silence(kept.address) is None else None


def _alive(state_dir: Path) -> Kept | None:
    try:
        told = json.loads((state_dir / _FILE).read_text(encoding="utf-8"))
        # Another version of ours may have written down more, or less.
        kept = Kept(**{each.name: told[each.name] for each in fields(Kept) if each.name in told})
    except (OSError, TypeError, ValueError):
        return None
    return kept if kept.process() is not None else None


def up(state_dir: Path, *, dashboard: bool = False) -> tuple[Kept, bool]:
    """Start one, unless one is up. Returns it, and whether it is new."""
    with _locked(state_dir):
        kept = find(state_dir)
        if kept is not None:
            return kept, False
        _end(_alive(state_dir))
        os.environ.update(local_cluster.QUIET | local_cluster.environment(state_dir))
        mark = secrets.token_hex(8)
        named_in = f"{NAMED_IN}{(state_dir / _FILE).absolute()}"
        head = local_cluster.start_head(named_in, *[DASHBOARD] * dashboard, stay=mark)
        process = psutil.Process(head.pid)
        try:
            told = local_cluster.ready(head)
            assert told is not None
            salt = secrets.token_hex(16)
            kept = Kept(
                address=told.address,
                pid=head.pid,
                mark=mark,
                dashboard=told.dashboard,
                code=code_digest(),
                environment=environment_digest(salt),
                salt=salt,
            )
            with made(state_dir):
                local_cluster.write_privately(state_dir / _FILE, json.dumps(asdict(kept)))
        except BaseException:  # Ctrl-C too
            local_cluster.end_head(process)
            raise
        return kept, True


def down(state_dir: Path, *, force: bool = False) -> bool:
    """End it, and all it holds. Returns whether there was one.

    Raises UsageError while runs are at work on it, unless it is forced.
    """
    with _locked(state_dir):
        kept = _alive(state_dir)
        if kept is not None and not force and (runs := at_work(kept)):
            are, them = ("is", "it") if len(runs) == 1 else ("are", "them")
            problem = f"{counted(len(runs), 'run')} {are} at work on it: {', '.join(runs)}; "
            raise UsageError(f"{problem}wait for {them}, stop {them}, or --force", "down")
        has_ended = _end(kept)
        (state_dir / _FILE).unlink(missing_ok=True)
        return has_ended


def _end(kept: Kept | None) -> bool:
    process = kept.process() if kept else None
    if process is not None:
        local_cluster.end_head(process)
    return process is not None


def at_work(kept: Kept) -> list[str]:
    """The runs that have joined it, in words: they are connected to it, even if they write nothing down.

    Whoever asks is none of them.
    """
    head = kept.process()
    own = {head, *head.children(recursive=True)} if head else set()
    others = (process for process in psutil.process_iter() if process.pid != os.getpid())
    found = list[str]()
    for process in others:
        with suppress(psutil.Error, OSError):  # it is somebody else's, or gone
            words = process.cmdline()
            is_ours = any(map(_is_our_name, words))  # a job is among the head's, too
            if (is_ours or process not in own) and _is_connected(process, kept.address):
                found.append(f"{_called(words)} (process {process.pid})")
    return found


def _is_connected(process: psutil.Process, address: str) -> bool:
    there = place_of(address)
    places = ((each.raddr, each.status) for each in process.net_connections("tcp"))
    return any(
        place and (place.ip.removeprefix("::ffff:"), place.port) == there
        for place, status in places
        if status == psutil.CONN_ESTABLISHED
    )


def _is_our_name(word: str) -> bool:
    return word == "cluster" or Path(word).name == "candlefleet"


def _called(words: list[str]) -> str:
    """A command line as it is shown: ours without the Python that runs it."""
    ours = next((at for at, word in enumerate(words) if _is_our_name(word)), None)
    shown = words if ours is None else ["candlefleet", *words[ours + 1 :]]
    return shorten(printable(shlex.join(shown)), _SHOWN_CHARS)


def held_bytes(kept: Kept) -> int:
    """What its processes hold in memory now, what they share counted once where the system can tell."""
    process, held = kept.process(), 0
    for each in [process, *process.children(recursive=True)] if process else []:
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            full = each.memory_full_info()
            held += getattr(full, "pss", full.uss)
    return held


def code_digest() -> str:
    """Of all that workers would load, by what the file system says of it: enough to notice an upgrade."""
    source = Path(__file__).parents[1]
    files = sorted(path for package in _PACKAGES for path in (source / package).rglob("*.py"))
    told = [f"{path} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in files]
    return _digest([sys.executable, sys.version, version("ray"), *told])


def environment_digest(salt: str) -> str:
    """Salted: it cannot be told from the file whether two tokens are the same."""
    heeded = {n: v for n, v in os.environ.items() if n.upper().startswith(_HEEDED)}
    return _digest([salt, *(f"{name}={value}" for name, value in sorted(heeded.items()))])


def _digest(parts: list[str]) -> str:
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=16).hexdigest()


@contextmanager
def _locked(state_dir: Path) -> Iterator[None]:
    """One `up` or `down` at a time."""
    lock = FileLock(state_dir / _LOCK_FILE, timeout=LOCKED_WITHIN_S)
    with made(state_dir):
        try:
            lock.acquire()
        except Timeout:
            problem = "another `up` or `down` does not come to its end"
            raise CandlefleetError(problem) from None
    try:
        yield
    finally:
        lock.release()
