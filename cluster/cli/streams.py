"""The standard streams, once whoever reads them has seen enough, as after `| head`."""

from __future__ import annotations

import errno
import io
import sys
from typing import Any, TextIO

from actors.market.errors import CandlefleetError

_STDOUT = 1


class _Stream(io.FileIO):
    """Drops what nobody reads any more; the command goes on, and its exit code tells the truth.

    Raises CandlefleetError, once, if results cannot be written, as to a full disk.
    """

    _complained = False

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self._was_terminal = self.isatty()  # of one that is gone, nothing can be told any more

    def write(self, content: Any, /) -> int:
        try:
            return super().write(content)
        except BrokenPipeError:
            pass
        except OSError as error:
            is_gone = self._was_terminal and error.errno == errno.EIO
            if self.fileno() == _STDOUT and not self._complained and not is_gone:
                self._complained = True
                raise CandlefleetError(f"stdout cannot be written ({error.strerror})") from error
        return memoryview(content).nbytes


def outlive_readers() -> None:
    """From now on, that nobody reads stdout or stderr any more is no error."""
    sys.stdout, sys.stderr = _outliving(sys.stdout), _outliving(sys.stderr)


def _outliving(stream: Any) -> TextIO:
    if not isinstance(stream, io.TextIOWrapper):  # closed, or somebody's own
        kept: TextIO = stream
        return kept
    stream.flush()
    raw = _Stream(stream.fileno())
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
    )
