"""Keeps a store fresh for months without a hand.

when         `daily 18:00`, `weekly sunday 20:00` or cron -> moments, in India
notice       what somebody is to be told, and who has been
delivery     brings it to a webhook or a command, in bounded time
health       whether a store is as new as its schedule promises, and its token good
emit/        the jobs as cron, systemd or Kubernetes read them
"""
