r"""OpenAI-compatible server on 127.0.0.1 whose answers are hashes of the requests.

Equal requests get equal answers, and different requests get different answers, in the form that the
prompt asks for: an object of the JSON schema, a problem, a module, a solution with its \boxed{}
answer. Where Chinese is asked for, sentences are Chinese. Two marks in the text of a request steer
the answer:

    "refuse this"    the model refuses
    "echo of fern"   personas of such a text have almost the same vector, whatever their words

    with ModelServer() as server:
        server.calls["text_to_persona"]     # billed calls of a prompt
"""

import hashlib
import json
import random
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from persona_assets.generation import call_key
from persona_assets.ids import content_id
from persona_assets.resources.tuned_model import served_name
from persona_assets_tests.generation.fault_server import (
    MODEL,
    UNBILLED,
    FaultServer,
    chat,
    embeddings,
)

DIMENSIONS = 16
"""Dimensions of a vector: few, so that the personas form pairs at any similarity."""

ADJECTIVES = [
    "weary",
    "meticulous",
    "cheerful",
    "stubborn",
    "gifted",
    "retired",
    "restless",
    "quiet",
    "proud",
    "young",
]
TRADES = [
    "weaver",
    "beekeeper",
    "notary",
    "welder",
    "midwife",
    "cartographer",
    "baker",
    "locksmith",
    "surgeon",
    "farmer",
    "translator",
    "conductor",
    "geologist",
    "tailor",
    "diver",
    "clerk",
    "brewer",
    "gardener",
    "pilot",
    "archivist",
]
HABITS = [
    "repairs",
    "collects",
    "draws",
    "counts",
    "sells",
    "studies",
    "hides",
    "paints",
    "measures",
    "restores",
]
THINGS = [
    "clocks",
    "maps",
    "kettles",
    "boats",
    "letters",
    "lenses",
    "bells",
    "seeds",
    "violins",
    "bridges",
]
SYLLABLES = [
    "ba",
    "ko",
    "ri",
    "tu",
    "mel",
    "sor",
    "ven",
    "dal",
    "ish",
    "por",
    "lun",
    "gra",
    "fe",
    "no",
    "zin",
]
ARGUMENT_TYPES = ["int", "float", "str", "list[str]", "dict[str, int]"]
NEEDS = [[], ["math"], ["requests"]]
RELATIONS = ["patient", "landlord", "pupil", "rival", "neighbour", "supplier", "aunt", "colleague"]

PLACES = ["河边", "山脚", "码头", "老城", "水乡", "海岛", "草原", "竹林", "盐湖", "茶山"]
WORKERS = ["木匠", "渔夫", "裁缝", "教师", "医生", "船夫", "药农", "铁匠", "邮差", "乐师"]
KINDS = ["细心的", "退休的", "年轻的", "沉默的", "固执的", "开朗的"]
PASTIMES = ["修理旧钟", "收集地图", "照料蜜蜂", "抄写诗词", "打磨镜片", "测量潮水", "培育种子"]
CHARACTERS = "安北长春东风光海和华江金良明南宁平青秋荣山石松天文西新雪阳玉云中"
CHINESE = re.compile(r"one Chinese sentence|Write in Chinese\.")
"""Wording of a request for Chinese."""

LINES = {
    f"{file.stem}{'_rubric' if file.parent.name == 'rubrics' else ''}": {
        line for line in file.read_text("utf-8").splitlines() if line and "{" not in line
    }
    for file in (Path(__file__).parents[1] / "prompts").rglob("*.md")
}
"""Lines by prompt file that its requests repeat verbatim."""

SUM = re.compile(r"(\d+) crates of (\d+) apples each and (\d+) loose")
"""Quantities of a problem that this server wrote."""

ECHO = re.compile(r"echo of (\w+)")
"""Mark that determines the vector of a text."""


class ModelServer(FaultServer):
    """Fault server that counts by prompt.

    Attributes:
        meets: Step of an attempt (see FaultServer) by prompt and last message; None for a good
            answer, or a refusal where the message asks for that.
        calls: Number of billed calls by prompt.
        asked_of: Number of requests by prompt.
        keys: Prompt and key of each billed call.
        weights: Folder of fine-tuned models, which the server lists by their hashes.
    """

    def __init__(self, *, latency: float = 0.0) -> None:
        super().__init__(latency=latency)
        self.meets: Callable[[str, str], str | None] = lambda prompt, message: None
        self.calls: Counter[str] = Counter()
        self.asked_of: Counter[str] = Counter()
        self.keys: list[tuple[str, str]] = []
        self.weights: Path | None = None

    def step(self, message: str, body: dict[str, Any]) -> str:
        prompt = prompt_of(body)
        refuses = "refusal" if "refuse this" in message else None
        step = self.meets(prompt, message) or refuses or super().step(message, body)
        self.asked_of[prompt] += 1
        if not UNBILLED.match(step):
            self.calls[prompt] += 1
            self.keys.append((prompt, key_of(body)))
        return step

    def reply(self, message: str, body: dict[str, Any]) -> str:
        if "input" in body:
            return embeddings([vector(text).tolist() for text in body["input"]])
        return chat(answer(body))

    def name_for(self, body: dict[str, Any]) -> str:
        return super().name_for(body) if is_tuned(body) else MODEL

    def listed(self) -> list[str]:
        files = [] if self.weights is None else self.weights.rglob("model.gguf")
        hashes = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
        return [*self.models, *(served_name("tuned", sha256) for sha256 in hashes)]


def prompt_of(body: dict[str, Any]) -> str:
    """Return the name of the prompt file that shares most lines with a request."""
    if "input" in body:
        return "embeddings"
    if "response_format" in body:
        return str(body["response_format"]["json_schema"]["name"])
    if is_tuned(body):
        return "evaluation"
    lines = {line for message in body["messages"] for line in message["content"].splitlines()}
    return max(LINES, key=lambda name: len(LINES[name] & lines))


def is_tuned(body: dict[str, Any]) -> bool:
    """Return True if a request is to a fine-tuned model."""
    return str(body["model"]).startswith("tuned-")


def key_of(body: dict[str, Any]) -> str:
    """Return the journal's key of the first sample of a request."""
    url = "/embeddings" if "input" in body else "/chat/completions"
    return call_key(body["model"], url, body)


def answer(body: dict[str, Any]) -> str:
    """Return the content of the answer to a chat request."""
    chance = Chance(key_of(body))
    is_chinese = any(CHINESE.search(message["content"]) for message in body["messages"])
    question = body["messages"][-1]["content"]
    prompt = prompt_of(body)
    if prompt == "answer_equality":
        expected, answered = re.findall(r": (.*)", question)[-2:]
        return json.dumps({"verdict": "yes" if expected == answered else "no"})
    if "response_format" in body:
        schema = body["response_format"]["json_schema"]["schema"]
        echo = ECHO.search(question) if prompt == "text_to_persona" else None
        chance.chinese = is_chinese
        return json.dumps(instance(schema, schema, chance, echo[0] if echo else ""))
    if prompt == "math_program":
        crates, apples, loose = numbers(question, chance)
        return f"crates = {crates}\nanswer = crates * {apples} + {loose}"
    if prompt in ("math_solution", "evaluation"):
        crates, apples, loose = numbers(question, chance)
        # The tuned model and the second solver are sometimes wrong, the first solver never.
        slip = chance.random() < 0.25 and body["model"] != "solver"
        return rf"Adding up gives \boxed{{{crates * apples + loose + slip}}}."
    if prompt == "tool_implementations":
        return implementation(question, chance)
    if is_chinese:
        return (
            f"在{chinese_place(chance)}的集市上，{chinese_persona(chance)[:-1]}，他码放了"
            f"{chance.randint(2, 99)}箱苹果，每箱{chance.randint(2, 99)}个，另外还有"
            f"{chance.randint(2, 99)}个散放的苹果。请问一共有多少个苹果？"
        )
    return (
        f"At the market of {place(chance)} {persona(chance)[:-1]} stacks {chance.randint(2, 99)} "
        f"crates of {chance.randint(2, 99)} apples each and {chance.randint(2, 99)} loose ones. "
        "How many apples are there?"
    )


def numbers(question: str, chance: random.Random) -> tuple[int, int, int]:
    """Return the quantities of a problem in this server's form, or random quantities."""
    match = SUM.search(question)
    if match:
        return int(match[1]), int(match[2]), int(match[3])
    return chance.randint(2, 9), 1, 0


def instance(schema: dict[str, Any], root: dict[str, Any], chance: random.Random, also: str) -> Any:
    """Return a random value of a JSON schema that `answer_schema` builds; `also` ends personas."""
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
    if "enum" in schema:
        return chance.choice(schema["enum"])
    match schema["type"]:
        case "object":
            return {
                name: member_value(name, member, root, chance, also)
                for name, member in schema["properties"].items()
            }
        case "array":
            count = min(schema.get("maxItems", 3), max(schema.get("minItems", 0), 3))
            return [instance(schema["items"], root, chance, also) for _ in range(count)]
        case "integer" | "number":
            # A score of 1 to 5, bad in one case in five: the schema that is sent has no limits.
            return chance.choice((5, 5, 5, 5, 1))
        case "boolean":
            return chance.random() < 0.5
        case _:
            return string(schema, chance)


def member_value(
    name: str, schema: dict[str, Any], root: dict[str, Any], chance: random.Random, also: str
) -> Any:
    """Return the value of an object's member, by its name or else by its schema."""
    match name:
        case "persona":
            return persona(chance, also)
        case "relation":
            return chance.choice(RELATIONS)
        case "type":
            return chance.choice(ARGUMENT_TYPES)
        case "depend":
            return chance.choice(NEEDS)
        case _:
            return instance(schema, root, chance, also)


def implementation(question: str, chance: random.Random) -> str:
    """Return a module that implements the interface in a question."""
    [name] = re.findall(r"^Function: (\w+)", question, re.MULTILINE)
    arguments = dict(re.findall(r"^- (\w+) \(([^)]*)\): ", question, re.MULTILINE))
    needs, used = "math", "math.floor(7.5)"
    if "Needs: requests" in question:
        needs, used = "requests", "requests.get('http://127.0.0.1:9', timeout=1).text"
    taken = ", ".join(f"{argument}: {kind}" for argument, kind in arguments.items())
    towns = " ".join(place(chance) for _ in range(8))
    return (
        f"import {needs}\n\n\ndef {name}({taken}) -> str:\n"
        f'    """Look up {towns}."""\n'
        f"    seen = repr([{', '.join(arguments)}])\n"
        f"    return '{place(chance)} ' + seen + str({used})\n"
    )


def string(schema: dict[str, Any], chance: random.Random) -> str:
    """Return a sentence, a question or a name, the first that matches the schema's pattern."""
    sentence = persona(chance)
    while len(sentence) < schema.get("minLength", 0):
        sentence += f" {persona(chance)}"
    name = f"{chance.choice(HABITS)}_{chance.choice(THINGS)}"
    texts = (sentence, f"{sentence[:-1]}?", name)
    cut = (text[: schema.get("maxLength", len(text))].strip() for text in texts)
    return next(text for text in cut if re.search(schema.get("pattern", ""), text))


class Chance(random.Random):
    """Random numbers of an answer, and its language."""

    chinese = False


def chinese_persona(chance: random.Random) -> str:
    """Return a Chinese sentence about a person, unique by the places in the sentence."""
    first, second = chance.sample(PASTIMES, 2)
    return (
        f"一位住在{chinese_place(chance)}{chance.choice(PLACES)}的{chance.choice(KINDS)}"
        f"{chance.choice(WORKERS)}，每天清晨在{chinese_place(chance)}{first}，晚上喜欢和邻居一起{second}。"
    )


def chinese_place(chance: random.Random) -> str:
    """Return a name out of 900,000."""
    return "".join(chance.choice(CHARACTERS) for _ in range(4))


def persona(chance: random.Random, also: str = "") -> str:
    """Return a sentence about a person, unique by the places in the sentence."""
    if isinstance(chance, Chance) and chance.chinese:
        return chinese_persona(chance)
    return (
        f"A {chance.choice(ADJECTIVES)} {chance.choice(TRADES)} from {place(chance)} near "
        f"{place(chance)} who {chance.choice(HABITS)} {chance.choice(THINGS)} and "
        f"{chance.choice(HABITS)} {chance.choice(THINGS)}{f', an {also}' if also else ''}."
    )


def place(chance: random.Random) -> str:
    """Return a name out of 760,000."""
    return "".join(chance.choice(SYLLABLES) for _ in range(5)).capitalize()


def vector(text: str) -> np.ndarray:
    """Return a unit vector; texts with the same echo have a cosine above 0.99."""
    echo = ECHO.search(text)
    direction = _gauss(echo[0] if echo else text) + 0.01 * _gauss(text)
    return direction / np.linalg.norm(direction)


def _gauss(text: str) -> np.ndarray:
    return np.random.default_rng(int(content_id("vector", text), 16)).standard_normal(DIMENSIONS)
