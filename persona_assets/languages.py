"""Languages of texts: names of tags, and detection with a confidence.

Belongs here: what a language is called, and which language a text is in. Does not belong here: how
a prompt asks for a language (`prompting/`) and which rows are dropped (`steps/`).

Detection is by py3langid (naive Bayes on byte n-grams): offline, BSD, 4.6 MB, some 100 to 300
microseconds per persona. It loads in one to two seconds, at its first use.
"""

import re
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

UNKNOWN = "und"
"""BCP 47 tag of an unknown language."""

ENGLISH = "en"

LIMIT = 2_000
"""Characters of a text that the detector reads."""

CONFIDENT = 0.7
"""Confidence from which a detected language counts.

From there the detector calls 163 of the 5,000 personas of the authors' release foreign. All are,
but for an English one with a Chinese clause (0.02 %). It calls none of the 5,000 problems of MATH
and 1,319 of GSM8K foreign. Without the bound the false alarms were 0.7 %, 4.2 % and none.
`persona_assets_tests/test_languages.py` counts them.
"""

NAMES = {
    "af": "Afrikaans",
    "am": "Amharic",
    "ar": "Arabic",
    "az": "Azerbaijani",
    "be": "Belarusian",
    "bg": "Bulgarian",
    "bn": "Bengali",
    "ca": "Catalan",
    "cs": "Czech",
    "cy": "Welsh",
    "da": "Danish",
    "de": "German",
    "el": "Greek",
    "en": "English",
    "es": "Spanish",
    "et": "Estonian",
    "eu": "Basque",
    "fa": "Persian",
    "fi": "Finnish",
    "fr": "French",
    "ga": "Irish",
    "gl": "Galician",
    "gu": "Gujarati",
    "he": "Hebrew",
    "hi": "Hindi",
    "hr": "Croatian",
    "hu": "Hungarian",
    "hy": "Armenian",
    "id": "Indonesian",
    "is": "Icelandic",
    "it": "Italian",
    "ja": "Japanese",
    "ka": "Georgian",
    "kk": "Kazakh",
    "km": "Khmer",
    "kn": "Kannada",
    "ko": "Korean",
    "lo": "Lao",
    "lt": "Lithuanian",
    "lv": "Latvian",
    "mk": "Macedonian",
    "ml": "Malayalam",
    "mn": "Mongolian",
    "mr": "Marathi",
    "ms": "Malay",
    "my": "Burmese",
    "ne": "Nepali",
    "nl": "Dutch",
    "no": "Norwegian",
    "pa": "Punjabi",
    "pl": "Polish",
    "pt": "Portuguese",
    "ro": "Romanian",
    "ru": "Russian",
    "si": "Sinhala",
    "sk": "Slovak",
    "sl": "Slovenian",
    "sq": "Albanian",
    "sr": "Serbian",
    "sv": "Swedish",
    "sw": "Swahili",
    "ta": "Tamil",
    "te": "Telugu",
    "th": "Thai",
    "tl": "Tagalog",
    "tr": "Turkish",
    "uk": "Ukrainian",
    "ur": "Urdu",
    "uz": "Uzbek",
    "vi": "Vietnamese",
    "zh": "Chinese",
    "zh-hant": "Traditional Chinese",
    "zh-tw": "Traditional Chinese",
    "zh-hk": "Traditional Chinese",
}
"""English name of each known language, by tag in lower case."""

_OTHER_CODES = {
    **{"nb": "no", "nn": "no", "iw": "he", "in": "id", "fil": "tl", "cmn": "zh", "yue": "zh"},
    # ISO 639-3, as web archives label their pages.
    **{"eng": "en", "deu": "de", "fra": "fr", "spa": "es", "ita": "it", "por": "pt", "nld": "nl"},
    **{"rus": "ru", "ukr": "uk", "pol": "pl", "ces": "cs", "zho": "zh", "jpn": "ja", "kor": "ko"},
    **{"ara": "ar", "fas": "fa", "hin": "hi", "tur": "tr", "vie": "vi", "tha": "th", "swe": "sv"},
}
"""Codes in use for a language of `NAMES` besides its own."""

_GROUPS = ["da no sv", "hr sr sl mk bg", "id ms", "gl pt es ca", "cs sk", "be ru uk", "hi mr ne"]
_NEAR = [frozenset(group.split()) for group in _GROUPS]
"""Languages that a detector takes for each other in a sentence: a verdict between them tells
nothing."""


class Detected(NamedTuple):
    """Detected language of a text.

    Attributes:
        language: Tag of `NAMES`; `UNKNOWN` for a text without letters.
        confidence: Between 0 and 1.
    """

    language: str
    confidence: float


def base_language(tag: str) -> str:
    """Return the tag of `NAMES` without script and region; `UNKNOWN` for an unknown language.

    Example:
        >>> base_language("zh_Hant-TW"), base_language("DEU"), base_language("tlh")
        ('zh', 'de', 'und')
    """
    first = tag.strip().replace("_", "-").partition("-")[0].lower()
    code = _OTHER_CODES.get(first, first)
    return code if code in NAMES else UNKNOWN


def language_name(tag: str) -> str | None:
    """Return the English name of a tag's language; None for an unknown language.

    Example:
        >>> language_name("zh-Hant"), language_name("pt-BR"), language_name("und")
        ('Traditional Chinese', 'Portuguese', None)
    """
    parts = tag.strip().replace("_", "-").lower().split("-")
    return NAMES.get("-".join(parts[:2])) or NAMES.get(base_language(tag))


def tag_of_name(name: str) -> str:
    """Return the tag of a language by its English name; `UNKNOWN` for an unknown name.

    Example:
        >>> tag_of_name("Chinese"), tag_of_name("plain German")
        ('zh', 'und')
    """
    names = {language.lower(): tag for tag, language in reversed(NAMES.items())}
    return names.get(name.strip().lower(), UNKNOWN)


def detect_language(text: str) -> Detected:
    """Return the most probable language of a text. Never raises.

    Example:
        >>> detect_language("Ein Automechaniker mit einer Vorliebe für alte Lastwagen").language
        'de'
        >>> detect_language("3 + 4 = 7")
        Detected(language='und', confidence=0.0)
    """
    shown = text[:LIMIT]
    if not any(map(str.isalpha, shown)):
        return Detected(UNKNOWN, 0.0)
    language, confidence = _identifier().classify(shown)
    return Detected(language, confidence)


def language_of_text(text: str, label: str = UNKNOWN) -> str:
    """Return the language of a text: its label, or what the detector is confident of.

    Args:
        text: The text.
        label: Tag in the corpus; `UNKNOWN` if it has none.

    Returns:
        A tag of a language that `NAMES` has; `UNKNOWN` if the language is unknown.
    """
    if base_language(label) != UNKNOWN:
        return label
    detected = detect_language(text)
    return detected.language if detected.confidence >= CONFIDENT else UNKNOWN


def speaks_of_a_language(text: str) -> bool:
    """Return True if a text names a language other than English.

    Example:
        >>> speaks_of_a_language("Write in German."), speaks_of_a_language("Write in English.")
        (True, False)
    """
    return _named().search(text) is not None


@cache
def _named() -> "re.Pattern[str]":
    names = (re.escape(name) for tag, name in NAMES.items() if tag != ENGLISH)
    return re.compile(rf"\b(?:{'|'.join(names)})\b")


def foreign_language(text: str, expected: str) -> Detected | None:
    """Return the language of a text if it is confidently another than the expected one.

    Args:
        text: Text of a row.
        expected: Tag of the language that the text should have; nothing contradicts `UNKNOWN`.

    Example:
        >>> foreign_language("Un programador con años de experiencia", "en").language
        'es'
        >>> foreign_language("A night nurse who repairs old clocks", "en") is None
        True
    """
    base = base_language(expected)
    if base == UNKNOWN:
        return None
    detected = detect_language(text)
    if detected.confidence < CONFIDENT or detected.language in (base, UNKNOWN):
        return None
    if any({base, detected.language} <= group for group in _NEAR):
        return None
    return detected


@cache
def _identifier() -> "LanguageIdentifier":
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    # Dialects and creoles of the model would compete with the languages that personas are in.
    identifier.set_languages(sorted(set(NAMES) & set(identifier.labels)))
    return identifier
