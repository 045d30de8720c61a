from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.limiter.queue import Queue

events = st.lists(
    st.tuples(
        st.sampled_from(["join", "serve", "pause", "resume", "leave"]),
        st.sampled_from(["run-a", "run-b", "run-c"]),
    )
)


@given(events)
def test_permits_go_in_order_of_arrival_past_paused_runs(steps: list[tuple[str, str]]) -> None:
    """Held against a plain list: nobody is overtaken but by the unpaused, and nobody is lost."""
    queue: Queue[object] = Queue()
    naive: list[tuple[str, object]] = []
    paused: set[str] = set()
    for what, run in steps:
        match what:
            case "join":
                ticket = object()
                queue.join(run, ticket)
                naive.append((run, ticket))
            case "serve":
                expected = [entry for entry in naive if entry[0] not in paused]
                entry = queue.first(paused)
                assert entry == (expected[0] if expected else None)
                if entry is not None:
                    queue.drop(entry[1])
                    naive.remove(entry)
            case "pause":
                paused.add(run)
            case "resume":
                paused.discard(run)
            case "leave":
                assert queue.leave(run) == [t for r, t in naive if r == run]
                naive = [entry for entry in naive if entry[0] != run]
        assert len(queue) == len(naive)
