"""Licences of rows, and the licence of a dataset of them.

Rows keep their own licences; that of the dataset is the strictest of them where one includes the
others. No derivative: a synthetic row of a text whose licence forbids derivatives is not published.
This is a safeguard, and no legal advice.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from persona_assets.publishing.inert_text import inert_line

UNKNOWN = "unknown"
"""Name of a licence that a row does not state."""

OTHER = "other"
"""Licence of a dataset that no licence of its rows describes, as model hubs write it."""

MOST_NAMES = 12
"""Number of licences that a sentence names."""

_KNOWN = {
    **{"mit": "mit", "apache": "apache-2.0", "apache-2.0": "apache-2.0", "odc-by": "odc-by"},
    **{"bsd-2-clause": "bsd-2-clause", "bsd-3-clause": "bsd-3-clause", "unlicense": "unlicense"},
    **{"odbl": "odbl", "odbl-1.0": "odbl", "gfdl": "gfdl", "pddl": "pddl"},
}
_SHARE_ALIKE = frozenset({"odbl", "gfdl"})
_SILENT = frozenset({"", "unknown", "none", "null", "n/a", "unspecified", "unlicensed", "und"})
_ZERO = re.compile(r"\bcc\s*-?\s*(?:0|zero)\b|publicdomain/zero|creative commons zero")
_CC = re.compile(
    r"(?:\bcc|creativecommons\.org/licenses/|creative\s+commons)[\s/-]*"
    r"(?P<parts>(?:by|nc|nd|sa)(?:[\s-]*(?:nc|nd|sa))*)(?![a-z])"
    r"(?:[\s/-]*v?(?P<version>\d\.\d))?"
)
_LONG = (
    (re.compile(r"attribution"), "by"),
    (re.compile(r"(?:non|no|not\sfor)[-\s]?commercial"), "nc"),
    (re.compile(r"no-?\s?deriv(?:ative)?s?(?:\s?works)?"), "nd"),
    (re.compile(r"share-?\s?alike"), "sa"),
)
_DASHES = re.compile(r"[_\u2010-\u2015\u2212]")
_CONDITIONS = {
    "nc": re.compile(r"(?<![a-z\d])nc(?![a-z])|commercial"),
    "nd": re.compile(r"(?<![a-z\d])nd(?![a-z])|deriv"),
    "sa": re.compile(r"(?<![a-z\d])sa(?![a-z])|alike"),
}
"""Words for a condition, which holds wherever in the text it stands."""
_CC_NAME = re.compile(r"cc0-1\.0|cc-by(?:-nc)?(?:-nd)?(?:-sa)?-\d\.\d")
_BOTH = re.compile(r"\s+AND\s+")


class LicenceError(ValueError):
    """The rows cannot be published under their licences; the message says what to do."""


@dataclass(frozen=True)
class Licence:
    """Licence of rows.

    Attributes:
        name: Identifier in lower case, as model hubs write it, or the text of the row in a line
            without marks of Markdown.
        is_known: False if the row states none.
        parts: Conditions among by, nc, nd, sa, as far as the text names them.
        version: Version of a Creative Commons licence.
    """

    name: str
    is_known: bool = True
    parts: frozenset[str] = frozenset()
    version: str = ""

    @property
    def is_creative_commons(self) -> bool:
        """True for a Creative Commons licence or dedication."""
        return _CC_NAME.fullmatch(self.name) is not None


@dataclass(frozen=True)
class DatasetLicence:
    """Licence of a dataset, and the sentence that explains it."""

    name: str
    sentence: str


def read_licence(text: str | None) -> Licence:
    """Return the licence that a row states.

    A condition counts wherever it stands in the text: a licence is never read as a freer one.

    Args:
        text: SPDX identifier, address, or name; None if the row has none. Several with AND between
            them, as a row of two personas has, hold together.

    Example:
        >>> read_licence("https://creativecommons.org/licenses/by-nc-sa/4.0/").name
        'cc-by-nc-sa-4.0'
        >>> read_licence("CC BY-SA").name, read_licence(None).name, read_licence("Terms of X").name
        ('cc-by-sa-4.0', 'unknown', 'Terms of X')
        >>> read_licence("CC-BY-4.0 AND CC-BY-NC-4.0").name
        'cc-by-nc-4.0'
    """
    stated = (text or "").strip()
    if len(several := _BOTH.split(stated)) > 1:
        return _together({read_licence(each) for each in several})
    plain = _DASHES.sub("-", " ".join(stated.lower().split()))
    if plain in _SILENT:
        return Licence(UNKNOWN, is_known=False)
    for pattern, part in _LONG:
        plain = pattern.sub(part, plain)
    conditions = {part for part, words in _CONDITIONS.items() if words.search(plain)}
    if found := list(_CC.finditer(plain)):
        named = " ".join(each["parts"] for each in found)
        parts = frozenset(re.findall(r"nc|nd|sa", named)) | conditions | {"by"}
        version = found[0]["version"] or "4.0"
        ordered = [part for part in ("by", "nc", "nd", "sa") if part in parts]
        return Licence(f"cc-{'-'.join(ordered)}-{version}", parts=parts, version=version)
    if _ZERO.search(plain) and not conditions:
        return Licence("cc0-1.0")
    if plain in _KNOWN:
        name = _KNOWN[plain]
        return Licence(name, parts=frozenset({"sa"} if name in _SHARE_ALIKE else ()))
    return Licence(inert_line(stated), parts=frozenset(conditions))


def _together(licences: Collection[Licence]) -> Licence:
    """Return the licence of a row for which all of several licences hold."""
    if not all(licence.is_known for licence in licences):
        return Licence(UNKNOWN, is_known=False)
    named = {licence.name: licence for licence in licences}
    if len(named) == 1 or (joint := _joint(frozenset(licences))) is None:
        joint = " AND ".join(sorted(named))
    parts = frozenset[str]().union(*(licence.parts for licence in licences))
    return named.get(joint, Licence(joint, parts=parts))


def dataset_licence(counts: Mapping[str | None, int]) -> DatasetLicence:
    """Return the licence of a dataset from the licences of its rows.

    Args:
        counts: Number of rows by licence, as the rows state it.

    Raises:
        LicenceError: A licence forbids derivatives, or there are no rows.

    Example:
        >>> dataset_licence({"CC0-1.0": 5, "CC-BY-NC-4.0": 1}).name
        'cc-by-nc-4.0'
        >>> dataset_licence({"CC-BY-SA-4.0": 5, "CC-BY-NC-4.0": 1}).name
        'other'
    """
    licences = {read_licence(text): 0 for text in counts}
    for text, count in counts.items():
        licences[read_licence(text)] += count
    if not licences:
        raise LicenceError("there are no rows to publish: run the task first, or choose licences")
    if closed := sorted(licence.name for licence in licences if "nd" in licence.parts):
        others = sorted(each.name for each in licences if "nd" not in each.parts)
        raise LicenceError(
            f"{_listed(closed)} forbids derivatives, and a synthetic row is one: "
            + (
                f"publish the other rows with --only-licence and their names, {_listed(others)}"
                if others
                else "no other rows are left to publish"
            )
        )
    if unknown := sum(count for licence, count in licences.items() if not licence.is_known):
        return DatasetLicence(
            OTHER,
            f"{unknown:,} rows come from texts without a known licence: find out before you use "
            "them. The column `licence` names that of each row.",
        )
    if len(licences) == 1:
        [only] = licences
        name = only.name if only.is_creative_commons or only.name in _KNOWN.values() else OTHER
        return DatasetLicence(name, f"All rows come from texts under {only.name}.")
    joint = _joint(frozenset(licences))
    names = _listed(
        [
            f"{licence.name} ({count:,} rows)"
            for licence, count in sorted(
                licences.items(), key=lambda item: (-item[1], item[0].name)
            )
        ]
    )
    if joint is None:
        return DatasetLicence(
            OTHER,
            f"The rows come from texts under {names}, none of which includes the others: the "
            "column `licence` holds for each row.",
        )
    return DatasetLicence(
        joint, f"The rows come from texts under {names}; {joint} is the strictest of them."
    )


def _listed(names: Sequence[str]) -> str:
    """Return the first names; a corpus may state a licence of its own for each text."""
    more = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f", and {more:,} more" if more > 0 else "")


def _joint(licences: frozenset[Licence]) -> str | None:
    """Return the licence that includes the conditions of all; None if there is none."""
    if not all(licence.is_creative_commons for licence in licences):
        return None
    conditions = frozenset().union(*(licence.parts for licence in licences))
    strictest = [licence for licence in licences if licence.parts == conditions]
    # A share-alike row may be passed on under its own licence alone.
    alike = {(each.parts, each.version) for each in licences if "sa" in each.parts}
    if not strictest or len(alike) > 1 or (alike and alike != {(conditions, strictest[0].version)}):
        return None
    return max(licence.name for licence in strictest)
