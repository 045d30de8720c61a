"""What calls to actors come to."""

from __future__ import annotations

from typing import Any

import ray
from ray.exceptions import RayActorError, RayTaskError, RuntimeEnvSetupError

from actors.market.errors import CandlefleetError

ANSWER_WITHIN_S = 30.0  # what `ray.wait` has named is there already
ASK_AGAIN_S = 0.5  # an actor that is restarting

#: What a call raises whose actor is not there: it has died, or its node cannot have our code.
Gone = (RayActorError, RuntimeEnvSetupError)


def answer(ref: Any, within_s: float = ANSWER_WITHIN_S) -> Any:
    """What a call came to. Raises an actor's own error as the actor raised it."""
    try:
        return ray.get(ref, timeout=within_s)
    except RayTaskError as error:
        # Ray hands on a subclass of the error's type, made on the spot, with the traceback in its text.
        if isinstance(error.cause, CandlefleetError):
            raise error.cause from None
        raise


def never_started(error: Exception) -> bool:
    """Whether Ray will not try again by itself."""
    return isinstance(error, RuntimeEnvSetupError) or (
        isinstance(error, RayActorError) and error.actor_init_failed
    )


def did_not_start(name: str, error: Exception) -> CandlefleetError:
    return CandlefleetError(f"{name} did not start: {str(error).strip().splitlines()[0]}")
