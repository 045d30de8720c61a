from __future__ import annotations

import json
import pickle
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.market.errors import UsageError
from actors.market.timeframe import Timeframe, Unit
from actors.market.window import NS_PER_S, Window
from actors.upstox.limits import PUBLISHED
from cluster.bundled import configs_dir
from cluster.config import Labelled, Overrides, RunConfig, load

TODAY = date(2026, 3, 2)
LEAST = "universe: {symbols: [SBIN]}\ntimeframes: [1day]\n"

# The example of the seed document, letter for letter.
SEED_JSON = """{
    "symbols": [
        {
            "symbol": "SBIN",
            "instrument_key": "NSE_EQ|INE062A01020|SBIN",
            "timeframes": [
                {"interval": 1, "unit": "day"},
                {"interval": 1, "unit": "hour"}
            ],
            "date_range": {
                "from_date": "2024-01-01",
                "to_date": "2024-12-31"
            }
        }
    ]
}
"""
# Its other example, two symbols, as a dictionary would be written out.
SEED_PAIR: dict[str, Any] = {
    "symbols": [
        {
            "symbol": "SBIN",
            "instrument_key": "NSE_EQ|INE062A01020|SBIN",
            "timeframes": [
                {"interval": 1, "unit": "day"},
                {"interval": 1, "unit": "hour"},
                {"interval": 5, "unit": "minute"},
            ],
            "date_range": {"from_date": "2024-01-01", "to_date": "2024-12-31"},
            "custom_params": {},
        },
        {
            "symbol": "RELIANCE",
            "instrument_key": "NSE_EQ|INE002A01018|RELIANCE",
            "timeframes": [{"interval": 1, "unit": "day"}],
            "date_range": {"from_date": "2024-01-01"},
            "custom_params": {},
        },
    ]
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "names.csv").write_text("SBIN\n")
    (tmp_path / "token.txt").write_text("not read here")
    return tmp_path


def read(
    folder: Path, text: str, overrides: Overrides | None = None, name: str = "c.yaml"
) -> RunConfig:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return load(path, overrides, today=TODAY)


def refusal(
    folder: Path, text: str, overrides: Overrides | None = None, name: str = "c.yaml"
) -> str:
    with pytest.raises(UsageError) as caught:
        read(folder, text, overrides, name)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    return str(caught.value)


def frames(*labels: str) -> tuple[Timeframe, ...]:
    return tuple(Timeframe.parse(label) for label in labels)


# What a config means


def test_the_seeds_json_example_runs_unchanged(folder: Path) -> None:
    config = read(folder, SEED_JSON, name="batch.json")
    (ask,) = config.asks
    assert ask.universe.labelled == (
        Labelled(symbol="SBIN", instrument_key="NSE_EQ|INE062A01020|SBIN"),
    )
    assert ask.timeframes == frames("1day", "1hour")
    assert (ask.first, ask.last) == (date(2024, 1, 1), date(2024, 12, 31))
    assert config.store == "data"


@pytest.mark.parametrize("name", ["batch.json", "batch.yaml"])
def test_the_seeds_two_symbols_keep_their_own_timeframes_and_days(folder: Path, name: str) -> None:
    """A missing to_date means up to today."""
    text = json.dumps(SEED_PAIR) if name.endswith("json") else yaml.safe_dump(SEED_PAIR)
    sbin, reliance = read(folder, text, name=name).asks
    assert sbin.timeframes == frames("1day", "1hour", "5minute")
    assert sbin.last == date(2024, 12, 31)
    assert reliance.timeframes == frames("1day")
    assert (reliance.first, reliance.last) == (date(2024, 1, 1), None)


def test_in_the_seeds_form_all_but_symbol_and_key_may_be_left_out(folder: Path) -> None:
    """As in its SymbolConfig: no timeframes mean daily bars, no dates no bounds."""
    for rest in (
        "",
        ", timeframes: [], date_range: {}",
        ", timeframes: , date_range: , custom_params: ",
    ):
        text = f"symbols: [{{symbol: A, instrument_key: 'NSE_EQ|INE000000001'{rest}}}]"
        (ask,) = read(folder, text).asks
        assert ask.timeframes == frames("1day")
        assert (ask.first, ask.last) == (None, None)


def test_seed_symbols_that_want_the_same_share_one_ask(folder: Path) -> None:
    symbols = [{"symbol": f"S{i}", "instrument_key": f"NSE_EQ|INE{i:09}"} for i in range(5)]
    symbols[3]["date_range"] = {"from_date": "2024-01-01"}  # type: ignore[assignment]
    shared, other = read(folder, json.dumps({"symbols": symbols}), name="c.json").asks
    assert [pair.symbol for pair in shared.universe.labelled] == ["S0", "S1", "S2", "S4"]
    assert [pair.symbol for pair in other.universe.labelled] == ["S3"]


def test_units_may_be_plural_and_settings_may_stand_beside_symbols(folder: Path) -> None:
    text = """
    store: s3://bucket/here
    provider: {name: lookalike}
    budget: {share: 0.5}
    symbols:
      - symbol: A
        instrument_key: NSE_EQ|INE000000001
        timeframes: [{interval: 15, unit: minutes}, {interval: 1, unit: Weeks}]
        custom_params: {strategy: {name: x, weights: [1, 2]}}
    """
    config = read(folder, text)
    assert config.asks[0].timeframes == (Timeframe(Unit.MINUTE, 15), Timeframe(Unit.WEEK, 1))
    assert (config.store, config.provider.name, config.budget.share) == (
        "s3://bucket/here",
        "lookalike",
        0.5,
    )
    kept = {"NSE_EQ|INE000000001": {"strategy": {"name": "x", "weights": [1, 2]}}}
    assert config.custom_params == kept
    assert config.describe()["custom_params"] == kept


def test_timeframes_with_days_of_their_own_become_asks_of_their_own(folder: Path) -> None:
    text = """
    universe: {symbols: [SBIN]}
    timeframes: [1day, {timeframe: 5minute, from: 2024-12-01}, 1week, {timeframe: 1hour, to: 2023-06-30}]
    dates: {from: 2023-01-01, to: "2024-12-31"}
    """
    asks = read(folder, text).asks
    assert [(ask.timeframes, ask.first, ask.last) for ask in asks] == [
        (frames("1day", "1week"), date(2023, 1, 1), date(2024, 12, 31)),
        (frames("5minute"), date(2024, 12, 1), date(2024, 12, 31)),
        (frames("1hour"), date(2023, 1, 1), date(2023, 6, 30)),
    ]
    assert len({id(ask.universe) for ask in asks}) == 1 or asks[0].universe == asks[1].universe


def test_defaults_are_those_of_the_contract(folder: Path) -> None:
    config = read(folder, LEAST)
    assert config.store == "data"
    assert (config.provider.name, config.provider.base_url) == ("upstox", None)
    assert (config.fleet.fetchers, config.fleet.threads) == (2, 8)
    assert (config.budget.share, config.budget.windows) == (1.0, PUBLISHED)
    assert (config.budget.reserve, config.budget.priority) == ((), "interactive")
    assert config.retry.attempts == 5
    assert config.memory.limit_mb == 2048
    assert config.writer.commit_every_s == 5
    assert (config.today, config.on_revision) == (False, "refetch")
    (ask,) = config.asks
    assert (ask.first, ask.last, ask.universe.allow_unresolved) == (None, None, False)


@pytest.mark.parametrize(("written", "meant"), [("true", True), ("forming", "forming")])
def test_the_running_day_is_wanted_whole_or_as_far_as_it_is_over(
    folder: Path, written: str, meant: object
) -> None:
    assert read(folder, f"{LEAST}today: {written}\n").today == meant


def test_own_windows_replace_the_published_ones(folder: Path) -> None:
    config = read(
        folder, LEAST + "budget: {windows: [{limit: 5, seconds: 1}, {limit: 9, seconds: 2.5}]}"
    )
    assert config.budget.windows == (
        Window(5, NS_PER_S),
        Window(9, 2_500_000_000),
    )


def test_files_are_found_beside_the_config_whatever_the_current_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    text = (
        "universe: {file: names.csv}\ntimeframes: [1day]\n"
        "provider: {token_file: token.txt}\nstore: here\n"
    )
    config = read(folder, text)
    assert config.asks[0].universe.file == folder / "names.csv"
    assert config.provider.token_file == folder / "token.txt"
    assert config.store == "here"  # the store stays as it is given


def test_a_lookalikes_address_serves_its_instruments_too(folder: Path) -> None:
    text = LEAST + "provider: {name: %s, base_url: 'http://127.0.0.1:8080/'}"
    assert read(folder, text % "lookalike").provider.assets_url == "http://127.0.0.1:8080"
    assert read(folder, text % "upstox").provider.assets_url is None


def test_options_hold_over_the_file_for_every_timeframe(folder: Path) -> None:
    text = """
    store: a
    universe: {symbols: [SBIN]}
    timeframes: [1day, {timeframe: 5minute, from: 2024-12-01}]
    dates: {from: 2023-01-01, to: 2024-12-31}
    """
    over = Overrides(
        store="b",
        base_url="https://x.example",
        assets_url="http://localhost:1",
        first="2024-02-01",
        last=date(2024, 3, 1),
    )
    config = read(folder, text, over)
    assert config.store == "b"
    assert config.provider.base_url == "https://x.example"
    assert config.provider.assets_url == "http://localhost:1"
    assert {(ask.first, ask.last) for ask in config.asks} == {(date(2024, 2, 1), date(2024, 3, 1))}
    seed = read(folder, json.dumps(SEED_PAIR), over, "c.json")
    assert {(ask.first, ask.last) for ask in seed.asks} == {(date(2024, 2, 1), date(2024, 3, 1))}


def test_an_option_mends_the_key_it_overrides(folder: Path) -> None:
    text = LEAST + "dates: {from: never}\n"
    assert read(folder, text, Overrides(first="2024-01-01")).asks[0].first == date(2024, 1, 1)


def test_a_description_is_json_and_tells_the_runs_alike(folder: Path) -> None:
    config = read(folder, LEAST + "dates: {from: 2024-01-01}\nprovider: {token_file: token.txt}\n")
    described = json.loads(json.dumps(config.describe()))
    assert described["asks"][0]["timeframes"] == ["1day"]
    assert described["asks"][0]["first"] == "2024-01-01"
    assert "not read here" not in json.dumps(described)
    assert pickle.loads(pickle.dumps(config)) == config


def test_a_config_cannot_be_changed(folder: Path) -> None:
    with pytest.raises(ValueError, match="frozen"):
        read(folder, LEAST).store = "elsewhere"  # type: ignore[misc]


def test_every_config_we_ship_loads_and_says_when_to_use_it() -> None:
    found = sorted(p for p in configs_dir().iterdir() if p.suffix in (".yaml", ".json"))
    assert {p.name for p in found} >= {
        "all-nse.yaml",
        "demo.yaml",
        "nifty50.yaml",
        "nifty500.yaml",
        "seed-example.yaml",
        "two-symbols.json",
    }
    for path in found:
        assert load(path, today=TODAY).asks
        assert path.suffix == ".json" or path.read_text().startswith("# "), path


def test_the_demo_is_two_years_of_days_and_a_month_of_5_minutes() -> None:
    daily, fine = load(configs_dir() / "demo.yaml", today=TODAY).asks
    assert (daily.timeframes, daily.first, daily.last) == (
        frames("1day"),
        date(2023, 1, 1),
        date(2024, 12, 31),
    )
    assert (fine.timeframes, fine.first, fine.last) == (
        frames("5minute"),
        date(2024, 12, 1),
        date(2024, 12, 31),
    )


# What is refused, and in which words


MISTAKES = {
    "stroe: x": "stroe: unknown key; did you mean store?",
    "provider: {base_ur: x}": "provider.base_ur: unknown key; did you mean base_url?",
    "zzz: 1": "zzz: unknown key; known here: ",
    "budget: {windows: [{limit: 1, seconds: 1, per: 1}]}": "budget.windows[0].per: unknown key",
    "dates: {from: 2024-02-30}": "dates.from: there is no day 2024-02-30",
    "dates: {from: 20240101}": "dates.from: 20240101 is no date; write YYYY-MM-DD",
    "dates: {to: 2024-01-01 10:00:00}": "dates.to: '2024-01-01 10:00:00' is no date",
    "dates: {from: 2024-01-02, to: 2024-01-01}": "dates: the first day 2024-01-02 comes after",
    "dates: {from: 2026-03-03}": "dates.from: 2026-03-03 is in the future",
    "fleet: {threads: 0}": "fleet.threads: must be greater than 0, not 0",
    "fleet: {threads: -1}": "fleet.threads: must be greater than 0, not -1",
    "fleet: {threads: '8'}": "fleet.threads: must be a whole number, not '8'",
    "fleet: {fetchers: 1000000}": "fleet.fetchers: must be less than or equal to 64",
    "fleet: {fetchers: 1.5}": "fleet.fetchers: must be a whole number, not 1.5",
    "fleet: 7": "fleet: must be a mapping, not 7",
    "budget: {share: 0}": "budget.share: must be greater than 0",
    "budget: {share: 1.01}": "budget.share: must be less than or equal to 1",
    "budget: {share: 1e-1}": "budget.share: must be a number, not '1e-1'; write 1.0e-1",
    "retry: {base_s: 2.5e3}": "retry.base_s: must be a number, not '2.5e3'; write 2.5e+3",
    "fleet: {threads: 1e1}": "fleet.threads: must be a whole number, not '1e1'; write it out",
    "budget: {share: .nan}": "budget.share: must be a finite number",
    "budget: {windows: [{limit: -1, seconds: 1}]}": "budget.windows[0].limit: must be greater than 0",
    "budget: {windows: [{limit: 1, seconds: 0}]}": "budget.windows[0].seconds: must be greater than or",
    "budget: {windows: {limit: 1}}": "budget.windows: must be a list",
    "budget: {priority: urgent}": "budget.priority: must be 'interactive', 'update' or 'backfill'",
    "budget: {families: {orders: {}}}": "budget.families.orders: unknown key; known here: intraday",
    "budget: {families: {intraday: {limit: 1}}}": "budget.families.intraday.limit: unknown key",
    "budget: {reserve: [{limit: 2, seconds: 1}]}": "budget: reserve leaves nothing of 2000/1800 s: what",
    "budget: {reserve: [{limit: 1, seconds: 1.0e-10}]}": "budget.reserve[0].seconds: must be greater",
    "retry: {attempts: 0}": "retry.attempts: must be greater than 0",
    "budget: {windows: []}": "budget.windows: is empty; leave it out",
    "budget: {families: {intraday: {windows: []}}}": "budget.families.intraday.windows: is empty",
    "budget: {families: {intraday: }}": "budget.families.intraday: must be a mapping, not nothing; {} ",
    "retry: {base_s: 60, cap_s: 30}": "retry: base_s, 60, is over cap_s, 30",
    "retry: {cap_s: 0.1}": "retry: base_s, 0.5, is over cap_s, 0.1",
    "memory: {limit_mb: 1}": "memory.limit_mb: must be at least 400, which the smallest fleet holds",
    "memory: {limit_mb: true}": "memory.limit_mb: must be a whole number, not True",
    "writer: {commit_every_s: 0}": "writer.commit_every_s: must be greater than 0",
    "provider: {name: zerodha}": "provider.name: must be 'upstox' or 'lookalike', not 'zerodha'",
    "provider: {base_url: 'http://api.upstox.com'}": "provider.base_url: must be https",
    "provider: {base_url: 'http://127.0.0.1.example.com'}": "provider.base_url: must be https",
    "provider: {assets_url: 'http://10.0.0.1'}": "provider.assets_url: must be https",
    "provider: {base_url: 'ftp://x'}": "provider.base_url: is no web address",
    "provider: {base_url: 'api.upstox.com'}": "provider.base_url: is no web address",
    "provider: {base_url: 'https://'}": "provider.base_url: is no web address",
    "provider: {base_url: 'https://x:99999'}": "provider.base_url: ",
    "provider: {base_url: 'https://a b'}": "provider.base_url: is no web address",
    "provider: {base_url: 'https://x/?q=1'}": "provider.base_url: must end before",
    "provider: {timeout_s: 0}": "provider.timeout_s: must be greater than 0",
    "provider: {token_file: nowhere.txt}": "provider.token_file: there is no file ",
    "today: sometimes": "today: must be true, false or forming, not 'sometimes'",
    "today: 1": "today: must be true, false or forming, not 1",
    "on_revision: ignore": "on_revision: must be 'refetch' or 'warn', not 'ignore'",
    "store: ''": "store: is no path",
    "store: 'http://foo/bar'": "store: is no path and no s3://bucket/prefix",
    "store: 'gs://bucket/x'": "store: is no path and no s3://bucket/prefix",
    "store: 's3://b/x'": "store: names no bucket that can be: its name has 3 to 63 characters",
    "store: 's3://Bucket/x'": "store: names no bucket that can be: its name has 3 to 63 characters",
    "store: 's3://'": "store: is no path and no s3://bucket/prefix",
    "store: 's3:/bucket/x'": "store: is no path and no s3://bucket/prefix",
    "store: '~nobody-of-that-name/x'": "store: is no path and no s3://bucket/prefix",
    "store: 'a#b'": "store: a store's address cannot hold #",
    "store: [a]": "store: must be text, not ['a']",
}


@pytest.mark.parametrize(("line", "words"), MISTAKES.items(), ids=list(MISTAKES))
def test_a_mistake_is_named_by_its_keys_path(folder: Path, line: str, words: str) -> None:
    said = refusal(folder, f"{LEAST}{line}\n")
    assert said.startswith(f"{folder / 'c.yaml'}: {words}")
    assert "\n" not in said


WRONG_TIMEFRAMES = {
    "[7hour]": "timeframes[0]: the provider has no 7hour candles; it serves ",
    "[1day, 1fortnight]": "timeframes[1]: '1fortnight' is no timeframe",
    "[0day]": "timeframes[0]: '0day' is no timeframe",
    "[5]": "timeframes[0]: '5' is no timeframe",
    "[{timeframe: 2day}]": "timeframes[0].timeframe: the provider has no 2day candles",
    "[{timeframe: 1day, form: 2024-01-01}]": "timeframes[0].form: unknown key; did you mean from?",
    "[{timeframe: 1day, from: 2025-01-01}]": "timeframes[0]: 1day's first day 2025-01-01 comes after",
    "[]": "timeframes: is empty",
    "1day": "timeframes: must be a list, not '1day'",
}


@pytest.mark.parametrize(("written", "words"), WRONG_TIMEFRAMES.items(), ids=list(WRONG_TIMEFRAMES))
def test_a_timeframe_the_provider_lacks_is_refused(folder: Path, written: str, words: str) -> None:
    text = f"universe: {{symbols: [A]}}\ndates: {{to: 2024-12-31}}\ntimeframes: {written}\n"
    assert words in refusal(folder, text)


WRONG_UNIVERSES = {
    "{}": "universe: names no instrument: give file, symbols or filter",
    "{symbols: []}": "universe: names no instrument",
    "{symbols: ['']}": "universe.symbols[0]: is empty",
    "{symbols: [SBIN, TRUE]}": "universe.symbols[1]: must be text, not True; quote it",
    "{symbols: [500112]}": "universe.symbols[0]: must be text, not 500112; quote it",
    "{symbols: [~]}": "universe.symbols[0]: must be text, not nothing",
    "{symbols: SBIN}": "universe.symbols: must be a list, not 'SBIN'",
    "{file: missing.csv}": "universe.file: there is no file ",
    "{file: .}": "is a folder",
    "{filter: {}}": "universe.filter: says nothing",
    "{filter: {segment: NSE_EQQ}}": "universe.filter.segment: there is no segment 'NSE_EQQ'; did you mean",
    "{symbols: [A], labelled: []}": "universe.labelled: unknown key",
    "{symbols: [A], allow_unresolved: 1}": "universe.allow_unresolved: must be true or false, not 1",
    "[SBIN]": "universe: must be a mapping",
}


@pytest.mark.parametrize(("written", "words"), WRONG_UNIVERSES.items(), ids=list(WRONG_UNIVERSES))
def test_an_empty_or_odd_universe_is_refused(folder: Path, written: str, words: str) -> None:
    assert words in refusal(folder, f"universe: {written}\ntimeframes: [1day]\n")


def test_what_is_missing_is_named(folder: Path) -> None:
    said = refusal(folder, "store: x\n")
    assert "2 mistakes" in said
    assert "universe: is missing" in said
    assert "timeframes: is missing" in said


def test_all_mistakes_are_listed_together(folder: Path) -> None:
    said = refusal(
        folder,
        "stroe: x\nuniverse: {symbols: []}\ntimeframes: [9day]\ndates: {from: soon}\nfleet: {threads: 0}\n",
    )
    assert said.startswith(f"{folder / 'c.yaml'}: 5 mistakes\n")
    for where in ("stroe", "universe", "timeframes[0]", "dates.from", "fleet.threads"):
        assert f"\n  {where}: " in said


WRONG_SEEDS: dict[str, tuple[dict[str, Any], str]] = {
    "no key": ({"instrument_key": None}, "symbols[1].instrument_key: must be text, not nothing"),
    "interval": (
        {"timeframes": [{"interval": 9, "unit": "hour"}]},
        "symbols[1].timeframes[0]: the provider",
    ),
    "zero": (
        {"timeframes": [{"interval": 0, "unit": "day"}]},
        "symbols[1].timeframes[0].interval: must be",
    ),
    "unit": (
        {"timeframes": [{"interval": 1, "unit": "year"}]},
        "symbols[1].timeframes[0]: '1year'",
    ),
    "text": (
        {"timeframes": [{"interval": "1", "unit": "day"}]},
        "timeframes[0].interval: must be a whole",
    ),
    "date": (
        {"date_range": {"from_date": "01-02-2024"}},
        "symbols[1].date_range.from_date: '01-02-2024'",
    ),
    "key": (
        {"date_range": {"from": "2024-01-01"}},
        "symbols[1].date_range.from: unknown key; did you mean",
    ),
    "order": (
        {"date_range": {"from_date": "2024-01-02", "to_date": "2024-01-01"}},
        "symbols[1].date_range: the first day 2024-01-02 comes after the last, 2024-01-01",
    ),
    "extra": ({"timeframe": []}, "symbols[1].timeframe: unknown key; did you mean timeframes?"),
}


@pytest.mark.parametrize(("change", "words"), WRONG_SEEDS.values(), ids=list(WRONG_SEEDS))
def test_the_seeds_form_is_held_as_strictly(
    folder: Path, change: dict[str, Any], words: str
) -> None:
    content = json.loads(json.dumps(SEED_PAIR))
    content["symbols"][1] |= change
    assert words in refusal(folder, json.dumps(content), name="c.json")


def test_the_two_forms_cannot_be_mixed(folder: Path) -> None:
    text = json.dumps({**SEED_PAIR, "universe": {"symbols": ["A"]}, "dates": {}})
    said = refusal(folder, text, name="c.json")
    assert "universe: cannot stand beside a top-level `symbols`" in said
    assert "dates: cannot stand beside" in said


def test_plain_names_at_the_top_are_sent_to_their_place(folder: Path) -> None:
    assert "belongs under `universe: {symbols: […]}`" in refusal(folder, "symbols: [SBIN]\n")


SECRET = "eyJ0eXAiOiJKV1QiLCJrZXkiOiJzZWNyZXQifQ"


@pytest.mark.parametrize(
    "line",
    [
        f"token: {SECRET}",
        f"provider: {{access_token: {SECRET}}}",
        f"provider: {{api_key: {SECRET}}}",
        f"Authorization: Bearer {SECRET}",
        f"provider: {{base_url: 'https://{SECRET}@api.upstox.com'}}",
        f"provider: {{base_url: 'https://x/{SECRET}?token={SECRET}'}}",
        f"store: s3://key:{SECRET}@bucket/prefix",
    ],
)
def test_a_secret_in_a_config_is_refused_and_not_repeated(folder: Path, line: str) -> None:
    said = refusal(folder, f"{LEAST}{line}\n")
    assert SECRET not in said
    assert "UPSTOX_ACCESS_TOKEN" in said or "must not carry" in said or "must end before" in said


@pytest.mark.parametrize(
    "line",
    [
        "provider: {token_file: TOKEN}",
        "store: TOKEN",
        "on_revision: TOKEN",
        "TOKEN: 1",
        "a: b: TOKEN",
    ],
)
def test_a_token_under_the_wrong_key_is_refused_and_not_repeated(folder: Path, line: str) -> None:
    token = f"{SECRET}.eyJzdWIiOiJBQjEyMzQifQ.c2lnbmF0dXJl"
    said = refusal(folder, f"{LEAST}{line}\n".replace("TOKEN", token))
    assert "line 3: a token must not stand in a config" in said
    assert "eyJ" not in said


def test_a_token_among_custom_params_is_refused(folder: Path) -> None:
    """They go into the manifest, so they may not hold one."""
    content = json.loads(json.dumps(SEED_PAIR))
    content["symbols"][0]["custom_params"] = {"deep": [{"access_token": SECRET}]}
    said = refusal(folder, json.dumps(content), name="c.json")
    assert (
        "symbols[0].custom_params.deep[0].access_token: a token must not stand in a config" in said
    )
    assert SECRET not in said


def test_an_options_mistake_is_named_by_the_option(folder: Path) -> None:
    assert refusal(folder, LEAST, Overrides(first="soon")).startswith("--from: 'soon' is no date")
    assert refusal(folder, LEAST, Overrides(last="2024-13-01")).startswith("--to: there is no day")
    assert refusal(folder, LEAST, Overrides(base_url="http://x.y")).startswith(
        "--base-url: must be"
    )
    assert refusal(folder, LEAST, Overrides(assets_url="x")).startswith("--assets-url: is no web")
    assert refusal(folder, LEAST, Overrides(store=" ")).startswith("--store: is no path")
    text = LEAST + "dates: {from: 2024-01-01}\n"
    assert refusal(folder, text, Overrides(last="2023-01-01")).startswith("--to: the first day")
    said = refusal(folder, json.dumps(SEED_PAIR), Overrides(first="soon"), "c.json")
    assert said.count("--from") == 1


# Files that are no configs


BROKEN = {
    "universe: {symbols: [ON]}": "line 1, column 22: YAML reads the bare word ON as true or false; quote it",
    "universe: {symbols: [A, no]}": "YAML reads the bare word no",
    "universe: {allow_unresolved: yes}": "a switch is written true or false",
    "store: a\nfleet: {}\nstore: b\n": "line 3, column 1: the key `store` stands twice",
    "fleet: {threads: 1, threads: 2}": "line 1, column 21: the key `threads` stands twice",
    "store: [a": "line 2, column 1: no YAML",
    "a: b: c": "line 1, column 5: no YAML",
    "\tstore: a": "line 1, column 1: begins with a tab; YAML wants blanks there",
    "universe:\n  \tfile: a": "line 2, column 3: begins with a tab",
    "timeframes:\n  - 1day\n\t- 1hour": "line 3, column 1: begins with a tab",
    "store: [\ta, %b]": "line 1, column 13: no YAML",
    "store: !!python/object/apply:os.system [ls]": "line 1, column 8: YAML tags are not allowed",
    "store: !own x": "YAML tags are not allowed",
    "1: x": "line 1, column 1: a key must be a word; quote it",
    "? [a]\n: b": "a key must be a word",
    "store: *nowhere": "line 1, column 8: no YAML: found undefined alias",
    "a: 1\n---\nb: 2\n": "no YAML: but found another document",
    "- a\n- b\n": "is not a mapping",
    "just words": "is not a mapping",
    "": "is empty",
    "# nothing but a comment\n": "is empty",
    "store: \x01": "no YAML",
}


@pytest.mark.parametrize(("text", "words"), BROKEN.items(), ids=[repr(text) for text in BROKEN])
def test_broken_or_doubtful_yaml_is_refused_with_its_place(
    folder: Path, text: str, words: str
) -> None:
    said = refusal(folder, text)
    assert said.startswith(f"{folder / 'c.yaml'}: ")
    assert words in said


def test_quoted_bare_words_are_symbols(folder: Path) -> None:
    config = read(folder, "universe: {symbols: ['ON', \"NO\"]}\ntimeframes: [1day]\n")
    assert config.asks[0].universe.symbols == ("ON", "NO")


def test_anchors_are_welcome_bombs_are_not(folder: Path) -> None:
    text = "universe: {symbols: &s [A, B]}\ntimeframes: [1day]\n"
    assert read(folder, text).asks[0].universe.symbols == ("A", "B")
    levels = "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12))
    assert "aliases unfold into too much" in refusal(folder, f"a0: &a0 [x, x]\n{levels}")
    assert "aliases unfold into too much" in refusal(folder, "a: &a [*a]\n")


@pytest.mark.parametrize("name", ["c.yaml", "c.json"])
def test_deep_nesting_is_refused_and_crashes_nothing(folder: Path, name: str) -> None:
    assert "nested deeper than 32 levels" in refusal(folder, "[" * 500_000, name=name)
    assert "nested deeper than 32 levels" in refusal(folder, '{"a":' * 500_000, name=name)


def test_broken_json_is_refused_with_its_place(folder: Path) -> None:
    assert "line 2, column 3: no JSON" in refusal(folder, '{"store": "a"\n  "b"}', name="c.json")
    assert "the key `a` stands twice" in refusal(folder, '{"a": 1, "a": 2}', name="c.json")
    assert "NaN is no number" in refusal(folder, '{"a": NaN}', name="c.json")
    assert "is not a mapping" in refusal(folder, "[1]", name="c.json")


def test_without_a_known_ending_the_first_character_tells(folder: Path) -> None:
    assert read(folder, SEED_JSON, name="batch").asks == read(folder, SEED_JSON, name="b.json").asks
    assert read(folder, LEAST, name="config.txt").asks
    assert read(folder, SEED_JSON, name="batch.yaml").asks  # JSON is YAML as well


def test_a_byte_order_mark_is_no_matter(folder: Path) -> None:
    assert read(folder, "\ufeff" + LEAST).asks
    assert read(folder, "\ufeff" + SEED_JSON, name="c.json").asks


def test_what_is_no_readable_text_is_refused(folder: Path) -> None:
    (folder / "latin.yaml").write_bytes(b"store: a\n# caf\xe9\n")
    (folder / "big.yaml").write_bytes(b"#" * (4 * 2**20 + 1))
    for path, words in (
        (folder / "nowhere.yaml", "there is no such file"),
        (folder, "is a folder"),
        (folder / "latin.yaml", "line 2: is not UTF-8 text"),
        (folder / "big.yaml", "is larger than 4 MB"),
    ):
        with pytest.raises(UsageError) as caught:
            load(path, today=TODAY)
        assert str(caught.value).startswith(f"{path}: {words}")


# Whatever is written


WORDS = st.sampled_from(
    [
        *RunConfig.model_fields,
        "universe",
        "timeframes",
        "dates",
        "from",
        "to",
        "symbols",
        "symbol",
        "instrument_key",
        "date_range",
        "threads",
        "windows",
        "file",
        "filter",
        "1day",
        "2024-01-01",
        "timeframe",
        "interval",
        "unit",
        "custom_params",
        "name",
        "upstox",
    ]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | WORDS | st.text(max_size=8)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=20,
)


@pytest.fixture(scope="module")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("configs")


def outcome(path: Path) -> RunConfig | str:
    try:
        return load(path, Overrides(first="2024-01-01"), today=TODAY)
    except UsageError as error:
        return str(error)


@given(content=st.dictionaries(WORDS, VALUES, max_size=6))
@settings(deadline=None)
def test_any_values_are_a_config_or_refused(shared_folder: Path, content: dict[str, Any]) -> None:
    path = shared_folder / "values.yaml"
    path.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    assert outcome(path)


@given(
    content=st.binary(max_size=60)
    | st.text(max_size=60).map(lambda t: t.encode("utf-8", "replace"))
)
@settings(deadline=None)
def test_any_bytes_are_a_config_or_refused(shared_folder: Path, content: bytes) -> None:
    for name in ("bytes.yaml", "bytes.json", "bytes"):
        path = shared_folder / name
        path.write_bytes(content)
        assert outcome(path)


PLAUSIBLE = st.fixed_dictionaries(
    {
        "universe": st.fixed_dictionaries(
            {"symbols": st.lists(st.text("ABON1 -&|", min_size=1), max_size=4)}
        ),
        "timeframes": st.lists(st.sampled_from(["1day", "5minutes", "1 hour", "9day", "30minute"])),
    },
    optional={
        "dates": st.fixed_dictionaries(
            {"from": st.dates(date(1990, 1, 1), date(2027, 1, 1)).map(str)},
            optional={"to": st.dates(date(1990, 1, 1), date(2027, 1, 1)).map(str)},
        ),
        "fleet": st.fixed_dictionaries({"threads": st.integers(-2, 200)}),
        "budget": st.fixed_dictionaries({"share": st.floats(-0.5, 1.5)}),
    },
)


@given(content=PLAUSIBLE)
@settings(deadline=None)
def test_yaml_and_json_mean_the_same(shared_folder: Path, content: dict[str, Any]) -> None:
    (shared_folder / "same.yaml").write_text(yaml.safe_dump(content))
    (shared_folder / "same.json").write_text(json.dumps(content))
    as_yaml = outcome(shared_folder / "same.yaml")
    as_json = outcome(shared_folder / "same.json")
    if isinstance(as_json, str):
        as_json = as_json.replace("same.json", "same.yaml")
    assert as_yaml == as_json
