"""Rule about refusals: a description is not an apology for having no answer."""

from persona_assets.persona_rules.base import LazyPatterns, PersonaContext

_REFUSALS = LazyPatterns(
    r"^(?:i'm|i am|we're|we are) (?:\w+ )?sorry\b",
    r"^(?:i'm|i am) afraid (?:i|that|there|this)\b",
    r"^(?:i |we |my )?apolog(?:[iy][sz]e|ies)\b",
    r"^(?:[^.!]{0,40}[,.!] (?:but )?)?"
    r"i (?:cannot|can't|could not|couldn't|won't|do not|don't|am (?:not able|unable) to) (?:\w+ )?"
    r"(?:answer|assist with|comply|create|describe|determine|fulfil+|generate"
    r"|have (?:access|enough)|help with|identify|infer)\b",
    r"^as an? (?:ai|artificial intelligence|(?:large )?language model)"
    r"(?: (?:language )?(?:assistant|chatbot|model|system))?, (?:i|my)\b",
    r"^(?:there(?:'s| is| was) )?(?:not enough|insufficient|no) (?:information|context)\b",
    r"^(?:unfortunately|lo siento|désolé|je suis désolée?|es tut mir leid|leider kann ich"
    r"|mi dispiace|desculpe|sinto muito|извините|к сожалению)\b",
    r"^(?:很?抱歉|对不起|對不起|我[无無]法[回确確判提生]|作为一个?(?:人工智能|AI)|申し訳|죄송|عذر|آسف)",
)


def is_refusal(context: PersonaContext) -> bool:
    """Return True if the text opens as a model's refusal, in common languages."""
    return _REFUSALS.occur_in(context.persona)
