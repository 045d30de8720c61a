from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
import re
import socket
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from actors.market.errors import UsageError

DEFAULT_VARIABLE = "UPSTOX_ACCESS_TOKEN"
ANONYMOUS = "anonymous"

#: A header can carry nothing else; and what is longer is some other file.
_SENDABLE = re.compile(r"[!-~]{1,4096}")
_MAX_FILE_BYTES = 16_384
_JWT_PARTS = 3


@dataclass(frozen=True, slots=True)
class TokenSource:
    """Where the access token is. Never holds it: it is read each time it is needed.

    So it may be shown, logged and pickled, and a token renewed in its file is picked up.
    """

    variable: str = DEFAULT_VARIABLE
    file: str | None = None  # if given, the variable is not looked at

    @classmethod
    def find(cls, token_file: str | os.PathLike[str] | None) -> TokenSource:
        """Where the user keeps the token: in the file named, else in the environment."""
        return cls() if token_file is None else cls(file=os.fspath(token_file))

    def read(self) -> str | None:
        """Fetch the token; None if there is none. Raises UsageError if it cannot be one."""
        text = os.environ.get(self.variable, "") if self.file is None else self._from_file()
        token = text.strip()
        if not token:
            return None
        if _SENDABLE.fullmatch(token) is None:
            # The text itself is not shown: most of it may well be a token.
            raise UsageError("no access token: too long, or with odd characters", self.where)
        return token

    @property
    def where(self) -> str:
        return f"${self.variable}" if self.file is None else self.file

    def account(self) -> str:
        """Name the account the token belongs to: a digest, the same for all tokens of one user.

        Limits count per user, and a user's token changes daily: so where the token names its user (a
        JWT's `sub`), it is the user who is named. Not to be written down as it is: who guesses a user's
        name could tell that it is theirs.
        """
        token = self.read()
        if token is None:
            return ANONYMOUS
        subject = _claims(token).get("sub")
        owner = subject if isinstance(subject, str) and subject else token
        return hashlib.blake2b(owner.encode(), person=b"candlefleet acct").hexdigest()

    def ends_at(self) -> datetime | None:
        """When the token stops being good, in UTC; None if there is none, or it does not say.

        Raises UsageError as `read` does.
        """
        token = self.read()
        ends = None if token is None else _claims(token).get("exp")
        if isinstance(ends, bool) or not isinstance(ends, (int, float)):
            return None
        try:
            return datetime.fromtimestamp(ends, UTC)
        except (ValueError, OverflowError, OSError):  # no moment that a calendar has
            return None

    def refuse_others(self, account: str) -> None:
        """Raise UsageError if the token here is not of that account, whose budget is spent from."""
        if self.account() != account:
            found = "none" if self.read() is None else "another account's"
            problem = f"the token is not the driver's: the node {socket.gethostname()} has {found}"
            raise UsageError(problem, self.where)

    def _from_file(self) -> str:
        assert self.file is not None
        try:
            with Path(self.file).open("rb") as stream:
                content = stream.read(_MAX_FILE_BYTES)
        except OSError as error:
            raise UsageError(f"cannot read the token: {error.strerror}", self.where) from None
        if not content.strip():
            raise UsageError("the token file is empty", self.where)
        # Odd bytes become characters that `read` refuses.
        return content.decode("ascii", "replace")


def _claims(token: str) -> dict[str, Any]:
    """What a JWT says of itself; nothing of what is none. Not verified: that is the provider's business."""
    parts = token.split(".")
    if len(parts) != _JWT_PARTS:
        return {}
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=="))
    except (ValueError, RecursionError, binascii.Error):
        return {}
    return claims if isinstance(claims, dict) else {}
