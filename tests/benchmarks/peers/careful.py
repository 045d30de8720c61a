"""A script by somebody who cares: two processes, kept connections, Arrow, files whole or not at all."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import requests

from tests.benchmarks.job import FIELDS, Job, file_name, from_argv

PROCESSES, THREADS = 2, 8
TYPES = (pa.string(), *[pa.float64()] * 4, *[pa.int64()] * 2)

own = threading.local()


def main() -> None:
    job, folder = from_argv()
    shares = [job.keys[start::PROCESSES] for start in range(PROCESSES)]
    with ProcessPoolExecutor(PROCESSES) as pool:
        print(sum(pool.map(partial(_fetch_all, job, folder), shares)))


def _fetch_all(job: Job, folder: Path, keys: tuple[str, ...]) -> int:
    with ThreadPoolExecutor(THREADS) as pool:
        return sum(pool.map(partial(_fetch, job, folder), keys))


def _fetch(job: Job, folder: Path, key: str) -> int:
    if not hasattr(own, "session"):
        own.session = requests.Session()
    answer = own.session.get(job.url(key), timeout=30)
    answer.raise_for_status()
    candles = json.loads(answer.content)["data"]["candles"]
    columns = zip(*reversed(candles), strict=True) if candles else ((),) * len(FIELDS)
    arrays = [pa.array(column, kind) for column, kind in zip(columns, TYPES, strict=True)]
    arrays[0] = arrays[0].cast(pa.timestamp("us", "UTC"))
    part = folder / f"{file_name(key)}.part"
    pq.write_table(pa.table(arrays, names=list(FIELDS)), part, compression="zstd")
    part.replace(part.with_suffix(".parquet"))
    return len(candles)


if __name__ == "__main__":
    main()
