"""Rules about refusals: a text is not an apology for having no answer."""

from persona_assets.rules.base import LazyPatterns, Openings, RuleContext

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
# Starts of the texts that a pattern matches, except "..., but I cannot ...".
_STARTS = (
    *("i'm ", "i am ", "we're ", "we are ", "i apolog", "we apolog", "my apolog", "apolog", "i "),
    *("as a ", "as an ", "there", "not enough ", "insufficient ", "no ", "unfortunately"),
    *("lo siento", "es tut mir leid", "leider kann ich", "mi dispiace", "desculpe", "sinto muito"),
    *("désolé", "je suis désolé", "извините", "к сожалению", "很抱歉", "抱歉", "对不起", "對不起"),
    *("我无法", "我無法", "作为", "申し訳", "죄송", "عذر", "آسف"),
)
_OTHER_STARTS = (
    *("als ki", "come ", "como ", "en tant", "entschuldigung", "ich kann ", "in quanto ", "je "),
    *("lamento", "leider", "lo lamento", "malheureusement", "non posso ", "purtroppo", "spiacente"),
    *("disculpa", "infelizmente", "lamentablemente", "mi scuso", "tut mir ", "sorry", "i'm an"),
)

_CANNOT = (
    r"(?:cannot|can't|can not|could not|couldn't|won't|will not|must decline to|(?:am |'m )?(?:not"
    r" able|unable) to|(?:am |'m )?not (?:comfortable|allowed|permitted))"
)
_SORRY = (
    r"(?:(?:i'm|i am|we're|we are) (?:\w+ )?(?:sorry|afraid)|(?:my |i |we )?(?:sincere )?"
    r"apolog(?:ies|[iy][sz]e)|sorry|unfortunately)"
)
_ABOUT_THE_REQUEST = (
    r"(?:assist|comply|fulfil+|engage (?:in|with)|help (?:you )?with (?:that|this|your request)"
    r"|(?:do|discuss|support) (?:that|this)\b"
    r"|(?:answer|complete|continue|create|generate|produce|provide|respond to|share|write)"
    r" (?:\w+ ){0,3}?(?:requests?|prompt|content|conversation|description|example|information"
    r"|instructions|material|message|persona|problem|question|response|story|text|that|this)\b)"
)
_AS_A_MODEL = (
    r"(?:as|being|since i am|because i am|i am|i'm) (?:just |only )?an? (?:ai|artificial"
    r" intelligence|(?:large )?language model|text-based)\b"
    r"(?: (?:language )?(?:assistant|chatbot|model|program|system))*"
)

_EVERYWHERE = (
    rf"{_SORRY}\b[,.:;!]?(?: (?:but|that|to say))*[,]? (?:i|we) {_CANNOT} (?:\w+ )?"
    rf"{_ABOUT_THE_REQUEST}",
    rf"(?:i|we) {_CANNOT} (?:\w+ )?(?:assist (?:you )?with (?:that|this|your|the|any)|comply with"
    r"|fulfil+ (?:that|this|your|the|such)|help (?:you )?with (?:that|this) (?:request|one|topic))",
    rf"{_AS_A_MODEL},? (?:i|my|it)\b(?! (?:work|built|was built|was trained by))",
    rf"{_AS_A_MODEL},? and (?:i )?{_CANNOT}",
    # Chinese
    r"(?:很|非常|十分)?(?:抱歉|对不起|對不起|不好意思|遗憾|遺憾)[，,。！! ]*(?:但是?|不过"
    r"|不過)?[，, ]*"
    r"(?:我|作[为為]|本|[这這]|由于|由於|根[据據]).{0,20}?(?:[无無]法|不能|不可以|不[会會]|[没沒]有|[难難]以|[违違]反)",
    r"我(?:[无無]法|不能|不可以)(?:回答|回[复覆復]|[协協]助|提供|生成|完成|[满滿]足|[帮幫]助|[帮幫]你|[创創]建|[处處]理|撰[写寫]|[继繼][续續])",
    r"作[为為](?:一[个個名款位])?(?:AI|人工智[能慧]|大?型?[语語]言模型|大模型)[^，,。]{0,12}[，,].{0,4}我",
    # Spanish, Portuguese, Italian, French
    r"(?:lo siento|lo lamento|disculpa|disculpe|mis disculpas)\b[,.;:]? (?:pero )?(?:no (?:puedo"
    r"|podemos|me es posible|estoy)|como (?:una |un )?(?:ia|modelo|inteligencia))",
    r"(?:lamentablemente|desafortunadamente),? no puedo\b",
    r"no (?:puedo|me es posible) (?:ayudar(?:te|le)? con (?:eso|esto|esa|su|tu)|cumplir|asistir"
    r"|generar (?:ese|este|contenido)|proporcionar (?:ese|esa|este|esta))",
    r"como (?:una |un )?(?:ia|inteligencia artificial|modelo de lenguaje|asistente de ia)\b,? no",
    r"(?:desculpe|lamento|sinto muito|me desculpe|peço desculpas?)[,.;:]? (?:mas )?(?:eu )?(?:não"
    r" (?:posso|consigo|é possível)|como (?:uma |um )?(?:ia|modelo|inteligência))",
    r"(?:infelizmente,? )?(?:eu )?não (?:posso|consigo) (?:ajudar (?:com|nisso)"
    r"|atender (?:a )?(?:ess"
    r"|est|su|ao)|cumprir|gerar (?:ess|est|conteúdo))",
    r"como (?:uma |um )?(?:ia|inteligência artificial|modelo de linguagem)\b,? (?:eu )?não",
    r"(?:mi dispiace|spiacente|purtroppo|mi scuso|chiedo scusa)[,.;:]? (?:ma )?(?:non (?:posso"
    r"|sono in grado|mi è possibile)|come (?:ia|intelligenza|modello))",
    r"non posso (?:aiutar(?:ti|la|e) con|soddisfare (?:quest|la)|fornire quest"
    r"|generare (?:quest|con))",
    r"(?:come|in quanto) (?:ia|intelligenza artificiale|modello linguistico)\b,? non",
    r"(?:je suis (?:vraiment )?)?(?:désolée?|navrée?)[,.;:]? (?:mais )?(?:je ne (?:peux|suis"
    r"|pourrai)"
    r"|en tant qu)",
    r"(?:malheureusement,? )?je ne (?:peux pas|suis pas en mesure d['e]) ?(?:vous "
    r"|t')?(?:aider (?:avec"
    r"|à ce|sur)|répondre à (?:cette|votre)|générer (?:ce|du contenu)|satisfaire|fournir (?:ce"
    r"|cette))",
    r"en tant qu(?:'|e )(?:ia|intelligence artificielle|modèle de langage|assistant)\b,? je",
    # German, Russian
    r"(?:es )?tut mir (?:\w+ )?leid[,.;:]? (?:aber |dass )?(?:ich (?:kann|darf|bin nicht|das)"
    r"|das kann"
    r" ich|dabei kann|als ki)",
    r"(?:entschuldigung|leider)[,.;:]? (?:aber )?(?:kann ich|ich kann|darf ich) .{0,60}\bnicht\b",
    r"ich kann (?:dir |ihnen |euch )?(?:dabei|damit|hierbei|diese anfrage"
    r"|bei dieser)\b.{0,40}\bnicht\b",
    r"als (?:ki|künstliche intelligenz|(?:großes )?sprachmodell)\b.{0,30}\b(?:kann|darf|habe"
    r"|bin) ich",
    r"(?:извините|простите|прошу прощения|мне (?:очень )?жаль"
    r"|к сожалению)[,.;:]? (?:но )?(?:я )?(?:не"
    r" (?:могу|смогу|в состоянии|имею)|как (?:ии|языковая))",
    r"я не (?:могу|в состоянии) (?:помочь (?:с|вам)|выполнить|ответить на (?:этот|ваш|данный)"
    r"|предоставить (?:эт|так)|создать (?:эт|так|контент))",
    r"как (?:ии|искусственный интеллект|языковая модель|ии-ассистент)\b,? я",
    # Japanese, Korean, Arabic
    r"(?:大変|誠に)?(?:申し訳|恐れ入りますが|すみません|ごめんなさい|残念ながら).{0,60}?"
    r"(?:できません|できかねます|いたしかねます|お答え|対応して|応じ|お手伝い)",
    r"(?:私は)?(?:AI|人工知能|大規模言語モデル|言語モデル)(?:アシスタント|モデル)?(?:として|ですので|なので)",
    r"(?:정말 )?(?:죄송|미안).{0,60}?(?:수 없|어렵습니다|못합니다|못 ?해|드릴 수)",
    r"(?:저는 )?(?:AI|인공지능|(?:대규모 )?언어 ?모델)(?: ?(?:모델|어시스턴트|비서))?(?:로서"
    r"|이기 때문에|이므로|이라서)",
    r"(?:عذر[اًا]+|آسف[ةا]?|أنا آسف[ةا]?|نأسف|أعتذر|للأسف|معذرة)[،,.]? ?.{0,40}?"
    r"(?:لا أستطيع|لا يمكنني|لا يمكننا|لن أتمكن|لا أقدر|غير قادر)",
    r"(?:لا أستطيع|لا يمكنني) (?:مساعدت|المساعدة في (?:هذا|ذلك)|الإجابة (?:على|عن) (?:هذا|سؤال)"
    r"|تقديم (?:هذ|مثل)"
    r"|تلبية)",
    r"(?:بصفتي|باعتباري|كوني) (?:نموذج|ذكاء|مساعد)",
)
"""Openings of refusals that no message of a person has."""

_REFUSED = Openings(*_EVERYWHERE)
_REFUSED_TEXT = Openings(
    *_EVERYWHERE,
    rf"(?:{_SORRY}\b[,.:;!]?(?: (?:but|that))*[,]? )?(?:i"
    rf"|we) {_CANNOT} (?:\w+ )?{_ABOUT_THE_REQUEST}",
    rf"{_SORRY},? (?:but )?(?:there is|there's|the (?:text|persona|description|person)"
    rf"|your request)",
    r"i (?:do not|don't) (?:feel comfortable|have (?:access to|enough (?:information|context)))",
    r"(?:there is |there's )?(?:not enough|insufficient) (?:information|context) (?:to|for)\b",
)


def is_refusal(context: RuleContext) -> bool:
    """Return True if a description opens as a model's refusal, in common languages."""
    folded = context.folded
    may_refuse = not context.is_ascii or folded.startswith(_OTHER_STARTS)
    if may_refuse and _REFUSED.begin(context.text):
        return True
    # A refusal after up to 40 characters, which folding may lengthen: "Thanks, but I cannot ...".
    if not folded.startswith(_STARTS) and " i " not in folded[:150]:
        return False
    return _REFUSALS.occur_in(context.text)


def is_refused(context: RuleContext) -> bool:
    """Return True if a text opens as a model's refusal.

    A message of a person (`instruction`) may open with what the person cannot do: there only
    openings that no person writes count.
    """
    openings = _REFUSED if context.kind == "instruction" else _REFUSED_TEXT
    return openings.begin(context.text.lstrip("\"'“*# "))
