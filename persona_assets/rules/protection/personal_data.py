"""Personal data in a text: what it is, and where.

Precision comes before recall: math problems, prices, versions and order numbers hold many digits. A
number counts if its check digits, its grouping or the words before it say what it is.
"""

import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from persona_assets.rules.protection import checksums
from persona_assets.rules.protection.phones import find_phones
from persona_assets.rules.protection.places_and_dates import find_addresses, find_births


class Found(NamedTuple):
    """A piece of personal data: its kind, and its place in the text."""

    kind: str
    start: int
    end: int


Span = tuple[int, int]

_MAY_HOLD = re.compile(r"[0-9@]")

# The shortest number of a person or an account has six digits.
_LONG_NUMBER = re.compile(r"(?:\d[^\d\n]{0,2}){5}\d")

_EMAIL = re.compile(
    r"(?<![\w.+-])[\w.+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8}(?![\w@])"
)
# RFC 2606: nobody's addresses.
_RESERVED = re.compile(r"@(?:.*\.)?(?:example(?:\.(?:com|net|org))?|invalid|localhost|test)$", re.I)

_SECRET_STARTS = (
    *(
        "sk-",
        "AKIA",
        "ASIA",
        "ghp_",
        "gho_",
        "ghu_",
        "ghs_",
        "ghr_",
        "xox",
        "AIza",
        "glpat-",
        "eyJ",
    ),
    "PRIVATE KEY",
)
_SECRET = re.compile(
    r"\bsk-[A-Za-z0-9_-]{20,}|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{36}"
    r"|\bxox[abprs]-[A-Za-z0-9-]{10,}|\bAIza[0-9A-Za-z_-]{35}|\bglpat-[A-Za-z0-9_-]{20}"
    r"|\beyJ[A-Za-z0-9_-]{10,2000}\.eyJ[A-Za-z0-9_-]{10,2000}\.[A-Za-z0-9_-]{10,}"
    r"|-----BEGIN (?:[A-Z]{2,10} ){0,2}PRIVATE KEY-----",
    re.ASCII,
)

_CARD = re.compile(r"(?<![\w.,/$€£-])(?<!\d )\d(?:[ -]?\d){12,18}(?![ -]?\d|[.,/]\d|\w)", re.ASCII)
_CARD_GROUPS = {
    *((16,), (15,), (14,), (13,), (17,), (18,), (19,)),
    *((4, 4, 4, 4), (4, 6, 5), (4, 6, 4), (4, 4, 4, 4, 3), (4, 4, 4, 1), (4, 3, 3, 3), (4, 4, 5)),
}
_CARD_WORDS = re.compile(r"card|visa|amex|karte|carte|tarjeta|cartão|carta|карт|卡", re.I)

_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?= ?[A-Z0-9])", re.ASCII)

_IPV4 = re.compile(r"(?<![\w.-])\d{1,3}(?:\.\d{1,3}){3}(?![\w-]|\.\d)", re.ASCII)
_IPV6 = re.compile(r"(?<![\w:.])[0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{0,4}){3,7}(?![\w:])", re.ASCII)
_VERSION = re.compile(
    r"(?:\bv|version|release|firmware|build|driver|kernel|section|chapter|clause|article|§|版本)"
    r"[ .:=]*$",
    re.I,
)

REACH = 40
"""Characters before a number in which a word may say what the number is."""


class _Number(NamedTuple):
    """National id: pattern, check, and the words that must come before a bare number."""

    kind: str
    pattern: "re.Pattern[str]"
    is_valid: Callable[[str], bool]
    words: "re.Pattern[str] | None" = None
    bare: "re.Pattern[str] | None" = None


def _number(
    kind: str, pattern: str, is_valid: Callable[[str], bool], words: str = "", bare: str = ""
) -> _Number:
    # ASCII: a Chinese character right before a number is no part of it.
    numbers = [re.compile(text, re.ASCII) if text else None for text in (pattern, bare)]
    named = re.compile(words, re.I) if words else None
    assert numbers[0] is not None
    return _Number(kind, numbers[0], is_valid, named, numbers[1])


_IDS = (
    _number(
        "us_ssn",
        r"(?<![\w-])\d{3}-\d{2}-\d{4}(?![\w-])",
        checksums.is_ssn,
        r"\bssn\b|social security",
        r"(?<![\w-])\d{3} ?\d{2} ?\d{4}(?![\w-])",
    ),
    _number(
        "uk_nino",
        r"\b[A-Z]{2} \d{2} \d{2} \d{2} [A-D]\b",
        checksums.is_nino,
        r"national insurance|\bnino\b|\bni (?:number|no)\b",
        r"\b[A-Z]{2} ?\d{2} ?\d{2} ?\d{2} ?[A-D]\b",
    ),
    _number(
        "de_tax_id",
        r"(?<![\w.-])\d{2} \d{3} \d{3} \d{3}(?![\w-]| \d)",
        checksums.is_steuer_id,
        r"steuer|\bidnr|\btin\b|tax (?:id|number|identification)",
        r"(?<![\w.-])\d{11}(?![\w-])",
    ),
    _number(
        "fr_nir",
        r"(?<![\w.-])[12] ?\d{2} ?\d{2} ?(?:\d{2}|2[AB]) ?\d{3} ?\d{3} ?\d{2}(?![\w-])",
        checksums.is_nir,
    ),
    _number(
        "cn_resident_id",
        r"(?<!\d)[1-9]\d{5}(?:19|20)\d{9}[\dXx](?![\dA-Za-z])",
        checksums.is_resident_id,
    ),
    _number(
        "in_aadhaar",
        r"(?<![\w.-])(?<!\d )[2-9]\d{3} \d{4} \d{4}(?![\w-]| \d)",
        checksums.is_aadhaar,
        r"aadhaa?r|uidai|आधार",
        r"(?<![\w.-])[2-9]\d{3}[ -]?\d{4}[ -]?\d{4}(?![\w-])",
    ),
    _number("es_dni", r"\b(?:\d{8}|[XYZ]-?\d{7})[ -]?[A-HJ-NP-TV-Z]\b", checksums.is_dni),
    _number(
        "it_tax_code",
        r"\b[A-Z]{6}\d{2}[A-EHLMPRST]\d{2}[A-Z]\d{3}[A-Z]\b",
        checksums.is_codice_fiscale,
    ),
    _number(
        "br_cpf",
        r"(?<![\w.-])\d{3}\.\d{3}\.\d{3}-\d{2}(?![\w-])",
        checksums.is_cpf,
        r"\bcpf\b",
        r"(?<![\w.-])\d{11}(?![\w-])",
    ),
)

KINDS = (
    *("email", "secret", "iban", "card", *(number.kind for number in _IDS), "phone", "ip_address"),
    *("address", "date_of_birth", "name"),
)
"""Kinds of personal data, in the order in which they are sought."""

INVENTED = frozenset(
    {
        *("problem", "solution", "program", "character", "speech", "tool", "label", "formula"),
        "code",
    }
)
"""Kinds of text whose people and machines are invented: their addresses are nobody's."""


class Names:
    """Names of real people, found as whole names in their own spelling.

    Args:
        names: Full names, such as "Ada Lovelace".

    Example:
        >>> names = Names(["Ada Lovelace"])
        >>> list(names.find("A fan of Ada Lovelace")), list(names.find("Ada Lovelaces"))
        ([(9, 21)], [])
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._by_start: dict[str, list[str]] = {}
        for name in sorted(set(names), key=len, reverse=True):
            if name:
                self._by_start.setdefault(name.split()[0], []).append(name)
        starts = sorted(self._by_start, key=len, reverse=True)
        # Scripts without spaces have no borders of words.
        self._starts = re.compile(
            "|".join(re.escape(start) for start in starts) if starts else r"(?!)"
        )
        self.is_empty = not starts

    def find(self, text: str) -> Iterator[Span]:
        """Yield the place of each name."""
        done = 0
        for place in self._starts.finditer(text):
            start = place.start()
            if start < done or _joins(text, start - 1, start):
                continue
            for name in self._by_start[place[0]]:
                end = start + len(name)
                if text.startswith(name, start) and not _joins(text, end - 1, end):
                    done = end
                    yield start, end
                    break


NO_NAMES = Names()


def find_personal_data(text: str, kind: str = "persona", names: Names = NO_NAMES) -> list[Found]:
    """Return the personal data in a text, in the order of `KINDS`. Runs in linear time.

    Args:
        text: Any text.
        kind: Kind of the text, see `INVENTED`.
        names: Names of people.

    Example:
        >>> [found.kind for found in find_personal_data("write to ann.lee@mill.co.uk")]
        ['email']
        >>> find_personal_data("24 crates of 15 apples cost 360.00 dollars")
        []
    """
    found: list[Found] = []
    if _MAY_HOLD.search(text) is not None or "-----BEGIN" in text:
        found += [Found(name, *span) for name, find in _TOKENS for span in find(text)]
        if _LONG_NUMBER.search(text) is not None:
            found += [Found(name, *span) for name, find in _NUMBERS for span in find(text)]
        if kind not in INVENTED:
            found += [Found("ip_address", *span) for span in _addresses_of_machines(text)]
            found += [Found("address", *span) for span in find_addresses(text)]
            found += [Found("date_of_birth", *span) for span in find_births(text)]
    if not names.is_empty:
        found += [Found("name", *span) for span in names.find(text)]
    return found


def _emails(text: str) -> Iterator[Span]:
    if "@" in text:
        yield from (m.span() for m in _EMAIL.finditer(text) if not _RESERVED.search(m[0]))


def _secrets(text: str) -> Iterator[Span]:
    if any(start in text for start in _SECRET_STARTS):
        yield from (place.span() for place in _SECRET.finditer(text))


def _ibans(text: str) -> Iterator[Span]:
    for place in _IBAN.finditer(text):
        length = checksums.iban_length(place[0][:2])
        end, count = place.start(), 0
        while end < len(text) and count < length:
            if text[end].isalnum():
                count += 1
            elif text[end] != " " or text[end - 1] == " ":
                break
            end += 1
        whole = count == length > 0 and not _joins(text, end - 1, end)
        if whole and checksums.is_iban(text[place.start() : end]):
            yield place.start(), end


def _cards(text: str) -> Iterator[Span]:
    for place in _CARD.finditer(text):
        groups = re.split("[ -]", place[0])
        separators = set(re.findall("[ -]", place[0]))
        if tuple(map(len, groups)) not in _CARD_GROUPS or len(separators) > 1:
            continue
        if len(checksums.digits_of(place[0])) == 13 and not _follows(text, place, _CARD_WORDS):
            continue
        if checksums.is_card(place[0]):
            yield place.span()


def _ids_of(number: _Number) -> Callable[[str], Iterator[Span]]:
    def find(text: str) -> Iterator[Span]:
        done = -1
        for place in number.pattern.finditer(text):
            if number.is_valid(place[0]):
                done = place.start()
                yield place.span()
        if number.bare is not None and number.words is not None:
            for place in number.bare.finditer(text):
                named = _follows(text, place, number.words)
                if named and place.start() != done and number.is_valid(place[0]):
                    yield place.span()

    return find


def _addresses_of_machines(text: str) -> Iterator[Span]:
    if text.count(".") < 3 and text.count(":") < 3:
        return
    for pattern in (_IPV4, _IPV6):
        for place in pattern.finditer(text):
            if not _follows(text, place, _VERSION) and _is_public(place[0]):
                yield place.span()


def _is_public(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_global
    except ValueError:
        return False


def _follows(text: str, place: "re.Match[str]", words: "re.Pattern[str]") -> bool:
    return words.search(text[max(0, place.start() - REACH) : place.start()]) is not None


def _joins(text: str, before: int, after: int) -> bool:
    """Return True if two places of a text hold letters or digits of one word."""
    if before < 0 or after >= len(text):
        return False
    a, b = text[before], text[after]
    return a.isalnum() and b.isalnum() and (a < "\u2e80" and b < "\u2e80")


_Finders = tuple[tuple[str, Callable[[str], Iterator[Span]]], ...]
_TOKENS: _Finders = (
    ("email", _emails),
    ("secret", _secrets),
    ("iban", _ibans),
    *((number.kind, _ids_of(number)) for number in _IDS if number.kind == "it_tax_code"),
)
_NUMBERS: _Finders = (
    ("card", _cards),
    *((number.kind, _ids_of(number)) for number in _IDS if number.kind != "it_tax_code"),
    ("phone", find_phones),
)
