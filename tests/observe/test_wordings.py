"""Further wordings of answers: what states one, and what does not."""

import pytest

from formatlab.observe.grader import grade


@pytest.mark.parametrize(
    ("text", "gold"),
    [
        ("The answer is minus 8.", "-8"),
        ("The answer comes out as 41.", "41"),
        ("$$x = 41$$", "41"),
        ("That's 41 in total.", "41"),
        ("Total cost: $41", "41"),
        ("Answer\n41", "41"),
        ("The answer is negative $8.", "-8"),
        ("The answer is 12{,}500.", "12500"),
        ("The answer is $5 a day.", "5"),
        ("The answer is 2600g.", "2600"),
        ("The answer is 2 and a half hours.", "2.5"),
        ("The answer is 3 × 12 = 36 apples.", "36"),
        ("#### 30 + 6 = 36", "36"),
        ("The answer is 100 / 3 = 33.33.", "33.33"),
        ("> Answer: 21", "21"),
        ("\\boxed{31} is wrong. Corrected: \\boxed{33}", "33"),
        ("The answer is 15. It could not be 16, since 16 is even.", "15"),
        ("The answer is 15. However, note that 16 was the price before.", "15"),
        ("The answer is C since A and B fail.", "C"),
        ("\\sqrt{2}", "\\sqrt{2}"),
        ("$\\frac{\\pi}{6}$", "\\frac{\\pi}{6}"),
        ('{"answer": 15, "answers": [15]}', "15"),
        ("They pay 3 * 45 = $135 altogether.", "135"),
        ("There are 15 pages left in the book.", "15"),
        ("He saved a total of $15.", "15"),
        ("In the end he owns 15 cows.", "15"),
        ("The answer we seek is 15.", "15"),
        ("Tom's answer, then, is 15.", "15"),
        ("The required number is 15.", "15"),
    ],
)
def test_what_is_stated_is_paid(text: str, gold: str) -> None:
    seen = grade(text, gold)
    assert seen.correct and seen.flexible_correct, seen


@pytest.mark.parametrize(
    "text",
    [
        "The answer is 20 + 2 = 18.",
        "#### 20 + 2 = 18",
        "Answer: 18!",
        "The answer is negative 18.",
        "The answer is base 18.",
        "The answer is log_2 18.",
        "The previous answer was 18, but now it's 20.",
        "One answer is 18, another is 20.",
        '{"answer": 18, "alternative": 20}',
        '{"answer": 18}\nWait, that is wrong.',
        "\\boxed{18}{20}",
        "The answer is one of 18 numbers.",
        "The answer is the negation of 18.",
        "The answer is 18 with its digits reversed.",
        "The answer is 18 backwards.",
        "The answer is 18ish.",
        "The answer is 18 and a half.",
        "The answer is 18K.",
        "The answer is by no means 18.",
        "There is no way the answer is 18.",
        "I refuse to say that the answer is 18.",
        "I deny that the answer is 18.",
        "The answer is 18. However, 23 is also possible.",
        "The answer is 18. Then again, 23 could be right.",
        "The answer is 18. Either that or 23.",
        '{"answer": 18, "answers": [20]}',
        '{"answer": 18, "other_solutions": [20]}',
        "\\boxed{18} is wrong, \\boxed{20} is wrong too.",
    ],
)
def test_what_commits_to_no_18_is_not_paid(text: str) -> None:
    seen = grade(text, "18")
    assert not seen.correct and not seen.flexible_correct, seen


@pytest.mark.parametrize("text", ["A or B.", "A and B.", "A, B", "A or possibly B."])
def test_two_options_are_no_answer(text: str) -> None:
    assert not grade(f"<answer>{text}</answer>", "A").correct
    assert grade(f"The answer is {text}", "A").reason == "ambiguous"
