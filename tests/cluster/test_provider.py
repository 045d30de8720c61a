from __future__ import annotations

from pathlib import Path

import yaml

from actors.limiter.terms import Terms, without
from actors.limiter.turns import Priority
from actors.upstox.limits import PUBLISHED, Family
from actors.upstox.token import TokenSource
from cluster.config import load
from cluster.provider import Provider, terms_of


def terms(folder: Path, budget: dict[str, object]) -> dict[Family, Terms]:
    path = folder / "config.yaml"
    wanted = {"universe": {"symbols": ["SBIN"]}, "timeframes": ["1day"], "budget": budget}
    path.write_text(yaml.safe_dump(wanted))
    provider = Provider("https://HOST:443", "https://assets", TokenSource("NO_SUCH_TOKEN"), folder)
    return terms_of(load(path), provider)


def test_all_endpoints_share_one_budget_unless_the_user_says_otherwise(tmp_path: Path) -> None:
    assert {t.budget for t in terms(tmp_path, {}).values()} == {"host"}
    own = {"families": {"intraday": {"windows": [{"limit": 7, "seconds": 1}]}}}
    apart = terms(tmp_path, own)
    assert apart[Family.HISTORICAL].budget == "host"
    assert apart[Family.HISTORICAL].windows == PUBLISHED
    assert apart[Family.INTRADAY].budget == "host/intraday"
    assert [w.limit for w in apart[Family.INTRADAY].windows] == [7]


def test_share_reserve_and_priority_reach_the_limiter(tmp_path: Path) -> None:
    reserve = [{"limit": 2, "seconds": 1}, {"limit": 100, "seconds": 1800}]
    found = terms(tmp_path, {"share": 0.5, "reserve": reserve, "priority": "backfill"})
    main = found[Family.HISTORICAL]
    assert [w.limit for w in main.own_windows] == [25, 250, 1_000]
    assert [w.limit for w in without(main.windows, [main.reserve])] == [48, 400, 1_900]
    assert main.priority is Priority.BACKFILL
