"""Licences of rows, and the licence of a dataset of them.

Rows keep their own licences; that of the dataset is the strictest of them where one includes the
others. No derivative: a synthetic row of a text whose licence forbids derivatives is not published.
This is a safeguard, and no legal advice.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

UNKNOWN = "unknown"
"""Name of a licence that a row does not state."""

OTHER = "other"
"""Licence of a dataset that no licence of its rows describes, as model hubs write it."""

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
    r"(?P<parts>(?:by|nc|nd|sa)(?:[\s-]+(?:nc|nd|sa))*)(?:[\s/-]*v?(?P<version>\d\.\d))?"
)
_LONG = (
    (re.compile(r"attribution"), "by"),
    (re.compile(r"non-?\s?commercial"), "nc"),
    (re.compile(r"no-?\s?deriv(?:ative)?s?(?:\s?works)?"), "nd"),
    (re.compile(r"share-?\s?alike"), "sa"),
)


class LicenceError(ValueError):
    """The rows cannot be published under their licences; the message says what to do."""


@dataclass(frozen=True)
class Licence:
    """Licence of rows.

    Attributes:
        name: Identifier in lower case, as model hubs write it, or the text of the row.
        is_known: False if the row states none.
        parts: Conditions of a Creative Commons licence among by, nc, nd, sa; `sa` of others, too.
        version: Version of a Creative Commons licence.
    """

    name: str
    is_known: bool = True
    parts: frozenset[str] = frozenset()
    version: str = ""

    @property
    def is_creative_commons(self) -> bool:
        """True for a Creative Commons licence or dedication."""
        return self.name.startswith("cc")


@dataclass(frozen=True)
class DatasetLicence:
    """Licence of a dataset, and the sentence that explains it."""

    name: str
    sentence: str


def read_licence(text: str | None) -> Licence:
    """Return the licence that a row states.

    Args:
        text: SPDX identifier, address, or name; None if the row has none.

    Example:
        >>> read_licence("https://creativecommons.org/licenses/by-nc-sa/4.0/").name
        'cc-by-nc-sa-4.0'
        >>> read_licence("CC BY-SA").name, read_licence(None).name, read_licence("Terms of X").name
        ('cc-by-sa-4.0', 'unknown', 'Terms of X')
    """
    stated = (text or "").strip()
    plain = " ".join(stated.lower().replace("_", "-").split())
    if plain in _SILENT:
        return Licence(UNKNOWN, is_known=False)
    if _ZERO.search(plain):
        return Licence("cc0-1.0")
    for pattern, part in _LONG:
        plain = pattern.sub(part, plain)
    if found := _CC.search(plain):
        parts = frozenset(re.findall(r"by|nc|nd|sa", found["parts"])) | {"by"}
        version = found["version"] or "4.0"
        ordered = [part for part in ("by", "nc", "nd", "sa") if part in parts]
        return Licence(f"cc-{'-'.join(ordered)}-{version}", parts=parts, version=version)
    if plain in _KNOWN:
        name = _KNOWN[plain]
        return Licence(name, parts=frozenset({"sa"} if name in _SHARE_ALIKE else ()))
    return Licence(stated)


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
        raise LicenceError(
            f"{', '.join(closed)} forbids derivatives, and a synthetic row is one: publish the "
            "other rows with --only-licence and their names, "
            f"{', '.join(sorted(each.name for each in licences if 'nd' not in each.parts))}"
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
    names = ", ".join(
        f"{licence.name} ({count:,} rows)"
        for licence, count in sorted(licences.items(), key=lambda item: (-item[1], item[0].name))
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
