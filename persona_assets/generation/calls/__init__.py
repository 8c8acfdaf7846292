"""One call: the request, its key, the endpoint, one attempt over HTTP, and how attempts fail."""
