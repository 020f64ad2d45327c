"""Answers that a text lists as several, unknowns with their values, and products left standing."""

import pytest

from formatlab.observe.grader import grade


@pytest.mark.parametrize(
    ("text", "gold"),
    [
        ("The answers are 17, 41, 80", "17, 41, 80"),
        ("The answers are 17, 41, and 80.", "17, 41, 80"),
        ("The answers are: $17$, $41$, $80$.", "\\{17, 41, 80\\}"),
        ("We solve it.\nThe solutions are x = 2 and x = -3.", "2, -3"),
        ("So the solutions to the equation are $\\frac{1}{2}$ and $3$.", "1/2, 3"),
        ("**The answers are 17 and 41.**", "17, 41"),
        ("The solutions are 3 and 5. So the sum is 8.", "8"),
        ("The solutions are 3 and 5.\nThe answer is 8.", "8"),
        ("The solutions are 3 and 5, so \\boxed{8}", "8"),
        ("x = 3, y = 4", "(3,4)"),
        ("So x = 3, y = 4.", "(3,4)"),
        ("The answer is x = 3, y = 4.", "(3,4)"),
        ("#### x = 3, y = 4", "(3,4)"),
        ("Let x = 3, y = 4.\nThen x + y = 7. The answer is 7.", "7"),
        ("The answer is 2 × 3 × 3 × 3 × 13.", "2 × 3 × 3 × 3 × 13"),
        ("Answer: 2 x 3 x 3 x 3 x 13", "2 × 3 × 3 × 3 × 13"),
    ],
)
def test_a_list_that_is_stated_is_paid(text: str, gold: str) -> None:
    seen = grade(text, gold)
    assert seen.correct and seen.flexible_correct, seen


@pytest.mark.parametrize(
    "text",
    [
        "The wrong answers are 17, 41.",
        "None of the answers are 17, 41.",
        "The answers are not 17, 41.",
        "The answers are 17 or maybe 41.",
        "The answers are 17, 41. Wait, that is wrong.",
        "The answers are 17, 41. Actually they are 3, 4.",
        "The answers are 17, 41, 80.",
        "The answers are 17, 40.",
    ],
)
def test_a_list_that_is_not_stated_is_not_paid(text: str) -> None:
    seen = grade(text, "17, 41")
    assert not seen.correct and not seen.flexible_correct, seen


@pytest.mark.parametrize(
    "text",
    [
        "The answers are 18, 20.",
        "The answers are 18 and 20.",
        "x = 18, y = 20",
        "x = 18, x = 20",
        "The answer is x = 18 or x = 20.",
        "The wrong answers are 18, 18.",
    ],
)
def test_a_list_with_the_right_answer_in_it_is_not_paid(text: str) -> None:
    seen = grade(text, "18")
    assert not seen.correct and not seen.flexible_correct, seen
