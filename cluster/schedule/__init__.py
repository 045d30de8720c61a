"""Keeps a store fresh for months without a hand.

when         `daily 18:00`, `weekly sunday 20:00` or cron -> moments, in India
"""
