"""Street addresses and dates of birth, in the forms of several languages."""

import re
from collections.abc import Iterator

from persona_assets.rules.units import listed

_CAPITAL = r"[A-ZÀ-ÖØ-ÞŠŽĐĆČ]"
_WORD = r"[\w'’.-]{1,30}"

_LIVES = re.compile(
    r"(?:\b(?:at|address|home|house|lives?|living|resid\w+|located|office|shop|moved to|mail\w*"
    r"|send|deliver\w*"
    r"|ship\w*|visit|from|number|no\.?|habite|demeure|adresse|wohnt|domicili\w+|vive|reside|mora|abita|в|по)"
    r"|[:,(])\s*$",
    re.IGNORECASE,
)
_ENGLISH = re.compile(
    rf"(?<![\w.,/-])\d{{1,5}}[A-Za-z]?,? (?:[NSEW]\.? |North |South |East "
    rf"|West )?(?:{_CAPITAL}{_WORD} ){{1,3}}"
    r"(?:Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Lane|Ln|Drive|Dr|Court|Ct|Crescent|Terrace|Close"
    r"|Parkway|Pkwy|Highway|Hwy|Gardens|Grove|Mews|Way|Place|Pl|Square|Sq)\b\.?"
)
_STREETS = tuple(
    f" {start}"
    for start in listed(
        "St Ave Road Rd Boul Blvd Lane Ln Dr Cour Ct Cres Terr Clos Park Pk High Hw Gard Grov Mews"
        " Way Pl Sq"
    )
)
_STREETS_ELSEWHERE = (
    *(
        "stra",
        "str.",
        "weg ",
        "platz ",
        "allee",
        "gasse",
        "damm ",
        "ufer ",
        "ring ",
        "am ",
        "an der ",
    ),
    *(
        "im ",
        "in der ",
        "auf dem ",
        "rue ",
        "avenue",
        "boulevard",
        "impasse",
        "allée",
        "chemin",
        "quai",
    ),
    *(
        "route",
        "place ",
        "square",
        "passage",
        "ruelle",
        "calle ",
        "avenida",
        "avda",
        "plaza",
        "paseo",
    ),
    *(
        "carrera",
        "rua ",
        "travessa",
        "praça",
        "alameda",
        "via ",
        "viale",
        "piazza",
        "corso ",
        "largo ",
    ),
    *("vicolo", "ул", "просп", "пр-т", "переул", "路", "街", "大道", "巷", "弄"),
)
_CONTINUES = re.compile(
    rf",? ?(?:(?:Apt|Apartment|Suite|Ste|Unit|Flat|Floor|#)\b"
    rf"|,? {_CAPITAL}[\w'-]+,? (?:[A-Z]{{2}} )?\d{{4,5}}\b"
    rf"|, {_CAPITAL}\w+(?: {_CAPITAL}\w+)?(?:, {_CAPITAL}|\.?$|,? [A-Z]{{1,2}}\d))"
)
_YEAR = re.compile(r"(?:1[5-9]|20)\d\d\b")
_ELSEWHERE = (
    # Lindenstraße 12
    re.compile(
        rf"\b{_CAPITAL}[\w.-]{{1,30}}(?:straße|strasse|str\.|weg|platz|allee|gasse|damm|ufer|ring)"
        r" \d{1,4} ?[a-z]?\b(?! ?(?:%|Prozent|Euro|€|Uhr|km|Meter))"
    ),
    re.compile(r"\b(?:Am|An der|Im|In der|Auf dem) [A-ZÄÖÜ]\w{2,20} \d{1,4}[a-z]?, \d{5} [A-ZÄÖÜ]"),
    # 12 bis, rue de la Paix
    re.compile(
        r"(?<![\w.,/-])\d{1,4}(?: ?(?:bis|ter))?,? (?:rue|avenue|boulevard|impasse|allée|chemin"
        r"|quai|route"
        rf"|place|square|passage|ruelle) (?:(?:de|du|des|la|le|les|d['’]"
        rf"|l['’]) ?){{0,3}}{_CAPITAL}{_WORD}"
    ),
    # Calle de Alcalá, 42; Rua das Flores, 12; Via Garibaldi 7
    re.compile(
        r"\b(?:[Cc]alle|[Aa]venida|[Aa]vda\.?|[Pp]laza|[Pp]aseo|[Cc]arrera|Rua|Travessa|Praça|Alameda|Via|Viale"
        rf"|Piazza|Corso|Largo|Vicolo) (?:(?:de|del|la|las|los|da|das|do|dos|della|dei|delle"
        rf"|di) ){{0,2}}"
        rf"{_CAPITAL}{_WORD}(?: {_CAPITAL}{_WORD}){{0,2}},? (?:n[.º°o]{{0,2}} ?)?\d{{1,4}}\b"
    ),
    # ул. Ленина, д. 12; 中山路12号
    re.compile(
        r"(?:ул\.|улица|проспект|пр-т|переулок) ?[А-ЯЁ][\w-]{1,30},? (?:д(?:ом|\.)? ?)?\d{1,4}"
    ),
    re.compile(r"[\u4e00-\u9fff]{2,12}(?:路|街|大道|巷|弄)\d{1,5}号"),
)

_MONTH = (
    r"(?:jan|feb|mar|apr|may|mai|jun|jul|aug|sep|oct|okt|nov|dec|dez|ene|abr|ago|dic|janv|févr|avr|juin"
    r"|juil|août|déc|märz|gen|mag|giu|lug|set|ott|янв|фев|мар|апр|мая|май|июн|июл|авг|сен|окт|ноя|дек)"
    r"\w{0,9}\.?"
)
_DATE = (
    rf"(?:\d{{1,2}}(?:st|nd|rd|th|er|º|\.)? ?(?:of |de |d['’])?{_MONTH},? ?(?:de |del )?(?:19"
    rf"|20)\d\d"
    rf"|{_MONTH} \d{{1,2}}(?:st|nd|rd|th)?,? (?:19|20)\d\d"
    r"|\d{1,2}[./-]\d{1,2}[./-](?:19|20)?\d\d|(?:19|20)\d\d[-/.]\d{1,2}[-/.]\d{1,2}"
    r"|(?:19|20)\d\d年\d{1,2}月\d{1,2}日)"
)
_BIRTH_WORDS = (
    *(
        "born",
        "birth",
        "dob",
        "d.o.b",
        "gebor",
        "geb.",
        "geburt",
        "née ",
        "né le",
        "naissance",
        "nacid",
    ),
    *("nacimiento", "nascid", "nascimento", "nato il", "nata il", "nascita", "родил", "рождения"),
    *("生", "出身"),
)
_BORN = re.compile(
    r"(?:\b(?:born(?: on)?|date of birth|birth ?date|d\.?o\.?b\.?|birthday(?: is)?|geboren am"
    r"|geb\. am"
    r"|geburtsdatum|née? le|date de naissance|nacid[oa] el|fecha de nacimiento|nascid[oa] em"
    r"|data de nascimento"
    r"|nat[oa] il|data di nascita|родил(?:ся|ась)|дата рождения)|出生于|生于|出生日期)"
    rf"\W{{0,4}}(?:is |on |am |le |el )?(?P<date>{_DATE})",
    re.IGNORECASE,
)
_BORN_AFTER = re.compile(rf"(?P<date>{_DATE})(?:出生|生まれ|出身|生)", re.IGNORECASE)


def find_addresses(text: str) -> Iterator[tuple[int, int]]:
    """Yield the place of each street address with a number.

    An English address counts after a word such as "at", or before a flat, a town or a postal code:
    "12 Baker Street detectives" and "in 1990 Main Street" are none.

    Example:
        >>> list(find_addresses("She lives at 12 Elm Street"))
        [(13, 26)]
        >>> list(find_addresses("60 Elm Street men"))
        []
    """
    english = any(name in text for name in _STREETS)
    for place in _ENGLISH.finditer(text) if english else ():
        before = text[max(0, place.start() - 20) : place.start()]
        after = text[place.end() : place.end() + 40]
        if _YEAR.match(place[0]) and not _CONTINUES.match(after):
            continue
        if _LIVES.search(before) or _CONTINUES.match(after):
            yield place.span()
    folded = text.casefold()
    if not any(name in folded for name in _STREETS_ELSEWHERE):
        return
    for pattern in _ELSEWHERE:
        yield from (place.span() for place in pattern.finditer(text))


def find_births(text: str) -> Iterator[tuple[int, int]]:
    """Yield the place of each full date of birth; a year alone is none.

    Example:
        >>> list(find_births("born on 3 May 1961")), list(find_births("born in 1961"))
        ([(8, 18)], [])
    """
    folded = text.casefold()
    if not any(word in folded for word in _BIRTH_WORDS):
        return
    for pattern in (_BORN, _BORN_AFTER):
        yield from (place.span("date") for place in pattern.finditer(text))
