"""Examples that can be trained on: whole, without control tokens, no longer than a sequence."""

# The training libraries are only partly annotated.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false

from pathlib import Path
from typing import Any, NamedTuple


class Examples(NamedTuple):
    """Usable examples of a file, and the reason of each example of the file, None if usable."""

    usable: Any
    faults: list[str | None]

    @property
    def dropped(self) -> list[tuple[int, str]]:
        """Index in the file and reason of each unusable example."""
        return [(index, fault) for index, fault in enumerate(self.faults) if fault]


def read_examples(file: Path, cache_dir: Path, tokenizer: Any, max_tokens: int) -> Examples:
    """Read the examples of a file, and leave out those that must not be trained on.

    Args:
        file: JSON lines in TRL's conversational prompt-completion format.
        cache_dir: Folder for the library's own copy.
        tokenizer: Tokenizer with a chat template.
        max_tokens: Length of the longest usable example, in tokens.
    """
    from datasets import Dataset

    examples: Any = Dataset.from_json(str(file), cache_dir=str(cache_dir))
    faults = find_faults(examples, tokenizer, max_tokens)
    usable = examples.select([index for index, fault in enumerate(faults) if fault is None])
    return Examples(usable, faults)


def find_faults(examples: Any, tokenizer: Any, max_tokens: int) -> list[str | None]:
    """Find the examples that must not be trained on.

    A control token in a text would end a turn or open another: a text from outside could speak in
    any role.

    Args:
        examples: Dataset in TRL's conversational prompt-completion format.
        tokenizer: Tokenizer with a chat template.
        max_tokens: Length of the longest usable example, in tokens.

    Returns:
        The reason per example, None for a usable example.
    """
    control = control_tokens(tokenizer).values()
    faults: list[str | None] = []
    for batch in examples.iter(batch_size=1000):
        turns = [[*p, *c] for p, c in zip(batch["prompt"], batch["completion"], strict=True)]
        tokens = tokenizer.apply_chat_template(turns, return_dict=True)["input_ids"]
        for conversation, ids in zip(turns, tokens, strict=True):
            texts = [turn["content"] for turn in conversation]
            if not all(text.strip() for text in texts):
                faults.append("empty")
            elif token := next((t for t in control if any(t in text for text in texts)), None):
                faults.append(f"control_token: {token}")
            elif len(ids) > max_tokens:
                faults.append(f"too_long: {len(ids)} tokens, more than {max_tokens}")
            else:
                faults.append(None)
    return faults


def end_of_turn(tokenizer: Any) -> str | None:
    """Return the token with which the chat template ends an answer, None if it has no such token.

    In base models this is often not the end-of-text token, and a server without this token would
    never stop.
    """
    question = [{"role": "user", "content": "a"}]
    answered = [*question, {"role": "assistant", "content": "b"}]
    prompt = tokenizer.apply_chat_template(question, add_generation_prompt=True, return_dict=True)
    whole = tokenizer.apply_chat_template(answered, return_dict=True)
    control = control_tokens(tokenizer)
    answer = whole["input_ids"][len(prompt["input_ids"]) :]
    return next((control[token] for token in answer if token in control), None)


def control_tokens(tokenizer: Any) -> dict[int, str]:
    """Return the tokens that a text must not contain, by id, with or without a role (bos, eos)."""
    added = tokenizer.added_tokens_decoder
    return {number: token.content for number, token in added.items() if token.special}
