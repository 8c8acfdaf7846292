r"""Backslashes of LaTeX in JSON strings.

Models write `"\theta"` where JSON asks for `"\\theta"`, and a JSON parser makes of it a tab and
"heta". Here an escape that begins a known LaTeX command is a literal backslash, and so is the
backslash of an escape that JSON does not have (`\alpha`, `\(`, `\$`). A command ends where its
letters end: `\nu` is a command in `\nu_1`, but not in `\nuse`. A properly escaped backslash stays.

Few commands could be a line break or a tab before a word or the name of a variable:

- `\ni`, `\nless`, `\nmid`, `\nsim`, `\nexists`, `\nparallel` (before "i", "less", "mid" ...) are
  commands between `$...$`, `\(...\)` or `\[...\]` alone;
- `\nu`, `\ne`, `\neg`, `\to`, `\top`, `\tan` (before "u", "e", "eg", "o" ...) are commands there,
  and elsewhere unless they stand directly behind a word, a punctuation mark or a line break;
- neither are commands in a document that escapes its other commands.

In a document that escapes none of its commands, `\\` is the row break of LaTeX.
"""

import re
from bisect import bisect_right

_NAMES = """
    backepsilon backprime backsim backslash bar barwedge bbox bcancel because begin begingroup
    beta beth between bf bfseries bibitem big bigcap bigcirc bigcup bigg biggl biggm biggr bigl
    bigm bigodot bigoplus bigotimes bigr bigskip bigsqcup bigstar bigtriangledown bigtriangleup
    biguplus bigvee bigwedge binom blacklozenge blacksquare blacktriangle blacktriangledown
    blacktriangleleft blacktriangleright bm bmod bold boldmath boldsymbol bot bowtie boxdot
    boxed boxminus boxplus boxtimes bra braket breve bullet bumpeq
    fallingdotseq fbox fcolorbox flat flushleft flushright fontsize footnote footnotesize forall
    frac frak framebox frown
    nabla natural ncong nearrow neq newcommand newline newpage ngeq ngeqq ngeqslant ngtr
    nLeftarrow nleftarrow nLeftrightarrow nleftrightarrow nleq nleqq nleqslant nobreak noindent
    nolimits nolinebreak nonumber norm normalsize not notag notin nprec npreceq nRightarrow
    nrightarrow nshortmid nsubseteq nsubseteqq nsucc nsucceq nsupseteq nsupseteqq ntriangleleft
    ntrianglelefteq ntriangleright ntrianglerighteq nVDash nVdash nvDash nvdash nwarrow
    raggedright raisebox rangle rbrace rbrack rceil ref reflectbox renewcommand rfloor rgroup
    rhd rho right rightarrow rightarrowtail rightharpoondown rightharpoonup rightleftarrows
    rightleftharpoons rightrightarrows rightsquigarrow rightthreetimes risingdotseq rlap rm
    rmfamily rmoustache root rotatebox rtimes rule rVert rvert
    tag tanh tau tbinom text textasciicircum textasciitilde textbackslash textbf textbullet
    textcircled textcolor textdegree textdollar texteuro textgreater textheight textit textless
    textmd textmu textnormal textregistered textrm textsc textsf textsl textstyle textsubscript
    textsuperscript texttt textunderscore textup textwidth tfrac therefore theta thickapprox
    thicksim thinspace threefourths tilde times tiny toprule triangle triangledown triangleleft
    trianglelefteq triangleq triangleright trianglerighteq ttfamily twoheadleftarrow
    twoheadrightarrow
"""
_PLAIN = frozenset(_NAMES.split())
"""Commands that begin with the letter of a JSON escape and cannot be text behind it."""

_WORDS = frozenset({"ni", "nless", "nmid", "nsim", "nexists", "nparallel"})
_VARIABLES = frozenset({"nu", "ne", "neg", "to", "top", "tan"})

_DOUBTFUL = _WORDS | _VARIABLES

COMMANDS = _PLAIN | _DOUBTFUL
"""Known commands that begin with the letter of a JSON escape."""

_ESCAPE = re.compile(r"""\\(?:["\\/']|u[0-9a-fA-F]{4}|([bfnrt][A-Za-z]*)|(.?))""", re.DOTALL)
_TAIL = re.compile(r"\\(u[0-9a-fA-F]{4}|[A-Za-z]+|.?)", re.DOTALL)
_HEX = re.compile("u[0-9a-fA-F]{4}")
_TWO_LETTERS = re.compile("[A-Za-z]{2}")
_CONTROL = {"\b": "b", "\f": "f", "\t": "t"}
_RAW = re.compile(r"([\b\f\t])([A-Za-z]+)")
# The lookbehind keeps long runs of backslashes linear.
_MARK = re.compile(r'(?<!\\)(\\*)(\$\$?|[()\[\]"])')


def restore_backslashes(text: str) -> str:
    r"""Escape the backslashes of LaTeX in the source of a JSON document.

    The escape `\'`, which only Python has, is left to the parser.

    Example:
        >>> print(restore_backslashes(r'{"a": "\theta\n\alpha \\beta", "b": "a line\nuse it"}'))
        {"a": "\\theta\n\\alpha \\beta", "b": "a line\nuse it"}
    """
    # Most documents have nothing to restore, which this tells ten times as fast.
    if "\\" not in text or not any(map(_is_suspect, set(_TAIL.findall(text)))):
        return text
    stray = proper = doubtful = False

    def restore(match: re.Match[str]) -> str:
        nonlocal stray, proper, doubtful
        name, other = match.groups()
        if name is None and other is None:
            if match[0] == "\\\\":
                doubtful = True
                proper = proper or _TWO_LETTERS.match(text, match.end()) is not None
            return match[0]
        if name is None or name in _PLAIN:
            stray = True
            return f"\\{match[0]}"
        doubtful = doubtful or name in _DOUBTFUL
        return match[0]

    restored = _ESCAPE.sub(restore, text)
    if not doubtful or (proper and not stray):
        return restored
    math: list[int] | None = None

    def restore_doubtful(match: re.Match[str]) -> str:
        nonlocal math
        name, other = match.groups()
        if name is None:
            single = other is not None or (match[0] == "\\\\" and stray and not proper)
            return match[0].replace("\\", "\\\\") if single else match[0]
        known = name in _PLAIN
        if name in _DOUBTFUL:
            math = _math_spans(text) if math is None else math
            # An odd number of borders before the command: it is between two of a pair.
            known = bisect_right(math, match.start()) % 2 == 1
            if name in _VARIABLES and not known:
                known = _may_begin(text, match.start()) or (stray and name[0] == "t")
        return f"\\{match[0]}" if known else match[0]

    return _ESCAPE.sub(restore_doubtful, text)


def _is_suspect(tail: str) -> bool:
    """Return True if JSON has no escape of this tail, or a known command is one."""
    if tail in COMMANDS or not tail:
        return True
    return tail[0] not in "\"\\/'bfnrt" and not (tail[0] == "u" and _HEX.fullmatch(tail))


def restore_controls(text: str) -> str:
    r"""Return the escaped command in place of a raw control character that has eaten its start.

    Example:
        >>> restore_controls("\theta, a\tb")
        '\\\\theta, a\tb'
    """

    def replace(match: re.Match[str]) -> str:
        name = _CONTROL[match[1]] + match[2]
        return f"\\\\{name}" if name in _PLAIN else match[0]

    return _RAW.sub(replace, text)


def _may_begin(text: str, start: int) -> bool:
    """Return True if a command may begin at `start`, outside of marked mathematics."""
    before = text[max(0, start - 2) : start]
    if not before:
        return True
    last = before[-1]
    if last.isascii() and last.isalpha():
        # A single letter is a variable, as in E = h\nu. After a backslash it is an escape.
        return not before[0].isalpha() and before[0] != "\\"
    return not last.isascii() or last.isdigit() or last.isspace() or last in '"([{=+-*/^_<>|&~)}'


def _math_spans(text: str) -> list[int]:
    """Return the borders of mathematics in all strings: start, end, start, end ..."""
    borders: list[int] = []
    opener, begin = "", 0
    for match in _MARK.finditer(text):
        escaped, mark = len(match[1]), match[2]
        if mark == '"':
            if escaped % 2 == 0:
                opener = ""
        elif mark[0] == "$":
            after = text[match.end() : match.end() + 1]
            # As in Pandoc, so that "$5 or $6" is no mathematics.
            if escaped:
                continue
            if opener == mark and not after.isdigit():
                borders += [begin, match.start()]
                opener = ""
            elif opener in ("", "$", "$$") and after and not after.isspace():
                opener, begin = mark, match.end()
        elif escaped and mark in "([":
            opener, begin = mark, match.end()
        elif escaped and mark in ")]" and opener == {")": "(", "]": "["}[mark]:
            borders += [begin, match.start()]
            opener = ""
    return borders
