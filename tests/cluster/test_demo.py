from __future__ import annotations

import subprocess
import sys
from datetime import date, datetime

import pyarrow as pa

from actors.market.candles import BARS, Delivery, label_candles
from actors.market.chunk import Chunk, Receipt, Status
from actors.market.sessions import IST
from actors.market.timeframe import Timeframe
from actors.writer.store import StoreWriter
from cluster.demo import READING

#: As the command does, which forbids itself pandas.
READS = "import sys, actors.lean, cluster.demo; print(cluster.demo.read_with(sys.argv[1]), end='')"


def test_the_three_lines_read_the_table_though_the_command_does_without_pandas(tmp_path):
    at = datetime(2024, 6, 1, tzinfo=IST)
    day = date(2024, 1, 1)
    chunk = Chunk("NSE_EQ|INE062A01020", "SBIN", Timeframe.parse("1day"), day, day)
    bars = [[datetime(2024, 1, 1, tzinfo=IST)], *[[512.5]] * 4, [7], [0]]
    candles = label_candles(chunk, pa.table(bars, schema=BARS), at)
    receipt = Receipt(chunk=chunk, status=Status.STORED, run_id="r", fetched_at=at, rows=1)
    StoreWriter(str(tmp_path)).commit([Delivery(receipt, candles)])

    command = [sys.executable, "-c", READS, READING.format(store=tmp_path)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert said.splitlines()[-1].split() == ["SBIN", "1", "512.5", "512.5", "512.5"]
