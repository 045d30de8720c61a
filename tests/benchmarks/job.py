"""What every contestant is told. Only the standard library: peers load no more than they need."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import quote

FIELDS = ("ts", "open", "high", "low", "close", "volume", "oi")


@dataclass(frozen=True, slots=True)
class Job:
    """1-minute bars of some instruments; one request for each."""

    base_url: str
    keys: tuple[str, ...]
    first: str  # days, both included
    last: str

    def url(self, key: str) -> str:
        path = f"/v3/historical-candle/{quote(key, safe='')}/minutes/1/{self.last}/{self.first}"
        return self.base_url + path

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)))


def from_argv() -> tuple[Job, Path]:
    """The job of a peer, and the folder to leave one file per instrument in."""
    told = json.loads(Path(sys.argv[1]).read_text())
    return Job(**{**told, "keys": tuple(told["keys"])}), Path(sys.argv[2])


def file_name(key: str) -> str:
    return key.replace("|", "_")
