from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.limiter.queue import Place, Queue
from actors.limiter.terms import Terms

TERMS = Terms("host/account", (), 30.0)

runs = st.sampled_from(["run-a", "run-b", "run-c"])
holders = st.sampled_from(["fetcher-1", "fetcher-2"])
steps = st.tuples(
    st.sampled_from(["join", "serve", "pause", "resume", "leave", "abandon"]), runs, holders
)


@given(st.lists(steps))
def test_each_run_is_served_in_order_of_arrival_past_paused_ones(
    happenings: list[tuple[str, str, str]],
) -> None:
    """Held against a plain list: nobody is overtaken but by the unpaused, and nobody is lost."""
    queue: Queue[object] = Queue()
    naive: list[Place[object]] = []
    paused: set[str] = set()
    for what, run, holder in happenings:
        match what:
            case "join":
                naive.append(queue.join(run, holder, TERMS, object()))
            case "serve":
                expected: dict[str, Place[object]] = {}
                for place in naive:
                    if place.run_id not in paused:
                        expected.setdefault(place.run_id, place)
                heads = queue.heads(paused)
                assert heads == list(expected.values())
                if heads:
                    queue.drop(heads[-1])
                    naive.remove(heads[-1])
            case "pause":
                paused.add(run)
            case "resume":
                paused.discard(run)
            case _:
                who = holder if what == "abandon" else None
                gone = [p for p in naive if p.run_id == run and (who is None or p.holder == who)]
                assert queue.leave(run, who) == [place.ticket for place in gone]
                naive = [place for place in naive if place not in gone]
        for each in ("run-a", "run-b", "run-c"):
            assert queue.waiting(each) == sum(place.run_id == each for place in naive)
    assert sorted(map(id, queue.clear())) == sorted(id(place.ticket) for place in naive)
    assert queue.heads(()) == []
