"""Text of strangers in a card: a single line that neither Markdown nor HTML gives a meaning."""

import re

_MARKS = re.compile(r"[`|<>\[\]*~\\]|[^\S ]|[\x00-\x1f\x7f]")


def inert_line(text: object) -> str:
    """Return a text on one line, without marks of Markdown and HTML.

    Example:
        >>> inert_line("<b>free</b>\\n# of charge")
        'b free /b  # of charge'
    """
    return _MARKS.sub(" ", str(text)).strip()
