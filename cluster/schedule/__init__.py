"""Keeps a store fresh for months without a hand.

when         `daily 18:00`, `weekly sunday 20:00` or cron -> moments, in India
record       what became of each such moment, kept in the store
agenda       jobs, records and the time -> what is due (pure)
need         what is wanted, held and known of the calendar -> what to ask for, if anything (pure)
sessions, update    the calendar a store has learned; what an update asks for, by it
work, heed   one attempt: runs like any others, then the job's screens; and what became of it put down
keeper, daemon      look at the agenda, again and again, and let a process of its own do what is due
locks        who is at it just now
listing      how all of it stands
notice       what somebody is to be told, and who has been
delivery     brings it to a webhook or a command, in bounded time
health       whether a store is as new as its schedule promises, and its token good
emit/        the jobs as cron, systemd or Kubernetes read them
"""
