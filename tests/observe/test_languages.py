"""Answers in other languages than English."""

import pytest

from formatlab.observe.grader import grade


@pytest.mark.parametrize(
    ("text", "gold"),
    [
        ("Die Antwort lautet 21.", "21"),
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
