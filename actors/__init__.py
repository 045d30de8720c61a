"""What runs on the fleet. A folder is a room; a room has a thin Ray shell (`actor.py`) and pure cores.

    market/    the shared words: instrument, timeframe, chunk, receipt, candles, sanity, errors. Knows nobody
    upstox/    speaks to the provider: HTTP client, wire format -> Arrow, published limits. Knows market
    limiter/   hands out permits, so that no window of the account is ever overfull
    writer/    the only one who writes to the store: batches of candles with their receipts
    monitor/   counts progress and watches memory, on every host
    fetcher/   makes single attempts at chunks; the only room that knows the four others

Who speaks to whom, for one chunk:

    driver --fetch(chunk)--> fetcher --acquire--> limiter        a permit for every attempt
                             fetcher --request--> the provider
                             fetcher --keep-----> writer         candles and receipt, never through the driver
                             fetcher --count----> monitor
    driver <--outcome------- fetcher
    driver --commit--------> writer                              answers with the receipts now in the store
    driver --snapshot------> monitor                             progress and memory
    driver --pause, stop---> limiter                             memory is short, the provider fails; the end
    driver --use-----------> limiter                             what is spent, and by whom
    monitor --memory-------> everybody

`cluster/` runs on the driver and knows `actors/`; never the other way round.
"""
