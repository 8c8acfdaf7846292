"""Check digits of numbers that identify a person or an account."""

from datetime import date
from itertools import pairwise

from persona_assets.rules.units import listed

_VERHOEFF = listed(
    "0123456789 1234067895 2340178956 3401289567 4012395678 5987604321 6598710432 7659821043"
    " 8765932104 9876543210"
)
_VERHOEFF_PLACES = listed(
    "0123456789 1576283094 5803796142 8916043527 9453126870 4286573901 2793806415 7046913258"
)
_IBAN_LENGTHS = dict(
    pair.split(":")
    for pair in listed(
        "AD:24 AE:23 AL:28 AT:20 AZ:28 BA:20 BE:16 BG:22 BH:22 BR:29 BY:28 CH:21 CR:22 CY:28 CZ:24"
        " DE:22 DK:18 DO:28 EE:20 EG:29 ES:24 FI:18 FO:18 FR:27 GB:22 GE:22 GI:23 GL:18 GR:27 GT:28"
        " HR:21 HU:28 IE:22 IL:23 IQ:23 IS:26 IT:27 JO:30 KW:30 KZ:20 LB:28 LI:21 LT:20 LU:20 LV:21"
        " MC:27 MD:24 ME:22 MK:19 MR:27 MT:31 MU:30 NL:18 NO:15 PK:24 PL:28 PS:29 PT:25 QA:29 RO:24"
        " RS:22 SA:24 SE:24 SI:19 SK:24 SM:27 TN:24 TR:26 UA:29 XK:20"
    )
)
_CARD_LENGTHS = (
    # Prefixes of issuers, and the lengths of their numbers.
    (("34", "37"), (15,)),
    (("4",), (13, 16, 19)),
    (tuple(map(str, range(51, 56))), (16,)),
    (tuple(map(str, range(2221, 2721))), (16,)),
    (("6011", "65", *map(str, range(644, 650))), (16, 19)),
    (("35",), (16,)),
    (("36", "300", "301", "302", "303", "304", "305", "38", "39"), (14,)),
    (("62",), (16, 17, 18, 19)),
)


def digits_of(text: str) -> str:
    """Return the ASCII digits of a text.

    Example:
        >>> digits_of("12-3 4")
        '1234'
    """
    return "".join(character for character in text if "0" <= character <= "9")


def passes_luhn(digits: str) -> bool:
    """Return True if the last digit is the Luhn check digit of the others.

    Example:
        >>> passes_luhn("79927398713"), passes_luhn("79927398710")
        (True, False)
    """
    doubled = (2 * int(digit) for digit in digits[-2::-2])
    return (sum(map(int, digits[-1::-2])) + sum(n // 10 + n % 10 for n in doubled)) % 10 == 0


def is_card(text: str) -> bool:
    """Return True if a text is the number of a payment card: issuer, length, Luhn."""
    digits = digits_of(text)
    return (
        any(digits.startswith(starts) and len(digits) in sizes for starts, sizes in _CARD_LENGTHS)
        and len(set(digits)) > 1
        and passes_luhn(digits)
    )


def iban_length(country: str) -> int:
    """Return the length of a country's bank account numbers; 0 for a country without them."""
    return int(_IBAN_LENGTHS.get(country, "0"))


def is_iban(text: str) -> bool:
    """Return True if a text is an International Bank Account Number: country, length, mod 97."""
    plain = "".join(text.split()).upper()
    if not plain.isascii() or not plain.isalnum() or iban_length(plain[:2]) != len(plain):
        return False
    return int("".join(str(int(letter, 36)) for letter in plain[4:] + plain[:4])) % 97 == 1


def is_ssn(text: str) -> bool:
    """Return True if a text is a US social security number of a range that is issued."""
    digits = digits_of(text)
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    issued = area not in ("000", "666") and area < "900"
    # Two numbers that advertisements have printed.
    printed = digits in ("078051120", "219099999", "123456789")
    return issued and group != "00" and serial != "0000" and not printed


def is_nino(text: str) -> bool:
    """Return True if a text is a UK National Insurance number of a prefix that is issued."""
    plain = "".join(text.split()).upper()
    return (
        plain[0] not in "DFIQUV"
        and plain[1] not in "DFIOQUV"
        and plain[:2] not in ("BG", "GB", "NK", "KN", "TN", "NT", "ZZ")
    )


def is_steuer_id(text: str) -> bool:
    """Return True if a text is a German tax id: a repeated digit, and ISO 7064 mod 11, 10."""
    digits = digits_of(text)
    if digits[0] == "0" or len(digits) != 11:
        return False
    counts = [digits[:10].count(digit) for digit in set(digits[:10])]
    if max(counts) not in (2, 3) or sum(count > 1 for count in counts) != 1:
        return False
    product = 10
    for digit in digits[:10]:
        product = 2 * ((int(digit) + product) % 10 or 10) % 11
    return (11 - product) % 10 == int(digits[10])


def is_nir(text: str) -> bool:
    """Return True if a text is a French social security number: month, key mod 97."""
    plain = "".join(text.split()).upper().replace("2A", "19").replace("2B", "18")
    return (
        plain.isdigit()
        and len(plain) == 15
        and 1 <= int(plain[3:5]) <= 99
        and (int(plain[3:5]) <= 12 or int(plain[3:5]) >= 20)
        and 97 - int(plain[:13]) % 97 == int(plain[13:])
    )


def is_resident_id(text: str) -> bool:
    """Return True if a text is a Chinese resident id: date of birth, ISO 7064 mod 11, 2."""
    try:
        born = date(int(text[6:10]), int(text[10:12]), int(text[12:14]))
    except ValueError:
        return False
    total = sum(int(digit) << (17 - place) for place, digit in enumerate(text[:17]))
    return born.year >= 1900 and "10X98765432"[total % 11] == text[17].upper()


def is_aadhaar(text: str) -> bool:
    """Return True if a text is an Indian Aadhaar number: first digit, Verhoeff."""
    digits = digits_of(text)
    check = 0
    for place, digit in enumerate(reversed(digits)):
        check = int(_VERHOEFF[check][int(_VERHOEFF_PLACES[place % 8][int(digit)])])
    return len(digits) == 12 and digits[0] not in "01" and check == 0 and digits != digits[::-1]


def is_dni(text: str) -> bool:
    """Return True if a text is a Spanish DNI or NIE: control letter."""
    plain = text.replace("-", "").replace(" ", "").upper()
    number = {"X": "0", "Y": "1", "Z": "2"}.get(plain[0], plain[0]) + plain[1:-1]
    return number.isdigit() and "TRWAGMYFPDXBNJZSQVHLCKE"[int(number) % 23] == plain[-1]


def is_codice_fiscale(text: str) -> bool:
    """Return True if a text is an Italian tax code: control letter."""
    plain = text.upper()
    odd = "BAKPLCQDREVOSFTGUHMINJWZYX"
    total = 0
    for place, character in enumerate(plain[:15]):
        value = int(character) if character.isdigit() else ord(character) - 65
        total += odd.index(chr(65 + value)) if place % 2 == 0 else value
    return chr(65 + total % 26) == plain[15]


def is_cpf(text: str) -> bool:
    """Return True if a text is a Brazilian CPF: two check digits."""
    digits = digits_of(text)
    if len(digits) != 11 or len(set(digits)) == 1:
        return False
    for size in (9, 10):
        total = sum(int(d) * (size + 1 - place) for place, d in enumerate(digits[:size]))
        if total * 10 % 11 % 10 != int(digits[size]):
            return False
    return True


def is_sequence(digits: str) -> bool:
    """Return True if digits count up or down, as an invented number does.

    Example:
        >>> is_sequence("1234567890"), is_sequence("1357")
        (True, False)
    """
    steps = {(int(b) - int(a)) % 10 for a, b in pairwise(digits)}
    return len(steps) == 1 and steps <= {0, 1, 9}
