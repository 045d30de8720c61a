from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.limiter.queue import Place, Queue

runs = st.sampled_from(["run-a", "run-b", "run-c"])
holders = st.sampled_from(["fetcher-1", "fetcher-2"])
steps = st.tuples(
    st.sampled_from(["join", "serve", "pause", "resume", "leave", "abandon"]), runs, holders
)


@given(st.lists(steps))
def test_permits_go_in_order_of_arrival_past_paused_runs(
    happenings: list[tuple[str, str, str]],
) -> None:
    """Held against a plain list: nobody is overtaken but by the unpaused, and nobody is lost."""
    queue: Queue[object] = Queue()
    naive: list[Place[object]] = []
    paused: set[str] = set()
    for what, run, holder in happenings:
        match what:
            case "join":
                place = Place(run, holder, object())
                queue.join(place)
                naive.append(place)
            case "serve":
                expected = [place for place in naive if place.run_id not in paused]
                first = queue.first(paused)
                assert first is (expected[0] if expected else None)
                if first is not None:
                    queue.drop(first)
                    naive.remove(first)
            case "pause":
                paused.add(run)
            case "resume":
                paused.discard(run)
            case _:
                who = holder if what == "abandon" else None
                gone = [p for p in naive if p.run_id == run and (who is None or p.holder == who)]
                assert queue.leave(run, who) == [place.ticket for place in gone]
                naive = [place for place in naive if place not in gone]
        assert len(queue) == len(naive)
