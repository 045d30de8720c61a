"""An exchange that looks like Upstox, on loopback: the demo's provider and the tests' judge.

It shares no code with the client or the limiter. Its candles are synthetic.

settings      every switch, as flags and as a frozen dataclass
launch        start it: `run_lookalike(settings)` beside oneself, `serve(settings)` in front
server        ASGI: routes, latency, faults as they reach the wire
exchange      raw path in, answer out; questions, answers, wire: its parts
market        the candles, ground truth for tests; its parts: character, trading_days, days,
              minutes, bars, split, randomness
judge         counts arrivals; faults decides which answers are spoiled
"""
