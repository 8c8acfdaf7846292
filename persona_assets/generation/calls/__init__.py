"""A call: its key, its endpoint, an attempt over HTTP, and how attempts fail."""
