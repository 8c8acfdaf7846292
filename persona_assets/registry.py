"""Implementations of one protocol by name: built-in ones and those of installed packages.

Belongs here: how a name finds its implementation. Does not belong here: any protocol or name.
"""

import difflib
import importlib
from collections.abc import Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar, cast

T = TypeVar("T")


class RegistryError(ValueError):
    """Unknown name, or an implementation that cannot be loaded."""


class Registry(Generic[T]):
    """Implementations of one protocol by name.

    Built-in implementations are listed in code; installed packages add theirs by an entry point.
    An implementation is imported on first use, so that listing names costs no import.

    Args:
        group: Entry-point group, such as "persona_assets.providers".
        builtin: "module:attribute" of each built-in implementation by its name.

    Example:
        >>> encoders: Registry[type] = Registry("example.encoders", {"json": "json:JSONEncoder"})
        >>> encoders.names()
        ['json']
        >>> encoders.get("json").__name__
        'JSONEncoder'
    """

    def __init__(self, group: str, builtin: Mapping[str, str]) -> None:
        self._group = group
        self._builtin = dict(builtin)
        self._loaded: dict[str, T] = {}
        self._installed: dict[str, EntryPoint] | None = None

    def names(self) -> list[str]:
        """Return all names: built-in names in their order, then those of entry points by alphabet.

        Raises:
            RegistryError: An entry point carries a built-in name or another entry point's name.
        """
        return [*self._builtin, *self._entry_points()]

    def is_builtin(self, name: str) -> bool:
        """Return True if a name is one of those listed in code."""
        return name in self._builtin

    def get(self, name: str) -> T:
        """Return the implementation of a name, imported on first use.

        Raises:
            RegistryError: The name is unknown, the implementation cannot be imported, or an entry
                point carries a name already in use.
        """
        if name not in self._loaded:
            self._loaded[name] = self._load(name)
        return self._loaded[name]

    def all(self) -> Iterator[tuple[str, T]]:
        """Yield each name and its implementation, built-in ones first, in their order.

        Raises:
            RegistryError: As `get`.
        """
        for name in self.names():
            yield name, self.get(name)

    def _load(self, name: str) -> T:
        installed = self._entry_points()
        if name in self._builtin:
            return cast(T, _attribute(self._builtin[name]))
        if name not in installed:
            raise RegistryError(self._unknown(name))
        try:
            return cast(T, installed[name].load())
        except (ImportError, AttributeError) as error:
            raise RegistryError(
                f"{name!r} of {self._group!r}, installed by {_distribution(installed[name])}, "
                f"cannot be imported from {installed[name].value!r}: {error}"
            ) from error

    def _entry_points(self) -> dict[str, EntryPoint]:
        """Return the group's entry points by name, read once per process."""
        if self._installed is None:
            installed: dict[str, EntryPoint] = {}
            for point in sorted(entry_points(group=self._group), key=lambda point: point.name):
                if point.name in self._builtin:
                    raise RegistryError(
                        f"{_distribution(point)} may not replace {point.name!r} of "
                        f"{self._group!r}, which is built in"
                    )
                if point.name in installed and point.value != installed[point.name].value:
                    raise RegistryError(
                        f"{_distribution(installed[point.name])} and {_distribution(point)} both "
                        f"install {point.name!r} of {self._group!r}"
                    )
                installed[point.name] = point
            self._installed = installed
        return self._installed

    def _unknown(self, name: str) -> str:
        names = self.names()
        nearest = difflib.get_close_matches(name, names, n=1)
        hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
        return f"{name!r} is not in {self._group!r}{hint} (known: {', '.join(names) or 'none'})"


def _attribute(reference: str) -> Any:
    """Import the attribute that a "module:attribute" reference names."""
    module, _, attribute = reference.partition(":")
    return getattr(importlib.import_module(module), attribute)


def _distribution(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else "an unknown distribution"
