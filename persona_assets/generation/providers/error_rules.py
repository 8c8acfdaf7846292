"""Rules that give a failed reply its meaning, and the table that all providers share.

A rule names codes, phrases or statuses; the first rule that matches decides. Belongs here: what
providers and their copies have in common. Does not belong here: codes that mean something else
elsewhere (the provider's own file), and the consequences of a meaning (calls/attempt_failure.py).
"""

from collections.abc import Iterable, Set
from dataclasses import dataclass
from enum import StrEnum


class Meaning(StrEnum):
    """Meaning of a failed reply; the value is the error code of its record."""

    FILTER = "content_filter"
    """The content filter refused the prompt: the only failure that depends on the request alone."""

    QUOTA = "no_quota"
    """The account has no credit left."""

    KEY = "invalid_key"
    """The API key is not accepted."""

    PERMISSION = "no_permission"
    """The key or this client may not do this."""

    MODEL = "unknown_model"
    """There is no such model, deployment or path."""

    CONTEXT = "too_long"
    """The request is longer than the server, or the account's limit per minute, ever allows."""

    PARAMETER = "bad_parameter"
    """The endpoint or the model does not take a parameter or its value."""

    RATE_LIMIT = "rate_limit"
    """Too many requests at the moment, whatever the HTTP status."""

    OVERLOADED = "server_error"
    """The server, or a server behind it, fails at the moment."""

    REQUEST = "bad_request"
    """Refused for a reason that no rule knows."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Condition of a meaning: any of the codes or phrases, and any of the statuses.

    Attributes:
        meaning: Meaning of a reply that matches.
        codes: Names in the error object, in lower case; see `Provider.error_names`.
        phrases: Parts of the message, in lower case.
        statuses: HTTP statuses to which the rule is limited; empty for all.
    """

    meaning: Meaning
    codes: Set[str] = frozenset()
    phrases: tuple[str, ...] = ()
    statuses: Set[int] = frozenset()

    @property
    def by_status(self) -> bool:
        """True if the rule knows the status alone."""
        return not self.codes and not self.phrases

    def matches(self, status: int, names: Set[str], message: str) -> bool:
        """Return True if a reply fulfils the condition.

        Args:
            status: HTTP status; 0 if it is unknown.
            names: Names in the error object, in lower case.
            message: Message in lower case.
        """
        if self.by_status:
            return status in self.statuses
        if self.statuses and status and status not in self.statuses:
            return False
        return not self.codes.isdisjoint(names) or any(phrase in message for phrase in self.phrases)


def find_rule(rules: Iterable[Rule], status: int, names: Set[str], message: str) -> Rule:
    """Return the first rule that a reply matches.

    Example:
        >>> find_rule(COMMON_RULES, 400, {"content_filter"}, "").meaning.value
        'content_filter'
        >>> find_rule(COMMON_RULES, 400, frozenset(), "api key not valid").meaning.value
        'invalid_key'
        >>> find_rule(COMMON_RULES, 418, frozenset(), "").meaning.value
        'bad_request'
    """
    matching = (rule for rule in rules if rule.matches(status, names, message))
    return next(matching, _UNKNOWN)


_UNKNOWN = Rule(Meaning.REQUEST)

STATUS_RULES = (
    Rule(Meaning.RATE_LIMIT, statuses={429}),
    # 498 and 529 are Groq's and Anthropic's words for "no capacity at the moment".
    Rule(Meaning.OVERLOADED, statuses={408, 409, 424, 425, 498, *range(500, 600)}),
    Rule(Meaning.KEY, statuses={401}),
    Rule(Meaning.QUOTA, statuses={402}),
    Rule(Meaning.PERMISSION, statuses={403}),
    Rule(Meaning.MODEL, statuses={404, 405}),
    Rule(Meaning.CONTEXT, statuses={413}),
)
"""Rules for replies that say no more than their status; they come last."""

COMMON_RULES = (
    Rule(
        Meaning.FILTER,
        codes={
            "content_filter",
            "content_filter_error",
            "content_policy_violation",
            "contentpolicyviolationerror",
            "moderation_blocked",
            "responsibleaipolicyviolation",
            "data_inspection_failed",
            "datainspectionfailed",
            "sensitivecontentdetected",
            "inputtextsensitivecontentdetected",
            "sensitive_words_detected",
            "prompt_blocked",
        },
        phrases=(
            "contentpolicyviolationerror",
            "content management policy",
        ),
    ),
    Rule(
        Meaning.OVERLOADED,
        codes={"overloaded_error", "engine_overloaded_error", "capacity_exceeded"},
        phrases=("no healthy upstream", "upstream connect error", "loading model"),
    ),
    Rule(
        Meaning.QUOTA,
        codes={
            "insufficient_quota",
            "insufficient_user_quota",
            "pre_consume_token_quota_failed",
            "billing_hard_limit_reached",
            "billing_not_active",
            "insufficient_balance",
            "insufficient_credits",
            "credit_balance_too_low",
            "exceeded_current_quota_error",
            "arrearage",
            "accountoverdueerror",
            "billing_error",
        },
    ),
    # Too many tokens for the limit of a whole minute: waiting does not help.
    Rule(
        Meaning.CONTEXT,
        codes={
            "context_length_exceeded",
            "exceed_context_size_error",
            "string_above_max_length",
            "request_too_large",
            "tokens_limit_reached",
        },
        phrases=(
            "maximum context length",
            "available context size",
            "context window",
            "context length",
            "request too large for",
            "request body too large",
            "prompt is too long",
            "input is too long",
            "too many input tokens",
            "range of input length",
            "exceeds the maximum number of tokens",
            "`inputs` tokens",
        ),
        statuses={400, 413, 422, 429, 500},
    ),
    Rule(
        Meaning.RATE_LIMIT,
        codes={
            "rate_limit_exceeded",
            "rate_limit_error",
            "rate_limit_reached_error",
            "ratelimitreached",
            "request_quota_exceeded",
            "token_quota_exceeded",
            "throttling",
            "throttling.ratequota",
            "throttling.burstrate",
            "throttling.allocationquota",
            "limit_burst_rate",
            "limit_requests",
        },
    ),
    # Gemini's message of a limit per minute has the words of an empty account.
    Rule(Meaning.RATE_LIMIT, codes={"resource_exhausted"}, statuses={429}),
    Rule(
        Meaning.QUOTA,
        phrases=(
            "exceeded your current quota",
            "credit balance is too low",
            "insufficient balance",
            "balance is insufficient",
            "insufficient credit",
            "insufficient quota",
            "insufficient funds",
            "run out of credits",
            "used all available credits",
            "exceeded your monthly included credits",
            "can only afford",
            "account is not active",
            "account is in arrears",
            "account is in good standing",
            "billing hard limit",
            "monthly spending limit",
            "余额不足",
            "欠费",
        ),
    ),
    Rule(
        Meaning.KEY,
        codes={
            "invalid_api_key",
            "invalidapikey",
            "api_key_invalid",
            "wrong_api_key",
            "authentication_error",
            "authenticationerror",
            "invalid_authentication_error",
            "invalid_iam_token",
            "unauthenticated",
            "account_deactivated",
        },
        phrases=(
            "api key not valid",
            "api key not found",
            "api key expired",
            "incorrect api key",
            "invalid api key",
            "invalid api-key",
            "invalid api token",
            "api key is invalid",
            "invalid x-api-key",
            "no api key provided",
            "didn't provide an api key",
            "invalid subscription key",
            "no auth credentials",
            "invalid authentication",
        ),
        statuses={400, 401, 403, 422, 500},
    ),
    Rule(
        Meaning.MODEL,
        codes={
            "model_not_found",
            "invalid_model",
            "model_not_available",
            "model_not_supported",
            "model_decommissioned",
            "unknown_model",
            "unavailable_model",
            "deploymentnotfound",
            "operationnotsupported",
            "notfounderror",
            "not_found_error",
            "resource_not_found_error",
            "modelnotfound",
            "modelnotopen",
            "invalidendpointormodel.notfound",
        },
        phrases=(
            "no endpoints found",
            "model does not exist",
            "model not exist",
            "model not found",
            "invalid model",
            "unknown model",
            "unable to access model",
            "not a valid model id",
            "try pulling it first",
        ),
    ),
    Rule(
        Meaning.PERMISSION,
        codes={
            "permission_error",
            "permissiondenied",
            "permission_denied",
            "permission_denied_error",
            "unsupported_country_region_territory",
            "accessdenied.unpurchased",
            "accessdenied",
        },
        phrases=("does not have access to model", "virtual network/firewall rules"),
        statuses={400, 401, 403},
    ),
    Rule(
        Meaning.PARAMETER,
        codes={
            "unsupported_parameter",
            "unsupported_value",
            "unknown_parameter",
            "extra_forbidden",
            "unsupportedparamserror",
        },
        phrases=(
            "unsupported parameter",
            "unsupported value",
            "unsupportedparamserror",
            "unrecognized request argument",
            "extra inputs are not permitted",
            "does not support parameter",
            "cannot find field",
            "response_format type is unavailable",
        ),
        statuses={400, 404, 422, 500},
    ),
    *STATUS_RULES,
)
"""Rules of OpenAI's API and of the servers that copy it."""
