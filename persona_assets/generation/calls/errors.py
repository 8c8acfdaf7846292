"""Exceptions that end a run."""


class EndpointError(RuntimeError):
    """The run has stopped; each answer that arrived is in the journal and is not paid for again."""


class EndpointRefused(EndpointError):
    """No call can succeed until a person changes something: key, permission, quota, model, URL."""


class EndpointUnreachable(EndpointError):
    """No connection could be made within the attempts that the endpoint's settings allow."""


class BudgetReached(EndpointError):
    """The next call could cost more than a cap leaves."""
