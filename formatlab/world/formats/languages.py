"""How texts in other languages than English say what the answer is, and that it is none."""

import regex

ANSWER_WORDS = (
    *"respuesta risposta réponse resposta antwort antwoord svar svaret ответ відповідь".split(),
    *"odpowiedź odpowiedzią cevap jawaban 答案 答え 答 故选 정답 답 الجواب الإجابة תשובה".split(),
    *"उत्तर คำตอบ উত্তর".split(),
    *("đáp án", "đáp số"),
)
"""What an answer is called, in lower case."""
LATIN_ANSWER_WORDS = tuple(word for word in ANSWER_WORDS if word.isascii())

_KIND_OF_ANSWER = (
    r"(?:\s(?:final|finale|finala?|correcta?|correcte|correta|corretta|definitiva?|exacta))?"
)
_IS = (
    r"[:\N{FULLWIDTH COLON}=]|(?:应该|应当|应|就)?(?:是|为|為|等于)|は|은|는|هو|هي|คือ|হল|হলো|है"
    r"|(?:è|é|es|est|ist|lautet|beträgt|is|är|er|là|to|adalah|jest)\b|(?<=】\s*)(?=[\d$\-A-J\\])"
    r"|(?<=\s)(?=[-\d][^\n।]{0,30}है)"
)
MARK = rf"(?:{'|'.join(ANSWER_WORDS)})(?:nya)?{_KIND_OF_ANSWER}[\s*】\]]*+(?:{_IS})"
"""What opens a statement of the answer."""

_DENIES = regex.compile(
    r"\b(?:nicht|keine?r?|niemals|weniger|mehr|mindestens|höchstens|oder|kleiner|größer|vielleicht"
    r"|(?:doppelte|hälfte)\b|no|nunca|menos|más|mayor|menor|mitad|doble|quizás?|tal\s+vez|o|ou|u"
    r"|pas|jamais|moins|plus|moitié|peut-être|ni|soit|non|meno|più|metà|doppio|forse|não|mais"
    r"|maior|metade|dobro|talvez|niet|geen|minder|meer|helft|misschien|inte|ikke|mindre|eller"
    r"|не|нет|ні|меньше|больше|или|або|половина|nie|lub|mniej|więcej|değil|không|hoặc|bukan|atau)\b"
    r"|不是|不|非|没|或|至少|至多|最多|大于|小于|超过|可能|也许|(?<=\d\p{Han}{0,2})的|ではな|ではあり|でない|じゃな|未満|以上|以下"
    r"|아니|아닙|아닌|이상|이하|미만|또는|ليس|ليست|أقل|أكثر|नहीं|कम|अधिक|ज़्यादा|ไม่|หรือ|নয়|বা",
    regex.IGNORECASE,
)
"""Words that deny an answer, bound or hedge it, or make another number of it."""
_DENIES_AHEAD = regex.compile(
    r"(?:\b(?:nicht|kein|keine|falsch|no|falso|faux|pas|non|não|niet|не|неверно|nie|không)\b|不是"
    r"|不对|并非)"
    r"[^.\n。]{0,30}\Z",
    regex.IGNORECASE,
)
_SENTENCE = regex.compile(r"[^\n。;；(（]*?(?=\.(?:\s|\Z)|[\n。;；(（]|\Z)")
_NUMBER_AT_ONCE = regex.compile(r"[\s:：*$\\({]*+[-\d][^,，]{0,40}[,，]")


def denies(before: str, rest: str) -> bool:
    """Whether a statement in another language denies, bounds, hedges or alters the answer.

    Args:
        before: what stands before its mark.
        rest: what stands behind the mark. Of a number with a comma behind it, what follows the
            comma explains it.
    """
    sentence = _SENTENCE.match(rest)
    said = sentence[0] if sentence else rest
    at_once = _NUMBER_AT_ONCE.match(said)
    return (
        _DENIES.search(at_once[0] if at_once else said) is not None
        or _DENIES_AHEAD.search(before[-60:]) is not None
    )


def speaks_of_answer(sentence: str) -> bool:
    """Whether a sentence, in whatever language, says something of the answer."""
    sentence = sentence.lower()
    return "answer" in sentence or any(
        word in sentence
        for word in (LATIN_ANSWER_WORDS if sentence.isascii() else ANSWER_WORDS)
        if len(word) > 1
    )
