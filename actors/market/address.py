from __future__ import annotations

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

# Printable ASCII; without the backslash, which parsers of addresses disagree about.
_PLAIN = re.compile(r"[!-\[\]-~]+")


def checked_url(text: str) -> str:
    """Return `text` without a slash at its end: an address that paths are to be put behind.

    Raises ValueError as `checked_endpoint` does, and for a query.
    """
    if urlsplit(checked_endpoint(text)).query:
        raise ValueError("must end before any ? or #")
    return text.rstrip("/")


def checked_endpoint(text: str) -> str:
    """Return `text`: an address to be asked as it stands, its query included.

    Raises ValueError unless it is https, or http to this very machine: neither a token nor an
    instrument master may cross a network in the open. The words of the error do not repeat the
    address: it may carry a password.
    """
    if _PLAIN.fullmatch(text) is None:
        raise ValueError("is no web address: it has blanks or odd characters")
    parts = urlsplit(text)
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.port == 0:
        raise ValueError("is no web address; write one like https://host or http://127.0.0.1:8080")
    if "@" in parts.netloc:
        raise ValueError("must not carry a user or a password")
    if parts.fragment:
        raise ValueError("must end before any #")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError(
            "must be https: plain http is for this machine only (localhost, 127.0.0.1)"
        )
    return text


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
