"""Redaction of the API key from responses: a server may repeat the key that it was sent."""

SHORTEST = 12
"""Length below which a key is a placeholder ("none", "local"), which an answer may well contain."""

REPLACEMENT = "[API key]"
"""Text that replaces the key."""


class Redactor:
    """Replaces an API key in texts and bytes.

    Example:
        >>> Redactor("sk-0123456789").redact("your key was sk-0123456789")
        'your key was [API key]'
        >>> Redactor("none").redact("none of these")
        'none of these'
    """

    def __init__(self, key: str) -> None:
        self._text = key if len(key) >= SHORTEST else ""
        self._data = self._text.encode()

    def __len__(self) -> int:
        """Return the length of the redacted key in bytes; 0 for a placeholder."""
        return len(self._data)

    def redact(self, text: str) -> str:
        """Return the text without the key."""
        return text.replace(self._text, REPLACEMENT) if self._text else text

    def redact_bytes(self, data: bytes) -> bytes:
        """Return the bytes without the key."""
        return data.replace(self._data, REPLACEMENT.encode()) if self._data else data
