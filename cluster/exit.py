from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """What the command tells the shell."""

    DONE = 0
    INCOMPLETE = 1  # some chunks failed or are pending, or names could not be resolved
    USAGE = 2  # config, options or what a run stands on refused before anything was sent
    REFUSED = 3  # the provider turned us away
    INTERRUPTED = 130

    @property
    def is_of_a_whole_run(self) -> bool:
        """Whether the run came to its end: nothing and nobody has cut it off."""
        return self in (Exit.DONE, Exit.INCOMPLETE)
