from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.limiter.queue import Queue

events = st.lists(
    st.tuples(
        st.sampled_from(["join", "serve", "pause", "resume", "stop"]),
        st.sampled_from(["run-a", "run-b", "run-c"]),
    )
)


@given(events)
def test_permits_go_in_order_of_arrival_past_paused_runs(steps: list[tuple[str, str]]) -> None:
    """Held against a plain list: nobody is overtaken, nobody is lost, the stopped get none."""
    queue: Queue[int] = Queue()
    naive: list[tuple[str, int]] = []
    paused, stopped = set(), set()
    for ticket, (what, run) in enumerate(steps):
        match what:
            case "join":
                assert queue.join(run, ticket) == (run not in stopped)
                if run not in stopped:
                    naive.append((run, ticket))
            case "serve":
                expected = [entry for entry in naive if entry[0] not in paused]
                entry = queue.first()
                assert entry == (expected[0] if expected else None)
                if entry is not None:
                    queue.leave(entry)
                    naive.remove(entry)
            case "pause":
                queue.pause(run)
                paused.add(run)
            case "resume":
                queue.resume(run)
                paused.discard(run)
            case "stop":
                assert queue.stop(run) == [t for r, t in naive if r == run]
                naive = [entry for entry in naive if entry[0] != run]
                stopped.add(run)
        assert len(queue) == len(naive)
