from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from actors.limiter.simulate import seconds_expected
from actors.market.chunk import Status
from actors.monitor.progress import Progress
from cluster.display import duration
from cluster.standing import Standing, Totals, WindowLeft

if TYPE_CHECKING:
    from actors.limiter.use import BudgetUse, Freeze
    from actors.monitor.actor import Snapshot
    from actors.monitor.memory import Squeeze
    from cluster.breaker import Outage
    from cluster.dispatch import Dispatch

PREDICT_EVERY_S = 5.0  # a few thousand requests are played through the rule each time


class Outlook:
    """Puts together what monitor, limiter and dispatch say, and predicts the end from it."""

    def __init__(self, began_s: float, lanes: int) -> None:
        """`lanes`: requests the run has under way at once at the most."""
        self._lanes = lanes
        self._began_s = began_s
        self._eta_at_s: float | None = None
        self._predict_again_s = began_s
        self.snapshot: Snapshot | None = None
        self.use: BudgetUse | None = None

    @property
    def squeeze(self) -> Squeeze | None:
        """Whether memory is short."""
        return self.snapshot.squeeze if self.snapshot else None

    @property
    def freeze(self) -> Freeze | None:
        return self.use.freeze if self.use else None

    @property
    def frozen(self) -> str | None:
        """Why nothing is sent, where the provider refuses us."""
        if self.freeze is None:
            return None
        then = (
            f"next try in {duration(self.freeze.next_try_s)}"
            if self.freeze.next_try_s > 0
            else "one request asks whether it is over"
        )
        return f"the provider refused us (429) though we had counted {self.freeze.counted}; {then}"

    def failing(self, outage: Outage, now_s: float) -> str:
        """Why nothing is sent, where the provider fails."""
        then = (
            "one request asks whether it is over"
            if outage.next_try_s is None
            else f"next try in {duration(max(0.0, outage.next_try_s - now_s))}"
        )
        return f"the provider fails ({outage.why}); {then}"

    def unsent(self, dispatch: Dispatch) -> int:
        """Requests still to be sent, as far as is known. Those that wait for a permit are not sent."""
        waiting = self.use.waiting if self.use else 0
        sent = max(0, min(dispatch.in_flight, self._lanes) - waiting)
        return max(0, dispatch.pending - dispatch.uncommitted - sent)

    def standing(
        self, dispatch: Dispatch, totals: Totals, notice: str | None, now_s: float
    ) -> Standing:
        windows = self.use.windows if self.use else ()
        return Standing(
            planned=dispatch.planned,
            done=dispatch.done,
            in_flight=dispatch.in_flight,
            uncommitted=dispatch.uncommitted,
            failed=totals.statuses[Status.FAILED],
            rows=totals.rows,
            elapsed_s=now_s - self._began_s,
            eta_s=self._eta_s(dispatch, now_s),
            progress=self.snapshot.progress if self.snapshot else Progress(),
            windows=tuple(WindowLeft(w.window.limit, w.window.span_s, w.left) for w in windows),
            hosts=self.snapshot.hosts if self.snapshot else (),
            notice=notice,
        )

    def _eta_s(self, dispatch: Dispatch, now_s: float) -> float | None:
        """What the budget makes of the rest. Played through now and then, counted down between.

        None while that is unknown: at the start, while only answers are waited for, and in an outage.
        """
        if dispatch.outage is not None or (dispatch.pending and not self.unsent(dispatch)):
            return None
        if self.use is not None and now_s >= self._predict_again_s:
            self._predict_again_s = now_s + PREDICT_EVERY_S
            course = replace(self.use.course, lanes=self._lanes)
            expected_s = seconds_expected(self.unsent(dispatch), self.use.limits, course)
            self._eta_at_s = now_s + expected_s
        return None if self._eta_at_s is None else max(0.0, self._eta_at_s - now_s)
