from __future__ import annotations

import csv
import io
import json

import pyarrow.parquet as pq
import pytest

from actors.market.errors import UsageError
from cluster import Screen, Store
from cluster.screen import files
from cluster.screen.files import Form
from tests.cluster.screen.market import weekdays
from tests.cluster.screen.stored import stored, write
from tests.cluster.screen.test_screening import RISING, even


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    uri = str(tmp_path_factory.mktemp("files") / "store")
    days = weekdays(60)
    write(uri, [stored(name, RISING, days) for name in ('M&M, "quoted"', "UP")])
    write(uri, [stored("YOUNG", RISING, days[-3:])])
    screen = Screen(
        "close > SMA(close, 20)", timeframe="1day", rank="close", show={"é": "close / 3"}, limit=9
    )
    answer = screen.run(Store(uri), on="2024-03-20")
    write(uri, [stored("LATER", even(range(200, 260)), days)])
    return Store(uri), answer


def test_what_was_saved_tells_how_to_ask_the_same_again(asked, tmp_path):
    """The screen, the day and the version of the table: later candles change nothing."""
    store, answer = asked
    files.save(answer, Form.JSON, tmp_path / "answer.json")
    files.save(answer, Form.PARQUET, tmp_path / "answer.parquet")
    for told in (
        json.loads((tmp_path / "answer.json").read_text(encoding="utf-8")),
        json.loads(pq.read_schema(tmp_path / "answer.parquet").metadata[files.METADATA]),
    ):
        again = Screen(**told["screen"]).run(
            store, on=told["on"], as_of=told["candles_version"], now=answer.asked_at
        )
        assert again == answer
        assert again.found == 2
    assert {path.name for path in tmp_path.iterdir()} == {"answer.json", "answer.parquet"}


def test_what_was_asked_of_some_is_asked_of_them_again(asked, tmp_path):
    """Also where a listing named them, which may name others by then."""
    store, _ = asked
    (tmp_path / "mine.csv").write_text("symbol\nUP\nYOUNG\nNOSUCH\n")
    path = tmp_path / "mine.yaml"
    path.write_text("timeframe: 1day\nwhere: close > 1\nrank: close\nuniverse: {file: mine.csv}\n")
    listed = Screen.load(path)
    answers = [listed.run(store), listed.run(store, symbols=["LATER", "up"], limit=1)]
    assert [(a.universe, len(a.matches), a.found) for a in answers] == [(3, 2, 2), (2, 1, 2)]
    (tmp_path / "mine.csv").write_text("symbol\nLATER\n")
    for answer in answers:
        files.save(answer, Form.JSON, tmp_path / "answer.json")
        told = json.loads((tmp_path / "answer.json").read_text(encoding="utf-8"))
        again = Screen(**told["screen"]).run(
            store, as_of=told["candles_version"], now=answer.asked_at
        )
        assert again == answer


def test_every_form_holds_every_match(asked, tmp_path):
    _, answer = asked
    files.save(answer, Form.PARQUET, tmp_path / "answer.parquet")
    assert pq.read_table(tmp_path / "answer.parquet").to_pylist() == answer.to_arrow().to_pylist()
    rows = [*csv.DictReader(io.StringIO(files.text(answer, Form.CSV)))]
    told = json.loads(files.text(answer, Form.JSON))["matches"]
    for row, match, plain in zip(rows, answer.matches, told, strict=True):
        assert row["symbol"] == plain["symbol"] == match.symbol
        assert row["ts"] == plain["ts"] == "2024-03-20T00:00:00+05:30"
        assert float(row["é"]) == plain["shown"]["é"] == match.shown[0]


def test_an_answer_without_a_match_keeps_its_columns(asked):
    store, _ = asked
    nothing = Screen("close > 1e9", timeframe="1day", show={"rsi": "RSI(14)"}).run(store)
    assert files.text(nothing, Form.CSV).split(",")[-1] == '"rsi"'
    assert len(nothing.to_pandas()) == 0


def test_a_place_that_will_not_do_is_refused_before_anything_is_asked(tmp_path):
    store = Store(str(tmp_path / "store"))
    precious = tmp_path / "precious.csv"
    precious.write_text("x")
    for form, out, said in [
        (Form.CSV, precious, "exists"),
        (Form.CSV, tmp_path / "no" / "a.csv", "no folder"),
        (Form.TABLE, tmp_path / "a.txt", "choose another --format"),
        (Form.PARQUET, None, "says where the parquet file goes"),
    ]:
        with pytest.raises(UsageError, match=said):
            files.refuse(form, out, store, overwrite=False)
    files.refuse(Form.CSV, precious, store, overwrite=True)
