"""Objects that Dagster hands to assets: the only code of the graph that touches the world.

Belongs here: one class per resource. The packages behind them are `storage`, `catalog`,
`local_models`, `generation` and `dedup`.
"""
