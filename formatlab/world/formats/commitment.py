r"""Whether a text stands by an answer, or denies, bounds, hedges, alters it or takes it back.

Every answer that a text commits to has to agree. `The answer is not 18`, `at most 18`, `x < 18`,
`18 or 20`, `perhaps 18`, `half of 18` and `18. Wait, that is wrong.` commit to nothing.
"""

import re
from collections.abc import Sequence
from fractions import Fraction

import regex

from formatlab.world.formats.format import Missing, Reading
from formatlab.world.formats.languages import corrects, takes_back
from formatlab.world.formats.limits import SCALE

_NEAR = 100
"""Characters before and after an answer that are looked at."""

_FAR = 2_000
"""Characters behind the last answer in which it may be taken back."""

_LINKS = (
    r"(?:[\s*_`\"\N{LEFT DOUBLE QUOTATION MARK}\N{LEFT SINGLE QUOTATION MARK}'(\[{}:=~$]"
    r"|\\(?:\(|\[|text\w*|math\w*|quad|,)|\b(?:be|been|being|equals?|to|exactly|the|an?|really"
    r"|quite"
    r"|necessarily|actually|even|answers?|value|result|number|it|is|was|are|as|just|ever|say|said"
    r"|would|will|could|can|called|get|have|know[ns]?|what|sure|certain|if|whether|that|this|simply"
    r"|always|true|case|correct|right|final|[a-z])\b){0,12}\Z"
)
"""What may stand between a denial and the answer that it denies."""

_DENIES = (
    r"(?:\bnot(?!\s+only\b)|n['\N{RIGHT SINGLE QUOTATION MARK}]t|\b(?:never|cannot|nor|neither|none"
    r"|nobody|no\s+(?:one|idea|longer|way)|(?:by|under|in)\s+no\s+(?:means|circumstances?|way"
    r"|case)|nothing(?:\s+like)?|hardly|barely|scarcely|far\s+from|nowhere\s+near|(?:other"
    r"|rather)\s+than|instead\s+of|except"
    r"|excluding|unless|(?:anything|everything|nothing|all)\s+but|differ(?:s|ent)\s+from|doubt\w*"
    r"|wrong|incorrect|false|mistaken|unsure|unclear|impossible|unlikely|(?:mistake"
    r"|error)\s+(?:is|was|would\s+be)))\b"
)
_BOUNDS = (
    r"(?:\b(?:(?:less|more|fewer|greater|larger|smaller|higher|lower|bigger)\s+than"
    r"(?:\s+or\s+equal\s+to)?|(?:close|closer|near|nearer)\s+to|at\s+(?:the\s+)?(?:very\s+)?"
    r"(?:least|most)|up\s+to|exceed(?:s|ing)?"
    r"|as\s+(?:low|high|little|few|many|much|small|large)\s+as|(?:capped|limited)\s+(?:at|to)"
    r"|(?:below|above|under|beyond)(?!\s+(?:is|are|was|were)\b))\b"
    r"|[≤≥≠≮≯⩽⩾±∓¬√]|<=|>=|(?<![\d)}])!=|<|(?<![-=]|<[^<>]{0,20})>"
    r"|\\(?:neg?|lnot|not|pm|mp|neq|leq?|leqslant|geq?|geqslant|lt|gt)(?![A-Za-z]))"
)
_HEDGES = (
    r"\b(?:almost|nearly|not\s+quite|perhaps|maybe|possibly|might|may\s+be|could\s+be|can\s+be"
    r"|supposedly|allegedly|(?:said|thought|claimed|believed|rumou?red)\s+to\s+be)\b"
)
_ALTERS = (
    r"(?:\b(?:half|thirds?|quarters?|fourth|fifth|tenth|per\s?cent|double|multiples?|factors?"
    r"|divisors?|roots?|squared?|cubed?|logarithm|log|sine|cosine|reciprocal|inverse|negative"
    r"|opposite|negation|complement|factorial|powers?|digits?)\s+(?:of|to)|%\s+of|\d\s+of"
    r"|\b(?:half|twice|double|triple"
    r"|thrice|times|plus|minus|negative|(?:multiplied|divided|divisible)\s+by|divides|modulo"
    r"|mod))\b"
    r"|\\(?:log|ln|sin|cos|tan|sqrt)(?![A-Za-z])(?![^=]*=)"
)
_BEFORE = regex.compile(
    # in reverse, so that it begins at the answer and does not try every word before it
    rf"(?r)(?:{_DENIES}|{_BOUNDS}|{_HEDGES}|{_ALTERS}){_LINKS}",
    regex.IGNORECASE,
)

_BEFORE_WORDS = frozenset(
    "not t never cannot nor neither none nobody no nothing hardly barely scarcely far nowhere "
    "than instead except excluding unless but differ differs different wrong incorrect false "
    "mistaken unsure unclear mistake error close closer near nearer least most up exceed "
    "exceeds exceeding below above under beyond ! < > ≤ ≥ ≠ ≮ ≯ ⩽ ⩾ ± ∓ ¬ √ ne neg lnot pm mp "
    "neq le leq leqslant ge geq geqslant lt gt almost nearly perhaps maybe possibly might may "
    "could can half third thirds quarter quarters fourth fifth tenth cent percent double "
    "multiple multiples factor factors divisor divisors root roots square squared cube cubed "
    "logarithm log sine cosine reciprocal inverse negative opposite negation complement "
    "factorial power powers digit digits % twice triple thrice times plus minus multiplied "
    "divided divisible divides modulo mod ln sin cos tan sqrt impossible unlikely supposedly "
    "allegedly said thought claimed believed rumored rumoured low high little few many much "
    "small large capped limited".split()
)
"""Words and signs of which every match of `_BEFORE` has one, but for `doubtful` and `3 of`."""
_TOKENS = re.compile(r"[a-z]+|[^\s\w]")
_ENDS = re.compile(r"[.?)\d]")
"""What no link is, and nothing that denies, bounds, hedges or alters ends in."""

_BARE = regex.compile(
    r"(?r)(?:\A|[.!?\n])[\s*#]*+(?:(?:so|thus|hence|therefore),?\s+)?(?:(?:the|my|our)\s+)?"
    r"(?:(?:final|correct)\s+)?answer[\s*]*+(?:is)?[\s*:$]*+\Z"
    r"|(?:\A|\n)(?:####|[ \t*#>]*+(?:(?:final\s)?answer|ans|a)[ \t*]*+:)[\s$*]*+\Z",
    regex.IGNORECASE,
)
"""The beginning of most sentences that state an answer; it alters nothing, and is seen quickly."""

_RANGE = (
    r"(?:approximately|approx\.?|roughly|about|around|circa|ca\.|[~≈]|\\approx\b|estimated?|within"
    r"|rang(?:es?|ing)|somewhere|anywhere)[^()\[\]\n]{0,30}?\d[\d.,]*+"
    r"\s*(?:to|or|and|[-–—]|\.\.+)\s*\\?\$?\d"
    r"|(?<=[(\[]\s?)\$?\d[\d.,]*+\s*(?:to|or|[–—])\s*\$?\d[\d.,]*+\s*[)\]]"
    r"|(?:it\s+|this\s+|but\s+)?(?:could|may|might|can)\s+(?:(?:also|even|well|as|just|equally)\s+)"
    r"{0,3}be\s+[-$\\({]*\d"
    r"|[±∓]|\\(?:pm|mp)(?![A-Za-z])|\+/?-|give\s+or\s+take\b"
)
"""A range around an answer, in words or brackets."""

_CLOSING = regex.compile(
    r"(?:[\s$*_`\"\N{RIGHT DOUBLE QUOTATION MARK}\N{RIGHT SINGLE QUOTATION MARK})\]}]|\\[)\]])*+"
)
_CLOSING_MARKS = " \t\n.$*_`\\()[]{}"
"""What may follow an answer, and says nothing of it."""
_DIGIT = re.compile(r"\d")

_MAYBE = r"(?:maybe|perhaps|possibly|probably|even|else|not|is\s+it|it\s+is)"
_AFTER = regex.compile(
    r"(?:\.{2,}|…|\\(?:pm|mp)(?![A-Za-z])|[±∓]"
    # a unit of up to three words, none of which begins one of the phrases below
    r"|(?:(?!(?:or|and|at|is|was|are|were|isn|can|cannot|wasn|aren|not|perhaps|maybe|possibly"
    r"|otherwise"
    r"|unless|else|alternatively|approximately|roughly|somewhere|anywhere|give|just|times|plus"
    r"|minus|multiplied|divided|squared|cubed|factorial|though"
    r"|although|but|however|when|increased|decreased|reduced|raised|lowered|reversed|backwards?"
    r"|repeating|upside\s+down"
    r"|in\s+reverse|with\s+(?:(?:the|its)\s+digits|an?\s+(?:error|margin"
    r"|uncertainty)))\b)\p{L}[\p{L}'-]*+\s*+){0,3}+"
    r"(?:[,;(\[]|[-–—]\s)?\s*+"
    rf"(?:{_RANGE}|(?:or|and)\s+(?:{_MAYBE}\s+)*+(?:more|less|fewer|so|greater|larger|smaller"
    r"|higher|lower|above"
    r"|below|over|under|up|another|something|some\s+other)\b"
    rf"|or\s+(?:{_MAYBE}\s+)*+[-$\\(\[{{]*+(?:boxed\{{)?\d|or\s+{_MAYBE}\b"
    r"|at\s+(?:the\s+)?(?:very\s+)?(?:most|least)\b"
    r"|and\s+change\b|with\s+an?\s+(?:error|margin|uncertainty)\b"
    r"|(?:perhaps|maybe|possibly|otherwise|unless|alternatively|(?:i\s+(?:was|am)\s+)?(?:just\s+"
    r"|only\s+)?(?:joking|kidding))\b"
    r"|(?:or\s+)?else\b[^.\n]{0,60}\d"
    r"|(?:though|although|but|however)\b[^.\n]{0,60}\b(?:possibl[ey]|could|might|may|also|too"
    r"|as\s+well"
    r"|perhaps|maybe|wrong|not\s+sure)\b"
    r"|times\s+(?:[-$(\\\d]|an?\b|the\b|as\b|two|three|four|five|that)"
    r"|(?:plus|minus|(?:multiplied|divided|increased|decreased|reduced|raised|lowered)\s+by"
    r"|squared|cubed|factorial)\b"
    r"|(?:with\s+(?:the|its)\s+digits|in\s+reverse|reversed|backwards?|upside\s+down|repeating)\b"
    r"|(?:is|was|are|were)\s+(?:wrong|incorrect|false|impossible|excluded)\b)"
    r"|(?:is|was|are|were)\s+(?:not|too)\b|(?:is|ca|was|are)n['\N{RIGHT SINGLE QUOTATION MARK}]t\b"
    r"|cannot\b|(?:\p{L}[\p{L}'-]*+\s*+){0,3}?[,;(]\s*+not\b(?!\s+[-$\\]*+\d)"
    r"|not\b|(?:before|at\s+first|originally|previously)[,.;])",
    regex.IGNORECASE,
)

_AFTER_WORDS = frozenset(
    "… ± ∓ pm mp or and least most first perhaps maybe possibly otherwise unless "
    "alternatively just joking kidding else though although but however times plus minus "
    "multiplied divided squared cubed factorial digits reverse reversed backward backwards "
    "upside repeating is was are were t cannot not before originally previously approximately "
    "approx roughly about around circa ca ~ ≈ estimate estimated within range ranges ranging "
    "somewhere anywhere to – — + may might can could give increased decreased reduced raised "
    "lowered change error margin uncertainty".split()
)
"""Words and signs of which every match of `_AFTER` has one before its first full stop, but for
dots."""

_TAKES_BACK = regex.compile(
    r"(?:(?:^|[.!?;,:\n。]|\b(?:but|oh|and|well|actually|hmm+|wait|no|sorry))\s*+[*_(\"]*+)"
    r"(?:(?:wait|hmm+|hold\s+on|actually|oh)\b[\s,.!…-]*+"
    r"(?:\Z|[^\n]{0,80}?\b(?:wrong|no|not|incorrect|mistaken?|misread|error|should|instead|sorry"
    r"|might|different)\b"
    r"|[^\n]{0,80}?n['\N{RIGHT SINGLE QUOTATION MARK}]t\b)"
    r"|no[,.!]|no\s+wait|nope\b|oops\b|sorry\b|scratch\s+that|never\s?mind|correction\b"
    r"|(?:i\s+(?:was|am)\s+)?(?:just\s+|only\s+)?(?:kidding|joking)\b"
    r"|(?:please\s+)?(?:ignore|disregard|forget)\s+(?:that|this|it|what|the\s+above|my)\b"
    r"|let\s+me\s+(?:redo|recalculate|recompute|correct|fix|reconsider|rethink|start\s+over"
    r"|try\s+again)"
    r"|on\s+second\s+thought"
    r"|i\s+(?:made\s+an?\s+(?:\w+\s+)?(?:mistake|error)|misread|miscalculated|miscounted"
    r"|messed\s+up"
    r"|(?:was|am)\s+(?:wrong|mistaken|not\s+sure|unsure)|take\s+(?:it|that|this)\s+back"
    r"|do\s+not\s+(?:know|think\s+so)|don['\N{RIGHT SINGLE QUOTATION MARK}]t\s+(?:know|think\s+so))"
    r"|i['\N{RIGHT SINGLE QUOTATION MARK}]m\s+(?:wrong|mistaken|not\s+sure|unsure)"
    r"|(?:that|this|it|which|(?:the|my)\s+(?:answer|result))(?:\s+above)?(?:"
    r"(?:['\N{RIGHT SINGLE QUOTATION MARK}]s|\s+(?:is|was|must\s+be|seems|looks))\s+"
    r"(?:clearly\s+|obviously\s+|of\s+course\s+)?(?:wrong|incorrect|false|an?\s+mistake"
    r"|impossible(?!\s+(?:because|since|as|for|to)\b)"
    r"|mistaken|nonsense|not\s+(?:right|correct|possible|true))"
    r"|\s+(?:(?:is|was|ca)n['\N{RIGHT SINGLE QUOTATION MARK}]t|cannot)\s+(?:be\s+)?"
    r"(?:right|correct|possible|true))\b)",
    regex.IGNORECASE,
)
"""What takes back the answer that stands before it."""

_BACK_WORDS = frozenset(
    "wait hold actually oh no nope oops sorry scratch never nevermind kidding joking "
    "correction thought ignore disregard forget let mistake error misread miscalculated "
    "miscounted messed wrong mistaken unsure back know think incorrect false impossible "
    "nonsense not t cannot m".split()
)
"""Words of which a text that takes an answer back has one, but for `hmm`."""

_QUOTE = "['\N{RIGHT SINGLE QUOTATION MARK}]"
_NOT = rf"(?:\s+not|n{_QUOTE}t)"
_OPENS = (
    r"(?:^|[.!?;:,\n])[\s*_($)\]\"]*+(?:(?:but|and|however|so|thus|therefore|hence"
    r"|unfortunately|also"
    r"|note(?:\s+that)?|well|hmm+|oh|actually|(?:up)?on\s+(?:checking|reflection|second\s+thought)"
    r"|looking\s+back|i\s+(?:think|fear|reali[sz]ed?)(?:\s+that)?"
    r"|it\s+(?:seems|appears|looks\s+like)(?:\s+that)?)[\s,:.]++)*+"
)
_IT = (
    r"(?:it|that|this|something|\$?-?\d[\d,.]{0,20}|(?:(?:the|my|this|that)\s+)?(?:above"
    r"|previous|last|earlier)?\s*"
    r"(?:answer|result|value|number|solution|calculation|reasoning|above))(?:\s+above)?"
)
_SEEMS = (
    rf"(?:{_QUOTE}s|\s+(?:is|was|(?:must|would|might|may|could)\s+be|seems|looks|feels|sounds))"
)
_AGAIN = (
    r"(?:re-?(?:count|calculate|compute|do|check|read|consider|think|visit|examine|evaluate"
    r"|start)\b"
    r"|start\s+over\b|(?:try|think(?:\s+about\s+(?:it|this|that))?)\s+again\b|(?:fix"
    r"|correct)\s+(?:this|that|it|my|the)\b)"
)
_DOUBTS = regex.compile(
    rf"{_OPENS}(?:"
    # reconsidered, without a word that it is right
    r"(?:wait|hold\s+on|hang\s+on)\b(?!.{0,200}?\b(?:yes|correct|right|confirm\w*|verif\w*|check"
    r"|make\s+sure|good|makes?\s+sense|holds|okay|ok|fine|consistent)\b)"
    # said to be wrong, or no more than a guess
    rf"|{_IT}(?:\s+(?:contradicts?|violates?|fails|contains?\s+an?\s+(?:error|mistake)"
    r"|ignores|neglects|omits|forgets|excludes)"
    rf"|{_SEEMS}\s+(?:(?:clearly|far|way|a\s+bit|just|only)\s+)*(?:wrong|incorrect|invalid"
    rf"|mistaken|off"
    r"|absurd|nonsense|an?\s+(?:mistake|error|guess)|too\s+(?:many|few|much|high|low|big|small"
    r"|large)"
    r"|not\s+(?:(?:the|my)\s+)?(?:(?:final|right|correct|actual)\s+)?"
    r"(?:answer|right|correct|possible|valid|plausible|reasonable))"
    rf"|\s+(?:does|do|is|was){_NOT}\s+(?:satisfy|match|work|make\s+sense|add\s+up|hold|fit"
    r"|(?:seem|look)\s+right|right|correct|one\s+of|among)"
    rf"|\s+can(?:not|{_QUOTE}t)\s+be\s+(?:it|so|right|correct|true|possible))\b"
    r"|the\s+(?:correct|right|true|real|actual)\s+(?:value|answer|result|number)\s+(?:should"
    r"|must|has\s+to"
    r"|might|would)\b"
    r"|(?:there|i)\s+(?:(?:is|must|seems|to|be|have|probably|may|might|think|made)\s+)*an?\s+"
    r"(?:\w+\s+)?(?:mistake|error)\b"
    rf"|(?:i{_QUOTE}m|i\s+am)\s+(?:sorry|(?:not\s+(?:\w+\s+)?(?:sure|confident|certain)))\b"
    r"|(?<=\b(?:but|however)[\s,]{1,3})the\s+(?:problem|question)\s+(?:asks|says|wants|states)\b"
    # taken back
    r"|(?:strike\s+that|not\s+quite|my\s+(?:bad|mistake|error)|(?:my\s+)?apologies)\b"
    r"|(?:please\s+)?(?:ignore|disregard|forget)\s+(?:the|my)\b"
    r"|(?:please\s+)?do(?:\s+not|n['\N{RIGHT SINGLE QUOTATION MARK}]t)\s+(?:trust|take|rely\s+on)\b"
    r"|i\s+(?:(?:have|may\s+have|must\s+have)\s+)?(?:retract|withdraw|disagree|missed|misread"
    r"|miscounted"
    rf"|miscalculated|misunderstood|swapped|should\s+have|do{_NOT}\s+(?:trust|believe)"
    rf"|can(?:not|{_QUOTE}t)\s+(?:verify|solve))\b"
    # not done yet
    r"|(?:we|i)\s+(?:(?:still|also)\s+)?(?:need|have)\s+to\s+(?:double(?!-)|halve|add|subtract"
    r"|multiply"
    r"|divide|include|account|adjust)\b"
    rf"|(?:(?:we|i)\s+(?:(?:still|also)\s+)?(?:(?:need|have)\s+to|should|must)|let(?:\s+me"
    rf"|\s+us|{_QUOTE}s))"
    rf"\s+{_AGAIN}(?!.{{0,200}}?\b(?:yes|correct|right|confirm\w*|same|good|holds|consistent)\b)"
    rf"|[^.!?\n]{{0,80}}\b(?:i|we)\s+(?:forgot|overlooked|(?:did|have){_NOT}\s+(?:yet\s+)?"
    r"(?:subtract|add|include|count|consider|account|us)(?:ed|d)?)\b)",
    regex.IGNORECASE | regex.DOTALL,
)
"""A sentence soon behind an answer that takes it back; further on it speaks of something else."""
_SOON = 200
"""Characters behind an answer in which such a sentence counts."""
_DOUBT_WORDS = frozenset(
    "wait hold hang contradict contradicts violate violates fails wrong incorrect invalid mistaken "
    "too not t error mistake strike apologies sorry ignore disregard forget retract withdraw off "
    "disagree forgot overlooked missed misread need have try let start guess bad ignores neglects "
    "omits forgets excludes cannot absurd nonsense miscounted miscalculated misunderstood swapped "
    "problem question should must might would has".split()
)
"""Words of which such a sentence has one."""

_TAKES_BACK_HAN = regex.compile(r"不对|错了|有误|等等|不正确|搞错|算错|间违|間違")

_OFFERS = regex.compile(
    r"(?:^|[.!?;:\n。])\s*+[*_(]*+(?:but\s+|and\s+|though\s+|or\s+)?(?:"
    r"(?:or|if\s+(?:not|so)|either\s+that\s+or|alternatively|else|maybe|perhaps|possibly"
    r"|otherwise|actually)\b"
    r"|(?:it|this|that|the\s+answer)\s+(?:could|may|might|can|(?:should|must)\s+be)\b"
    r"(?!['\N{RIGHT SINGLE QUOTATION MARK}]t|\s+(?:not|never|only)\b)"
    r"|(?:(?:but|however|though|although|yet|still|then\s+again),?\s+)?"
    r"(?=[$\\]{0,2}-?\d[\d.,]{0,30}\s{1,2}(?:\w{1,20}\s)?(?:(?:is|are|was|were|would|could|might"
    r"|may|can|seems|looks)\b"
    r"(?!\s+(?:not|never)\b)[^.!?\n]{0,40}?\b(?:also|too|possible|plausible|likely|valid|acceptable"
    r"|another|alternative|better|be\s+(?:right|correct|it)|as\s+well)|(?:works|fits)\s+(?:too"
    r"|also|as\s+well))\b)"
    r"|(?:the|my)\s+(?:true|correct|corrected|right|real|actual)\s+(?:value|answer|result|number)\b"
    r"|(?:(?:just\s+)?to\s+be\s+(?:safe|sure),?\s+)?i\s+(?:(?:will|would)\s+)?also\s+"
    r"(?:list|give|offer|add|write|put|say|accept)\b"
    r"|(?:another|a\s+different|a\s+second|the\s+other)\s+(?:possib\w+|possible|answer|option"
    r"|solution|candidate|value|result)\b)(?P<offer>[^.!?\n]{0,80}\d[^\n.!?]{0,60})",
    regex.IGNORECASE,
)
"""A sentence that offers an answer beside the one before it."""

_OFFER_WORDS = (
    *("or ", "or\n", "else", "alternativ", "maybe", "perhaps", "possib", "otherwise", "actually"),
    *("could", "may", "might", "can", "should", "must", "another", "different", "second", "other"),
    *("true", "correct", "right", "real", "actual", "also", " too", "as well"),
    *("plausible", "likely", "valid", "acceptable", "better", "either", "if not", "if so"),
)
"""Words of which a text that offers another answer has one."""

_CORRECTING_WORDS = (
    *("wait", "hmm", "oh", "no", "actually", "correction", "sorry", "rather", "i mean", "make "),
)
"""Words of which a text that corrects itself has one."""
_CORRECTS = regex.compile(
    r"(?:^|[.!?,;:\n。]|\s[-–—]+)\s*+[*_(]*+(?:(?:wait|hmm+|oh|nope|actually|correction|sorry"
    r"|or\s+rather"
    r"|i\s+mean|make\s+(?:that|it))\b|no(?=\s*[,.:!…–—-]))[\s,.:!…–—-]*+"
    r"(?:(?:wait|no|actually|sorry|it|that|is|should|be|the|answer|correct|right|i|mean|rather)"
    r"(?:['\N{RIGHT SINGLE QUOTATION MARK}]s)?\b[\s,.:!…–—-]*+){0,8}+[$\\(\[{]*+(?:boxed\{)?"
    r"(?P<offer>-?\d(?:[\d,]*\d)?(?:\.\d+)?)(?![\d,.]*\d|\s*[-+*/=×÷^])",
    regex.IGNORECASE,
)
"""A word that corrects, with the other answer directly behind it: `Hmm, actually 20.`"""

_NUMBER = regex.compile(r"-?\d(?:[\d,]*\d)?(?:\.\d+)?")
_RATIO = regex.compile(rf"{_NUMBER.pattern}(?:\s?/\s?0*[1-9]\d{{0,20}})?")


_INTEGER = regex.compile(
    r"(?P<sign>[-\u2212]?)\\?[$€£]?(?P<digits>\d{1,3}(?:,\d{3})+|\d{1,40})(?:\.0*)?"
    rf"(?:\s+(?!and\s+\d|\d|{SCALE})\p{{L}}{{2}}.*|[.$]*)\Z",
    regex.DOTALL,
)
"""An integer, with words behind it that do not multiply it, or without."""


def is_altered(before: str, after: str) -> bool:
    r"""Whether what stands around an answer denies, bounds, hedges or alters it.

    Args:
        before: the text before the answer; its last hundred characters count.
        after: the text after the answer; its first hundred characters count. Where the answer is a
            box, the text behind its closing brace.
    """
    if before and _alters(before[-_NEAR:]):
        return True
    if not after:
        return False
    after = after[:_NEAR]
    closing = _CLOSING.match(after)
    start = closing.end() if closing else 0
    if after[start : start + 1] in ("", ".") and after[start + 1 : start + 2] != ".":
        return False
    said = after[start:].partition(".")[0].lower()
    if said and _AFTER_WORDS.isdisjoint(_TOKENS.findall(said)):
        return False
    return _AFTER.match(after, start) is not None


def _alters(before: str) -> bool:
    """Whether the end of the text before an answer denies, bounds, hedges or alters it."""
    near = _ENDS.split(before)[-1].lower()
    if (
        _BEFORE_WORDS.isdisjoint(_TOKENS.findall(near))
        and "doubt" not in near
        and not near.lstrip().startswith("of")
    ):
        return False
    return not opens_plainly(before) and _BEFORE.match(before) is not None


def opens_plainly(before: str) -> bool:
    """Whether a text ends in the beginning of a sentence that states an answer, and no more."""
    return _BARE.match(before) is not None


def is_taken_back(rest: str) -> bool:
    """Whether what follows the last answer of a text takes it back."""
    if len(rest) < 3 or not rest.strip(_CLOSING_MARKS):
        return False
    rest = rest[:_FAR]
    lower = rest.lower()
    may_take_back = "hmm" in lower or not _BACK_WORDS.isdisjoint(_TOKENS.findall(lower))
    if may_take_back and _TAKES_BACK.search(rest) is not None:
        return True
    may_doubt = not _DOUBT_WORDS.isdisjoint(_TOKENS.findall(lower, 0, _SOON))
    if may_doubt and _DOUBTS.search(rest, 0, _SOON) is not None:
        return True
    if not rest.isascii() and _TAKES_BACK_HAN.search(rest) is not None:
        return True
    return takes_back(rest)


def _has(text: str, words: Sequence[str]) -> bool:
    return any(map(text.lower().__contains__, words))


def offers_another(rest: str, answer: str) -> bool:
    """Whether what follows the last answer of a text offers another one.

    Args:
        rest: the text behind the answer.
        answer: the answer as written, to which a second way of finding it may lead again.
    """
    rest = rest[:_FAR]
    if _DIGIT.search(rest) is None:
        return False
    own = set(map(_value, _RATIO.findall(answer[:_NEAR])))
    if _has(rest, _CORRECTING_WORDS):
        for correction in _CORRECTS.finditer(rest):
            if _value(correction["offer"]) not in own:
                return True
    if corrects(rest, {number.replace(",", "") for number in _NUMBER.findall(answer)}):
        return True
    if not _has(rest, _OFFER_WORDS):
        return False
    for offer in _OFFERS.finditer(rest):
        numbers = _RATIO.findall(offer["offer"].rpartition("=")[2]) or _RATIO.findall(offer[0])
        if numbers and _value(numbers[-1]) not in own:
            return True
    return False


def _value(number: str) -> Fraction:
    over, _, under = regex.sub(r"[,\s]", "", number).partition("/")
    return Fraction(over) / int(under or 1)


def agreed(readings: Sequence[Reading]) -> Reading | Missing:
    """The first of several readings, with those that are written otherwise; they have to agree.

    Integers that differ are ambiguous at once. Whether other answers are the same is for the
    grader to say.
    """
    if len({reading.content for reading in readings}) == 1 and not any(r.also for r in readings):
        return readings[0]
    first, *others = [Reading(content=r.content, code=r.code) for r in readings]
    others += [also for reading in readings for also in reading.also]
    also = {_key(other.content): other for other in reversed(others)}
    own = _key(first.content)
    also.pop(own, None)
    if sum(isinstance(key, int) for key in (own, *also)) > 1:
        return "ambiguous"
    return Reading(content=first.content, code=first.code, also=tuple(reversed(also.values())))


def _key(answer: str) -> int | str:
    """The integer that an answer states, with words behind it or without; else the answer."""
    number = _INTEGER.match(answer.strip())
    if number is None:
        return answer.strip().rstrip(".").replace(" ", "").replace("\\$", "").strip("$")
    return int(number["sign"].replace("\u2212", "-") + number["digits"].replace(",", ""))
