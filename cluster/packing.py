"""What goes along to a cluster, and how: our own code, and for a job what its config needs."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

import yaml

import actors
import cluster
from actors.market.errors import UsageError
from actors.requirements import NODES
from actors.upstox.token import TokenSource
from cluster.config import Overrides, load
from cluster.config.file import read_mapping
from cluster.config.mistakes import JWT
from cluster.inside import DRIVER
from cluster.placing import refuse_adrift

#: In the syntax of .gitignore.
NOT_SENT = ["__pycache__"]


def fleet_env() -> dict[str, Any]:
    """The runtime environment in which our actors run on a cluster that is joined.

    Our code goes there as a module (`py_modules`), not as a `working_dir`: of that there is only one,
    it may be a job's already, and it would take along whatever lies where the user stands. The one
    package is enough: what runs on the fleet knows nothing of the driver.
    """
    return {"py_modules": [str(_folder(actors))], "excludes": NOT_SENT}


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A scan as somebody wants it done by a cluster."""

    config: Path
    overrides: Overrides
    token_file: str | None = None  # where the cluster has it
    install: bool = False  # let the cluster install what we need
    as_json: bool = False


@dataclass(frozen=True, slots=True)
class Package:
    """What a cluster needs to do it."""

    entrypoint: str
    runtime_env: dict[str, Any]
    store: str


@contextmanager
def packed(order: Order) -> Iterator[Package]:
    """The order as a folder, which becomes the job's working folder; it is there within the block.

    Raises UsageError for a config that the cluster would refuse, or that carries a secret.
    """
    if order.token_file is not None and order.token_file[:1] not in ("/", "~"):
        raise UsageError("must be an absolute path, of a file on the cluster", "--token-file")
    settings = load(order.config, order.overrides)
    refuse_adrift(settings.store, on_cluster=True)
    if settings.provider.token_file is not None and order.token_file is None:
        problem = "stays on this machine; say where the cluster has one: --token-file PATH"
        raise UsageError(problem, "provider.token_file")
    with TemporaryDirectory(prefix="candlefleet-job-") as name:
        folder = Path(name)
        for package in (actors, cluster):
            ignored = shutil.ignore_patterns(*NOT_SENT)
            shutil.copytree(_folder(package), folder / package.__name__, ignore=ignored)
        written = _write_config(order, settings.asks[0].universe.file, folder)
        argv = ["scan", written.name, *_options(order)]
        source = TokenSource.find(settings.provider.token_file)
        _refuse_secrets([*argv, written.read_text(encoding="utf-8")], source)
        runtime_env: dict[str, Any] = {"working_dir": str(folder)}
        if order.install:
            runtime_env["pip"] = [*NODES, *DRIVER]
        yield Package(f"exec python -m cluster {shlex.join(argv)}", runtime_env, settings.store)


def _folder(package: ModuleType) -> Path:
    return Path(package.__path__[0])


def _write_config(order: Order, listing: Path | None, folder: Path) -> Path:
    """The config with what it names beside it; the token's file is named as the cluster knows it."""
    content = read_mapping(order.config)
    content.pop("schedule", None)  # a scan has no use for it, and a webhook may be a secret
    if listing is not None:
        place = folder / "universes" / listing.name
        place.parent.mkdir()
        shutil.copyfile(listing, place)
        content["universe"]["file"] = f"universes/{listing.name}"
    if order.token_file is not None:
        content["provider"] = (content.get("provider") or {}) | {"token_file": order.token_file}
    path = folder / f"{order.config.stem}.yaml"
    path.write_text(yaml.safe_dump(content, allow_unicode=True, sort_keys=False), encoding="utf-8")
    return path


def _options(order: Order) -> list[str]:
    over = order.overrides
    named = {
        "--store": over.store,
        "--base-url": over.base_url,
        "--assets-url": over.assets_url,
        "--from": over.first,
        "--to": over.last,
    }
    words = [
        word for name, value in named.items() if value is not None for word in (name, str(value))
    ]
    return [*words, "--json"] if order.as_json else words


def _refuse_secrets(texts: list[str], source: TokenSource) -> None:
    """A job's files and command can be read by all who see the cluster's dashboard."""
    token = None
    with suppress(UsageError):  # none that could be sent
        token = source.read()
    if any((token is not None and token in text) or JWT.search(text) for text in texts):
        problem = (
            "a token must not go along; keep it on the cluster and name its file: --token-file PATH"
        )
        raise UsageError(problem, "submit")
