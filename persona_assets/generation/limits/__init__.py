"""Rate limiting: calls in flight, requests and tokens per minute, pauses, a circuit breaker.

Belongs here: the decision when a call may start, from settings, headers and errors. Does not belong
here: sockets, retries of a single call, money.
"""
