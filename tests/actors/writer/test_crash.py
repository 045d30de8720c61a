"""Laws 2 and 4 through `kill -9`, of a real process, at every moment of a commit."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

from deltalake import DeltaTable

from actors.writer.reading import Store
from actors.writer.store import StoreWriter

ROOT = Path(__file__).parents[3]
FICKLE = "NSE_EQ|fickle"
AT_STEPS = [
    "put_candles",
    "put_candles*2",
    "put_candles*3",
    "put_candles*4",
    "put_candles*7",
    "put_receipts",
    "put_receipts*2",
    "replace_files",
]
DEATHS = AT_STEPS + ["anytime"] * 10


def test_a_killed_writer_loses_nothing_and_doubles_nothing(kit, tmp_path):
    """Every batch called lasting is whole; every receipt stands once, and tells the truth."""
    uri = str(tmp_path / "store")
    writer = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("crashing.py")), uri],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    number = 1
    unfinished = 0
    with writer:
        for seed, where in enumerate(DEATHS):
            print(number, seed, where, file=writer.stdin, flush=True)
            lasting = int(writer.stdout.readline())
            number = max(number, lasting, newest_batch(kit, uri))
            held_back = Store(uri).receipts().num_rows
            unfinished += held_back - stored_receipts(kit, uri)
            StoreWriter(uri)
            assert stored_receipts(kit, uri) == held_back
            look(kit, uri, lasting)
            number += 1
    assert number > len(DEATHS) / 2  # it did get somewhere
    assert unfinished > 0  # and was at least once killed between its commits


def stored_receipts(kit, uri):
    return len(kit.receipts(uri)) if DeltaTable.is_deltatable(f"{uri}/chunks") else 0


def newest_batch(kit, uri):
    """The highest price there is: every batch has its own."""
    if not DeltaTable.is_deltatable(f"{uri}/candles"):
        return 0
    return max([0, *(int(row[3]) for row in kit.rows(uri))])


def look(kit, uri, lasting):
    rows = kit.rows(uri)
    assert max(Counter(row[:3] for row in rows).values(), default=1) == 1
    receipts = kit.receipts(uri)
    assert max(Counter(receipts).values(), default=1) == 1
    there = sum(row[0] == FICKLE for row in rows)
    fickle = [(float(run), status) for c, run, status in receipts if c.startswith(FICKLE)]
    rows, receipts = (
        [one for one in some if not one[0].startswith(FICKLE)] for some in (rows, receipts)
    )
    # What is taken away is whole until the last word says that it is not there.
    _, last_word = max(fickle, default=(0, "empty"))
    assert there == (0 if last_word == "empty" else 5)
    # The single days are there exactly where a receipt says so.
    days = {(key, str(int(price))) for key, _, ts, price in rows if ts.year > 2020}
    said = {
        (chunk_id.split("/")[0], run_id)
        for chunk_id, run_id, status in receipts
        if status == "stored" and not chunk_id.endswith("2020-01-05")
    }
    assert days == said
    # The replaced span is whole, and of the newest batch whose receipt says so.
    spans = {(key, price) for key, _, ts, price in rows if ts.year <= 2020}
    newest = max(
        (int(run) for chunk, run, _ in receipts if chunk.endswith("2020-01-05")), default=0
    )
    replaced = [int(run) for c, run, s in receipts if c.endswith("2020-01-05") and s == "stored"]
    assert {price for _, price in spans} == ({max(replaced)} if replaced else set())
    assert len([row for row in rows if row[2].year <= 2020]) == (15 if replaced else 0)
    # What was called lasting is.
    if lasting:
        assert newest >= lasting
        assert (lasting + 0.2, "empty") in fickle
        assert len({key for key, run_id in said if run_id == str(lasting)}) == 3
        assert ("NSE_EQ|gone/1day/2020-01-01/2020-01-05", str(lasting), "failed") in receipts
