"""What a run makes sure of on a cluster that others have started, before it relies on it."""

from __future__ import annotations

import hashlib
import logging
import os
import socket
from collections.abc import Callable, Mapping
from functools import partial
from time import monotonic, sleep
from typing import Any

import psutil
import ray
from ray.exceptions import (
    ActorAlreadyExistsError,
    AuthenticationError,
    GetTimeoutError,
    RayError,
    RayTaskError,
    RuntimeEnvSetupError,
)
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from actors.market.errors import CandlefleetError, UsageError
from actors.requirements import NODES, lacking
from actors.writer.folder import absolute

#: A first process on a node, our code fetched and unpacked there.
ANSWER_WITHIN_S = 60.0

#: The same where the job's packages are installed first. Ray gives an installation ten minutes, and then
#: says what was wrong with it.
INSTALLED_WITHIN_S = 660.0
_INSTALLERS = {"pip", "uv", "conda"}  # keys of a runtime environment

#: The cluster notices the death of a driver in a second or two, and then frees the names of its actors.
NAME_FREE_WITHIN_S = 5.0
ASK_AGAIN_S = 0.5

#: Where Ray looks for its token, if not in this user's ~/.ray.
_TOKEN_VARIABLES = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")

log = logging.getLogger(__name__)


def bring_token(host: str, port: int | None) -> None:
    """Show Ray's own token to a cluster that this user runs on this machine and that wants it.

    Ray makes clusters want it wherever there is one, yet shows it to no address that is named. Shown to
    one that does not want it, it would keep its actors from us; and to other machines it goes only if
    the user says so: RAY_AUTH_MODE=token.
    """
    sources = map(partial(_token_of, port), psutil.process_iter()) if _is_here(host) else ()
    source = next((found for found in sources if found is not None), None)
    if source is not None:
        os.environ |= source
        _take_token()


def _take_token() -> None:
    """Let Ray read its token anew: it has looked for one when it was imported."""
    try:
        from ray._private.authentication.authentication_token_setup import (
            maybe_enable_token_auth_if_token_available as take,
        )
    except ImportError:
        return  # an inner name of Ray's, and gone: whoever is refused is told what to set
    logging.getLogger("ray._private.authentication").setLevel(logging.ERROR)
    take(warn_if_disabled=False)


def refusal(address: str, error: Exception) -> UsageError:
    """Why Ray did not let us join, in the user's words."""
    said = " ".join(str(error).split())
    if isinstance(error, (AuthenticationError, ConnectionError)):
        # Ray says the same of a cluster whose token we lack as of one that is silent; it does listen.
        problem = (
            f"{address} does not let us in. If its cluster wants a token, set RAY_AUTH_MODE=token, and "
            "RAY_AUTH_TOKEN_PATH to a file that holds it; else it may be no Ray cluster, or be ending"
        )
    elif said.startswith("Version mismatch"):
        problem = (
            f"{address} has another Ray or Python than this command, which needs the same. {said}"
        )
    elif "runtime env" in said and "conflict" in said:
        problem = (
            "the job's runtime environment has py_modules of its own, with which our code cannot reach "
            "the nodes; submit it without them"
        )
    else:
        reason = str(error).strip().partition("\n")[0]
        problem = f"no Ray cluster answers at {address}: {reason}"
    return UsageError(problem, "--address")


def _is_here(host: str) -> bool:
    try:
        addresses = {info[4][0] for info in socket.getaddrinfo(host, None)}
    except OSError:
        return False
    own = {each.address for interface in psutil.net_if_addrs().values() for each in interface}
    return addresses <= own


def _token_of(port: int | None, process: psutil.Process) -> dict[str, str] | None:
    """Where one of a cluster's servers, on that port, has its token from; None if it wants none."""
    try:
        if not any(word.endswith(f"port={port}") for word in process.cmdline()):
            return None
        told = process.environ()
    except (psutil.Error, OSError):
        return None  # somebody else's, or gone
    wants = told.get("RAY_AUTH_MODE", "").lower() == "token"
    return {name: told[name] for name in _TOKEN_VARIABLES if name in told} if wants else None


def check_nodes(interrupted: Callable[[], bool]) -> None:
    """Ask every node of the joined cluster whether it can run our actors, unless we are interrupted.

    Raises UsageError naming the nodes that lack a package, CandlefleetError for one that does not answer.
    """
    asked = {_asked(node["NodeID"]): name_of(node) for node in known_nodes() if node["Alive"]}
    within_s = answers_within_s(ray.get_runtime_context().runtime_env)
    if within_s > ANSWER_WITHIN_S:
        log.warning("cluster.installing", extra={"nodes": len(asked), "minutes": within_s / 60})
    ready, silent = _waited(list(asked), monotonic() + within_s, interrupted)
    answers = {asked[ref]: _answer(ref, asked[ref]) for ref in ready}
    unfit = [f"{name}: {', '.join(lacks)}" for name, lacks in answers.items() if lacks]
    if unfit:
        listed = "".join(f"\n  {line}" for line in sorted(unfit))
        raise UsageError(
            f"nodes of the cluster lack packages; install them there{listed}", "--address"
        )
    if silent and not interrupted():
        names = ", ".join(sorted(asked[ref] for ref in silent))
        raise CandlefleetError(f"no answer in {within_s:g} s from {names} of the cluster")


def _waited(
    asked: list[Any], until_s: float, interrupted: Callable[[], bool]
) -> tuple[list[Any], list[Any]]:
    """Those that were answered, and the rest."""
    ready: list[Any] = []
    silent = asked
    while silent and not interrupted() and monotonic() < until_s:
        ready, silent = ray.wait(asked, num_returns=len(asked), timeout=ASK_AGAIN_S)
    return ready, silent


def answers_within_s(runtime_env: Mapping[str, Any]) -> float:
    """How long a first process on a node may take, in the runtime environment of the job."""
    return INSTALLED_WITHIN_S if _INSTALLERS & runtime_env.keys() else ANSWER_WITHIN_S


def _asked(node_id: str) -> Any:
    there = NodeAffinitySchedulingStrategy(node_id, soft=False)
    question = ray.remote(num_cpus=0, max_retries=0)(lacking)
    return question.options(scheduling_strategy=there).remote(NODES)


def _answer(ref: Any, node: str) -> list[str]:
    try:
        missing: list[str] = ray.get(ref, timeout=ANSWER_WITHIN_S)
    except (RuntimeEnvSetupError, RayTaskError) as error:
        reason = str(error).strip().splitlines()[-1]
        raise CandlefleetError(f"{node} cannot take our code: {reason}") from error
    except (GetTimeoutError, RayError):
        return []  # it has left the cluster meanwhile; its fetchers go elsewhere
    return missing


def known_nodes() -> list[dict[str, Any]]:
    """All that the joined cluster has or had, as Ray describes them."""
    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return nodes


def name_of(node: dict[str, Any]) -> str:
    """Of a node as Ray describes it, for people."""
    return f"node {node['NodeManagerHostname']} ({node['NodeManagerAddress']})"


def refuse_other_limiter(ours: str) -> None:
    """Raise UsageError if a limiter is there whose name says that it speaks otherwise than ours.

    It is not asked: a method that it does not have would end it, and its runs would notice.
    """
    others = {name for name in ray.util.list_named_actors() if name.startswith("limiter")} - {ours}
    if others:
        problem = (
            "another version of candlefleet keeps its request budget; use that version, or restart "
            "the cluster once its runs are over"
        )
        raise UsageError(problem, "--address")


def claim_of(store: str) -> str:
    """A name that only one run on a cluster can hold: its writer's, who dies with it."""
    return f"writer-{hashlib.blake2b(absolute(store).encode(), digest_size=8).hexdigest()}"


def claimed(make: Callable[[], Any], store: str) -> Any:
    """The writer that `make` makes under the store's claim.

    Raises UsageError if another run of the cluster holds it; one that was killed is given time to end.
    """
    until_s = monotonic() + NAME_FREE_WITHIN_S
    while True:
        try:
            return make()
        except ActorAlreadyExistsError:
            if monotonic() > until_s:
                problem = "another run of this cluster is writing to it; wait for its end"
                raise UsageError(problem, f"store {store}") from None
        sleep(ASK_AGAIN_S)
