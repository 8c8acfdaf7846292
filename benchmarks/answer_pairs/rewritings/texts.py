"""Rewritings of the text around any answer, of letters and of words."""

import re
from random import Random

from answer_pairs.golds import CONSTANTS, Gold
from answer_pairs.registry import rewriting

for _name, _form in {
    "dollars": "${t}$",
    "double dollars": "$${t}$$",
    "round math": "\\({t}\\)",
    "square math": "\\[{t}\\]",
    "box": "\\boxed{{{t}}}",
    "box in dollars": "$\\boxed{{{t}}}$",
    "full stop": "{t}.",
    "spaces": "  {t} ",
    "line breaks": "\n{t}\n",
    "displaystyle": "\\displaystyle {t}",
    "bold markdown": "**{t}**",
    "braces": "{{{t}}}",
    "fbox": "\\fbox{{{t}}}",
    "full stop in dollars": "${t}.$",
    "dollars and full stop": "${t}$.",
    "thin space behind": "{t}\\,",
    "quad before": "\\quad {t}",
    "backticks": "`{t}`",
    "boldsymbol": "\\boldsymbol{{{t}}}",
    "line break command": "{t} \\\\",
}.items():

    @rewriting("", name=f"text: {_name}")
    def _around(gold: Gold, rng: Random, form: str = _form) -> str | None:
        if "boldsymbol" in form and gold.kind in ("word", "letter", "measure", "money"):
            return None
        return form.format(t=gold.text)


VALUES = (
    "integer fraction decimal surd pi complex power expression percent money degrees measure base"
)


for _name, _form in {
    "x equals": "x = {t}",
    "x equals without spaces": "x={t}",
    "capital letter": "A = {t}",
    "answer": "\\text{{Answer}} = {t}",
    "function value": "f(3) = {t}",
    "bare equals": "= {t}",
    "subscript": "S_{{10}} = {t}",
    "word": "\\text{{Area}} = {t}",
    "double equals": "x == {t}",
    "greek": "\\theta = {t}",
    "colon": "Answer: {t}",
    "dollars inside": "x = ${t}$",
}.items():

    @rewriting(VALUES, name=f"prefix: {_name}")
    def _prefixed(gold: Gold, rng: Random, form: str = _form) -> str | None:
        if gold.kind == "expression" and re.match(r"x ?=?=|A|f|S|.theta", form):
            form = form.replace("x", "w").replace("f(3)", "w").replace("theta", "omega")
        return form.format(t=gold.text)


@rewriting("")
def all_spaces_removed(gold: Gold, rng: Random) -> str | None:
    text = re.sub(r"(?<![A-Za-z]) +| +(?![A-Za-z])", "", gold.text)
    return None if re.search(r"\\ |\\ ?text|\\mbox|[0-9] +[0-9\\]", gold.text) else text


@rewriting("")
def spaces_around_operators(gold: Gold, rng: Random) -> str | None:
    if "\\text" in gold.text or "begin" in gold.text or "!" in gold.text or "mbox" in gold.text:
        return None
    return re.sub(r"(?<!^)(?<=[0-9a-z})])([-+=,/])(?=[0-9a-z\\(\s])", r" \1 ", gold.text)


@rewriting("")
def spaces_as_thin_spaces(gold: Gold, rng: Random) -> str | None:
    if re.search(r"\\text|begin|mbox|\\ ", gold.text):
        return None
    return re.sub(r"(?<![A-Za-z]) +", r"\\,", gold.text)


@rewriting("")
def spaces_doubled(gold: Gold, rng: Random) -> str | None:
    return gold.text.replace(" ", "  ")


@rewriting("tuple interval union")
def left_right_added(gold: Gold, rng: Random) -> str | None:
    text = gold.text.replace("\\left", "").replace("\\right", "")
    return re.sub(r"([(\[])", r"\\left\1", re.sub(r"([)\]])", r"\\right\1", text))


@rewriting("tuple interval union")
def left_right_removed(gold: Gold, rng: Random) -> str | None:
    return gold.text.replace("\\left", "").replace("\\right", "")


@rewriting("tuple interval union")
def big_brackets(gold: Gold, rng: Random) -> str | None:
    text = gold.text.replace("\\left", "").replace("\\right", "")
    size = rng.choice(("big", "Big", "bigg"))
    return re.sub(r"([(\[])", rf"\\{size}l\1", re.sub(r"([)\]])", rf"\\{size}r\1", text))


@rewriting("surd pi tuple list matrix interval expression equation assignment complex")
def frac_as_dfrac(gold: Gold, rng: Random) -> str | None:
    return re.sub(r"\\[dt]?frac", r"\\dfrac", gold.text) if "frac" in gold.text else None


@rewriting("surd pi tuple list matrix interval expression equation assignment complex")
def frac_as_tfrac(gold: Gold, rng: Random) -> str | None:
    return re.sub(r"\\[dt]?frac", r"\\tfrac", gold.text) if "frac" in gold.text else None


@rewriting("surd pi tuple list interval expression equation assignment complex")
def backslashes_doubled(gold: Gold, rng: Random) -> str | None:
    return (
        gold.text.replace("\\", "\\\\")
        if re.search(r"\\[a-z]", gold.text) and not re.search(r"\\[ ,!;]", gold.text)
        else None
    )


for _name, _form in {
    "bare": "{c}",
    "text": "\\text{{{c}}}",
    "text in brackets": "\\text{{({c})}}",
    "brackets": "({c})",
    "textbf": "\\textbf{{({c})}}",
    "mathrm": "\\mathrm{{{c}}}",
    "full stop": "{c}.",
    "half bracket": "{c})",
    "option": "Option {c}",
    "mathbf": "\\mathbf{{({c})}}",
    "textbf with text": "\\textbf{{{c}}}",
    "text inside": "(\\text{{{c}}})",
    "bold markdown": "**{c}**",
    "mbox": "\\mbox{{{c}}}",
    "quotes": "'{c}'",
    "choice": "\\text{{choice {c}}}",
}.items():

    @rewriting("letter", name=f"letter: {_name}")
    def _lettered(gold: Gold, rng: Random, form: str = _form) -> str | None:
        return form.format(c=gold.value)


for _name, _form in {
    "bare": "{w}",
    "text": "\\text{{{w}}}",
    "mbox": "\\mbox{{{w}}}",
    "textbf": "\\textbf{{{w}}}",
    "mathrm": "\\mathrm{{{w}}}",
    "textit": "\\textit{{{w}}}",
    "full stop": "{w}.",
    "quotes": '"{w}"',
    "spaces in braces": "\\text{{ {w} }}",
    "bold markdown": "**{w}**",
    "textrm": "\\textrm{{{w}}}",
}.items():

    @rewriting("word", name=f"word: {_name}")
    def _worded(gold: Gold, rng: Random, form: str = _form) -> str | None:
        return None if "mathrm" in form and " " in gold.value else form.format(w=gold.value)


@rewriting("word")
def word_case(gold: Gold, rng: Random) -> str | None:
    if gold.value.isupper():
        return None
    return gold.value.lower() if gold.value[0].isupper() else gold.value.capitalize()


for _name, _forms in {
    "command": (r"\varnothing", r"\infty", r"-\infty", r"\R"),
    "glyph": ("∅", "∞", "-∞", "ℝ"),
    "other": (r"\{\}", "oo", "-oo", "(-\\infty, \\infty)"),
    "plus": (r"\{ \}", r"+\infty", "-inf", "all real numbers"),
    "words": (r"\text{no solution}", "infinity", "-infinity", r"\text{all real numbers}"),
}.items():

    @rewriting("constant", name=f"constant: {_name}")
    def _constants(gold: Gold, rng: Random, forms: tuple[str, ...] = _forms) -> str | None:
        return forms[CONSTANTS.index(gold.value)]


for _name, _form in {
    "the answer is": "The answer is {t}",
    "the answer is in dollars": "The final answer is ${t}$.",
    "color": "\\color{{red}}{{{t}}}",
    "textcolor": "\\textcolor{{blue}}{{{t}}}",
    "underline": "\\underline{{{t}}}",
    "ideographic full stop": "{t}。",
    "boxed in boxed": "\\boxed{{\\boxed{{{t}}}}}",
    "bf": "{{\\bf {t}}}",
    "large": "\\large{{{t}}}",
    "ensuremath": "\\ensuremath{{{t}}}",
    "bold dollars": "**${t}$**",
    "double quotes": '"{t}"',
    "zero width space": "\u200b{t}\u200b",
    "code fence": "```\n{t}\n```",
}.items():

    @rewriting("", name=f"text: {_name}")
    def _wrapped(gold: Gold, rng: Random, form: str = _form) -> str | None:
        return form.format(t=gold.text)


for _name, _form in {
    "an": "\\text{{an {w}}}",
    "the": "the {w}",
    "it is": "It is {w}",
    "capitals": "{u}",
}.items():

    @rewriting("word", name=f"word: {_name}")
    def _phrased(gold: Gold, rng: Random, form: str = _form) -> str | None:
        shapes = "ellipse circle parabola hyperbola line point"
        if ("an " in form or "the " in form) and gold.value.lower() not in shapes.split():
            return None
        text = form.format(w=gold.value, u=gold.value.upper())
        return text if "an " not in text or gold.value[0] in "aeiou" else text.replace("an ", "a ")
