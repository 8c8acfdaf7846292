"""Unsafe content, by pairs of words: sexualised minors, and recipes for weapons.

Conservative: professions that protect, treat, teach or study name the same things.
"""

import re

from persona_assets.rules.units import listed, units_of

NEAR = 3
"""Words between the two words of a pair, at most."""

_SEX_WITH = re.compile(
    r"\bsex(?:ual acts?)? with (?:an? |his |her |the )?(?:under\w+ |little |young )?"
    r"(?:minor|child|kid|teen|toddler|preteen|schoolgirl|schoolboy|girl|boy)"
)


_SEXUAL = frozenset(listed("sexual sexually sexuales sexualmente sexuell sexuelle sexuellen"))
_SEXUALISED = frozenset(
    listed(
        "erotic erotically erotica lewd lustful nude nudes porn porno pornographic pornography "
        "seductive seductively sexualised sexualized sexy fetish lolita lolicon shotacon erotico "
        "erotique érotique érotico érotica nackt nackte desnuda desnudo nua"
    )
)
_MINOR = frozenset(
    listed(
        "child children kid kids minor minors underage preteen preteens toddler toddlers "
        "schoolgirl schoolgirls schoolboy schoolboys infant infants teen teens teenage teenager "
        "teenagers niña niñas niño niños menores enfant enfants fillette fillettes minderjährige "
        "minderjährigen criança crianças bambina bambine bambini minorenne minorenni"
    )
)
_PROTECTS = tuple(
    listed(
        "abus advoc against anti assault awareness ban combat counsel crime detect exploit fight "
        "investigat moderat offen polic prevent prosecut protect report safeguard surviv therap "
        "traffick trauma victim violen abuso missbrauch proteg prévent prevenc schutz"
    )
)
_TREATS = tuple(
    listed(
        "attorney consent court development doctor educa guid health hygiene identity law legal "
        "litera nurs orientation parent paediatr pediatr psych research rights safe salud santé "
        "schol social stud teach transmitted work"
    )
)
"""Starts of further words beside which "sexual" names a subject."""
_MAKING = frozenset(
    listed(
        "assemble assembling build building construct constructing cook cooking craft crafting "
        "make making manufacture manufacturing produce producing synthesise synthesize "
        "synthesising synthesizing fabricar hacer construir fabriquer construire bauen herstellen "
        "fabbricare costruire"
    )
)
_GUIDING = frozenset(
    listed(
        "how instructions recipe recipes guide guides tutorial tutorials steps step blueprint "
        "blueprints manual manuals instrucciones receta cómo comment anleitung wie istruzioni "
        "ricetta come como"
    )
)
_WEAPON = frozenset(
    listed(
        "bomb bombs explosive explosives ied ieds molotov napalm nitroglycerin ricin sarin tatp "
        "petn semtex thermite detonator detonators novichok anthrax explosivos explosifs "
        "sprengstoff sprengstoffe sprengsatz esplosivi bombe bomben explosivo"
    )
)
_HARMLESS = tuple(
    listed(
        "bath photo calorimet cherry seed glitter fizz defus detect dispos prevent disarm against "
        "protect histor museum mining quarry film movie novel fiction game vaccin shelter "
        "demolition polic secur counter cocktail baking chocolate dessert cream glacée raid "
        "survivor"
    )
)
_WITHOUT_SPACES = (
    (
        "weapon",
        ("炸弹", "炸彈", "炸药", "炸藥", "爆弾", "爆発物", "沙林", "폭탄"),
        (
            "如何制",
            "怎么制",
            "怎样制",
            "如何製",
            "制作方法",
            "製造方法",
            "作り方",
            "만드는 법",
            "만드는 방법",
        ),
        ("拆", "防", "警", "史", "検知", "제거"),
    ),
    (
        "weapon",
        ("бомб", "взрывчат"),
        ("как сделать", "как изготовить", "как собрать", "рецепт"),
        ("сапёр", "сапер", "обезвреж", "истори", "музе", "против"),
    ),
    ("weapon", ("قنبلة", "متفجرات"), ("كيفية صنع", "طريقة صنع"), ("تفكيك", "مكافحة")),
    (
        "minor",
        (
            "儿童色情",
            "兒童色情",
            "幼女色情",
            "児童ポルノ",
            "ロリコン",
            "아동 포르노",
            "детское порно",
        ),
        ("",),
        (
            *(
                "打击",
                "打擊",
                "反对",
                "反對",
                "防",
                "警",
                "保护",
                "保護",
                "検挙",
                "対策",
                "근절",
                "수사",
            ),
            *("борьб", "против"),
        ),
    ),
)
"""Kind, words, words of which one must occur too, and words of those who protect."""

_TELLING = _SEXUAL | _SEXUALISED | _WEAPON | {"sex"}


def unsafe_kind(text: str) -> str | None:
    """Return the kind of unsafe content of a text, "minor" or "weapon"; None if there is none.

    Example:
        >>> unsafe_kind("A chemist who shares step by step how to make a pipe bomb at home")
        'weapon'
        >>> unsafe_kind("A counsellor for children who survived sexual abuse") is None
        True
    """
    units = units_of(text)
    if text.isascii() and _TELLING.isdisjoint(units):
        return None
    if not _any(units, _PROTECTS) and (
        _near(units, _SEXUALISED, _MINOR)
        or (
            not _any(units, _TREATS)
            and (_near(units, _SEXUAL, _MINOR) or _SEX_WITH.search(text.casefold()))
        )
    ):
        return "minor"
    if (
        _near(units, _MAKING, _WEAPON)
        and not _GUIDING.isdisjoint(units)
        and not _any(units, _HARMLESS)
    ):
        return "weapon"
    if not text.isascii():
        folded = text.casefold()
        for kind, words, others, protecting in _WITHOUT_SPACES:
            if (
                any(word in folded for word in words)
                and any(word in folded for word in others)
                and not any(word in folded for word in protecting)
            ):
                return kind
    return None


def _near(units: list[str], first: frozenset[str], second: frozenset[str]) -> bool:
    """Return True if words of both sets have at most `NEAR` words between them."""
    last_first = last_second = -NEAR - 2
    for place, unit in enumerate(units):
        if unit in first:
            last_first = place
        if unit in second:
            last_second = place
        if last_first >= 0 and last_second >= 0 and abs(last_first - last_second) <= NEAR + 1:
            return True
    return False


def _any(units: list[str], starts: tuple[str, ...]) -> bool:
    return any(unit.startswith(starts) for unit in units)
