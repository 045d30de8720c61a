"""What may go wrong, by what can be done about it.

CandlefleetError
├── UsageError        yours to mend: config, options, paths (exit 2)
├── ProviderRefusal   the provider turned the account or the client away (exit 3)
└── StoreError        the store cannot be read or written
    └── WriterFenced  another writer has committed since; this one must stop

They are dataclasses so that they keep their fields, and their type, through pickling between processes.
"""

from __future__ import annotations

from dataclasses import dataclass


class CandlefleetError(Exception):
    """Anything candlefleet raises on purpose. `str()` is fit to be shown to the user."""


@dataclass(eq=False)
class UsageError(CandlefleetError):
    problem: str
    where: str = ""  # path of the key or option: `universe.file`, `--from`

    def __str__(self) -> str:
        return f"{self.where}: {self.problem}" if self.where else self.problem


@dataclass(eq=False)
class ProviderRefusal(CandlefleetError):
    reason: str
    http_status: int | None = None
    error_code: str | None = None

    def __str__(self) -> str:
        code = f" ({self.error_code})" if self.error_code else ""
        return f"{self.reason}{code}"


@dataclass(eq=False)
class StoreError(CandlefleetError):
    problem: str
    store: str

    def __str__(self) -> str:
        return f"store {self.store}: {self.problem}"


@dataclass(eq=False)
class WriterFenced(StoreError):
    pass
