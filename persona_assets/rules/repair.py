"""Repairs: what a model adds around an answer, and can be taken off.

Belongs here: quotation marks, a fence, a preamble, a label, closing words, a solution below a
problem. Does not belong here: verdicts on what is left.
"""

import re
from collections.abc import Callable

import regex

from persona_assets.rules.base import RuleContext

_FLAGS = regex.IGNORECASE | regex.VERSION1

_THING = (
    r"(?:answer|article|character|description|example|instruction|json|message|npc|persona|post"
    r"|problem|profile|program|prompt|puzzle|question|request|response|riddle|scenario|solution"
    r"|specification|story|task|text|tool)s?"
)
_OPENER = (
    r"(?:sure(?: thing)?|certainly|of course|absolutely|definitely|gladly|got it|understood|okay|ok"
    r"|alright|great|yes|happy to help|i'd be happy to(?: help)?|with pleasure)"
)
_HERE = (
    r"(?:here(?:'s|’s| is| are)|below is|this is|the following is"
    r"|i(?:'ve|’ve| have) (?:written|created|designed))"
)
# "problem", "question", "text" and the like.
_THING_ELSEWHERE = (
    r"(?:problem|questi|text|article|artículo|artigo|articolo|messag|mensa|nachricht|aufgabe|frage"
    r"|rätsel|pregunta|pergunta|domanda|acertijo|énigme|enigma|histor|histoire|storia|geschichte"
    r"|descri|beschreibung|person|ejemplo|exemplo|esempio|exemple|beispiel|herramient|ferramenta"
    r"|outil|strumento|werkzeug|instru|anweisung|respuesta|resposta|risposta|réponse|antwort"
    r"|задач|вопрос|стать|сообщени|пример|описани|персонаж|инструмент|инструкц|ответ)"
)

_PREAMBLES = [
    # "Sure! ...", "Certainly!\n..."
    r"(?:sure(?: thing)?|certainly|of course|absolutely|definitely|gladly|got it|understood)"
    r" ?!+(?:\s*\n+| +(?=\p{Lu}|[\"“«*#\d$]))",
    # "Sure! Here is a problem for a nurse:", "Okay, this is one: "
    rf"{_OPENER}\b ?[!,.:–—-]+ ?{_HERE}\b[^\n:]{{0,160}}:\s*",
    rf"{_OPENER}\b ?[!,.:–—-]+ ?{_HERE}\b[^\n:]{{0,160}}\n\s*",
    # "Certainly, a problem about tides:\n"
    rf"{_OPENER}\b ?[!,.:–—-]+ ?[^\n:]{{0,120}}\b{_THING}\b[^\n:]{{0,120}}:\s*\n\s*",
    # "Here's a problem that fits this person:"
    rf"{_HERE} [^\n:.!?]{{0,120}}?\b{_THING}\b[^\n:.!?]{{0,120}}:\s*",
    rf"{_HERE} [^\n:!?]{{0,120}}?\b{_THING}\b[^\n:!?]{{0,120}}[.:]?[ \t]*\n\s*\n\s*",
    # Chinese and Japanese
    r"(?:好的|好|当然(?:可以)?|當然(?:可以)?|没问题|沒問題|明白了|可以)[，,。！!、]+"
    r"(?:[这這]里?是|[这這]道|以下|下面|[这這]就是|[为為]您|我[来來为為])[^\n：:]{0,60}[：:]\s*",
    r"(?:好的|当然(?:可以)?|當然(?:可以)?|没问题|沒問題)[，,。！!]+\s*\n\s*",
    r"(?:以下|下面|[这這])(?:就?是)[^\n：:。]{0,40}(?:题|題|问题|問題|文章|消息|信息|工具|角色|描述|故事|回答|例子|指令)"
    r"[^\n：:。]{0,20}[：:]\s*",
    r"(?:はい|もちろん(?:です)?|承知(?:しました|いたしました)|かしこまりました)[、。！!]+"
    r"(?:(?:以下|こちら|次)[^\n：:。]{0,60}[：:。]\s*|\s*\n\s*)",
    r"以下(?:は|が|に)[^\n：:。]{0,60}(?:問題|質問|文章|記事|メッセージ|説明|例)[^\n：:。]{0,20}[：:。]\s*",
    # Korean, Arabic
    r"(?:네|물론(?:입니다|이죠|이에요)?|알겠습니다|좋습니다)[,!. ]+(?:다음|여기"
    r"|아래)[^\n:.]{0,60}[:.]\s*",
    r"(?:다음은|여기|아래는)[^\n:.]{0,60}(?:입니다|있습니다)[:.]\s*",
    r"(?:بالتأكيد|بالطبع|حسن[اًا]+|طبع[اًا]+|أكيد)[!،,. ]+(?:إليك|هذه|هذا|فيما يلي)[^\n:]{0,80}:\s*",
    r"(?:إليك|فيما يلي)[^\n:]{0,80}:\s*",
    # Spanish, Portuguese, Italian, French, German, Russian
    r"¡?(?:claro(?: que sí)?|por supuesto|desde luego|con gusto|claro que sim|com certeza"
    r"|com prazer)\b ?[!,.:]+ ?(?:aquí|aqui|este|esta|a continuación|segue|eis)\b[^\n:]{0,120}:\s*",
    r"(?:certo|certamente|certo che sì|volentieri) ?[!,.:]+ ?(?:ecco|quest[oa]|di seguito)\b"
    r"[^\n:]{0,120}:\s*",
    r"(?:bien sûr|certainement|avec plaisir|d'accord|volontiers) ?[!,.:]+ ?"
    r"(?:voici|voilà|ci-dessous)\b[^\n:]{0,120}:\s*",
    r"(?:natürlich|gerne?|klar|selbstverständlich|sicher) ?[!,.:]+ ?"
    r"(?:hier|dies|das|nachfolgend|im folgenden)\b[^\n:]{0,120}:\s*",
    r"(?:конечно|разумеется|хорошо|с удовольствием) ?[!,.:]+ ?(?:вот|ниже)\b[^\n:]{0,120}:\s*",
    r"¡?(?:claro|por supuesto|com certeza|certo|bien sûr|natürlich|gerne|конечно) ?!+\s*\n\s*",
    r"(?:aquí (?:tienes|está|hay|va)|a continuación|aqui (?:está|vai|tem)|segue|eis|ecco|voici"
    r"|voilà"
    rf"|hier (?:ist|kommt|findest du)|вот) [^\n:.]{{0,120}}?{_THING_ELSEWHERE}[^\n:.]{{0,120}}:\s*",
]

_LABEL = (
    r"(?:\*\*|__|#{1,6} )?(?:(?:the |math(?:ematics|ematical)? |word |logic(?:al)? |reasoning "
    r"|trick |user |my |your )*(?:problem|question|puzzle|riddle|message|instruction|prompt|user"
    r"|request|article|text|answer|response|description|statement|output)"
    r"|(?:数学|數學|逻辑|邏輯)?(?:题目|題目|问题|問題|题|題|消息|文章|指令)|problema|pregunta|acertijo|pergunta"
    r"|domanda|problème|énigme|question|aufgabe|frage|rätsel|nachricht|задача|вопрос|сообщение"
    r"|問題文|문제|질문|المسألة|السؤال)"
    r"(?: ?#?\d{1,3})?(?: ?\([^()\n]{0,60}\))?\s?(?:\*\*|__)?\s?[:：]\s?(?:\*\*|__)?\s*"
)
_HEADED_LABEL = (
    r"(?:\*\*|#{1,6} )(?:math |word |logic )?(?:problem|question|puzzle|riddle|message|instruction"
    r"|prompt)(?: ?#?\d{1,3})?(?:\*\*)?[ \t]*\n\s*"
)

_OPENER_STARTS = (
    *(
        "sure",
        "certainly",
        "of course",
        "absolutely",
        "definitely",
        "gladly",
        "got it",
        "okay",
        "ok",
    ),
    *(
        "understood",
        "alright",
        "great",
        "yes",
        "happy to",
        "i'd be",
        "with pleasure",
        "here",
        "below",
    ),
    *(
        "this is",
        "the following",
        "i have",
        "i've",
        "claro",
        "por supuesto",
        "desde luego",
        "con gusto",
    ),
    *("com ", "certo", "certamente", "volentieri", "avec ", "d'accord", "gern", "klar", "sicher"),
    *("certainement", "aqui", "a continu", "segue", "eis ", "ecco", "voici", "hier "),
)
_ENDS = (". ", "! ", "? ", "\n", "。", "！", "？")

_SENTENCE_START = r"(?:(?<=[.!?。！？)\]}$*\"”»])\s+|\n\s*|(?<=[。！？]))"
_BY_THE_WAY = (
    r"(?:(?:please )?let me know (?:if|whether|how|when|what)\b"
    r"|(?:please )?feel free to (?:ask|adjust|modify|reach out|let me|change|share|contact|use)\b"
    r"|(?:i )?hope (?:this|that|it|these) (?:\w+ )?(?:helps?|meets?|works?|fits?|is (?:helpful"
    r"|what))\b"
    r"|if you (?:need|have|want|would like|'d like|require)\b[^.!?\n]{0,60}\b(?:help|assist\w*"
    r"|questions?"
    r"|else|further|changes?|adjust\w*|more|another|modif\w*)\b"
    r"|would you like (?:me to|another|more|to see|help)\b|do you want me to\b"
    r"|is there anything else\b"
    r"|(?:(?:note|disclaimer)\s?:|please note\s?:?)\s(?:that )?(?:this|the|these"
    r"|i)\s(?:(?:above|following"
    r"|given|\w+)\s){0,2}?(?:problem|question|puzzle|scenario|text|article|response|answer|persona|story"
    r"|message|tool|character|example|'ve|have|made|is (?:a |an )?(?:fictional|hypothetical"
    r"|simplified"
    r"|designed|intended|meant|written|based|just))\b"
    r"|this (?:problem|question|puzzle|scenario|article|message|tool|text) (?:is (?:designed"
    r"|intended"
    r"|meant|tailored|suitable|based|crafted|perfect)|was (?:designed|written|created)|tests"
    r"|requires"
    r"|challenges|reflects|incorporates|combines|should (?:help|challenge)|allows the)\b"
    r"|(?:如果|若)(?:您|你)?(?:还|還|有|需要)[^\n。]{0,40}(?:告诉|告訴|提问|联系|聯繫|随时|隨時|帮助|幫助|帮忙)"
    r"|希望(?:这|這|以上|本)[^\n。]{0,30}(?:帮助|幫助|有用|满意|滿意|符合|喜欢)"
    r"|(?:espero que (?:esto|te|le|isso|isto|ajude|sea)|si necesitas? (?:algo|más|ayuda)"
    r"|se precisar"
    r"|avísame si|no dudes en|não hesite|fique à vontade)\b"
    r"|(?:j'espère que (?:cela|ce|c')|n'hésitez pas|n'hésite pas|si vous avez (?:besoin"
    r"|d'autres))\b"
    r"|(?:ich hoffe,? (?:das|dies|es|diese)|lass(?:en sie)? (?:es )?mich wissen|falls (?:du"
    r"|sie) (?:noch|weitere)"
    r"|bei (?:weiteren )?fragen)\b"
    r"|(?:spero che (?:questo|sia|ti)|fammi sapere se|se hai (?:bisogno|altre))\b"
    r"|(?:надеюсь,? (?:это|эта|этот|данн)|если (?:вам|у вас|тебе) (?:нужн|есть|понадоб)"
    r"|дайте (?:мне )?знать)"
    r"|(?:ご不明|他に(?:ご質問|何か)|お役に立て|ご参考になれば)"
    r"|(?:도움이 (?:되|필요)|더 필요하신|궁금한 점이)"
    r"|(?:آمل أن|أتمنى أن (?:يكون|تكون)|إذا كان لديك|لا تتردد|هل تريد))"
)
_CLOSING = rf"{_SENTENCE_START}[(*_\[]{{0,3}}{_BY_THE_WAY}[^\n]{{0,400}}\Z"
_RULE_LINE = r"\s*\n[-*_]{3,}\s*\Z"

_SOLUTION = (
    r"\n[ \t]*+(?:-{3,}+[ \t]*+\n\s*+)?(?:\*\*|__|#{1,6} )?(?:the )?(?:(?:step[- ]by[- ]step "
    r"|final |correct )?"
    r"(?:solution|answer|explanation|answer key)|答案|解答|解析|解法|解|solución|respuesta|solução"
    r"|resposta|soluzione|risposta|réponse|lösung|antwort|решение|ответ|풀이|정답|الحل|الإجابة)"
    r"(?: steps)?\s?(?:\*\*|__)?\s?[:：](?:\*\*|__)?"
)

_FENCE = re.compile(r"(`{3,}|~{3,})[^\n`]{0,40}\n")
_QUOTES = {'"': '"', "“": "”", "«": "»", "「": "」", "『": "』", "„": "“", "'": "'"}

TAIL = 700
"""Characters at the end of a text in which closing words are sought."""


def repair(text: str, kind: str) -> tuple[str, list[str]]:
    """Take off what a model added around a text.

    Args:
        text: Field of an answer.
        kind: Kind of the text, which decides which additions are sought.

    Returns:
        The text, and the names of what was taken off, in order; what would leave no text stays.

    Example:
        >>> repair("Sure! Here is a problem:\\n\\nHow much is 2 + 2?", "problem")
        ('How much is 2 + 2?', ['preamble'])
        >>> repair("A crate holds 12 eggs. How many do 3 hold?", "problem")
        ('A crate holds 12 eggs. How many do 3 hold?', [])
    """
    taken: list[str] = []
    text = text.strip()
    steps = REPAIRS.get(kind, REPAIRS["text"])
    for _ in range(3):
        before = text
        for name in steps:
            shorter = _STEPS[name](text).strip()
            if shorter != text and any(map(str.isalnum, shorter)):
                text = shorter
                if name not in taken:
                    taken.append(name)
        if text == before:
            break
    return text, taken


def is_preamble(context: RuleContext) -> bool:
    """Return True if a text is nothing but a preamble, which no repair can take off."""
    left = _without_preamble(f"{context.text}\n\n")
    return len(left) < len(context.text) and not any(map(str.isalnum, left))


def has_addition(context: RuleContext) -> bool:
    """Return True if a description has a preamble, or closing words after its last sentence."""
    folded, text = context.folded, context.text
    if (not context.is_ascii or folded.startswith(_OPENER_STARTS)) and _without_preamble(
        text
    ) != text:
        return True
    return any(end in text for end in _ENDS) and _without_closing(text) != text


def _without_quotes(text: str) -> str:
    closing = _QUOTES.get(text[:1])
    if closing is None or len(text) < 2 or text[-1] != closing:
        return text
    inner = text[1:-1]
    return text if closing in inner or text[0] in inner else inner


def _without_fence(text: str) -> str:
    """Remove a fence around the whole text; a fence that never closes ends with the text."""
    fence = _FENCE.match(text)
    if fence is None:
        return text
    inner = text[fence.end() :].rstrip().removesuffix(fence[1])
    return text if fence[1] in inner else inner


def _without_preamble(text: str) -> str:
    place = _compiled(_PREAMBLES).match(text)
    return text[place.end() :] if place else text


def _without_label(text: str) -> str:
    place = _compiled([_LABEL, _HEADED_LABEL]).match(text)
    return text[place.end() :] if place else text


def _without_closing(text: str) -> str:
    head, tail = text[:-TAIL], text[-TAIL:]
    for pattern in (_CLOSING, _RULE_LINE):
        place = _compiled([pattern]).search(tail)
        if place:
            tail = tail[: place.start()]
    return head + tail


def _without_solution(text: str) -> str:
    place = _compiled([_SOLUTION]).search(text)
    return text[: place.start()] if place else text


_patterns: dict[str, "regex.Pattern[str]"] = {}


def _compiled(patterns: list[str]) -> "regex.Pattern[str]":
    """Compile alternatives on first use, to keep imports fast."""
    key = patterns[0]
    if key not in _patterns:
        joined = "|".join(f"(?:{pattern})" for pattern in patterns)
        _patterns[key] = regex.compile(joined, _FLAGS)
    return _patterns[key]


_STEPS: dict[str, Callable[[str], str]] = {
    "quotes": _without_quotes,
    "fence": _without_fence,
    "preamble": _without_preamble,
    "label": _without_label,
    "boilerplate": _without_closing,
    "solution": _without_solution,
}

REPAIRS: dict[str, tuple[str, ...]] = {
    "text": ("quotes", "fence", "preamble", "boilerplate"),
    "label": ("quotes", "fence"),
    "problem": ("quotes", "fence", "preamble", "label", "solution", "boilerplate"),
    "solution": ("fence", "preamble", "boilerplate"),
    "program": ("preamble", "fence"),
    # A person may write "let me know" and quote a text.
    "instruction": ("quotes", "fence", "preamble", "label"),
    "article": ("fence", "preamble", "label", "boilerplate"),
    "character": ("quotes", "fence", "preamble", "boilerplate"),
    # Somebody may say "let me know".
    "speech": ("quotes", "fence", "preamble"),
    "tool": ("quotes", "fence", "preamble", "boilerplate"),
    "formula": (),
    "code": ("fence",),
}
"""Repairs by kind of text, in the order in which they are tried; see `_STEPS`."""
