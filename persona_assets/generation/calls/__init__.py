"""One call: its key, its endpoint, one attempt over HTTP, and how attempts fail."""
