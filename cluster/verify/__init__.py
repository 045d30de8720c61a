"""Whether a store holds what it should: the sessions that are due against the bars that stand.

job           the command; report: what it prints; repair: gaps as a plan
verification  a store and what is wanted of it in, verdicts out
examination   brings together what is known of each series
  answers       what the receipts say of it, and whether the rows stand that they speak of
  counts        how many bars stand on each day
  openings      on which days the exchange was open
judgement     the rule: one reason for each bar that is missing; the verdict: gaps
"""
