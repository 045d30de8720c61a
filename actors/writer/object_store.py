"""How `s3://bucket/prefix` is spoken to: by the table engine's own client, for tables and files alike.

Credentials do not pass through here. In every process the engine itself finds them in the usual
places: the environment, the profile in `~/.aws`, the role of the machine.
"""

from __future__ import annotations

import configparser
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from deltalake.fs import DeltaStorageHandler
from pyarrow.fs import FileSelector

from actors.market.address import checked_url, is_loopback
from actors.market.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_ADDRESS = re.compile(rf"s3://{_BUCKET.pattern}(/(?!\.{{1,2}}(/|$))[^/]+)*")

#: What is wrong with an address at which no store can be.
NO_PLACE = "is no path and no s3://bucket/prefix"
_NO_BUCKET = (
    "names no bucket that can be: its name has 3 to 63 characters, of lower case letters, digits, dots "
    "and hyphens, and begins and ends with a letter or digit"
)

#: A commit outlasts a stumbling network, but not for longer than a run waits for its writer.
_PATIENT = {
    "connect_timeout": "5s",
    "timeout": "60s",  # of one request: a file of 4 MiB over a slow line
    "max_retries": "1000",  # until the next limit
    "retry_timeout": "60s",
}
_IMPATIENT = {"connect_timeout": "3s", "timeout": "4s", "max_retries": "1"}


class Objects(DeltaStorageHandler):
    """The objects under one address, named relative to it. What goes wrong is an OSError."""

    def __init__(self, uri: str, options: dict[str, str] | None) -> None:
        super().__init__(uri, options)
        self.uri = uri

    def put(self, name: str, content: bytes) -> None:
        """Write an object, in place of one of that name; it is seen whole or not at all."""
        # Not the public stream: pyarrow 26 hands it buffers where deltalake 1.6.6 wants bytes.
        stream: Any = self._handler.open_output_stream(name, None)
        stream.write(content)
        stream.close()


def is_remote(uri: str) -> bool:
    return "://" in uri


def checked(uri: str) -> str:
    """Return `uri` without slashes at its end. Raises UsageError if no store can be there."""
    if "@" in uri:  # not repeated: it may hold a secret
        raise UsageError("must not carry credentials; the environment is their place", "store")
    address = uri.rstrip("/")
    if _ADDRESS.fullmatch(address) is None:
        scheme, _, place = address.partition("://")
        bucket = place.partition("/")[0]
        is_misnamed = scheme == "s3" and bucket and _BUCKET.fullmatch(bucket) is None
        raise UsageError(_NO_BUCKET if is_misnamed else NO_PLACE, f"store {uri}")
    return address


def options(uri: str) -> dict[str, str] | None:
    """What the engine must be told to speak to a store; None for one on a disk.

    Raises UsageError where the environment names no region, or an endpoint that will not do.
    """
    return _from_here() | _PATIENT if is_remote(uri) else None


def reach(uri: str) -> None:
    """Raise UsageError within seconds if it is an object store that does not let us in."""
    if not is_remote(uri):
        return
    try:
        objects = Objects(uri, _from_here() | _IMPATIENT)
        objects.get_file_info_selector(FileSelector("", allow_not_found=True))
    except OSError as error:
        raise UsageError(reason(str(error)) or str(error), f"store {uri}") from error


def connection(environment: Mapping[str, str], profile: Mapping[str, str]) -> dict[str, str]:
    """Where a store is and how to speak to it. `profile` is the chosen one of `~/.aws/config`.

    The engine reads the environment too; here stands what it does not know, or must not get wrong.
    """
    # Whatever the environment says: without it, the later of two commits would erase the earlier.
    chosen = {"aws_conditional_put": "etag"}
    # From a profile the engine takes credentials, but not these two.
    region = _first(environment, "AWS_REGION", "AWS_DEFAULT_REGION") or profile.get("region")
    endpoint = _first(environment, "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
    endpoint = endpoint or profile.get("endpoint_url")
    if region:
        chosen["aws_region"] = region
    if endpoint:
        chosen |= _speaking_to(endpoint, environment.get("AWS_ALLOW_HTTP", "").lower() == "true")
        if not environment.get("AWS_ACCESS_KEY_ID"):
            # With an endpoint the engine would look for neither a profile nor most roles.
            chosen["aws_force_credential_load"] = "true"
    elif not region:
        raise UsageError(
            "is not set; it names the bucket's region, such as ap-south-1", "AWS_REGION"
        )
    return chosen


def reason(message: str) -> str | None:
    """What an object store, or the way to it, refused; None if the engine speaks of something else."""
    if code := _CODE.search(message):
        name, words = code["code"], code["words"] or ""
        return _MEANINGS.get(name, f"{words.rstrip('.')} ({name})")
    if "loading credentials" in message or "no credentials found" in message:
        return _NO_CREDENTIALS
    if "HTTP error" in message and (host := _HOST.search(message)):
        return f"no answer from {host[0]} ({_ARROW.split(message)[-1].strip()})"
    return None


_CODE = re.compile(r"<Code>(?P<code>\w+)</Code>(\s*<Message>(?P<words>[^<]*)</Message>)?")
_HOST = re.compile(r"https?://[^/\s]+")
_ARROW = re.compile(r"↳\S*\s")  # from an error of the engine to its cause, in colours
_NO_CREDENTIALS = (
    "no credentials found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
)
_ELSEWHERE = "the bucket is in another region than AWS_REGION says"

#: Of the S3 API's error codes, those a user can do something about.
_MEANINGS = {
    "NoSuchBucket": "there is no such bucket",
    "InvalidAccessKeyId": "it does not know the access key",
    "SignatureDoesNotMatch": "the secret key does not belong to the access key",
    "ExpiredToken": "the credentials have expired",
    "AccessDenied": "these credentials may not do that there (AccessDenied)",
    "PermanentRedirect": _ELSEWHERE,
    "AuthorizationHeaderMalformed": _ELSEWHERE,
}


def _speaking_to(endpoint: str, allow_http: bool) -> dict[str, str]:
    try:
        # Whether http will do is our own question, for no token of ours goes there.
        checked_url(endpoint.replace("http://", "https://", 1))
    except ValueError as error:
        raise UsageError(str(error), "AWS_ENDPOINT_URL") from None
    if not endpoint.startswith("http://"):
        return {"aws_endpoint_url": endpoint}
    if not (allow_http or is_loopback(urlsplit(endpoint).hostname or "")):
        problem = "plain http is for this machine only; AWS_ALLOW_HTTP=true allows it elsewhere"
        raise UsageError(problem, "AWS_ENDPOINT_URL")
    return {"aws_endpoint_url": endpoint, "aws_allow_http": "true"}


def _from_here() -> dict[str, str]:
    return connection(os.environ, _profile(os.environ))


def _profile(environment: Mapping[str, str]) -> Mapping[str, str]:
    place = Path(environment.get("AWS_CONFIG_FILE") or "~/.aws/config").expanduser()
    name = environment.get("AWS_PROFILE") or "default"
    profiles = configparser.RawConfigParser(strict=False)
    try:
        profiles.read(place, encoding="utf-8")
    except configparser.Error as error:
        raise UsageError(
            f"is no config of AWS: {error.message.splitlines()[0]}", str(place)
        ) from error
    section = name if name == "default" else f"profile {name}"
    return dict(profiles.items(section)) if profiles.has_section(section) else {}


def _first(environment: Mapping[str, str], *names: str) -> str | None:
    return next((environment[name] for name in names if environment.get(name)), None)
