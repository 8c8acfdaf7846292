"""Money: tokens, prices, budgets, and the ledger shared by all processes.

Belongs here: costs, worst cases, and caps on spending. Does not belong here: sending calls, and
forecasts of a whole run.
"""
