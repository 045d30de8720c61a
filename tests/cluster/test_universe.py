from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.market.errors import UsageError
from cluster import lookalike
from cluster.bundled import configs_dir
from cluster.config import Filter, Labelled, UniverseSpec
from cluster.master import INSTRUMENTS, Master
from cluster.universe import Resolution, exchanges, resolve
from cluster.universe.name import parse_name

FETCHED = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)
#: NSE's own shares and indices of early 2026: what the look-alike serves.
TRIMMED = Path(str(lookalike.__file__)).parent / "instruments.json.gz"
REAL = Path(__file__).parents[3] / "shared" / "data" / "NSE.json.gz"
needs_real = pytest.mark.skipif(not REAL.exists(), reason=f"the real file of NSE is not at {REAL}")


def master_of(records: list[dict[str, Any]], exchange: str = "NSE") -> Master:
    wire = {"symbol": "trading_symbol"}
    rows = [{name: r.get(wire.get(name, name)) for name in INSTRUMENTS.names} for r in records]
    return Master(exchange, pa.Table.from_pylist(rows, schema=INSTRUMENTS), FETCHED)


@cache
def nse() -> Master:
    return master_of(json.loads(gzip.decompress(TRIMMED.read_bytes())))


def share(
    symbol: str, isin: str, series: str = "EQ", exchange: str = "NSE", token: str = ""
) -> dict[str, Any]:
    return {
        "instrument_key": f"{exchange}_EQ|{isin}",
        "trading_symbol": symbol,
        "exchange": exchange,
        "segment": f"{exchange}_EQ",
        "instrument_type": series,
        "isin": isin,
        "name": f"{symbol} LTD",
        "exchange_token": token or None,
    }


BSE = master_of([share("SBIN", "INE062A01020", "A", "BSE", "500112")], "BSE")


def found(*symbols: str, **masters: Master) -> Resolution:
    return resolve(UniverseSpec(symbols=symbols), masters or {"NSE": nse()})


def keys(resolution: Resolution) -> list[str]:
    return [instrument.instrument_key for instrument in resolution.instruments]


def listed(folder: Path, content: str | bytes) -> Resolution:
    path = folder / "list.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return resolve(UniverseSpec(file=path), {"NSE": nse()})


SBIN, RELIANCE, NIFTY = "NSE_EQ|INE062A01020", "NSE_EQ|INE002A01018", "NSE_INDEX|Nifty 50"


# Ways to name an instrument


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ("SBIN", SBIN),
        (" sbin ", SBIN),
        ("NSE:SBIN", SBIN),
        ("nse: SBIN", SBIN),
        (SBIN, SBIN),
        ("nse_eq|ine062a01020", SBIN),
        ("INE062A01020", SBIN),
        ("NSE_EQ|INE062A01020|SBIN", SBIN),
        ("M&M", "NSE_EQ|INE101A01026"),
        ("BAJAJ-AUTO", "NSE_EQ|INE917I01010"),
        (NIFTY, NIFTY),
        ("NSE_INDEX|NIFTY 50", NIFTY),
        ("nse_index|nifty  50", NIFTY),
        ("Nifty 50", NIFTY),
        ("NIFTY 50", NIFTY),
        ("NIFTY", NIFTY),
        ("NSE:NIFTY", NIFTY),
        ("BANKNIFTY", "NSE_INDEX|Nifty Bank"),
        ("India VIX", "NSE_INDEX|India VIX"),
    ],
)
def test_every_usual_way_to_name_an_instrument_is_understood(written: str, key: str) -> None:
    resolution = found(written)
    assert (keys(resolution), resolution.unresolved) == ([key], ())


def test_shares_of_bse_are_named_by_symbol_or_by_number() -> None:
    both = {"NSE": nse(), "BSE": BSE}
    for written in ("BSE:SBIN", "BSE:500112", "BSE_EQ|INE062A01020"):
        assert keys(found(written, **both)) == ["BSE_EQ|INE062A01020"]
    assert keys(found("SBIN", "BSE:SBIN", **both)) == [SBIN, "BSE_EQ|INE062A01020"]
    (lost,) = found("500112", **both).unresolved
    assert "BSE's are written BSE:500112" in lost.reason


def test_a_contract_is_named_by_its_key() -> None:
    contract = next(r for r in nse().table.to_pylist() if r["segment"] == "NSE_FO")
    (instrument,) = found(contract["instrument_key"]).instruments
    assert (instrument.symbol, instrument.segment) == (contract["symbol"], "NSE_FO")


def test_an_instrument_carries_what_the_master_says() -> None:
    (sbin,) = found("SBIN").instruments
    assert (sbin.symbol, sbin.exchange, sbin.segment) == ("SBIN", "NSE", "NSE_EQ")
    assert (sbin.instrument_type, sbin.isin) == ("EQ", "INE062A01020")
    assert sbin.name == "STATE BANK OF INDIA"


def test_of_shares_with_one_symbol_the_ordinary_one_is_meant() -> None:
    """A company's bonds and warrants bear its symbol too."""
    records = [
        share("MOTHERSON", "INE775A08105", "D1"),
        share("MOTHERSON", "INE775A01035"),
        share("SMALL", "INE000000011", "N3"),
        share("SMALL", "INE000000012", "SM"),
    ]
    master = master_of(records)
    assert keys(found("MOTHERSON", "SMALL", NSE=master)) == [
        "NSE_EQ|INE775A01035",
        "NSE_EQ|INE000000012",
    ]
    assert keys(found("INE775A08105", NSE=master)) == ["NSE_EQ|INE775A08105"]


def test_between_equals_nothing_is_guessed() -> None:
    master = master_of([share("IMC1", "INE00QS24043", "N1"), share("IMC1", "INE00QS24027", "N2")])
    resolution = found("IMC1", NSE=master)
    assert resolution.instruments == ()
    assert "NSE_EQ|INE00QS24043, NSE_EQ|INE00QS24027" in resolution.unresolved[0].reason


# Keys in three parts


def test_a_share_key_in_three_parts_is_cut_with_one_note_for_all() -> None:
    resolution = found("NSE_EQ|INE062A01020|SBIN", "NSE_EQ|INE002A01018|RELIANCE", "TCS")
    assert keys(resolution)[:2] == [SBIN, RELIANCE]
    (note,) = resolution.notes
    assert note.startswith("NSE_EQ|INE062A01020|SBIN is read as NSE_EQ|INE062A01020 (and 1 more)")


def test_a_label_that_the_exchange_does_not_know_is_noted() -> None:
    spec = UniverseSpec(labelled=(Labelled(symbol="STATEBANK", instrument_key=SBIN),))
    resolution = resolve(spec, {"NSE": nse()})
    assert [i.symbol for i in resolution.instruments] == ["SBIN"]
    assert resolution.notes == (
        "STATEBANK: NSE_EQ|INE062A01020 is called SBIN by the exchange, and so it is stored",
    )
    assert "SBI: NSE_EQ|INE062A01020 is called SBIN" in found("NSE_EQ|INE062A01020|SBI").notes[1]


def test_an_old_isin_in_a_key_is_mended_by_its_label() -> None:
    for resolution in (
        found("NSE_EQ|INE000A00000|SBIN"),
        resolve(
            UniverseSpec(labelled=(Labelled(symbol="SBIN", instrument_key="NSE_EQ|INE000A00000"),)),
            {"NSE": nse()},
        ),
    ):
        assert keys(resolution) == [SBIN]
        assert "SBIN: ISIN changed from INE000A00000 to INE062A01020" in resolution.notes


ISINS = st.from_regex(r"IN[A-Z0-9]{10}", fullmatch=True)
PARTS = st.text(st.characters(exclude_characters="|", exclude_categories=["C", "Z"]), min_size=1)
SHARE_SEGMENTS = st.sampled_from(["NSE_EQ", "BSE_EQ"])
CONTRACT_SEGMENTS = st.sampled_from(["NSE_FO", "MCX_FO", "NCD_FO", "BSE_FO", "BCD_FO", "NSE_COM"])


@given(segment=SHARE_SEGMENTS, isin=ISINS, label=PARTS)
def test_cutting_a_key_keeps_its_two_parts_and_is_done_once(
    segment: str, isin: str, label: str
) -> None:
    name = parse_name(f"{segment}|{isin}|{label}")
    assert (name.key, name.symbol, name.shortened) == (f"{segment}|{isin}", label, True)
    again = parse_name(str(name.key))
    assert (again.key, again.shortened, again.fault) == (name.key, False, None)


@given(segment=CONTRACT_SEGMENTS, token=PARTS, expiry=PARTS)
def test_a_contract_key_in_three_parts_is_never_cut(segment: str, token: str, expiry: str) -> None:
    """The third part is an expiry: without it, another instrument would be fetched."""
    name = parse_name(f"{segment}|{token}|{expiry}")
    assert name.key is None
    assert name.fault == "is an expired contract's key; none are served here"


@given(st.text(max_size=30))
def test_whatever_is_written_is_a_name_or_a_fault(text: str) -> None:
    name = parse_name(text)
    assert name.fault or name.key or name.isin or name.symbol


# What cannot be resolved


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("RELAINCE", "has no share or index called so; did you mean RELIANCE?"),
        ("Nifty 5", "did you mean Nifty 50?"),
        ("NSE_INDEX|Nifty 5", "has no such key; did you mean NSE_INDEX|Nifty 50?"),
        ("NSE_EQ|SBIN", "has no such key; did you mean NSE_EQ|INE062A01020?"),
        ("NSE_EQ|INE000000000", "NSE's instrument list of 2026-03-02 has no such key"),
        ("INE000000000", "has no such ISIN"),
        ("NSE_FO|99999999", "has no such key"),
        ("NSE_FO|47983|17-04-2025", "is an expired contract's key"),
        ("NSE_EQ|INE062A01020|SBIN|X", "has too many parts for a key"),
        ("NSE_EX|INE062A01020", "there is no segment NSE_EX; did you mean NSE_EQ?"),
        ("NSE_EQ|", "a part of its key is empty"),
        ("NYSE:IBM", "there is no exchange NYSE"),
        ("NSE:", "names nothing"),
        ("BSE:SBIN", "BSE has no list here"),
        ("99999999", "has no share of that number"),
        ("../../etc/passwd", "has no share or index called so"),
    ],
)
def test_what_names_nothing_is_said_by_name_and_reason(written: str, said: str) -> None:
    resolution = found("TCS", written)
    assert len(resolution.instruments) == 1
    (lost,) = resolution.unresolved
    assert lost.name == written
    assert said in str(lost)


def test_a_segment_without_a_list_is_taken_at_the_users_word() -> None:
    (instrument,) = found("GLOBAL_INDEX|^GSPC").instruments
    assert (instrument.instrument_key, instrument.symbol) == ("GLOBAL_INDEX|^GSPC", "^GSPC")
    assert "taken unchecked" in found("GLOBAL_INDEX|^GSPC").notes[0]


POOL = ["SBIN", "TCS", "NSE_EQ|INE062A01020|SBIN", "NIFTY 50", "INFY", "NOSUCHNAME", "INE002A01018"]
POOL += ["NSE_INDEX|India VIX", "nse:tcs", "A|B", "NSE_FO|1|2", "M&M", "RELIANCE"]


@given(names=st.lists(st.sampled_from(POOL)), randoms=st.randoms(use_true_random=False))
@settings(deadline=None)
def test_the_order_of_names_changes_nothing_but_the_order(names: list[str], randoms: Any) -> None:
    shuffled = list(names)
    randoms.shuffle(shuffled)
    here, there = found(*names), found(*shuffled)
    assert set(here.instruments) == set(there.instruments)
    assert {u.name: u.reason for u in here.unresolved} == {
        u.name: u.reason for u in there.unresolved
    }


@given(names=st.lists(st.sampled_from(POOL)))
@settings(deadline=None)
def test_every_name_is_an_instrument_or_unresolved_and_none_twice(names: list[str]) -> None:
    """Against each name resolved alone, in the order of first mention."""
    alone = [(name, found(name)) for name in names]
    whole = found(*names)
    assert list(whole.instruments) == list(
        dict.fromkeys(instrument for _, one in alone for instrument in one.instruments)
    )
    lost = dict.fromkeys(name for name, one in alone if not one.instruments)
    assert [unresolved.name for unresolved in whole.unresolved] == list(lost)


def test_names_of_one_instrument_are_taken_once_and_counted() -> None:
    resolution = found("SBIN", "TCS", "INE062A01020", "NSE:SBIN")
    assert len(resolution.instruments) == 2
    assert resolution.notes == ("SBIN: named 3 times, taken once",)


# Files


@pytest.mark.parametrize(
    "content",
    [
        "Company Name,Industry,Symbol,Series,ISIN Code\nState Bank,Banks,SBIN,EQ,INE062A01020\n",
        "symbol\nSBIN\n",
        "SBIN\n",
        "SBIN",
        "\ufeffSymbol,ISIN Code\r\nSBIN,INE062A01020\r\n",
        "# a remark, with a comma\n\n  Symbol , ISIN Code \n\n  SBIN  ,  INE062A01020  \n,\n   \n",
        '"Symbol","Name"\n"SBIN","Bank, of India"\n',
        "SYMBOL,NAME OF COMPANY, SERIES, ISIN NUMBER\nSBIN,State Bank,EQ,INE062A01020\n",
        "ISIN Code\nINE062A01020\n",
        "Symbol,ISIN Code\n,INE062A01020\n",
        "SBIN,\n",
        "NSE_EQ|INE062A01020\n",
        "Symbol\nSBIN\n  # not yet: TCS\n",
        "# as a spreadsheet writes it, here\nSymbol;Name;ISIN Code\nSBIN;Bank, of India;INE062A01020\n",
        "Name\tSymbol\nBank; of India\tSBIN\n",
        "Name, short, legal;Symbol\nBank, of India;SBIN\n",
    ],
)
def test_a_listing_is_read_in_all_its_usual_shapes(tmp_path: Path, content: str) -> None:
    resolution = listed(tmp_path, content)
    assert (keys(resolution), resolution.unresolved) == ([SBIN], ())


def test_an_isin_decides_and_a_changed_symbol_is_noted(tmp_path: Path) -> None:
    resolution = listed(tmp_path, "Symbol,ISIN Code\nOLDNAME,INE062A01020\n")
    assert keys(resolution) == [SBIN]
    assert resolution.notes == ("OLDNAME is called SBIN now",)


def test_a_changed_isin_is_found_by_symbol_and_noted(tmp_path: Path) -> None:
    """A split of the face value gives a share a new ISIN."""
    resolution = listed(tmp_path, "Symbol,ISIN Code\nSBIN,INE062A01012\n")
    assert keys(resolution) == [SBIN]
    assert resolution.notes == ("SBIN: ISIN changed from INE062A01012 to INE062A01020",)


def test_rows_that_name_nothing_are_not_dropped_in_silence(tmp_path: Path) -> None:
    resolution = listed(
        tmp_path, "Name,Symbol,ISIN Code\nA,SBIN,\nB,,\nC,NOSUCH,INE000000000\nD,SBIN,\n"
    )
    assert keys(resolution) == [SBIN]
    assert [u.name for u in resolution.unresolved] == ["line 3 of list.csv", "NOSUCH"]
    assert "neither ISIN INE000000000 nor a share called NOSUCH" in resolution.unresolved[1].reason
    assert "SBIN: named 2 times, taken once" in resolution.notes


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "names no symbol"),
        (b"# only a remark\n\n , ,\n", "names no symbol"),
        (b"Symbol,ISIN Code\n", "has a header and no symbol below it"),
        (b"a,b\nc,d\n", "none is called Symbol or ISIN Code"),
        (b"SBIN;TCS\n", "none is called Symbol or ISIN Code"),
        (b"Symbol,Name,symbol\nSBIN,x,TCS\n", "has several columns called Symbol"),
        (b"ISIN;Symbol;ISIN\nx;SBIN;y\n", "has several columns called ISIN"),
        (b"Symbol\nSB\xffIN\n", "line 2: is not UTF-8 text"),
        (b"Symbol\n" + b"A" * (16 * 2**20), "is larger than 16 MB"),
        (b"A" * 200_000, "is no CSV: field larger"),
    ],
    ids=lambda value: value[:20].decode("latin-1") if isinstance(value, bytes) else "",
)
def test_a_file_that_is_no_listing_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        listed(tmp_path, content)
    assert caught.value.where == "universe.file"
    assert words in caught.value.problem


@given(
    content=st.binary(max_size=80)
    | st.text(max_size=80).map(lambda t: t.encode("utf-8", "replace"))
)
@settings(deadline=None)
def test_any_bytes_are_a_listing_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    resolution = outcome(tmp_path_factory.getbasetemp(), content)
    assert resolution is None or resolution.instruments or resolution.unresolved


def outcome(folder: Path, content: bytes) -> Resolution | None:
    try:
        return listed(folder, content)
    except UsageError:
        return None


# Filters and unions


def select(**wanted: tuple[str, ...]) -> Resolution:
    return resolve(UniverseSpec(filter=Filter(**wanted)), {"NSE": nse()})


def test_a_filter_selects_what_fits_all_its_fields() -> None:
    """Against a plain loop over the records."""
    records = json.loads(gzip.decompress(TRIMMED.read_bytes()))
    ordinary = [r for r in records if r["segment"] == "NSE_EQ" and r["instrument_type"] == "EQ"]
    chosen = select(segment=("NSE_EQ",), instrument_type=("eq",))
    assert set(keys(chosen)) == {r["instrument_key"] for r in ordinary}
    assert len(chosen.instruments) == len(ordinary) > 2_000
    assert [i.symbol for i in chosen.instruments] == sorted(r["trading_symbol"] for r in ordinary)
    banks = select(segment=("NSE_EQ",), instrument_type=("EQ", "BE"), symbol=("*bank", "SBI?"))
    assert set(keys(banks)) == {
        r["instrument_key"]
        for r in records
        if r["segment"] == "NSE_EQ"
        and r["instrument_type"] in ("EQ", "BE")
        and (
            r["trading_symbol"].endswith("BANK")
            or (r["trading_symbol"][:3] == "SBI" and len(r["trading_symbol"]) == 4)
        )
    }
    assert "HDFCBANK" in {i.symbol for i in banks.instruments}


def test_a_filter_that_fits_nothing_is_unresolved() -> None:
    (lost,) = select(symbol=("QQQQ*",)).unresolved
    assert str(lost) == "universe.filter: no instrument of NSE's instrument list of 2026-03-02 fits"


def test_file_symbols_and_filter_are_united_in_this_order(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("TCS\nSBIN\n")
    spec = UniverseSpec(
        file=tmp_path / "list.csv",
        symbols=("INFY", "TCS"),
        filter=Filter(segment=("NSE_EQ",), symbol=("SBIN", "ABB")),
    )
    resolution = resolve(spec, {"NSE": nse()})
    assert [i.symbol for i in resolution.instruments] == ["TCS", "SBIN", "INFY", "ABB"]
    assert resolution.notes == ("TCS: named 2 times, taken once",)


@pytest.mark.parametrize(
    ("spec", "needed"),
    [
        (UniverseSpec(symbols=("SBIN", "NIFTY")), {"NSE"}),
        (UniverseSpec(symbols=("BSE:500112",)), {"BSE"}),
        (
            UniverseSpec(symbols=("SBIN", "MCX_FO|434855", "NCD_FO|1", "BCD_FO|1")),
            {"NSE", "MCX", "BSE"},
        ),
        (UniverseSpec(symbols=("GLOBAL_INDEX|^GSPC", "NYSE:IBM")), set()),
        (UniverseSpec(filter=Filter(symbol=("A*",))), {"NSE"}),
        (UniverseSpec(filter=Filter(segment=("BSE_EQ", "NSE_EQ"))), {"NSE", "BSE"}),
        (
            UniverseSpec(labelled=(Labelled(symbol="X", instrument_key="BSE_EQ|INE062A01020"),)),
            {"BSE"},
        ),
    ],
)
def test_only_the_masters_that_are_needed_are_asked_for(
    spec: UniverseSpec, needed: set[str]
) -> None:
    assert exchanges(spec) == needed


# The universes we ship


def test_the_shipped_nifty50_resolves_whole() -> None:
    spec = UniverseSpec(file=configs_dir() / "universes" / "nifty50.csv")
    resolution = resolve(spec, {"NSE": nse()})
    assert (len(resolution.instruments), resolution.unresolved) == (50, ())
    assert "KOTAKBANK: ISIN changed from INE237A01028 to INE237A01036" in resolution.notes


def resolves_but_two(master: Master) -> None:
    """501 rows: one is NSE's dummy, one a company that has merged into another."""
    resolution = resolve(
        UniverseSpec(file=configs_dir() / "universes" / "nifty500.csv"), {"NSE": master}
    )
    assert len(resolution.instruments) == 499
    assert [u.name for u in resolution.unresolved] == ["DUMMYDBRLT", "PEL"]
    assert sum("ISIN changed" in note for note in resolution.notes) == 7


def test_the_shipped_nifty500_resolves_but_for_what_no_longer_exists() -> None:
    resolves_but_two(nse())


@needs_real
def test_it_does_so_against_the_real_file_with_its_bonds_and_contracts_too() -> None:
    resolves_but_two(master_of(json.loads(gzip.decompress(REAL.read_bytes()))))


@pytest.mark.parametrize("name", ["nifty50.csv", "nifty500.csv"])
def test_a_shipped_universe_names_its_source_and_date(name: str) -> None:
    first = (configs_dir() / "universes" / name).read_text().splitlines()[0]
    assert first.startswith("# ")
    assert "NSE" in first
    assert "October 2025" in first
