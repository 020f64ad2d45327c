"""Answers with a range around them, or a word behind them that multiplies them."""

import pytest

from formatlab.observe.grader import grade


@pytest.mark.parametrize(
    ("text", "gold"),
    [
        ("The answer is 18 dozen eggs.", "216"),
        ("They need 18 dozen. The answer is 216.", "216"),
        ('{"answer": "It is 18 dozen in all, I think."}', "216"),
        ("def f():\n    return 'we need 18 dozen eggs'", "216"),
        ("The answer is 15 (approximately 14.9).", "15"),
        ("The answer is 15 (rounded from 14.6).", "15"),
        ("The answer is 15 (the only one between 14 and 16).", "15"),
        ("The answer is 15 apples (3 for each of 5 friends).", "15"),
        ("\\boxed{15} (that is 5 times 3)", "15"),
    ],
)
def test_one_answer_is_paid(text: str, gold: str) -> None:
    seen = grade(text, gold)
    assert seen.correct and seen.flexible_correct, seen


@pytest.mark.parametrize(
    "text",
    [
        "The answer is 18 dozen.",
        "So she needs 18 dozen eggs.",
        "18 dozen",
        "\\boxed{18 \\text{ dozen}}",
        '{"answer": "It is 18 dozen in all, I think."}',
        "print('we need 18 dozen eggs')",
        "The answer is 18k.",
        "The answer is 18 hundred.",
        "The answer is 18 (approximately 17 to 19).",
        "The answer is 18 (roughly 17-19).",
        "The answer is 18, about 17 or 19.",
        "The answer is 18 apples (somewhere from 17 to 19).",
        "The answer is 18 (range: 17 to 19).",
        "The answer is 18 (17 to 19).",
        "The answer is 18 (give or take 1).",
        "The answer is 18 (could be 19).",
        "The answer is 18 (it might also be 19).",
        "The answer is 18 (±1).",
        "#### 18 (estimated 17–19)",
        "\\boxed{18} (approximately 17 to 19)",
        "\\boxed{18} (17 to 19)",
        "\\boxed{18} [or 19]",
        "\\boxed{18} – roughly 17 to 19",
        "\\boxed{18} (±1)",
        '{"answer": 18}\nNo, it should be 38.',
    ],
)
def test_a_range_or_a_multiple_is_not_paid(text: str) -> None:
    seen = grade(text, "18")
    assert not seen.correct and not seen.flexible_correct, seen
    assert seen.reason
