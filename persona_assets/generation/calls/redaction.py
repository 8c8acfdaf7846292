"""The API key, kept out of whatever an endpoint says: a server may repeat what it was sent."""

SHORTEST = 12
"""Shorter keys are placeholders ("none", "local"), which an answer may well contain."""

INSTEAD = "[API key]"


class Redactor:
    """A key to be taken out of texts and bytes."""

    def __init__(self, key: str) -> None:
        self._text = key if len(key) >= SHORTEST else ""
        self._data = self._text.encode()

    def __len__(self) -> int:
        """Bytes that are looked for; 0 for a placeholder."""
        return len(self._data)

    def out_of(self, text: str) -> str:
        """The text without the key."""
        return text.replace(self._text, INSTEAD) if self._text else text

    def out_of_bytes(self, data: bytes) -> bytes:
        """The bytes without the key."""
        return data.replace(self._data, INSTEAD.encode()) if self._data else data
