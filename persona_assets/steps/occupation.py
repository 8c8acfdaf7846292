"""Occupation of a persona: the head of the English noun phrase with which its description begins.

A rule and no model: it costs nothing, gives the same text everywhere, and adds nothing that is not
in the description. Of what it cannot read it returns nothing.
"""

import re

MOST = 5
"""Largest number of words of an occupation: a longer phrase was not cut where it should be."""


def _listed(words: str) -> frozenset[str]:
    return frozenset(words.split())


_OPENING = re.compile(
    r"(?:(?:the|this|my) (?:persona|person|user|individual|character) is |i am |i['\u2019]m |"
    r"[a-z]+ is (?=an? ))",
    re.IGNORECASE,
)
_ARTICLE = re.compile(r"(?:an?|the|one|some) ", re.IGNORECASE)
_WORD = re.compile(r"[A-Za-z][A-Za-z'\u2019/&-]*")
_END = re.compile(r"[ ,.;:!?]|\Z")
_CUTS = _listed(
    # Pronouns and conjunctions that open a clause, verbs, prepositions.
    """
    who whom whose that which where when while whilst and or but if because is are was were has have
    had can could will would may might must does do did
    about above across after against along amid among around as at before behind beside besides
    between beyond by despite during for from in inside into like near of off on onto out outside
    over per since through throughout to toward towards under until up upon via with within without
    """
)
_PARTICIPLES = _listed(
    # Participles and adjectives that follow their noun; those that also stand before one, not.
    """
    affected aiming analysing analyzing attempting attending balancing based battling becoming
    being born caring charged collaborating concerned conducting considering contemplating
    convinced coping creating curious dealing delivering developing eager employed enrolled
    ensuring evaluating excited explaining exploring facing familiar fascinated focused focusing
    frustrated grappling helping hoping inspired intent interested intrigued involved keen known
    leading leveraging living looking majoring named navigating needing obsessed offering
    overseeing participating passionate planning preparing producing providing pursuing
    recovering representing researching responsible seeking serving sharing specialising
    specialized specializing striving struggling studying suffering taking tasked trying turned
    undergoing using wanting willing wishing working worried writing
    """
)
_JOINS = frozenset(("and", "or", "but"))
_BEFORE_NOUNS = _listed("a an the their his her its my our your this that these those new")


def occupation_of(persona: str) -> str | None:
    """Return a persona without what follows the head of its first noun phrase.

    Args:
        persona: English description.

    Returns:
        The occupation with an article, or None if the description begins with no such phrase.

    Example:
        >>> occupation_of("A retired miner who carves birds from driftwood.")
        'A retired miner'
        >>> occupation_of("Sales manager for an online shop")
        'A sales manager'
        >>> occupation_of("Who knows?") is None
        True
    """
    text = persona.strip()
    if opening := _OPENING.match(text):
        text = text[opening.end() :]
    article = _ARTICLE.match(text)
    phrase = _noun_phrase(text[article.end() :] if article else text)
    if not phrase or phrase[0].lower() in _CUTS or len(phrase) > MOST or len(phrase[-1]) < 3:
        return None
    if article:
        return f"{article[0].capitalize()}{' '.join(phrase)}"
    if phrase[0][1:].islower():
        # A capital that only opens the sentence.
        phrase[0] = phrase[0].lower()
    return f"{'An' if phrase[0][0].lower() in 'aeiou' else 'A'} {' '.join(phrase)}"


def _noun_phrase(text: str) -> list[str]:
    """Return the words up to the first that opens a clause; none if the phrase cannot be read.

    A single word before a comma or a conjunction may be the first of several adjectives.
    """
    words: list[str] = []
    end = 0
    while match := _WORD.match(text, end):
        following = _WORD.match(text, match.end() + 1)
        word = match[0].lower()
        if words and _opens_clause(word, following[0].lower() if following else ""):
            return [] if len(words) == 1 and word in _JOINS else words
        words.append(match[0])
        end = match.end()
        if not _END.match(text, end):
            return []
        if text[end : end + 1] != " ":
            return [] if len(words) == 1 and text[end : end + 1] == "," else words
        end += 1
    return [] if text[end:].strip() else words


def _opens_clause(word: str, following: str) -> bool:
    """Return True if a word after a noun ends its phrase, given the word after it."""
    if re.split("['\u2019]", word)[0] in _CUTS | _PARTICIPLES:
        return True
    if word.endswith("ing"):
        return following in _BEFORE_NOUNS | _CUTS
    if word.endswith("ly"):
        return following.endswith("ing") or following in _PARTICIPLES
    return False
