"""Scaffolding of a model's message: its thinking, and tokens of its chat template.

Rules, all of them for text outside of inline code and code fences:

- A thinking block counts at the start of the message alone (several in a row count). One that is
  never closed leaves no content.
- A closing tag that nothing has opened ends thinking whose opening tag the template had written:
  the content is what follows the last such tag.
- The content of a message in harmony format is its last final channel.
- Tokens of chat templates are removed at the start and at the end. In between, a token that ends a
  turn ends the content: what follows is a turn that the model made up. `</s>` is such a token
  unless an `<s>` before it makes both HTML, and an `<s>` at the start is a token unless text
  follows its `</s>`.
"""

import re
from dataclasses import dataclass

_NAMES = "think thinking thought thoughts reasoning reflection scratchpad seed:think"

_PAIRS = (
    *((f"<{name}>", f"</{name}>") for name in _NAMES.split()),
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<|inner_prefix|>", "<|inner_suffix|>"),
    ("<|channel>thought", "<channel|>"),
)
"""Tags around thinking."""

_CLOSER = {opener.lower(): closer.lower() for opener, closer in _PAIRS}
_OPENER = {closer: opener for opener, closer in _CLOSER.items()}

_STARTS = (
    *("<bos>", "<|begin_of_text|>", "<|startoftext|>", "<|bos|>", "<｜begin▁of▁sentence｜>"),
    *("[INST]", "[/INST]", "<|assistant|>", "<|Assistant|>", "<｜Assistant｜>", "<|im_sep|>"),
    *("<|START_OF_TURN_TOKEN|>", "<|CHATBOT_TOKEN|>", "<|START_RESPONSE|>"),
    *("<|begin_of_solution|>", "<|message|>"),
)
_HEADERS = (
    r"<\|im_start\|>[ \t]*assistant",
    r"<\|start_header_id\|>[ \t]*assistant[ \t]*<\|end_header_id\|>",
    r"<start_of_turn>[ \t]*model",
    r"<\|start\|>[ \t]*assistant",
    r"<\|start_of_role\|>[ \t]*assistant[ \t]*<\|end_of_role\|>",
)
_ENDS = (
    *("<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<|end_of_text|>", "<|endoftext|>", "<|eot|>"),
    *("<end_of_turn>", "<eos>", "<|eos|>", "<|end|>", "<|return|>", "<|call|>", "<|endofturn|>"),
    *("<｜end▁of▁sentence｜>", "<|END_OF_TURN_TOKEN|>", "<|END_RESPONSE|>", "<|end_of_solution|>"),
    *("<|im_start|>", "<|start_header_id|>", "<start_of_turn>", "<|start_of_role|>"),
    *("<｜User｜>", "<|user|>", "<|User|>", "[INST]"),
)


def _any(words: object) -> str:
    return "|".join(re.escape(word) for word in words)  # type: ignore[attr-defined]


_LEADING = re.compile(rf"(?:\s|{'|'.join(_HEADERS)}|{_any(_STARTS)}|{_any(_ENDS)})+", re.IGNORECASE)
_MARK = re.compile(
    rf"(?P<fence>```|~~~)|(?P<tick>`)|(?P<line>\n)|(?P<closer>{_any(_OPENER)})"
    rf"|(?P<opener>{_any(_CLOSER)})|(?P<end>{_any(_ENDS)})|(?P<html><s[ >])|(?P<eos></s>)",
    re.IGNORECASE,
)
_FIRST = {tag[1:].lower().lstrip("/")[:3] for tag in (*_CLOSER, *_OPENER, *_STARTS, *_ENDS)}
_ANY = re.compile(rf"[<\[◁]/?(?i:s[ >]|start|{'|'.join(sorted(map(re.escape, _FIRST)))})")
"""Any tag or token may begin here: most messages have none."""
_TRAILING = re.compile(rf"(?:{_any(_ENDS)}|</s>)\s*\Z", re.IGNORECASE)
_LONGEST_END = 40
_HTML = re.compile(r"<s[ >]", re.IGNORECASE)
_ANY_THOUGHT = re.compile(r"</(?:think|thinking|thought|thoughts)>", re.IGNORECASE)
_CHANNEL = re.compile(r"<\|channel\|>([^<]{0,200})(?:<\|constrain\|>[^<]{0,200})?<\|message\|>")
_CHANNEL_END = re.compile(r"<\|(?:end|return|call|start|channel)\|>")
_BARE_FINAL = "assistantfinal"
"""What remains of a harmony message whose tokens the server has removed."""


@dataclass(frozen=True, slots=True)
class Content:
    """Content of a message without its scaffolding.

    Attributes:
        text: Content, stripped of white space; empty if the message is thinking alone.
        thinking: True if thinking was removed.
        template: True if tokens of a chat template were removed.
    """

    text: str
    thinking: bool = False
    template: bool = False


def split_message(text: str) -> Content:
    """Separate the content of a message from thinking and chat-template tokens.

    Example:
        >>> split_message("<think>Who reads this?</think> A beekeeper<|im_end|>")
        Content(text='A beekeeper', thinking=True, template=True)
        >>> split_message("Old price: <s>9</s> 7").text
        'Old price: <s>9</s> 7'
    """
    text = text.strip()
    if _ANY.search(text) is None and _BARE_FINAL not in text:
        return Content(text)
    content, thinking = _final_channel(text)
    begin = _after_tokens(content, 0)
    template = content is not text or begin > 0
    while (end := _end_of_block(content, begin)) is not None:
        thinking, begin = True, _after_tokens(content, end)
    content = content[begin:]
    begin, end = _borders(content)
    if end == len(content):
        end = _before_tokens(content)
    thinking = thinking or begin > 0
    start = _after_tokens(content, begin) if begin else 0
    template = template or bool((content[begin:start] + content[end:]).strip())
    return Content(content[start:end].strip(), thinking, template)


def _final_channel(text: str) -> tuple[str, bool]:
    """Return the last final channel of a message in harmony format, and whether it has others.

    A message in another format is returned as it is.
    """
    if text.startswith("analysis") and _BARE_FINAL in text:
        return text.rpartition(_BARE_FINAL)[2], True
    if not text.startswith(("<|channel|>", "<|start|>", "<|message|>")):
        return text, False
    final, others, found = "", False, False
    for match in _CHANNEL.finditer(text):
        found = True
        if match[1].strip().startswith("final"):
            end = _CHANNEL_END.search(text, match.end())
            final = text[match.end() : end.start() if end else len(text)]
        else:
            others = True
    return (final if found else text), others


def _after_tokens(text: str, start: int) -> int:
    """Return the end of the template tokens and white space at `start`."""
    if text.startswith("<s>", start):
        end = text.find("</s>", start)
        start += 3 if end < 0 or not text[end + 4 :].strip() else 0
    leading = _LEADING.match(text, start)
    return leading.end() if leading else start


def _before_tokens(text: str) -> int:
    """Return the start of the template tokens at the very end, where code protects none."""
    end = len(text)
    while match := _TRAILING.search(text, max(0, end - _LONGEST_END), end):
        if match[0].lower().startswith("</s>") and _HTML.search(text):
            break
        end = match.start()
    return end


def _end_of_block(text: str, start: int) -> int | None:
    """Return the end of the thinking block that begins at `start`; None if there is no block."""
    head = text[start : start + 40].lower()
    opener = next((tag for tag in _CLOSER if head.startswith(tag)), None)
    if opener is None:
        return None
    closer = re.compile(re.escape(_CLOSER[opener]), re.IGNORECASE)
    inside = start + len(opener)
    match = closer.search(text, inside) or _ANY_THOUGHT.search(text, inside)
    return len(text) if match is None else match.end()


def _borders(text: str) -> tuple[int, int]:
    """Return start and end of the content: after the last orphaned tag, before the first end."""
    fenced = ticked = False
    opened: dict[str, int] = {}
    html = 0
    begin, end = 0, len(text)
    for match in _MARK.finditer(text):
        kind = match.lastgroup
        if kind == "fence":
            fenced, ticked = not fenced, False
        elif kind == "tick":
            ticked = not fenced and not ticked
        elif kind == "line":
            ticked = False
        elif fenced or ticked:
            continue
        elif kind == "opener":
            tag = match[0].lower()
            opened[tag] = opened.get(tag, 0) + 1
        elif kind == "closer":
            tag = _OPENER[match[0].lower()]
            if opened.get(tag):
                opened[tag] -= 1
            elif end == len(text):
                begin, html = match.end(), 0
        elif kind == "html":
            html += 1
        elif kind == "eos" and html:
            html -= 1
        elif end == len(text) and text[begin : match.start()].strip():
            end = match.start()
    return begin, end
