"""What ends a run: an endpoint that will not, or cannot, be asked."""


class EndpointError(RuntimeError):
    """The run has stopped; every answer that arrived is in the journal and is not asked again."""


class EndpointRefused(EndpointError):
    """No call can succeed until a person changes something: key, permission, quota, model, URL."""


class EndpointUnreachable(EndpointError):
    """No connection could be made within the attempts that the endpoint's settings allow."""


class BudgetReached(EndpointError):
    """The next call could cost more than a cap leaves."""
