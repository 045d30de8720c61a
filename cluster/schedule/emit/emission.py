from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum

from actors.market.errors import UsageError
from actors.upstox.token import TokenSource
from cluster.config import RunConfig
from cluster.schedule.emit import cron, k8s, systemd
from cluster.schedule.emit.place import Place


class Kind(StrEnum):
    """For whom a schedule can be written down."""

    CRON = "cron"
    SYSTEMD = "systemd"
    K8S = "k8s"


_WRITERS: dict[Kind, Callable[[Place, RunConfig], str]] = {
    Kind.CRON: cron.crontab,
    Kind.SYSTEMD: systemd.in_one,
    Kind.K8S: k8s.manifests,
}


def text(kind: Kind, place: Place, settings: RunConfig) -> str:
    """The jobs of the config at `place`, as `kind` reads them.

    Raises UsageError for what cannot be done there, and if the token stood in what is written.
    """
    written = _WRITERS[kind](place, settings)
    token = None
    with suppress(UsageError):  # none that could be sent
        token = TokenSource.find(settings.provider.token_file).read()
    if token is not None and token in written:
        raise UsageError(
            "the token stands in a path or in the config; it must not go along", "--emit"
        )
    return written
