from __future__ import annotations

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class Split:
    """Each share becomes `ratio` shares. From `ex_date` on, all history is served as if it had ever been so.

    Seen on the real service: prices divided and rounded to the tick, volumes multiplied, between the
    evening before and the morning of the day (2026-09).
    """

    ratio: float
    ex_date: date
