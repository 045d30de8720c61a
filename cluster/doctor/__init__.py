"""Looks, before a scan, at all that it depends on, for `candlefleet doctor`.

finding       what was found, and what to do about it
machine       this computer: packages, memory, folders, Ray
provider      whom a config speaks to: token, clock, instruments, candles
examination   all of it in order
"""
