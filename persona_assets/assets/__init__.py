"""The asset graph: one module per group, in the order in which rows flow through them."""
