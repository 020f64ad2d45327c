"""How texts in other languages than English state, deny, correct and take back an answer."""

from collections.abc import Set

import regex

ANSWER_WORDS = (
    *"respuesta risposta réponse resposta antwort antwoord svar svaret ответ відповідь".split(),
    *"odpowiedź odpowiedzią cevap jawaban 答案 答え 答 故选 정답 답 الجواب الإجابة תשובה".split(),
    *"उत्तर คำตอบ উত্তর 正解 jibu సమాధానం".split(),
    *("đáp án", "đáp số"),
)
"""What an answer is called, in lower case."""
LATIN_ANSWER_WORDS = tuple(word for word in ANSWER_WORDS if word.isascii())

_KIND_OF_ANSWER = (
    r"(?:\s(?:final|finale|finala?|correcta?|correcte|correta|corretta|definitiva?|exacta))?"
)
_IS = (
    r"[:\N{FULLWIDTH COLON}=]|(?:应该|应当|应|就)?(?:是|为|為|等于)|は|은|는|هو|هي|คือ|হল|হলো|है"
    r"|(?:è|é|es|est|ist|lautet|beträgt|is|är|er|là|to|adalah|jest|ni)\b|—(?=\s)"
    r"|(?<=సమాధానం\s*)(?=\d)|(?<=】\s*)(?=[\d$\-A-J\\])"
    r"|(?<=\s)(?=[-\d][^\n।]{0,30}है)"
)
MARK = rf"(?:{'|'.join(ANSWER_WORDS)})(?:nya)?{_KIND_OF_ANSWER}[\s*】\]]*+(?:{_IS})"
"""What opens a statement of the answer."""

_DENIES = regex.compile(
    r"\b(?:nicht|keine?r?|niemals|weniger|mehr|mindestens|höchstens|oder|kleiner|größer|vielleicht"
    r"|(?:doppelte|hälfte)\b|no|nunca|menos|más|mayor|menor|mitad|doble|quizás?|tal\s+vez|o|ou|u"
    r"|pas|jamais|moins|plus|sup[ée]rieure?s?|inf[ée]rieure?s?|moitié|peut-être|ni|soit|non"
    r"|meno|più|metà|doppio|forse|não|mais"
    r"|maior|metade|dobro|talvez|niet|geen|minder|meer|helft|misschien|inte|ikke|mindre|eller"
    r"|не|нет|ні|меньше|больше|или|або|половина|nie|lub|mniej|więcej|değil|không|hoặc|bukan"
    r"|atau|si|sio)\b"
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


_NO = (
    *("nein", "non", "não", "nao", "nee", "nej", "nie", "tidak", "bukan", "hayır", "không"),
    *("falsch", "falso", "faux", "errado", "moment"),
    *("нет", "ні", "いや", "いえ", "いいえ", "아니", "아뇨", "नहीं", "不", "لا", "לא", "ไม่", "না"),
)
"""What says no in other languages than English, with a comma or a full stop behind it."""
_CORRECTING = tuple(
    (
        "mejor dicho|o mejor|perdón|perdon|disculp|lo siento|corrección|corrijo|rectific|"
        "quise decir|quiero decir|espera|me equivo|besser gesagt|vielmehr|genauer|entschuldig|"
        "verzeih|korrektur|korrigier|berichtig|ich mein|warte|irrtum|ich habe mich|pardon|"
        "plutôt|désolé|excusez|excuse-moi|je corrige|je veux dire|je voulais dire|attends|"
        "attendez|je me suis|erreur|ou melhor|aliás|desculp|perdão|correção|corrigindo|retific|"
        "quer dizer|quis dizer|me engan|errei|anzi|piuttosto|scusa|mi dispiace|correzione|"
        "correggo|volevo dire|aspetta|mi sono|errore|sbagliat|wacht|przepraszam|xin lỗi|вернее|"
        "точнее|извини|прости|ой|исправ|поправ|ошиб|подожд|стой|неверно|неправильно|вибач|"
        "точніше|違|ちが|すみません|ごめん|失礼|訂正|修正|待って|正しくは|というか|間違|아니라|"
        "죄송|미안|정정|수정|잠깐|잠시|틀렸|다시 계산|माफ|क्षमा|सुधार|रुक|गलत|ग़लत|बल्कि|更正|"
        "纠正|糾正|应为|應為|抱歉|对不起|對不起|等等|等一下|عفو|آسف|تصحيح|بل|סליחה|תיקון|ขอโทษ"
    ).split("|")
)
"""What begins a correction in other languages than English."""
_NOT = ("no ", "nicht ", "pas ", "niet ", "inte ", "ikke ", "не ", "なく", "아니라", "不是")
_CORRECTING_PARTS = (
    *(word for word in _NO if not word.isascii()),
    *(word + mark for word in _NO for mark in ",.:! " if word.isascii()),
    *_CORRECTING,
    *_NOT,
)
_CORRECTING_LATIN = tuple(part for part in _CORRECTING_PARTS if part.isascii())
_CORRECTS = regex.compile(
    r"(?:^|[.!?¡¿,;:…\n。、，！？।؟]|\s[-–—]+)\s*+[*_(¡¿]*+(?:(?:oh|ah|ach|ay|y|e|et|und|o|ou|или|а"
    r"|но|pero"
    r"|mais|mas|ma|aber|あ|あっ|でも)[\s,、]\s*+)?"
    rf"(?:(?:{'|'.join(_NO)})(?:요|에요|예요|です)?\s*+[,.!:…、，،。！–—-]|(?:{'|'.join(_CORRECTING)}))"
    r"[.,\s]*+(?P<said>(?:[^.!?\n。।]|\.(?=\d)){0,80})",
    regex.IGNORECASE,
)
_QUANTITY = r"-?\d(?:[\d,]*\d)?(?:\.\d+)?"
_NOT_BUT = regex.compile(
    rf"\b(?:не|nicht|pas|no|não|non|niet|inte|ikke|nie)\s+[-$]?\d[\d.,]*+[^\d.!?\n]{{0,20}}?"
    rf"\s(?:а|но|sondern|mais|sino|mas|ma|bensì|maar|utan|men|lecz"
    rf"|ale)\s[^\d.!?\n]{{0,15}}(?P<said>{_QUANTITY})"
    r"|\d[^\d.!?\n。]{0,6}(?:ではなく|じゃなく|でなく|[이가]\s*아니라|नहीं,?\s*बल्कि)[^\d.!?\n。]{0,12}"
    rf"(?P<said>{_QUANTITY})|不是\s*\d[\d.,]*+[^\d.!?\n。]{{0,9}}而?是\s*(?P<said>{_QUANTITY})",
    regex.IGNORECASE,
)
"""`nicht 40, sondern 38`"""
_NUMBERS = regex.compile(_QUANTITY)

_WRONG_WORDS = (
    *("incorrect", "falsch", "falso", "faux", "errad", "sbagliat", "equivoc", "equivoq", "trompé"),
    *("geirrt", "verrechnet", "vertan", "engan", "errei", "неверн", "неправильн", "ошиб", "틀렸"),
    *("गलत", "ग़लत"),
)
_TAKES_BACK = regex.compile(
    r"(?:\b(?:eso|esto|est[ae]|isso|isto|ess[ae]|ciò|quest[oa]|das|dies|ceci|cela|это"
    r"|c['\N{RIGHT SINGLE QUOTATION MARK}]|(?:la|a|die|diese)\s+(?:respuesta|resposta|risposta"
    r"|réponse|antwort)|(?:этот\s+)?ответ)\s*+(?:(?:es|está|é|è|ist|war|est|era|aber"
    r"|leider)\s+){0,2}"
    r"(?:incorrect\w*|falsch|fals[oa]|fausse|faux|errad[oa]|sbagliat[oa]|equivocad[oa]"
    r"|(?:неверн|неправильн|ошибочн)\p{L}*)\b"
    r"|\b(?:me\s+equivo\w+|je\s+me\s+suis\s+trompé|ich\s+habe\s+mich\s+(?:geirrt|verrechnet|vertan)"
    r"|me\s+enganei|errei|mi\s+sono\s+sbagliat[oa]|я\s+ошиб\p{L}*)\b|틀렸|(?:गलत|ग़लत)\s+(?:है|था"
    r"|थी))",
    regex.IGNORECASE,
)


def takes_back(rest: str) -> bool:
    """Whether what follows an answer says in another language that it is wrong."""
    has = rest.lower().__contains__
    return any(map(has, _WRONG_WORDS)) and _TAKES_BACK.search(rest) is not None


def corrects(rest: str, own: Set[str]) -> bool:
    """Whether what follows an answer corrects it in another language than English.

    Args:
        rest: the text behind the answer.
        own: the numbers of the answer, without commas between thousands.
    """
    if all(number.replace(",", "") in own for number in _NUMBERS.findall(rest)):
        return False
    parts = _CORRECTING_LATIN if rest.isascii() else _CORRECTING_PARTS
    if not any(map(rest.lower().__contains__, parts)):
        return False
    for correction in (*_CORRECTS.finditer(rest), *_NOT_BUT.finditer(rest)):
        said = correction["said"].rpartition("=")[2]
        if any(number.replace(",", "") not in own for number in _NUMBERS.findall(said)):
            return True
    return False
