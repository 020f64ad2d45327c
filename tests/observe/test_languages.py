"""Answers in other languages than English."""

import pytest

from formatlab.observe.grader import grade


@pytest.mark.parametrize(
    ("text", "gold"),
    [
        ("Die Antwort lautet 21.", "21"),
        ("Ответ — 21.", "21"),
        ("Jibu ni 21.", "21"),
        ("సమాధానం 21.", "21"),
        ("正解は21です。", "21"),
        ("Die Antwort ist 37 Euro, mehr hat sie nicht.", "37"),
        ("La réponse finale est 37.", "37"),
        ("Odpowiedź to 37.", "37"),
        ("Đáp án là 21.", "21"),
        ("Jawabannya adalah 37.", "37"),
        ("คำตอบคือ ๓๗", "37"),
        ("उत्तर २१ है।", "21"),
        ("উত্তর হল ২১।", "21"),
        ("【答案】21", "21"),
        ("答案应该是37。", "37"),
        ("答案是:小明的年龄是37岁。", "37"),
        ("答案是负5。", "-5"),
    ],
)
def test_what_is_stated_is_paid(text: str, gold: str) -> None:
    seen = grade(text, gold)
    assert seen.correct and seen.flexible_correct, seen


@pytest.mark.parametrize(
    "text",
    [
        "Die Antwort ist nicht 18.",
        "La réponse est supérieure à 18.",
        "Jibu si 18.",
        "Die Antwort ist die Hälfte von 18.",
        "La respuesta es menos de 18.",
        "La réponse est 18 ou 20.",
        "La risposta non è 18.",
        "No creo que la respuesta es 18.",
        "Ответ: не 18",
        "Ответ: больше 18",
        "Đáp án không phải là 18.",
        "答案是负18。",
        "答案是18的一半。",
        "答えは18ではありません。",
        "정답은 18이 아닙니다.",
        "الجواب ليس 18",
        "उत्तर १८ नहीं है।",
    ],
)
def test_what_commits_to_no_18_is_not_paid(text: str) -> None:
    seen = grade(text, "18")
    assert not seen.correct and not seen.flexible_correct, seen


STATEMENTS = (
    *("The answer is 18.", "La respuesta es 18.", "Die Antwort ist 18.", "La réponse est 18."),
    *(
        "Ответ: 18.",
        "答えは18です。",
        "정답은 18입니다.",
        "#### 18\n",
        "\\boxed{18}.",
        '{"answer": 18}\n',
    ),
)
CORRECTIONS = [
    *("Mejor dicho, 38.", "No, son 38.", "Perdón, es 38.", "Quise decir 38.", "Espera, es 38."),
    *("Corrección: 38", "Me equivoqué, son 38.", "No 18, sino 38."),
    *("Nein, 38.", "Besser gesagt 38.", "Entschuldigung, es sind 38.", "Ich meine 38."),
    *("Korrektur: 38", "Falsch, es sind 38.", "Nicht 18, sondern 38.", "Moment, es sind 38."),
    *("Non, 38.", "Pardon, c'est 38.", "Plutôt 38.", "Je veux dire 38.", "Attends, c'est 38."),
    *("Não, 38.", "Ou melhor, 38.", "Desculpe, é 38.", "Correção: 38", "Quer dizer, 38."),
    *("Anzi, 38.", "No, anzi 38.", "Scusa, sono 38.", "Volevo dire 38.", "Correzione: 38"),
    *("Не 40, а 38.", "Не 18, а 38.", "Нет, 38.", "Вернее, 38.", "Извините, 38.", "Ошибся: 38"),
    *("Нет, 20 + 18 = 38.", "Исправление: 38"),
    *("いや、38。", "いや、38です。", "違います、38です。", "すみません、38です。", "訂正：38"),
    *("18ではなく38です。", "아니, 38.", "아니요, 38입니다.", "죄송합니다, 38입니다.", "정정: 38"),
    *("18이 아니라 38입니다.", "नहीं, 38।", "माफ़ कीजिए, 38.", "18 नहीं बल्कि 38।", "सुधार: 38"),
    *("不，是38。", "更正：38", "抱歉，应该是38。", "不是18，而是38。", "Nee, 38.", "Nej, 38."),
    *("Nie, 38.", "Hayır, 38.", "Không, 38.", "لا، 38."),
]


@pytest.mark.parametrize("correction", CORRECTIONS)
def test_an_answer_that_is_corrected_in_any_language_is_not_paid(correction: str) -> None:
    for statement in STATEMENTS:
        seen = grade(f"{statement} {correction}", "18")
        assert not seen.correct and not seen.flexible_correct, (statement, seen)


@pytest.mark.parametrize(
    "taken_back",
    [
        *("Eso es incorrecto.", "Me equivoqué.", "Das ist falsch.", "Ich habe mich verrechnet."),
        *("C’est faux.", "Je me suis trompé.", "Isso está errado.", "Questo è sbagliato."),
        *("Это неверно.", "Я ошибся.", "틀렸어요.", "यह गलत है।", "間違えました。"),
    ],
)
def test_an_answer_that_is_taken_back_in_any_language_is_not_paid(taken_back: str) -> None:
    for statement in STATEMENTS:
        seen = grade(f"{statement} {taken_back}", "18")
        assert not seen.correct and not seen.flexible_correct, (statement, seen)


@pytest.mark.parametrize(
    "text",
    [
        "La respuesta es 18. No quedan 20.",
        "La respuesta es 18, no 20.",
        "La respuesta es 18. Verificación: 20 - 2 = 18.",
        "La respuesta es 18. Espera, comprobemos: 20 - 2 = 18.",
        "Die Antwort ist 18. Moment mal, prüfen wir: 20 - 2 = 18.",
        "Die Antwort lautet 18. Das ist richtig, denn 20 - 2 = 18.",
        "Die Antwort ist 18. Nein, weniger sind es nicht.",
        "La réponse est 18. Non pas 20.",
        "La réponse est 18. Vérifions : 20 - 2 = 18, c'est correct.",
        "La risposta è 18. Non ne restano 20.",
        "A resposta é 18. Ou seja, 20 menos 2.",
        "Ответ: 18. Не 20, а 18.",
        "Ответ: 18. У него нет 20 яблок.",
        "Ответ: 18. Проверка: 20 - 2 = 18.",
        "答えは18です。20 - 2 = 18。",
        "正解です。答えは18です。",
        "정답은 18입니다. 20에서 2를 뺍니다.",
        "उत्तर 18 है। 20 - 2 = 18.",
        "答案是18。验证：20-2=18，正确。",
        "The answer is 18. None of the 20 others count.",
        "The answer is 18. Attending are 20 people, who do not matter here",
        "The answer is 18. Falsche Wege: 3.",
    ],
)
def test_what_follows_an_answer_without_correcting_it_leaves_it(text: str) -> None:
    assert grade(text, "18").correct
