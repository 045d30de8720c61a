"""Where a cluster that others have started is to be joined. Needs no Ray, which takes a second to import."""

from __future__ import annotations

import socket

from actors.market.errors import UsageError

REACHED_WITHIN_S = 5.0
LAST_PORT = 65_535


def place_of(address: str) -> tuple[str, int] | None:
    """Host and port; None for `auto`, which Ray resolves. Raises UsageError for what is no address.

    Through Ray's client (`ray://`) we would be told that we are on the head, and would look for the store
    there.
    """
    if address == "auto":
        return None
    scheme, _, place = address.rpartition("://")
    if scheme:
        kind = "Ray's client's" if scheme == "ray" else "a dashboard's"
        problem = (
            f"{address} is {kind} address; run this on a node of the cluster with its HOST:PORT, or "
            "give its dashboard's to `candlefleet submit`"
        )
        raise UsageError(problem, "--address")
    host, _, port = place.rpartition(":")
    if not host or not port.isdecimal() or int(port) > LAST_PORT:
        problem = f"{address!r} is no cluster's address; write HOST:PORT, such as 10.0.0.5:6379, or `local`"
        raise UsageError(problem, "--address")
    return host.strip("[]"), int(port)


def reach(address: str) -> None:
    """Raise UsageError if no cluster can be there: if nothing listens, Ray itself would try for minutes."""
    reason = silence(address)
    if reason is not None:
        raise UsageError(f"no Ray cluster answers at {address}: {reason}", "--address")


def silence(address: str) -> str | None:
    """Why nobody can be spoken to there; None if somebody listens, or if it is for Ray to find."""
    place = place_of(address)
    if place is None:
        return None
    try:
        socket.create_connection(place, timeout=REACHED_WITHIN_S).close()
    except (OSError, UnicodeError) as error:  # the latter for what cannot be a host's name
        return getattr(error, "strerror", None) or str(error)
    return None
