"""Typography of an answer: glyphs, LaTeX spacing and aliases, in plain characters."""

import re
import unicodedata
from fractions import Fraction

_GLYPHS = {
    "×": r"\times ", "⋅": r"\cdot ", "·": r"\cdot ", "∙": r"\cdot ", "•": r"\cdot ", "∗": "*",
    "⨯": r"\times ", "÷": "/", "∕": "/", "⁄": "/", "−": "-", "–": "-", "—": "-", "‐": "-",
    "‑": "-", "‒": "-", "﹣": "-", "－": "-", "±": r"\pm ", "∓": r"\mp ", "≤": r"\le ",
    "⩽": r"\le ", "≦": r"\le ", "≥": r"\ge ", "⩾": r"\ge ", "≧": r"\ge ", "≠": r"\ne ",
    "≈": r"\approx ", "≃": r"\approx ", "≅": r"\cong ", "≡": r"\equiv ", "∞": r"\infty ",
    "√": r"\sqrt ", "∛": r"\cbrt ", "∅": r"\emptyset ", "⌀": r"\emptyset ", "∪": r"\cup ",
    "∩": r"\cap ", "∈": r"\in ", "∖": r"\setminus ", "°": r"^\circ ", "º": r"^\circ ",
    "˚": r"^\circ ", "′": "'", "″": "''", "’": "'", "‘": "'", "“": '"', "”": '"', "€": r"\eur ",
    "£": r"\gbp ", "¢": r"\cent ", "ℝ": r"\reals ", "ℤ": r"\integers ", "ℕ": r"\naturals ",
    "ℚ": r"\rationals ", "ℂ": r"\complexes ", "⟨": r"\langle ", "⟩": r"\rangle ", "〈": r"\langle ",
    "〉": r"\rangle ", "⌊": r"\lfloor ", "⌋": r"\rfloor ", "⌈": r"\lceil ", "⌉": r"\rceil ",
    "∣": "|", "→": r"\to ", "∧": r"\land ", "∨": r"\lor ", "…": "...", "∶": ":", "：": ":",
    "，": ", ", "、": ", ", "。": ".", "；": ";", "（": "(", "）": ")", "％": "%", "℃": r"^\circ C",
    "℉": r"^\circ F", "ϕ": r"\phi ", "φ": r"\phi ", "ϵ": r"\epsilon ", "ε": r"\epsilon ",
    "π": r"\pi ", "𝜋": r"\pi ", "θ": r"\theta ", "α": r"\alpha ", "β": r"\beta ", "γ": r"\gamma ",
    "δ": r"\delta ", "λ": r"\lambda ", "μ": r"\mu ", "µ": r"\mu ", "ν": r"\nu ", "ξ": r"\xi ",
    "ρ": r"\rho ", "σ": r"\sigma ", "τ": r"\tau ", "χ": r"\chi ", "ψ": r"\psi ", "ω": r"\omega ",
    "η": r"\eta ", "ζ": r"\zeta ", "κ": r"\kappa ", "ι": r"\iota ", "Δ": r"\Delta ",
    "Γ": r"\Gamma ", "Θ": r"\Theta ", "Λ": r"\Lambda ", "Σ": r"\Sigma ", "Φ": r"\Phi ",
    "Ψ": r"\Psi ", "Ω": r"\Omega ", "∠": r"\angle ", "△": r"\triangle ", "¬": r"\neg ",
    "\u200b": "", "\ufeff": "", "\u2060": "", "\u00ad": "", "\u2061": "", "\u2062": "*",
    "\u200e": "", "\u200f": "",
}  # fmt: skip
_RAISED = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱ", "0123456789+-=()ni", strict=True))
_LOWERED = dict(zip("₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎", "0123456789+-=()", strict=True))
_SCRIPTS = re.compile(f"([{''.join(_RAISED)}]+)|([{''.join(_LOWERED)}]+)")
_MAX_LINES = 20
_COLOR = re.compile(r"\\(?:text)?color\s*\{[^{}]{0,30}\}")
_VERSOR = re.compile(
    r"\\(?:hat|vec|mathbf|bm|boldsymbol|widehat)\s*\{\s*\\?([ijk])(?:math)?\s*\}|\\hat\s?([ijk])\b"
)
_RAISED_FRACTION = re.compile("(?<![⁰¹²³⁴⁵⁶⁷⁸⁹])([⁰¹²³⁴⁵⁶⁷⁸⁹]{1,40})[⁄/∕]([₀₁₂₃₄₅₆₇₈₉]{1,40})")
_VULGAR = "¼½¾⅐⅑⅒⅓⅔⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞"
_GLYPH = re.compile(f"[{''.join(_GLYPHS)}{_VULGAR}]")

_ALIASES = {
    "dfrac": "frac", "tfrac": "frac", "cfrac": "frac", "nicefrac": "frac", "sfrac": "frac",
    "leq": "le", "leqslant": "le", "leqq": "le", "geq": "ge", "geqslant": "ge", "geqq": "ge",
    "lt": "<", "gt": ">", "neq": "ne", "ast": "*", "div": "/", "colon": ":", "lbrack": "[",
    "rbrack": "]", "lbrace": r"\{", "rbrace": r"\}", "lvert": "|", "rvert": "|", "vert": "|",
    "mid": r"\mid", "lparen": "(", "rparen": ")", "varnothing": "emptyset", "bigcup": "cup",
    "bigcap": "cap", "smallsetminus": "setminus", "backslash": "setminus", "degree": "^\\circ ",
    "degrees": "^\\circ ", "textdegree": "^\\circ ", "varphi": "phi", "varepsilon": "epsilon",
    "vartheta": "theta", "imath": "i ", "jmath": "j ", "dots": "...", "ldots": "...",
    "cdots": "...", "dotsc": "...", "dotsb": "...", "iff": ",", "Longrightarrow": "to",
    "rightarrow": "to", "Rightarrow": "to", "implies": "to", "longrightarrow": "to",
    "textdollar": "usd", "dollar": "usd", "texteuro": "eur", "euro": "eur", "pounds": "gbp",
    "cents": "cent", "textcent": "cent", "dbinom": "binom", "tbinom": "binom", "land": "and",
    "wedge": "and", "lor": "or", "vee": "or", "infin": "infty", "emptySet": "emptyset",
    "thickapprox": "approx", "simeq": "approx", "doteq": "approx", "overbar": "overline",
    "bar": "overline", "arcctg": "arccot", "tg": "tan", "ctg": "cot", "ne": "ne",
    "mathdollar": "usd", "deg": "^\\circ ", "top": "T ", "intercal": "T ", "prime": "'",
    "percent": "%", "star": "*", "bullet": "cdot", "centerdot": "cdot", "lnot": "neg",
    "beginpmatrix": r"\begin{pmatrix}", "endpmatrix": r"\end{pmatrix}",
}  # fmt: skip
_DROPPED = frozenset(
    "left right bigl bigr Bigl Bigr biggl biggr Biggl Biggr big Big bigg Bigg bigm Bigm middle"
    " displaystyle textstyle scriptstyle limits nolimits boldsymbol mathbf mathit mathsf mathtt"
    " bm mathcal mathfrak vec hat overrightarrow phantom hphantom vphantom ensuremath boxed fbox"
    " nonumber notag mathstrut strut hfill centering rm bf it sf tt cal large Large small"
    " widehat tilde underline".split()
)
_SPACES = frozenset("quad qquad enspace thinspace hspace vspace medspace thickspace space".split())
_BLACKBOARD = {
    "R": "reals", "Z": "integers", "N": "naturals", "Q": "rationals", "C": "complexes",
}  # fmt: skip

_DOUBLED = re.compile(
    r"(?<!\\)((?:\\\\)+)(?=(?:d?frac|sqrt|pi|text|left|right|cdot|times|theta|infty|cup|in)(?![A-Za-z]))"
)
_COMMAND = re.compile(
    r"\\begin\{[a-z]*\*?\}|\\end\{[a-z]*\*?\}|\\(?:mathbb|Bbb)\s*(?:\{\s*)?([RZNQC])(?:\s*\})?"
    r"|\\[hv]space\*?\{[^{}]{0,20}\}|\\hline|\\([A-Za-z]+)\*?|\\(.)",
    re.DOTALL,
)
_NOT = re.compile(r"\\not\s*(=|\\in\b|\\equiv\b)")
_ENDING = re.compile(r"[\s.]*I\s*hope\s*(?:it|this)\s*is\s*correct\.?\s*$")


def plain(text: str) -> str:
    r"""Return an answer in ASCII LaTeX without spacing, sizes, styles and math delimiters.

    Example:
        >>> plain(r"$\left(½,\,\dfrac{π}{2}\right)$.")
        '(\\frac{1}{2}, \\frac{\\pi }{2})'
    """
    text = (
        _ENDING.sub("", text[-200:])
        if len(text) <= 200
        else text[:-200] + _ENDING.sub("", text[-200:])
    )
    text = _listed(_COLOR.sub("", text))
    text = _VERSOR.sub(lambda match: rf"\versor_{{{match[1] or match[2]}}}", text)
    text = _RAISED_FRACTION.sub(_raised_fraction, text)
    text = _SCRIPTS.sub(_script, text)
    text = _GLYPH.sub(_glyph, text)
    text = unicodedata.normalize("NFKC", text)
    text = _dollars(_DOUBLED.sub(lambda match: match[1][:-1], text))
    text = _NOT.sub(_negated, text)
    text = _COMMAND.sub(_command, text)
    text = re.sub(r"(?<=[0-9])\{,\}(?=[0-9])", ",", text.replace("~", " ").replace("{:}", ":"))
    text = re.sub(r"(?<=[0-9]),\x00 ?(?=[0-9]{3})", ",", text)  # a thousands separator: `,\!`
    text = re.sub(r"(?<=[0-9]),\x01(?=[0-9]{3}(?![0-9]))", ",", text)
    text = re.sub(r"(?<=[0-9])\x01(?=[0-9]{3}(?![0-9]))", " ", text)  # likewise: `1\,000`
    text = _programs(text if "matrix" in text or r"\begin" in text else text.replace("&", ""))
    text = re.sub(r"[\s\x01]+", " ", text.replace("\x00", "")).strip()
    text = _trimmed(text).lstrip("`*:= ")
    text = re.sub(r"(?i)\bper cent\b", "percent", text)
    text = re.sub(r"\^\{\\(?:text|mathrm)\s*\{\^\\circ ?\}\}", r"^\\circ ", text)
    text = re.sub(r"\\ang\s*\{([^{}]{1,40})\}", r"\1^\\circ ", text)
    text = re.sub(r"(?<=[0-9])-(?=degrees?\b)", " ", text)
    text = re.sub(r"\bUSD?\s*(?:\\usd\s*)?(?=[0-9.])|\bUS\s*(?=\\usd)", r"\\usd ", text)
    text = re.sub(r"(?<=_\{)\\text\s*\{\s*base\s*\}\s*|,(?=\s*base [0-9])", " ", text)
    text = text.replace("_{ ", "_{").replace(r"\usd \usd", r"\usd")
    return text[1:-1].strip() if re.fullmatch(r"'[^']*'|\"[^\"]*\"", text) else text


def _trimmed(text: str) -> str:
    """Remove a full stop and other signs that end a line, but no ellipsis."""
    while True:
        shorter = text.rstrip("`*_,; ").removesuffix("\\\\")
        if shorter.endswith(".") and not shorter.endswith(".."):
            shorter = shorter[:-1]
        if shorter == text:
            return text
        text = shorter


def _programs(text: str) -> str:
    """Write what programs print around a value in the notation of mathematics."""
    text = re.sub(r"\b(?:np|numpy|math|cmath|sympy|sp)\.(?=[A-Za-z])", "", text)
    text = re.sub(r"\b(u?int|float|complex)(?:8|16|32|64|128)(?=\()", r"\1", text)
    text = re.sub(r"\bInterval\.(?=open|Lopen|Ropen)", "Interval", text)
    text = re.sub(r"""(?<=[a-z]\()(['"])([^'"()]{1,60})\1(?=\))""", r"\2", text)
    text = re.sub(r"(?<=[0-9.])[ \n]+(?=-?[0-9.]+(?:[ \n]+-?[0-9.]+){0,40}\])", ", ", text)
    return re.sub(r"\](?:\s*)\[", "], [", text) if text.startswith("[[") else text


def _listed(text: str) -> str:
    """Write values on lines of their own, or between row breaks, as a list."""
    text = re.sub(r"^\s*```\w{0,10}\n|\n```\s*$", "", text)
    if "matrix" in text or r"\begin" in text or "[[" in text or "([" in text:
        return text
    lines = [line.strip(" ,;") for line in re.split(r"\n|\\\\(?![A-Za-z\\])", text) if line.strip()]
    return ", ".join(lines) if 1 < len(lines) <= _MAX_LINES else text


def _raised_fraction(match: re.Match[str]) -> str:
    top = "".join(_RAISED[glyph] for glyph in match[1])
    bottom = "".join(_LOWERED[glyph] for glyph in match[2])
    return rf"\frac{{{top}}}{{{bottom}}}"


def _script(match: re.Match[str]) -> str:
    if match[1]:
        return "^{" + "".join(_RAISED[glyph] for glyph in match[1]) + "}"
    return "_{" + "".join(_LOWERED[glyph] for glyph in match[2]) + "}"


def _glyph(match: re.Match[str]) -> str:
    if match[0] in _VULGAR:
        value = Fraction(unicodedata.numeric(match[0])).limit_denominator(100)
        return rf"\frac{{{value.numerator}}}{{{value.denominator}}}"
    return _GLYPHS[match[0]]


def _dollars(text: str) -> str:
    r"""Remove the dollar signs around formulas; write those of money as `\usd`."""
    text = text.replace(r"\$", r"\usd ")
    if "$" not in text:
        return text
    stripped = text.strip(" .")
    closed = text.count("$") % 2 == 0 and (
        stripped.endswith("$") or not re.match(r"[-+ ]*\$[0-9.][^$]*(?:$|\$[0-9.])", stripped)
    )
    if closed:
        return text.replace("$", " ")
    return re.sub(r"\$(?=\s*[-0-9.(])", r"\\usd ", text).replace("$", " ")


def _negated(match: re.Match[str]) -> str:
    return {"=": r"\ne ", r"\in": r"\notin "}.get(match[1], r"\notequiv ")


def _command(match: re.Match[str]) -> str:
    if match[1]:
        return rf"\{_BLACKBOARD[match[1]]} "
    name = match[2]
    if name is None:
        if match[3] is None:
            return match[0] if match[0].startswith((r"\begin", r"\end")) else " "
        return {",": "\x01", "!": "\x00", ";": " ", ":": " ", " ": " ", "%": "%", "&": " , ",
                "#": "#", "_": "_", "(": " ", ")": " ", "[": " ", "]": " ", "/": ""}.get(
            match[3], match[0]
        )  # fmt: skip
    if name in _DROPPED:
        return " " if name in ("displaystyle", "boldsymbol") else ""
    if name in _SPACES:
        return " "
    alias = _ALIASES.get(name, name)
    if alias.isalpha():
        return "\\" + alias
    return alias
