"""Looks at the agenda again and again. What is due is done by a process of its own.

So a run's memory, its signals and its crashes are its own affair. Between two looks it waits by the wall
clock, for half a minute at most: a machine that has slept notices soon after it wakes.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from signal import SIGTERM

from actors.market.clock import MACHINE
from actors.market.errors import CandlefleetError
from actors.market.sessions import IST
from actors.writer.folder import absolute
from cluster import own_code
from cluster.config import RunConfig
from cluster.config.file import read_mapping
from cluster.exit import Exit
from cluster.interrupt import Interrupt, interruptible
from cluster.schedule.agenda import Due
from cluster.schedule.keeper import Keeper, Say
from cluster.schedule.locks import is_at_work, only_daemon
from cluster.schedule.notice import troubles
from cluster.schedule.record import Outcome
from cluster.screen import ready

LOOK_EVERY = timedelta(seconds=30)
#: Those whom nobody has reached: a webhook is often down for the same reason as the provider.
TELL_AGAIN_EVERY = timedelta(minutes=10)
#: A run that is asked to stop ends its requests under way, commits them and leaves Ray.
DRAINED_WITHIN_S = 180.0
#: Who is at it for longer is asked to drain, and goes on with a new process; who hangs does not hold up all.
RUN_ENDS_WITHIN_S = 12 * 3600.0
_TURN_S = 0.25
#: A daemon outlives them: at the next look they may be over.
_PASSING = (CandlefleetError, OSError)


@dataclass(slots=True)
class Daemon:
    """Of one store."""

    load: Callable[[], RunConfig]  # reads the config, which may have changed; raises UsageError
    once: Sequence[str]  # the command that heeds an occasion, up to `--once`
    say: Say
    _troubles: list[str] = field(default_factory=list, init=False)  # of this look
    _told: list[str] = field(default_factory=list, init=False)  # of the one before
    _tell_at: datetime = field(default_factory=MACHINE.now, init=False)

    def run(self) -> Exit:
        """Until SIGTERM or SIGINT, for which a run that is under way drains.

        Raises UsageError at once if another daemon looks after the store, or for a screen there is not.
        """
        config, was_cut_off = self.load(), False
        for job in config.schedule.jobs:
            for each in job.screens:
                read_mapping(ready.find(each.screen))
        with only_daemon(config.store), interruptible() as interrupt:
            self.say(f"process {os.getpid()} looks after {absolute(config.store)}")
            for trouble in troubles(config.schedule.notify):
                self.say(f"could not tell {trouble}")
            while not interrupt:
                config = self._reread(config)
                outcome = self._look(config, interrupt)
                was_cut_off = outcome is Outcome.INTERRUPTED
                if outcome in (None, Outcome.INTERRUPTED):  # perhaps by others, who will again
                    _wait(interrupt)
            self.say(f"ends, for {interrupt.signal}")
        return Exit.INTERRUPTED if was_cut_off else Exit.DONE

    def _reread(self, config: RunConfig) -> RunConfig:
        """With which each look begins."""
        self._told, self._troubles = self._troubles, []
        try:
            fresh = self.load()
            is_other = absolute(fresh.store) != absolute(config.store)
        except _PASSING as error:
            self._complain(f"{error}; until it is mended its jobs keep their times, and fail")
            return config
        if is_other:
            self._complain("the config names another store now; for that, start anew")
            return config
        return fresh

    def _look(self, config: RunConfig, interrupt: Interrupt) -> Outcome | None:
        """What became of what was due; None if nothing was, or nothing can be done now."""
        try:
            if is_at_work(config.store):
                self._complain("another process does a job of it; waiting for its end")
                return None
            keeper = Keeper(config, partial(self._perform, interrupt), self.say)
            record = keeper.look()
            if record is None and MACHINE.now() >= self._tell_at:
                self._tell_at = MACHINE.now() + TELL_AGAIN_EVERY
                keeper.tell_again()
        except _PASSING as error:  # the store is out of reach, or the machine short of something
            self._complain(str(error))
            return None
        return None if record is None else record.outcome

    def _complain(self, trouble: str) -> None:
        """Say it, unless it was so at the last look already."""
        if trouble not in self._told:
            self.say(trouble)
        self._troubles.append(trouble)

    def _perform(self, interrupt: Interrupt, due: Due) -> int:
        words = ["--once", due.job.name, "--occasion", due.occasion.isoformat()]
        child = subprocess.Popen(  # noqa: S603 - our own program
            [*self.once, *words],
            stdin=subprocess.PIPE,  # its end tells the child that we are gone
            env=own_code.environment(),
            start_new_session=True,  # Ctrl-C is for us, who ask it to drain
        )
        assert child.stdin is not None
        end_s = time.monotonic() + RUN_ENDS_WITHIN_S
        with child.stdin:
            while True:
                try:
                    return child.wait(_TURN_S)
                except subprocess.TimeoutExpired:
                    if interrupt:
                        return _drained(child)
                    if time.monotonic() > end_s:
                        self.say(f"{due.job.name} has had {RUN_ENDS_WITHIN_S / 3600:g} hours")
                        return _drained(child)


def own_command() -> list[str]:
    """`candlefleet`, by the same interpreter and code; nothing is imported from where the user stands."""
    return [sys.executable, "-P", "-m", "cluster"]


def end_with_parent() -> None:
    """From now on, interrupt this process once nobody holds the other end of its stdin."""

    def watch() -> None:
        while os.read(0, 1024):
            pass
        os.kill(os.getpid(), SIGTERM)
        time.sleep(DRAINED_WITHIN_S)
        # The second ends it at once: one that hangs must not keep the lock.
        os.kill(os.getpid(), SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


def _drained(child: subprocess.Popen[bytes]) -> int:
    child.terminate()
    try:
        return child.wait(DRAINED_WITHIN_S)
    except subprocess.TimeoutExpired:
        child.kill()
        return child.wait()


def _wait(interrupt: Interrupt) -> None:
    """Until it is time to look again, by the wall clock."""
    until = MACHINE.now() + LOOK_EVERY
    while not interrupt and until - LOOK_EVERY <= MACHINE.now() < until:
        time.sleep(_TURN_S)


def stamped(line: str) -> str:
    """With India's time."""
    return f"{MACHINE.now().astimezone(IST):%Y-%m-%d %H:%M:%S} {line}"
