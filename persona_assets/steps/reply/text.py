"""Text of a reply that is meant for the reader: no thinking, no chat-template tokens, no code.

Replies are untrusted text: each function runs in time linear in the length of its input.
"""

import re
from dataclasses import dataclass, field

from persona_assets.steps.reply.typography import is_placeholder

_THINKING = re.compile(
    r"<(?P<close>/)?(?:think(?:ing)?|thoughts?|reasoning|reflection|scratchpad|seed:think)>"
    r"|\[(?P<close_2>/)?THINK\]"
    r"|◁(?P<close_3>/)?think▷"
    r"|<\|(?:begin|(?P<close_4>end))_of_thought\|>",
    re.IGNORECASE,
)
_ANSWER_TAG = re.compile(r"<(/)?(?:final_?)?answer>", re.IGNORECASE)
_FINAL_CHANNEL = "<|channel|>final<|message|>"
_CHANNEL = "<|channel|>"
_BARE_CHANNELS = ("analysis", "assistantfinal")
"""Marks of a reply in channels (harmony) whose tokens the server removed."""

_TOKEN = (
    r"(?:</?s>|<(?:eos|bos)>|<(?:start|end)_of_turn>|<\|\w{3,40}\|>|<｜[^｜<>\n]{1,40}｜>|\[INST\])"
)
_LEADING = re.compile(rf"(?:\s*{_TOKEN}(?:\s*(?:assistant|model)\b)?)+")
_END = re.compile(_TOKEN)
_FENCE = re.compile(r"[ \t]*(`{3,}|~{3,})[ \t]*[{.]*([\w+-]*)[^`]*")
_INLINE_FENCE = re.compile(r"(`{3,})[ \t]*(python\w*|py\w*)[ \t]*", re.IGNORECASE)

PYTHON = frozenset(
    {"python", "python2", "python3", "py", "py3", "ipython", "ipython3", "tool_code", "sage"}
)
"""Languages of fenced blocks that hold a program."""

_NO_PROSE = PYTHON | {
    *("output", "tool_output", "stdout", "console", "pycon", "bash", "sh", "shell", "c", "cpp"),
    *("java", "javascript", "js", "matlab", "r", "julia", "sql", "asy"),
}


def visible_text(reply: str) -> str:
    """Return what a reply says after its thinking, up to the end of the model's turn.

    A block of thinking that never closes lasts to the end of the reply, except for a closed
    `<answer>` inside it. A closing tag without an opening tag ends thinking that started with the
    reply. Of a reply in channels (harmony) only the channel `final` remains. Nothing is left of a
    reply that is all thinking.

    Example:
        >>> visible_text("<think>Is it 3? No.</think>It is 4.<|im_end|>")
        'It is 4.'
    """
    text = _without_thinking(_final_channel(reply))
    leading = _LEADING.match(text)
    start = leading.end() if leading else 0
    end = _END.search(text, start)
    return text[start : end.start() if end else len(text)]


def tagged_answer(text: str) -> str | None:
    """Return the content of the last `<answer>`, or None; a placeholder is no content.

    Example:
        >>> tagged_answer("<answer>5</answer>")
        '5'
    """
    closed, rest = _tagged(text)
    usable = [content for content in [*closed, rest] if not is_placeholder(content)]
    return usable[-1].strip() if usable else None


def fenced_blocks(text: str) -> list[tuple[str, str]]:
    """Return (language in lower case, content) of each fenced block.

    A block that never closes ends with the text.
    """
    return [(block.language, "\n".join(block.lines)) for block in _blocks(text)[0]]


def prose(text: str) -> str:
    """Return a text without its closed blocks of code and of printed output."""
    blocks, outside = _blocks(text)
    for block in blocks:
        if block.language not in _NO_PROSE or not block.closed:
            outside += enumerate(block.lines, block.first)
    return "\n".join(line for _, line in sorted(outside))


def _final_channel(reply: str) -> str:
    first, last = _BARE_CHANNELS
    if reply.startswith(first) and last in reply:
        return reply.rpartition(last)[2]
    _, final, text = reply.rpartition(_FINAL_CHANNEL)
    return text if final or _CHANNEL not in reply else ""


def _without_thinking(reply: str) -> str:
    kept: list[str] = []
    start, thinking = 0, False
    for tag in _THINKING.finditer(reply):
        closing = any(tag.groupdict().values())
        if closing and not thinking:
            kept.clear()
        if not closing and not thinking:
            kept.append(reply[start : tag.start()])
        if closing or not thinking:
            start = tag.end()
        thinking = not closing
    rest = reply[start:]
    if thinking:
        rest = "".join(f"<answer>{content}</answer>" for content in _tagged(rest)[0][-1:])
    return "\n".join(part for part in [*kept, rest] if part.strip())


def _tagged(text: str) -> tuple[list[str], str]:
    """Return the contents of all closed `<answer>`, and of one that never closes."""
    closed: list[str] = []
    start: int | None = None
    for tag in _ANSWER_TAG.finditer(text):
        if tag[1] and start is not None:
            closed.append(text[start : tag.start()])
        start = None if tag[1] else tag.end()
    return closed, "" if start is None else text[start:]


@dataclass
class _Block:
    """Fenced block; `first` is the number of its first line in the text."""

    language: str
    first: int
    lines: list[str] = field(default_factory=list[str])
    closed: bool = False


def _blocks(text: str) -> tuple[list[_Block], list[tuple[int, str]]]:
    """Split a text into its fenced blocks and the numbered lines outside of them."""
    blocks: list[_Block] = []
    outside: list[tuple[int, str]] = []
    fence = ""
    for number, line in enumerate(text.splitlines()):
        mark = _FENCE.fullmatch(line)
        if not fence:
            opening = mark or _inline_fence(line)
            if opening:
                fence = opening[1]
                blocks.append(_Block(opening[2].lower(), number + 1))
            if not mark:
                outside.append((number, line[: opening.start()] if opening else line))
        elif mark and mark[1].startswith(fence) and not mark[2]:
            fence = ""
            blocks[-1].closed = True
        else:
            blocks[-1].lines.append(line)
    return blocks, outside


def _inline_fence(line: str) -> re.Match[str] | None:
    """Return a fence for Python at the end of a line of prose."""
    end = line.rfind("```") + 3
    start = len(line[:end].rstrip("`"))
    return _INLINE_FENCE.fullmatch(line, start) if end > 2 and start else None
