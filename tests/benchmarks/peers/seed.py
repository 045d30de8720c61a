"""As batch scripts are usually written: a pool of threads, `requests`, pandas, all kept, then CSV."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import requests

from tests.benchmarks.job import FIELDS, file_name, from_argv


def main() -> None:
    job, folder = from_argv()

    def fetch(key: str) -> pd.DataFrame:
        answer = requests.get(job.url(key), timeout=30)
        answer.raise_for_status()
        frame = pd.DataFrame(answer.json()["data"]["candles"], columns=list(FIELDS))
        frame["ts"] = pd.to_datetime(frame["ts"])
        return frame.set_index("ts").sort_index()

    with ThreadPoolExecutor(16) as pool:
        frames = dict(zip(job.keys, pool.map(fetch, job.keys), strict=True))
    for key, frame in frames.items():
        frame.to_csv(folder / f"{file_name(key)}.csv")
    print(sum(map(len, frames.values())))


if __name__ == "__main__":
    main()
