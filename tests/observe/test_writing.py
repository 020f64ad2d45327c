"""The script of a text, and texts in two."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formatlab.observe.writing import SCRIPTS, Writing, script_shares, writing


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("She has 2 and gets 3. The answer is 5.", "latin"),
        ("Câu trả lời là 5.", "latin"),
        ("π is about 3.14, and ∑ is a sum — “so it is”.", "latin"),
        ("5", ""),
        ("5 €", ""),
        ("", ""),
        ("她有2个,又得到3个。答案是5。", "cjk"),
        (r"因此 $\frac{x}{2} = \text{5}$, 所以 \boxed{10}。", "cjk"),
        ("<think>二加三等于五。</think>\n<answer>5</answer>", "cjk"),
        ("りんごは全部で5個です。", "cjk"),
        ("사과는 모두 5개입니다.", "hangul"),
        ("Всего у неё 5 яблок. Ответ: 5", "cyrillic"),
        ("الجواب هو 5.", "arabic"),
        ("उत्तर 5 है।", "devanagari"),
        ("คำตอบคือ 5", "thai"),
        ("\u1200\u1208\u1210 5", "ethiopic"),
        ("\u1780\u1781\u1782 5", "other"),
    ],
)
def test_the_script_is_that_of_the_words(text: str, script: str):
    assert writing(text) == Writing(script)


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("First we add the two numbers, 然后我们乘以三，得到答案。 The answer is 15.", "latin"),
        ("我们先把两个数相加，然后 multiply the result by three，最后得到十五。", "cjk"),
        ("Сначала сложим, then we multiply by three.", "latin"),
    ],
)
def test_two_scripts_that_share_a_text_are_told(text: str, script: str):
    assert writing(text) == Writing(script, mixed=True)


@given(st.text(max_size=200))
def test_the_shares_of_any_text_sum_to_one(text: str):
    shares = script_shares(text)
    assert not shares or sum(shares.values()) == pytest.approx(1)
    assert set(shares) <= {*SCRIPTS, "other"}
    assert writing(text).script in {*SCRIPTS, "other", ""}
