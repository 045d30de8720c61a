from __future__ import annotations

#: The exchange whose instrument master lists a segment.
#: Source: the served OpenAPI's pattern of instrument keys and the file of NSE, read 2026-09.
SEGMENTS: dict[str, str] = {
    "NSE_EQ": "NSE",
    "NSE_INDEX": "NSE",
    "NSE_FO": "NSE",
    "NCD_FO": "NSE",
    "NSE_COM": "NSE",
    "BSE_EQ": "BSE",
    "BSE_INDEX": "BSE",
    "BSE_FO": "BSE",
    "BCD_FO": "BSE",
    "MCX_FO": "MCX",
    "MCX_INDEX": "MCX",
}

#: Served, but listed in none of the masters read here. Source: as above.
UNLISTED_SEGMENTS = frozenset({"GLOBAL_INDEX", "GLOBAL_INDICATOR"})

EXCHANGES = frozenset(SEGMENTS.values())
DEFAULT_EXCHANGE = "NSE"


def holds_shares(segment: str) -> bool:
    return segment.endswith("_EQ")


def holds_indices(segment: str) -> bool:
    return segment.endswith("_INDEX")
