"""The digits of other scripts, and the languages that use them."""

import pytest

from formatlab.world.formats.plain_text import latin_digits


@pytest.mark.parametrize(
    ("text", "latin"),
    [
        ("الجواب هو ١٨.", "الجواب هو 18."),
        ("الجواب هو ٣٫٥ و ١٬٢٣٤", "الجواب هو 3.5 و 1,234"),
        ("جواب ۱۸ است", "جواب 18 است"),
        ("उत्तर १८ है", "उत्तर 18 है"),
        ("คำตอบคือ ๑๘", "คำตอบคือ 18"),
        ("答案是１８。", "答案是18。"),
        ("答えは１８です", "答えは18です"),
    ],
)
def test_digits_of_a_script_are_read_beside_its_letters(text: str, latin: str) -> None:
    assert latin_digits(text) == latin
    assert len(latin) == len(text)


@pytest.mark.parametrize(
    "text", ["The answer is ١٨.", "१८", "答案是١٨。", "𝟏𝟖 答案", "⑱ 答", "x² 答"]
)
def test_digits_without_a_language_that_uses_them_stay(text: str) -> None:
    assert latin_digits(text) == text
