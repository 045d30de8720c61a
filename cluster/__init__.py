"""What runs on the driver: from a config to a finished run.

config, universe, plan     what to fetch
session, crew, dispatch, run   fetching it
standing, display, report, logs    saying how it goes
lookalike/                 a local exchange that behaves like the provider, for demo and tests
"""
