"""The limiter's shell, without Ray: a plain class on an event loop."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

from actors.limiter.actor import Limiter
from actors.limiter.clock import Reading
from actors.limiter.ledger import FILE_NAME
from actors.limiter.terms import Fate, Permit, Settlement, Terms, is_stale
from actors.market.errors import UsageError
from actors.market.window import NS_PER_S, Window

PATIENCE_S = 20.0


def terms(*windows: tuple[int, float], timeout_s: float = 1.0) -> Terms:
    made = tuple(Window(limit, round(span_s * NS_PER_S)) for limit, span_s in windows)
    return Terms("host", made, timeout_s)


async def acquire(limiter: Limiter, terms: Terms, run_id: str, holder: str) -> Permit | None:
    permits = await limiter.acquire(terms, run_id, holder)
    return permits[0] if permits else None


async def end(limiter: Limiter, terms: Terms, permit: Permit) -> None:
    await limiter.settle([Settlement(terms, permit.number, Fate.ANSWERED)])


def test_a_permit_waits_for_an_end_and_then_for_the_span(tmp_path: Path) -> None:
    """Two at a time: the third caller is served by the first one's end, no sooner than the span."""

    async def play() -> float:
        limiter, mine = Limiter(str(tmp_path)), terms((2, 0.2))
        first = await acquire(limiter, mine, "run", "fetcher-1")
        await acquire(limiter, mine, "run", "fetcher-1")
        third = asyncio.ensure_future(acquire(limiter, mine, "run", "fetcher-1"))
        await asyncio.sleep(0)
        assert not third.done()
        ended_s = asyncio.get_running_loop().time()
        assert first is not None
        await end(limiter, mine, first)
        assert await asyncio.wait_for(third, PATIENCE_S) is not None
        return asyncio.get_running_loop().time() - ended_s

    assert asyncio.run(play()) >= 0.2


def test_callers_are_served_in_order(tmp_path: Path) -> None:
    async def play() -> list[int]:
        limiter, mine = Limiter(str(tmp_path)), terms((1, 0.01))
        served: list[int] = []

        async def one(number: int) -> None:
            permit = await acquire(limiter, mine, "run", "fetcher-1")
            served.append(number)
            assert permit is not None
            await end(limiter, mine, permit)

        await asyncio.wait_for(asyncio.gather(*map(one, range(8))), PATIENCE_S)
        return served

    assert asyncio.run(play()) == list(range(8))


def test_a_paused_run_waits_while_others_go_on_and_a_stopped_one_gets_none(tmp_path: Path) -> None:
    async def play() -> None:
        limiter, mine = Limiter(str(tmp_path)), terms((1, 0.01))
        held = await acquire(limiter, mine, "other", "fetcher-1")
        waiting = asyncio.ensure_future(acquire(limiter, mine, "paused", "fetcher-1"))
        behind = asyncio.ensure_future(acquire(limiter, mine, "other", "fetcher-1"))
        await asyncio.sleep(0)
        await limiter.pause("paused")
        assert held is not None
        await end(limiter, mine, held)
        permit = await asyncio.wait_for(behind, PATIENCE_S)
        assert not waiting.done()
        assert permit is not None
        await end(limiter, mine, permit)
        await limiter.resume("paused")
        assert await asyncio.wait_for(waiting, PATIENCE_S) is not None
        last = asyncio.ensure_future(acquire(limiter, mine, "paused", "fetcher-1"))
        await asyncio.sleep(0)
        await limiter.stop("paused")
        assert await asyncio.wait_for(last, PATIENCE_S) is None
        assert await acquire(limiter, mine, "paused", "fetcher-1") is None

    asyncio.run(play())


def test_a_new_limiter_knows_what_the_one_before_has_spent(tmp_path: Path) -> None:
    """A permit in flight when its limiter died is still counted by the next one."""

    async def play() -> None:
        mine = terms((2, 1000.0))
        await acquire(Limiter(str(tmp_path)), mine, "run", "fetcher-1")
        (window,) = (await Limiter(str(tmp_path)).use(mine, "look", 0)).windows
        assert window.left == 1

    asyncio.run(play())


def test_where_runs_come_with_different_windows_each_keeps_its_own(tmp_path: Path) -> None:
    """What one has spent counts for the other."""

    async def play() -> None:
        limiter = Limiter(str(tmp_path))
        wide, narrow = terms((100, 1000.0)), terms((1, 1000.0))
        assert await acquire(limiter, wide, "wide", "fetcher-1") is not None
        assert [w.left for w in (await limiter.use(narrow, "narrow", 0)).windows] == [0]
        assert [w.left for w in (await limiter.use(wide, "wide", 0)).windows] == [99]

    asyncio.run(play())


def test_a_stopped_run_gets_nothing_from_a_budget_opened_later_either(tmp_path: Path) -> None:
    async def play() -> None:
        limiter = Limiter(str(tmp_path))
        await limiter.stop("run")
        assert await acquire(limiter, terms((5, 1.0)), "run", "fetcher-1") is None

    asyncio.run(play())


def test_a_caller_that_gives_up_is_not_served(tmp_path: Path) -> None:
    """Its place goes to the next, and no permit to nobody."""

    async def play() -> None:
        limiter, mine = Limiter(str(tmp_path)), terms((1, 0.01))
        held = await acquire(limiter, mine, "run", "fetcher-1")
        gone = asyncio.ensure_future(acquire(limiter, mine, "run", "fetcher-1"))
        next_one = asyncio.ensure_future(acquire(limiter, mine, "run", "fetcher-1"))
        await asyncio.sleep(0)
        gone.cancel()
        assert held is not None
        await end(limiter, mine, held)
        assert await asyncio.wait_for(next_one, PATIENCE_S) is not None

    asyncio.run(play())


def test_a_run_that_waits_holds_up_no_other_that_has_room(tmp_path: Path) -> None:
    async def play() -> None:
        limiter, wide, narrow = Limiter(str(tmp_path)), terms((9, 1000.0)), terms((1, 1000.0))
        await acquire(limiter, wide, "wide", "fetcher-1")
        waiting = asyncio.ensure_future(acquire(limiter, narrow, "narrow", "fetcher-1"))
        await asyncio.sleep(0)
        assert await asyncio.wait_for(acquire(limiter, wide, "wide", "fetcher-1"), PATIENCE_S)
        assert not waiting.done()
        waiting.cancel()

    asyncio.run(play())


def test_a_refusal_makes_everybody_wait_as_long_as_the_provider_says(tmp_path: Path) -> None:
    """Then one goes first, and its answer lets the others go."""

    async def play() -> float:
        limiter, mine = Limiter(str(tmp_path)), terms((50, 1000.0))
        refused = await acquire(limiter, mine, "run", "fetcher-1")
        assert refused is not None
        began_s = asyncio.get_running_loop().time()
        await limiter.settle([Settlement(mine, refused.number, Fate.REFUSED, 0.2)])
        freeze = (await limiter.use(mine, "run", 3)).freeze
        assert freeze is not None
        assert freeze.counted == "1/50/1000 s"
        waiting = [
            asyncio.ensure_future(acquire(limiter, mine, run, "fetcher-1"))
            for run in ("run", "else")
        ]
        done, rest = await asyncio.wait(
            waiting, timeout=PATIENCE_S, return_when=asyncio.FIRST_COMPLETED
        )
        waited_s = asyncio.get_running_loop().time() - began_s
        assert len(rest) == 1
        await end(limiter, mine, next(iter(done)).result())
        assert await asyncio.wait_for(rest.pop(), PATIENCE_S) is not None
        assert (await limiter.use(mine, "run", 1)).freeze is None
        return waited_s

    assert 0.2 <= asyncio.run(play()) < 5


def test_what_another_run_has_still_to_send_is_known_for_predictions(tmp_path: Path) -> None:
    async def play() -> None:
        one, other = Limiter(str(tmp_path)), Limiter(str(tmp_path))
        mine = terms((50, 1.0))
        await one.use(mine, "one", 700)
        (rival,) = (await other.use(mine, "other", 20)).course.rivals
        assert rival.pending == 700

    asyncio.run(play())


def test_a_slot_that_another_process_frees_is_taken_the_moment_it_is_free(tmp_path: Path) -> None:
    """Nothing tells this limiter of it, and it does not keep looking: it wakes when it must."""

    async def play() -> float:
        one, other, mine = Limiter(str(tmp_path)), Limiter(str(tmp_path)), terms((1, 0.4))
        held = await acquire(one, mine, "one", "fetcher-1")
        waiting = asyncio.ensure_future(acquire(other, mine, "other", "fetcher-1"))
        await asyncio.sleep(0.1)
        assert held is not None
        await end(one, mine, held)
        ended_s = asyncio.get_running_loop().time()
        assert await asyncio.wait_for(waiting, PATIENCE_S) is not None
        return asyncio.get_running_loop().time() - ended_s

    assert 0.4 <= asyncio.run(play()) < 0.4 + 0.3


def reading(boot_id: str, boot_s: float, wall_s: float) -> Reading:
    return Reading(boot_id, round(boot_s * NS_PER_S), round(wall_s * NS_PER_S))


def test_a_permit_is_stale_after_a_sleep_and_fresh_before() -> None:
    permit = Permit(1, reading("boot", 100.0, 5000.0))
    assert not is_stale(permit, reading("boot", 101.0, 9999.0))
    assert is_stale(permit, reading("boot", 190.0, 5000.0))
    assert not is_stale(permit, reading("another computer", 7.0, 5001.0))
    assert is_stale(permit, reading("another computer", 7.0, 5090.0))


def test_what_a_dead_fetcher_waits_for_is_granted_to_nobody(tmp_path: Path) -> None:
    """Or each of its places would cost a permit that counts until a request could not arrive."""

    async def play() -> None:
        limiter, mine = Limiter(str(tmp_path)), terms((1, 0.01))
        held = await acquire(limiter, mine, "run", "fetcher-1")
        dead = [asyncio.ensure_future(acquire(limiter, mine, "run", "fetcher-1")) for _ in range(5)]
        alive = asyncio.ensure_future(acquire(limiter, mine, "run", "fetcher-2"))
        await asyncio.sleep(0)
        await limiter.abandon("run", "fetcher-1")
        assert await asyncio.gather(*dead) == [None] * 5
        assert held is not None
        await end(limiter, mine, held)
        assert await asyncio.wait_for(alive, PATIENCE_S) is not None

    asyncio.run(play())


def test_who_asks_for_several_gets_what_there_is_and_asks_again_for_the_rest(
    tmp_path: Path,
) -> None:
    async def play() -> None:
        limiter, mine = Limiter(str(tmp_path)), terms((5, 0.05))
        some = await limiter.acquire(mine, "run", "fetcher-1", 3)
        more = await limiter.acquire(mine, "run", "fetcher-2", 8)
        assert (len(some), len(more)) == (3, 2)
        rest = asyncio.ensure_future(limiter.acquire(mine, "run", "fetcher-2", 6))
        await asyncio.sleep(0)
        assert not rest.done()
        settled = [Settlement(mine, permit.number, Fate.UNSENT) for permit in [*some, *more]]
        await limiter.settle(settled)
        assert len(await asyncio.wait_for(rest, PATIENCE_S)) == 5

    asyncio.run(play())


def test_two_runs_that_ask_for_many_share_what_there_is(tmp_path: Path) -> None:
    """Both wait for a freeze to end; then there are eight permits for the sixteen they want."""

    async def play() -> list[int]:
        limiter, mine = Limiter(str(tmp_path)), terms((12, 1000.0))
        (refused,) = await limiter.acquire(mine, "other", "fetcher-1")
        await limiter.settle([Settlement(mine, refused.number, Fate.REFUSED, 0.1)])
        both = [
            asyncio.ensure_future(limiter.acquire(mine, run, "fetcher-1", 8))
            for run in ("one", "two")
        ]
        done, rest = await asyncio.wait(
            both, timeout=PATIENCE_S, return_when=asyncio.FIRST_COMPLETED
        )
        (probe,) = next(iter(done)).result()
        again = asyncio.ensure_future(limiter.acquire(mine, "one", "fetcher-1", 8))
        await asyncio.sleep(0)
        await end(limiter, mine, probe)
        return [len(await asyncio.wait_for(one, PATIENCE_S)) for one in [*rest, again]]

    # Of 12, 70 % are trusted: 8, less the refused one and the probe.
    got = asyncio.run(play())
    assert sum(got) == 6
    assert min(got) >= 2


def test_who_was_granted_some_is_answered_though_the_ledger_fails_at_the_next(
    tmp_path: Path,
) -> None:
    """Three wait when the run is resumed; the disk takes one permit more, and then no other."""

    async def play() -> None:
        limiter, mine = Limiter(str(tmp_path)), terms((100, 1.0))
        assert await acquire(limiter, mine, "run", "fetcher-1") is not None
        with closing(sqlite3.connect(tmp_path / FILE_NAME)) as ledger:
            ledger.execute(
                "CREATE TRIGGER full BEFORE INSERT ON permits"
                " WHEN (SELECT count(*) FROM permits) >= 3"
                " BEGIN SELECT RAISE(ABORT, 'the disk is full'); END"
            )
        await limiter.pause("run")
        callers = [
            asyncio.ensure_future(limiter.acquire(mine, "run", "fetcher-1", count))
            for count in (1, 2, 1)
        ]
        await asyncio.sleep(0)
        await limiter.resume("run")
        answers = asyncio.gather(*callers, return_exceptions=True)
        first, second, third = await asyncio.wait_for(answers, PATIENCE_S)
        assert (len(first), len(second)) == (1, 1)
        assert isinstance(third, UsageError)

    asyncio.run(play())
