"""Model that answered, if it is another than the one asked."""

import re

_VERSION = re.compile(r"(?:[-@](?:\d{4}-\d{2}-\d{2}|\d{8}|\d{6}|\d{4})|:[\w.-]+)$", re.ASCII)
_LATEST = re.compile(r"(?:[-:]latest|\.gguf)$")
_UNSAFE = re.compile(r"[^\w.:/@+ -]", re.ASCII)
_SEPARATORS = re.compile(r"[\W_]+", re.ASCII)


def other_model(asked: str, answered: object) -> str:
    """Return the name of the model that answered if it is not the model asked; else "".

    The same model has another case, a path or provider before its name, or, in one of the two
    names, a date or a tag behind it.

    Args:
        asked: Model of the request.
        answered: `model` of the response, which may be anything.

    Returns:
        At most 100 plain characters.

    Example:
        >>> other_model("gpt-4o", "openai/GPT-4o-2024-08-06"), other_model("gpt-4o", "gpt-4o-mini")
        ('', 'gpt-4o-mini')
        >>> other_model("gpt-4o-2024-05-13", "gpt-4o-2024-08-06"), other_model("gpt-4o", None)
        ('gpt-4o-2024-08-06', '')
    """
    if not isinstance(answered, str) or not answered.strip() or answered == asked or not asked:
        return ""
    names = _base(asked), _base(answered[:1000])
    first, second = map(_letters, names)
    short_first, short_second = (_letters(_VERSION.sub("", name)) for name in names)
    if first in (second, short_second) or second == short_first:
        return ""
    return _UNSAFE.sub("?", answered.strip()[:100])


def _base(name: str) -> str:
    name = name.strip().lower().replace("\\", "/").rstrip("/").rpartition("/")[2]
    return _LATEST.sub("", name)


def _letters(name: str) -> str:
    return _SEPARATORS.sub("", name)
