"""Money: tokens, prices, budgets, and the ledger that all processes share."""
