"""Model server whose answers are good, as those of a strong model, except one in ten.

What is wrong with a bad answer is drawn by its request, so that equal requests meet equal faults:

    with StrongModel() as server:
        server.faults["math_problems", "refusal"]     # bad answers by prompt and fault

`marks_of` finds what is left of a fault in a published text.
"""

import json
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from persona_assets_tests.generation.fault_server import chat, embeddings
from persona_assets_tests.model_server import (
    ModelServer,
    answer,
    key_of,
    prompt_of,
    vector,
)

REFUSALS = [
    "I'm sorry, but I can't assist with that request.",
    "I'm sorry, I cannot create content about this person. Is there anything else?",
    "As an AI language model, I cannot take the place of a real person. Shall I try something "
    "else?",
    "I apologize, but I am unable to write this problem. Would you like another topic?",
    "抱歉，我无法协助完成这个请求。您还有其他问题吗？",
    "Lo siento, pero no puedo ayudar con eso. ¿Quieres otra cosa?",
    "Je suis désolé, mais je ne peux pas répondre à cette demande. Autre chose ?",
    "Es tut mir leid, aber ich kann bei dieser Anfrage nicht helfen. Etwas anderes?",
    "Извините, но я не могу помочь с этим запросом. Что-нибудь ещё?",
    "申し訳ありませんが、そのご依頼にはお答えできません。他にありますか？",
    "죄송하지만 해당 요청은 도와드릴 수 없습니다. 다른 질문이 있으신가요?",
    "عذرًا، لا أستطيع مساعدتك في هذا الطلب. هل من شيء آخر؟",
    "Desculpe, mas não posso ajudar com isso. Deseja outra coisa?",
    "Mi dispiace, ma non posso aiutarti con questa richiesta. Vuoi altro?",
]
PREAMBLES = [
    "Sure! Here is a problem for this person:\n\n",
    "Certainly, here's the math problem:\n\n",
    "Of course! Below is a problem that fits the persona:\n",
    "Here is a question tailored to this persona:\n\n",
    "好的，以下是一道题目：\n",
    "¡Claro! Aquí tienes un problema:\n\n",
    "Bien sûr ! Voici un problème :\n\n",
    "Natürlich! Hier ist eine Aufgabe:\n\n",
]
CLOSINGS = [
    "\n\nLet me know if you need anything else!",
    "\n\nI hope this helps!",
    " Feel free to ask for another one.",
    "\n\nNote: This problem is designed to match the persona's work.",
]
FOREIGN = [
    "一位在港口工作的领航员每天要引导许多船只进港，他想知道一周之内总共需要多少时间才能完成全部工作？",
    "Лоцман в порту каждый день проводит много судов, и он хочет узнать, сколько часов уйдёт на "
    "неделю?",
    "مرشد في الميناء يقود كل يوم سفنا كثيرة ويريد أن يعرف كم ساعة يحتاج في الأسبوع كله؟",
]
CARD = "4539 5787 6362 1486"
"""Number with the check digit of a card; nobody's."""

FAULTS = (
    *("fence", "preamble", "refusal", "truncation", "wrong_language", "repeats", "closing", "card"),
)
SOLVING = ("math_solution", "math_program", "evaluation", "answer_equality")
"""Prompts whose bad answers are fences, preambles and refusals alone."""

CODE_FAULTS = ("syntax", "preamble", "fence", "signature", "undefined", "endless")
"""Faults of code; a preamble and a fence can be taken off."""


class StrongModel(ModelServer):
    """Model server with bad answers.

    Args:
        bad: Share of bad answers.

    Attributes:
        spoils: Function from the name of a prompt to True if it has bad answers.
        faults: Number of bad answers by prompt and fault.
    """

    def __init__(self, bad: float = 0.1) -> None:
        super().__init__()
        self.bad = bad
        self.spoils: Callable[[str], bool] = lambda prompt: prompt != "answer_equality"
        self.faults: Counter[tuple[str, str]] = Counter()

    def reply(self, message: str, body: dict[str, Any]) -> str:
        if "input" in body:
            return embeddings([vector(text).tolist() for text in body["input"]])
        prompt, good = prompt_of(body), answer(body)
        chance = random.Random(f"fault {key_of(body)}")
        if not self.spoils(prompt) or chance.random() >= self.bad:
            return chat(good)
        if prompt == "tool_implementations":
            fault = chance.choice(CODE_FAULTS)
            self.faults[prompt, fault] += 1
            return chat(spoil_code(good, fault))
        fault = chance.choice(FAULTS[:3] if prompt in SOLVING else FAULTS)
        self.faults[prompt, fault] += 1
        if "response_format" not in body:
            return chat(spoil(good, fault, chance))
        return chat(json.dumps(_spoil_longest(json.loads(good), fault, chance)))


def spoil(text: str, fault: str, chance: random.Random) -> str:
    """Return a text with a fault."""
    match fault:
        case "fence":
            return f"```\n{text}\n```"
        case "preamble":
            return chance.choice(PREAMBLES) + text
        case "refusal":
            return chance.choice(REFUSALS)
        case "truncation":
            return text[: 2 * len(text) // 3].rsplit(" ", 1)[0] + " and"
        case "wrong_language":
            return chance.choice(FOREIGN)
        case "repeats":
            return text + f" {text[-40:]}" * 8
        case "closing":
            return text + chance.choice(CLOSINGS)
        case _:
            return f"{text} The card is {CARD}, is it not?"


def spoil_code(code: str, fault: str) -> str:
    """Return a module with a fault."""
    match fault:
        case "fence":
            return f"```python\n{code}```\n"
        case "preamble":
            return f"Here is the function.\n\n```python\n{code}```\n\nIt reads its arguments."
        case "syntax":
            return code.replace("repr([", "repr([(", 1)
        case "signature":
            return re.sub(r"\) -> str", ", verbose=False) -> str", code).replace("(, ", "(")
        case "undefined":
            return code.replace("+ seen +", "+ seen_before +")
        case _:
            return code.replace("    seen = ", "    while True:\n        pass\n    seen = ", 1)


def marks_of(text: str) -> list[str]:
    """Return the names of the faults that a text still shows."""
    found = {
        "fence": "```" in text,
        "preamble": any(text.startswith(start.strip()) for start in PREAMBLES),
        "refusal": any(text.startswith(refusal[:20]) for refusal in REFUSALS),
        "truncation": text.endswith(" and"),
        "wrong_language": any(foreign[:20] in text for foreign in FOREIGN),
        "repeats": len(text) > 200 and text.count(text[-40:]) >= 4,
        "closing": any(closing.strip() in text for closing in CLOSINGS),
        "card": CARD in text,
    }
    return [name for name, shows in found.items() if shows]


def _spoil_longest(value: Any, fault: str, chance: random.Random) -> Any:
    """Return a JSON value whose longest string has a fault."""
    longest = max(texts_of(value), key=len, default="")

    def spoiled(part: Any) -> Any:
        if isinstance(part, dict):
            return {name: spoiled(member) for name, member in part.items()}
        if isinstance(part, list):
            return [spoiled(member) for member in part]
        return spoil(part, fault, chance)[:300] if part == longest else part

    return spoiled(value)


def texts_of(value: Any) -> Iterator[str]:
    """Yield all strings of a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for member in value.values():
            yield from texts_of(member)
    elif isinstance(value, list):
        for member in value:
            yield from texts_of(member)
