"""Phone numbers: candidates by their form, validated by the library phonenumbers (offline)."""

import re
from collections.abc import Iterator

from persona_assets.rules.units import listed

REGIONS = tuple(listed("US GB DE FR ES IT PT BR MX IN CN JP KR RU AU NL PL"))
"""Regions whose numbers are recognised without a country code."""

REACH = 40
"""Characters before a number in which a word may say that it is a phone number."""

_WORDS = re.compile(
    r"\b(?:phone|tel|telephone|mobile|cell|cellphone|call(?:ed|ing)?|fax|whatsapp|sms"
    r"|text (?:me|him|her|us)"
    r"|ring|reach(?:ed)? (?:me|him|her|us|at)|hotline|dial|telefon|handy|anruf\w*|mobil|rufnummer"
    r"|t[ée]l[ée]phone|portable|appel\w*|tel[ée]fono|m[óo]vil|celular|llam\w+|telefone|telem[óo]vel"
    r"|cellulare|chiam\w+|телефон\w*|тел|звон\w+|мобильн\w+)\b"
    r"|电话|電話|手机|手機|微信|联系|聯繫|号码|携帯|전화|휴대폰|연락|هاتف|جوال|फ़ोन|फोन|मोबाइल",
    re.IGNORECASE,
)
_DIGITS = r"\d(?:[ .\-/]?\(?\d\)?){6,14}"
_ABROAD = re.compile(rf"(?<![\w+])(?:\+|\+\(|00(?=[1-9]\d[ .-])){_DIGITS}(?!\w)", re.ASCII)
# (212) 736-5000, 212-736-5000, 212.736.5000
_AMERICAN = re.compile(
    r"(?<![\w.\-+])(?:(?:1[-. ])?\([2-9]\d{2}\) ?\d{3}[-. ]\d{4}|(?:1-)?[2-9]\d{2}-\d{3}-\d{4}"
    r"|[2-9]\d{2}\.\d{3}\.\d{4})(?![\w-]| ?\d)",
    re.ASCII,
)
# 06 12 34 56 78, (020) 7946 0958
_EUROPEAN = re.compile(
    r"(?<![\w.\-+])(?:0[1-9](?:[ .]\d{2}){4}|\(0\d{1,4}\)[ -]?\d{3,4}[ -]?\d{3,5})(?![\w-]| ?\d)",
    re.ASCII,
)
# Not the grouping of North America, whose invented numbers are valid elsewhere.
_NAMED = re.compile(
    rf"(?<![\w.+-])(?!\d{{3}}[-.]\d{{3}}[-.]\d{{4}}\b|\d{{3}}-\d{{4}}(?![-\d]))\(?{_DIGITS}(?!\w)",
    re.ASCII,
)


def find_phones(text: str) -> Iterator[tuple[int, int]]:
    """Yield the place of each phone number.

    A number counts with a country code, in the grouping of a region, or after a word such as
    "call"; and only if phonenumbers knows it as valid, which numbers reserved for fiction are not.

    Example:
        >>> list(find_phones("call 212-736-5000 now")), list(find_phones("2010-2015, 555-0100"))
        ([(5, 17)], [])
    """
    done = -1
    formats = (
        (_ABROAD, ("ZZ",)),
        (_AMERICAN, ("US",)),
        (_EUROPEAN, ("FR", "GB", "IT", "DE", "JP")),
    )
    for pattern, regions in formats:
        for place in pattern.finditer(text):
            if place.start() > done and _is_valid(place[0], regions):
                done = place.end()
                yield place.span()
    if _WORDS.search(text) is None:
        return
    for place in _NAMED.finditer(text):
        before = text[max(0, place.start() - REACH) : place.start()]
        if place.start() > done and _WORDS.search(before) and _is_valid(place[0], REGIONS):
            yield place.span()


def _is_valid(number: str, regions: tuple[str, ...]) -> bool:
    import phonenumbers

    for region in regions:
        try:
            parsed = phonenumbers.parse(re.sub(r"^00", "+", number), region)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_valid_number(parsed):
            return True
    return False
