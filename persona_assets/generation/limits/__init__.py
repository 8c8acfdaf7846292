"""Speed limits: calls in flight, requests and tokens per minute, pauses, a circuit breaker."""
