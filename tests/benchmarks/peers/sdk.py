"""The provider's own client, shared by a pool of threads; pandas; one Parquet file as each arrives."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import upstox_client

from tests.benchmarks.job import FIELDS, Job, file_name, from_argv

THREADS = 16


def main() -> None:
    job, folder = from_argv()
    history = _history(job)

    def fetch(key: str) -> int:
        answer = history.get_historical_candle_data1(key, "minutes", "1", job.last, job.first)
        frame = pd.DataFrame(answer.data.candles, columns=list(FIELDS))
        frame["ts"] = pd.to_datetime(frame["ts"])
        frame.sort_values("ts").to_parquet(folder / f"{file_name(key)}.parquet", index=False)
        return len(frame)

    with ThreadPoolExecutor(THREADS) as pool:
        print(sum(pool.map(fetch, job.keys)))


def _history(job: Job) -> upstox_client.HistoryV3Api:
    configuration = upstox_client.Configuration()
    configuration.host = job.base_url
    configuration.connection_pool_maxsize = THREADS  # or it drops connections and opens new ones
    return upstox_client.HistoryV3Api(upstox_client.ApiClient(configuration))


if __name__ == "__main__":
    main()
