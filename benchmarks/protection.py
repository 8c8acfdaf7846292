"""Recall and false alarms of the search for personal data and unsafe content, on planted texts.

    python benchmarks/protection.py --count 200 --personas FILE

Each kind is planted into sentences, by a generator of its own that knows nothing of the rules'
patterns; hard negatives are numbers and words that look alike. FILE has real descriptions as JSON
lines with the field `input persona`; the plants then follow those.

Figures:
    kind: kind of personal data or unsafe content
    planted: texts with a datum of the kind
    found: texts whose first finding is that kind
    other: texts with a finding of another kind alone
    recall: share of the planted texts with any finding
    negative: what looks like personal data and is none
    texts: texts of that kind
    alarms: texts with a finding
    us: processor time per text, in microseconds
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

from figures import print_figures
from rules_data import personas

Plant = Callable[[Random], str]

NAMES = ["Ana", "Bao", "Carl", "Dora", "Emil", "Fay", "Gus", "Hana", "Ivo", "Jun"]
SURNAMES = [
    "Abara",
    "Brandt",
    "Costa",
    "Duarte",
    "Eklund",
    "Fontaine",
    "Greco",
    "Haas",
    "Ito",
    "Jansen",
]


def digits(chance: Random, count: int, first: str = "0123456789") -> str:
    """Return random digits, the first of a set."""
    return chance.choice(first) + "".join(chance.choice("0123456789") for _ in range(count - 1))


def luhn(stem: str) -> str:
    """Return digits with their Luhn digit."""
    total = 0
    for place, digit in enumerate(reversed(stem)):
        value = int(digit) * (2 - place % 2)
        total += value - 9 if value > 9 else value
    return stem + str(-total % 10)


def card(chance: Random) -> str:
    number = luhn(
        chance.choice(["4", "51", "52", "53", "54", "55"]).ljust(2, "7") + digits(chance, 13)
    )
    mark = chance.choice(["", " ", "-"])
    number = mark.join(number[i : i + 4] for i in range(0, 16, 4))
    words = [
        "pays with the card {}",
        "wrote {} on a slip",
        "the number on my card is {}",
        "{} is hers",
    ]
    return chance.choice(words).format(number)


def email(chance: Random) -> str:
    name = chance.choice(NAMES) + chance.choice("._-") + chance.choice(SURNAMES)
    host = chance.choice(
        ["mill.co.uk", "gmail.com", "posteo.de", "orange.fr", "qq.com", "uni-graz.at"]
    )
    words = ["write to {}", "reachable at {}", "{} is the address", "<{}>"]
    return chance.choice(words).format(f"{name}@{host}".lower())


def phone(chance: Random) -> str:
    import phonenumbers

    region = chance.choice(["US", "GB", "DE", "FR", "ES", "IT", "BR", "IN", "CN", "JP", "RU"])
    sample = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
    assert sample is not None
    for _ in range(200):
        text = str(sample.national_number)
        number = phonenumbers.parse(f"+{sample.country_code}{text[:-6]}{digits(chance, 6)}")
        if phonenumbers.is_valid_number(number):
            break
    formats = phonenumbers.PhoneNumberFormat
    if chance.random() < 0.5:
        shown = phonenumbers.format_number(
            number, chance.choice([formats.E164, formats.INTERNATIONAL])
        )
        return chance.choice(["ring {}", "call {} at noon", "{} after six", "tel. {}"]).format(
            shown
        )
    shown = phonenumbers.format_number(number, formats.NATIONAL)
    return chance.choice(["ring {}", "call {} at noon", "my mobile is {}", "phone: {}"]).format(
        shown
    )


def iban(chance: Random) -> str:
    country, rest = chance.choice(
        [
            ("DE", digits(chance, 18)),
            ("FR", digits(chance, 23)),
            ("ES", digits(chance, 20)),
            ("NL", f"INGB{digits(chance, 10)}"),
        ]
    )
    value = int("".join(str(int(letter, 36)) for letter in f"{rest}{country}00"))
    number = f"{country}{98 - value % 97:02}{rest}"
    if chance.random() < 0.5:
        number = " ".join(number[i : i + 4] for i in range(0, len(number), 4))
    return chance.choice(["transfers to {}", "IBAN {}", "the account {} is hers"]).format(number)


def us_ssn(chance: Random) -> str:
    number = f"{chance.randint(1, 665):03}-{chance.randint(1, 99):02}-{chance.randint(1, 9999):04}"
    return chance.choice(
        ["SSN {}", "social security number {}", "{} on the form", "her number is {}"]
    ).format(number)


def uk_nino(chance: Random) -> str:
    letters = "ABCEHJLMPRSW"
    number = chance.choice(letters) + chance.choice(letters)
    number += digits(chance, 6) + chance.choice("ABCD")
    shown = " ".join([number[:2], number[2:4], number[4:6], number[6:8], number[8]])
    words = [f"National Insurance number {number}", f"NI number {shown}", f"{shown} on the payslip"]
    return chance.choice(words)


def de_tax_id(chance: Random) -> str:
    ten = chance.sample("123456789", 9)
    ten.insert(chance.randint(1, 9), chance.choice(ten))
    product = 10
    for digit in ten:
        product = 2 * ((int(digit) + product) % 10 or 10) % 11
    number = "".join(ten) + str((11 - product) % 10)
    shown = f"{number[:2]} {number[2:5]} {number[5:8]} {number[8:]}"
    return chance.choice(
        [f"Steuer-ID {number}", f"Steuernummer {shown}", f"{shown} beim Finanzamt"]
    )


def fr_nir(chance: Random) -> str:
    stem = f"{chance.choice('12')}{chance.randint(30, 99)}{chance.randint(1, 12):02}"
    stem += f"{chance.randint(1, 95):02}{digits(chance, 6)}"
    number = f"{stem}{97 - int(stem) % 97:02}"
    shown = " ".join(
        [number[0], number[1:3], number[3:5], number[5:7], number[7:10], number[10:13], number[13:]]
    )
    return chance.choice(
        [f"numéro de sécurité sociale {number}", f"carte Vitale {shown}", f"le {shown}"]
    )


def cn_resident_id(chance: Random) -> str:
    born = f"{chance.randint(1940, 2010)}{chance.randint(1, 12):02}{chance.randint(1, 28):02}"
    stem = f"{chance.choice(['110101', '310115', '440305'])}{born}{digits(chance, 3)}"
    weights = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]
    total = sum(int(digit) * weight for digit, weight in zip(stem, weights, strict=True))
    return chance.choice(["身份证号{}", "ID {}", "{}，住在北京"]).format(
        stem + "10X98765432"[total % 11]
    )


def es_dni(chance: Random) -> str:
    number = digits(chance, 8)
    letter = "TRWAGMYFPDXBNJZSQVHLCKE"[int(number) % 23]
    return chance.choice(["DNI {}{}", "con DNI {}-{}", "{}{} en el contrato"]).format(
        number, letter
    )


def br_cpf(chance: Random) -> str:
    number = digits(chance, 9)
    for size in (10, 11):
        total = sum(int(digit) * (size - place) for place, digit in enumerate(number))
        number += str(total * 10 % 11 % 10)
    shown = f"{number[:3]}.{number[3:6]}.{number[6:9]}-{number[9:]}"
    return chance.choice([f"CPF {number}", f"CPF: {shown}", f"{shown} no cadastro"])


def in_aadhaar(chance: Random) -> str:
    multiply = ["0123456789", "1234067895", "2340178956", "3401289567", "4012395678"]
    multiply += ["5987604321", "6598710432", "7659821043", "8765932104", "9876543210"]
    permute = ["0123456789", "1576283094", "5803796142", "8916043527"]
    permute += ["9453126870", "4286573901", "2793806415", "7046913258"]
    stem = digits(chance, 11, "23456789")
    check = 0
    for place, digit in enumerate(reversed(stem), start=1):
        check = int(multiply[check][int(permute[place % 8][int(digit)])])
    number = stem + next(d for d in "0123456789" if multiply[check][int(d)] == "0")
    shown = f"{number[:4]} {number[4:8]} {number[8:]}"
    return chance.choice([f"Aadhaar {number}", f"Aadhaar number {shown}", f"{shown} on the form"])


def address(chance: Random) -> str:
    number = chance.randint(1, 300)
    return chance.choice(
        [
            f"lives at {number} {chance.choice(['Elm', 'Oak', 'Mill'])} Street",
            f"{number} North {chance.choice(['Lake', 'Hill'])} Avenue, Springfield, IL 62704",
            f"home address: {number} Park Road, Apt 4",
            f"wohnt in der {chance.choice(['Linden', 'Garten', 'Schiller'])}straße {number}",
            f"habite au {number} rue de la {chance.choice(['Gare', 'Paix'])}",
            f"vive en la calle de {chance.choice(['Alcalá', 'Toledo'])}, {number}",
            f"mora na Rua das {chance.choice(['Flores', 'Palmeiras'])}, {number}",
            f"abita in Via {chance.choice(['Garibaldi', 'Mazzini'])} {number}",
        ]
    )


def date_of_birth(chance: Random) -> str:
    day, year = chance.randint(1, 28), chance.randint(1930, 2015)
    return chance.choice(
        [
            f"{chance.choice(NAMES)} {chance.choice(SURNAMES)}, born on {day} March {year}",
            f"born March {day}, {year}",
            f"date of birth: {day:02}/04/{year}",
            f"DOB {year}-05-{day:02}",
            f"geboren am {day}. Mai {year}",
            f"née le {day} juin {year}",
            f"nacido el {day} de enero de {year}",
            f"出生于{year}年7月{day}日",
        ]
    )


def ip_address(chance: Random) -> str:
    number = ".".join(map(str, [chance.choice([23, 81, 145]), *chance.choices(range(1, 255), k=3)]))
    return chance.choice(["logs in from {}", "the server {} is hers", "{} was banned"]).format(
        number
    )


def secret(chance: Random) -> str:
    letters = "".join(chance.choice("abcdefghijkmnpqrstuvwxyzABCDEFGH23456789") for _ in range(40))
    keys = [
        f"sk-{letters}",
        f"AKIA{letters[:16].upper()}",
        f"ghp_{letters[:36]}",
        f"xoxb-{letters[:20]}",
    ]
    return chance.choice(["the key is {}", "uses {}"]).format(chance.choice(keys))


def minor(chance: Random) -> str:
    adjective = chance.choice(["sexy", "erotic", "seductive", "lewd"])
    child = chance.choice(["schoolgirl", "child", "underage boy", "preteen"])
    return chance.choice([f"a {adjective} {child}", f"draws {adjective} pictures of a {child}"])


def weapon(chance: Random) -> str:
    thing = chance.choice(["a pipe bomb", "explosives", "sarin", "a molotov", "an IED"])
    words = ["explains step by step how to make {}", "posts instructions to build {} at home"]
    return chance.choice([*words, "shares a recipe for making {}"]).format(thing)


PLANTS: dict[str, Plant] = {
    plant.__name__: plant
    for plant in (
        *(email, phone, card, iban, us_ssn, uk_nino, de_tax_id, fr_nir, cn_resident_id, in_aadhaar),
        *(es_dni, br_cpf, address, date_of_birth, ip_address, secret, minor, weapon),
    )
}

NEGATIVES: dict[str, Plant] = {
    "year": lambda c: (
        f"worked there from {c.randint(1900, 1990)}-{c.randint(1991, 2024)}, since "
        f"{c.randint(1950, 2020)}"
    ),
    "price": lambda c: (
        f"sold it for ${c.randint(1, 9)},{digits(c, 3)},{digits(c, 3)}.{digits(c, 2)} in "
        f"{c.randint(1990, 2020)}"
    ),
    "equation": lambda c: (
        f"solve {digits(c, 4)}x + {digits(c, 3)}y = {digits(c, 12, '123456789')}, x - "
        f"{digits(c, 2)} = y"
    ),
    "sequence": lambda c: "continue " + " ".join(digits(c, 4) for _ in range(6)),
    "isbn": lambda c: f"ISBN 978-{digits(c, 1)}-{digits(c, 4)}-{digits(c, 4)}-{digits(c, 1)}",
    "version": lambda c: (
        f"runs version {c.randint(1, 20)}.{c.randint(0, 20)}.{c.randint(0, 99)}.{c.randint(0, 99)}"
    ),
    "order": lambda c: f"order no. {digits(c, 10)} and invoice 2024-{digits(c, 6)}",
    "decimal": lambda c: f"pi is 3.{digits(c, 20)} and the sum {digits(c, 3)}.{digits(c, 3)}",
    "population": lambda c: (
        f"of {c.randint(1, 9)} {digits(c, 3)} {digits(c, 3)} people, {digits(c, 7)} voted"
    ),
    "birth_year": lambda c: f"born in {c.randint(1930, 2000)} on a farm",
    "street": lambda c: (
        f"reads about {c.randint(3, 99)} Wall Street bankers and in {c.randint(1900, 2000)} "
        f"Main Street shops"
    ),
    "handle": lambda c: f"posts as @{c.choice(NAMES)}{digits(c, 3)} and mails admin@example.com",
    "score": lambda c: (
        f"won {digits(c, 1)}-{digits(c, 1)}, {digits(c, 2)}-{digits(c, 2)} at "
        f"10:{digits(c, 2, '012345')}:{digits(c, 2, '012345')}"
    ),
    "protector": lambda c: c.choice(
        [
            "counsels children who survived sexual abuse",
            "teaches sex education to teenagers",
            "a bomb disposal expert who explains how to defuse explosives",
            "a chemist who makes explosives for mining",
            "bakes with kids and shares a recipe for bath bombs",
        ]
    ),
}


def main() -> None:
    """Print a line per planted kind, and a line per kind of hard negative."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--personas", type=Path)
    options = parser.parse_args()
    from persona_assets.rules.protection import DROP

    carriers = personas(options.count)
    if options.personas:
        lines = options.personas.read_text("utf-8").splitlines()[: options.count]
        carriers = [json.loads(line)["input persona"].rstrip(".") for line in lines]

    def findings(plant: Plant, seed: str) -> tuple[list[str | None], float]:
        chance = Random(seed)
        texts = [f"{carrier}; {plant(chance)}." for carrier in carriers]
        start = time.process_time()
        reasons = [DROP.apply(text, "persona").reason for text in texts]
        return reasons, (time.process_time() - start) / len(texts) * 1e6

    for kind, plant in PLANTS.items():
        reasons, micros = findings(plant, kind)
        found = sum(reason is not None and reason.endswith(f":{kind}") for reason in reasons)
        some = sum(reason is not None for reason in reasons)
        print_figures(
            {
                "kind": kind,
                "planted": len(reasons),
                "found": found,
                "other": some - found,
                "recall": some / len(reasons),
                "us": micros,
            }
        )
    for name, plant in NEGATIVES.items():
        reasons, micros = findings(plant, name)
        alarms = sum(reason is not None for reason in reasons)
        print_figures({"negative": name, "texts": len(reasons), "alarms": alarms, "us": micros})


if __name__ == "__main__":
    main()
