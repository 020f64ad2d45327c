"""What commits a text to no answer: what denies, bounds, hedges, alters it or takes it back.

Both readings are tried: the strict one (a stated answer) and the flexible one (else the last
number).
"""

import pytest

from formatlab.observe.grader import grade
from formatlab.observe.tagger import tag
from formatlab.world.formats.commitment import is_altered, is_taken_back, offers_another

NOT_COMMITTED = [
    "The answer is 18 increased by 2.",
    "The answer is as many as 18.",
    "The answer is capped at 18.",
    "The answer is 18 tens.",
    "The answer is 18 and change.",
    "If you trust me, the answer is 18; if not, it is 20.",
    *(
        f"{stated}{rest}"
        for stated in ("The answer is 18. ", "So $\\boxed{18}$. ", "<answer>18</answer>\n")
        for rest in (
            "That is too many.",
            "Actually, I need to recount the boxes.",
            "This isn't one of the options.",
            "I'm not confident about this one.",
            "This is just a guess.",
            "However, we have not included the tip.",
            "But this ignores the broken pens.",
            "My bad, I added instead of subtracting.",
            "There is a mistake in the above.",
            "Something is off here.",
            "The correct value should be higher.",
            "So this is not possible.",
            "Let's recalculate.",
            "However, I realize I misread the question.",
            "I think I made a mistake.",
            "But we need to double it.",
            "This seems too high, let me recheck.",
            "The above is incorrect.",
            "The previous answer is invalid.",
            "But she also lost 3, which I did not subtract.",
            "I don't trust this result.",
            "Upon checking, this fails the condition.",
            "However, this does not satisfy the second equation.",
            "This contradicts the given condition.",
            "The calculation above contains an error.",
            "I retract this answer.",
            "Not quite.",
            "Strike that.",
            "My apologies, the above is incorrect.",
            "But wait, she also ate",
            "Hang on, she also has 2 more.",
            "Let me re-read the problem. It says",
            "This is not the final answer.",
            "Please ignore the previous line.",
        )
    ),
    "The answer is |18 - x|.",
    "It is impossible that the answer is 18.",
    "The answer is unlikely to be 18.",
    "The answer is supposedly 18.",
    "The answer is said to be 18, but it isn't.",
    "My friend says the answer is 18, but I disagree.",
    "Some may say the answer is 18.",
    "Let's guess that the answer is 18.",
    "I wish the answer was 18.",
    "When the answer is 18, we are lucky.",
    "The answer is number 18 on the list.",
    "The answer is related to 18.",
    "The answer is x such that 2x = 18.",
    "The answer is 18 more.",
    "The answer is 18 per box, so 54.",
    "The answer is 18, then 20.",
    "The answer was 18, now it is 20.",
    "The answer is 18. Just to be safe, I also list 19 and 20.",
    "$\\boxed{18}\\,\\text{or}\\,20$",
    "$\\boxed{18}\\%$ of 200",
    "If $x = \\boxed{18}$ then there is no solution.",
    "We assume the answer is $\\boxed{18}$ and derive a contradiction.",
    "We find the number of girls by subtracting 18.",
    "So it ends on the 18th day.",
    "The answer is about less than 18.",
    "The answer is under 18.",
    "The answer is at most 18.",
    "The answer is no more than 18.",
    "The answer is 18 or more.",
    "The answer is 18 or fewer.",
    "The answer is 18 at least.",
    "The answer is ≠ 18.",
    "The answer is \\geq 18.",
    "The answer is \\neq 18.",
    "The answer is \\pm 18.",
    "The answer is ± 18.",
    "x ≤ 18, so the answer is ≤ 18.",
    "The answer is never 18.",
    "The answer isn't 18.",
    "The answer can’t be 18.",
    "The answer is definitely not 18.",
    "The answer is anything except 18.",
    "The answer is other than 18.",
    "The answer is different from 18.",
    "The answer is close to 18.",
    "I doubt that the answer is 18.",
    "I am not sure the answer is 18.",
    "No one knows whether the answer is 18.",
    "It would be wrong to say that the answer is 18.",
    "The answer is a third of 18.",
    "The answer is the square of 18.",
    "The answer is double 18.",
    "The answer is triple 18.",
    "The answer is a multiple of 18.",
    "The answer is a factor of 18.",
    "The answer is divisible by 18.",
    "The answer is 3 times 18.",
    "The answer is 10% of 18.",
    "The answer is the cube root of 18.",
    "The answer is log 18.",
    "The answer is 18 squared.",
    "The answer is 18 factorial.",
    "The answer is 18 times 2.",
    "The answer is 18 plus the rest.",
    "The answer is 18 more than before.",
    "The answer is given in step 18.",
    "The answer is shown in equation 18.",
    "The answer is at the bottom of page 18.",
    "The answer is in chapter 18.",
    "The answer ends in 18.",
    "So the number has 18 divisors and is odd.",
    "The answer has 18 digits.",
    "So we multiply by 18.",
    "So we add 18 to both sides.",
    "So 18 is too large.",
    "So 18 cannot be right.",
    "So 18 is not the answer.",
    "So it is not 18.",
    "Thus x is greater than 18.",
    "So it can't be 18.",
    "So half of 18 is wanted.",
    "So she has more than 18 apples.",
    "So perhaps it is 18.",
    "So it might be 18.",
    "The answer is 18. Hmm, that's not right.",
    "The answer is 18. Oops, I made a mistake.",
    "The answer is 18. Actually, no.",
    "The answer is 18. Wait, I misread the question.",
    "The answer is 18. Scratch that.",
    "The answer is 18. Sorry, I am wrong.",
    "The answer is 18. I take that back.",
    "The answer is 18. But this is incorrect.",
    "The answer is 18. Never mind.",
    "The answer is 18... no, wait, it is 20.",
    "The answer is 18. This cannot be right.",
    "#### 18\nWait, that is wrong.",
    "The answer is 18. However, I am not sure.",
    "答案是18。不对，应该是20。",
    "答案不是18。",
    "答案至少是18。",
    "The answer is 18. Or it might be 20.",
    "The answer is 18. Maybe 20.",
    "The answer is 18 or possibly 20.",
    "The answer is 18; alternatively 20.",
    "The answer is 18, though 20 is possible too.",
    "The answer is 18. A different answer is 20.",
    "The answer is 18. It may also be 20.",
    "The answer is 18, unless it rains.",
    "If n is even the answer is 18, else it is 20.",
    "When it is sunny the answer is 18, otherwise 20.",
    "The answer is 18 or something else.",
    "The answer is 18, maybe.",
    "The answer could be 18.",
    "The answer might be 18.",
    "Possibly the answer is 18.",
    "Maybe the answer is 18.",
    "The answer is 20.\nFinal answer: 18",
    "#### 20\n#### 18",
    "Answer: 18\nSo she has 20 apples.",
    "Answer: 18\n\nTherefore, the total is 20.",
    "18 is the answer. The answer is 20.",
    "The answer is 18. 20 is the answer.",
    "Respuesta: 20\nAnswer: 18",
    "答案：18\n答案：20",
    "\\boxed{18}\n#### 20",
    "The answer is 20. \\boxed{18}",
    "\\boxed{18}\nAnswer: 20",
    '{"answer": 18, "solution": 20}',
    '{"answer": 18, "value": "20"}',
    '{"result": 18, "output": 20}',
    '{"answer": 18}\n\\boxed{20}',
    '{"answer": "at least 18"}',
    '{"answer": "not 18"}',
    '{"answer": "I doubt that it is 18"}',
    '{"answer": "half of 18 apples"}',
    '{"answer": "It is 18. Wait, that is wrong."}',
    '{"answer": "18 or more"}',
    "result = 18\nanswer = 20",
    "answer = 18\nfinal_answer = 20",
    "def f():\n    return 18\nanswer = 20",
    "def f():\n    return 18\nprint('The answer is 20')",
    "print('at most 18')",
    "print('anything but 18')",
    "def f():\n    return 'half of 18'",
    "print('It is not equal to 18')",
    "print('18 or more')",
    "<!-- \\boxed{18} -->\nNo idea.",
    "<!-- Answer: 18 -->",
    "% The answer is 18.\nI do not know.",
    "The answer is –18.",
    "So it is –18 degrees.",
    "The answer is －18.",
    "Answer: – 18",
    "is 18 the answer? The answer is",
    "The answer is (18, 20).",
    "The answer is {18, 20}.",
    "The answer is [18, 20].",
    "The answer is 18x.",
    "The answer is \\cos 18.",
    "The answer is 1 to 18.",
    "The answer is 18 20.",
    "The answer is 18 if we ignore rain, otherwise 20.",
    "The answer is 18 and 20.",
    "The answer is between 18 and 20.",
    "It's hard to say whether it is 18.",
    "So either 18 or 20.",
    "The answer is 18? No.",
    "The answer isn’t 18.",
    "The answer is hardly 18.",
    "The answer is nowhere near 18.",
    "The answer is 18 minus something.",
    "The answer is the inverse of 18.",
    "The answer is the product of 18 and 3.",
    "The answer is a number below 18.",
    "The answer is on line 18.",
    "The answer is an even number up to 18.",
    "The answer is a prime greater than 18.",
    "It was claimed that the answer is 18, which is false.",
    "Some say the answer is 18, but they are wrong.",
    "The answer is 18. That was a guess; the true value is 20.",
    "The answer is 18. Edit: it should be 20.",
    "The answer is 18. Correction: 20.",
    "The answer is 18. On second thought, 20.",
    "The answer is 18 (or 20).",
    "The answer is 18/20.",
    "The answer is 18-20.",
    "The answer is 18, 20.",
    "The answer is 18 ... 20",
    "The answer was 18 before, now it is 20.",
    "Not 18.",
    "18?",
    "18 or 20",
    ">18",
    "< 18",
    "~18 or more",
    "at least 18",
    "not 18",
    "half of 18",
    "18!",
    "18 squared",
    "18+",
    "18 - 3",
    '{"answer": ">18"}',
    '{"answer": "18?"}',
    '{"answer": "<= 18"}',
    '{"answer": "18!"}',
    '{"answer": "18 or 20"}',
    '{"answer": "18-20"}',
    '{"answer": "maybe 18"}',
    "print('maybe 18')",
    "print('The answer is not 18')",
    "print('18 or 20')",
    "answer = 18\nresult = 20\nprint(answer)",
    "def f():\n    return 18\nprint(20)",
    "答案可能是18。",
    "答案大于18。",
    "答案是18或20。",
    "答案不是18，而是20。",
    "La respuesta no es 18. Respuesta: 20",
    "The answer is not simply 18.",
    "18 isn't the answer.",
    "18 is not the answer.",
    "18 is the wrong answer.",
    "18 is almost the answer.",
    "The answer is almost 18.",
    "The answer is nearly 18.",
    "The answer is just over 18.",
    "The answer is slightly less than 18.",
    "The answer is roughly between 18 and 20.",
    "The answer is 18ish or 20.",
    "The answer exceeds 18.",
    "The answer is > 18.",
    "The answer is x < 18.",
    "The answer is |x| > 18.",
    "The answer is -18.",
    "The answer is 18^2.",
    "The answer is 18 × 2.",
    "The answer is 18 + 2.",
    "The answer is 18/2.",
    "The answer is 2 × 18.",
    "The answer is 2*18.",
    "The answer is 18a.",
    "The answer is 18 mod 5.",
    "The answer is \\sqrt{18}.",
    "The answer is \\frac{18}{5}.",
    "The answer is √18.",
    "The answer is 18%of 50.",
    "The answer is 0.18.",
    "The answer is 180.",
    "The answer is 18,000.",
    "The answer is 18.5.",
    "The answer is 18 thousand.",
    "The answer is 18 dozen and 3.",
    "I will not say the answer is 18.",
    "Nobody said the answer is 18.",
    "Do not answer 18.",
    "Is the answer 18?",
    "Could the answer be 18?",
    "The answer would be 18 if he had more, but he has 20.",
    "Assume the answer is 18. Then we get a contradiction.",
    "Suppose the answer is 18. That cannot be.",
    "Let us guess that the answer is 18. This is false.",
    "If the answer is 18, then he is wrong.",
    "The answer is 18 in the first case and 20 in the second.",
    "The answer is 18 or so they say, 20 I say.",
    "For boys the answer is 18, for girls 20.",
    "The answer is 18 for boys and 20 for girls.",
    "First answer: 18\nSecond answer: 20",
    "Answer 1: 18\nAnswer 2: 20",
    "The answer is 18. The answer could as well be 20.",
    "The answer is 18. Hold on, that is not right.",
    "The answer is 18. Hmm, wait. I forgot something, so it should be 20.",
    "The answer is 18. No wait, 20.",
    "The answer is 18. Let me redo this: it is 20.",
    "The answer is 18. Actually it is 20.",
    "The answer is 18. Ignore that.",
    "The answer is 18. Disregard the above.",
    "The answer is 18. (This is a guess; I do not know.)",
    "The answer is 18, I was joking.",
    "\\boxed{18}\nWait, that is wrong.",
    "\\boxed{18}. Sorry, it is 20.",
    "#### 18\n\nActually, it should be 20.",
    "answer: 18\nanswer: 20",
    "**Answer:** 18\n\n**Final Answer:** 20",
    "The final answer is 18.\n\nThe final answer is 20.",
    "So she has 18 apples. #### 20",
    "She has 18 left. The answer is 20.",
    "% The answer is 18.\nSome more words are here.",
    "// The answer is 18.\nI have to go.",
    "/* The answer is 18. */\nI have to go.",
    "There were 18 at first.",
    "Step 18.",
    "See problem 18.",
    "(18)",
    "Page 18 says nothing.",
    '{"answer": "18 - no, 20"}',
    '{"answer": "between 18 and 20"}',
    '{"answer": "greater than 18"}',
    '{"answer": "x > 18"}',
    '{"answer": "twice 18"}',
    '{"answer": "-18"}',
    '{"answer": 18, "final": {"answer": 20}}',
    '[{"answer": 18}, {"answer": 20}]',
]
"""Texts that hold the right answer, 18, and do not commit to it."""


@pytest.mark.parametrize("text", NOT_COMMITTED)
def test_what_denies_bounds_hedges_or_alters_an_answer_is_not_paid(text: str) -> None:
    seen = grade(text, "18")
    assert not seen.correct and not seen.flexible_correct, seen
    assert seen.reason


def test_a_number_that_goes_on_in_dots_is_unfinished() -> None:
    assert grade("The answer is 5...", "5").answer is None


@pytest.mark.parametrize(
    ("text", "last"),
    [
        ("She has 20 and eats 2. 20 - 2 = 18.", "18"),
        ("Wendi has 18 chickens.", "18"),
        ("He works 3 x 6 = 18 hours in 4 weeks.", "18"),
        ("She must deliver 18 red roses by 5 pm.", "18"),
        ("There are 18 students who do not play.", "18"),
        (r"We have $2 \times 9 = 18$.", "18"),
        ("It costs $18 for the 3 of them.", None),  # the last number is 3
        ("How many of the 18 are left?", None),
        ("It is not 18.", None),
        ("It may be 18.", None),
        ("She has less than 18.", None),
        ("She has 18. Wait, that is wrong.", None),
        ("The answer is not 18. She has 5 to 18.", None),
        ("There are 18 of them. Nobody knows how many are left of these.", "18"),
        ("She has 20 and", None),
        ("She has 18 and gets", None),
        ("She has 18. " * 30, None),
    ],
)
def test_the_flexible_reading_takes_the_last_number_committed_to(
    text: str, last: str | None
) -> None:
    seen = grade(text, "18")
    assert (seen.answer, seen.correct, seen.reason) == (None, False, "no answer")
    assert seen.flexible_correct is (last == "18")
    if last is None:
        assert seen.flexible_answer != "18"


def test_truncation_that_is_known_beats_the_look_of_the_text() -> None:
    finished = "She has 20 and eats 2\n20 - 2 = 18"
    assert tag(finished).truncated
    assert grade(finished, "18").flexible_answer is None
    assert grade(finished, "18", truncated=False).flexible_correct
    assert not grade("20 - 2 = 18.", "18", truncated=True).flexible_correct
    assert grade("The answer is 18.", "18", truncated=True).correct


@pytest.mark.parametrize(
    "text",
    [
        "def f():\n    return f(",
        "\\boxed{4} \\boxed{18}",
        "The answer is 18. The answer is 20.",
        "<think>There are 18 of them.",
    ],
)
def test_only_sentences_that_state_no_answer_are_read_flexibly(text: str) -> None:
    seen = grade(text, "18")
    assert (seen.flexible_answer, seen.flexible_correct) == (None, False)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("The answer is 18.\n#### 20", "ambiguous"),
        ("The answer is 20.\n#### 20.0", "wrong"),
        ("The answer is 18.\n#### 18.0", ""),
        ("\\boxed{1/2}\nThe answer is 0.5.", "wrong"),
        ("\\boxed{18}\nThe answer is 18 or 20.", "ambiguous"),
        ("def f():\n    return 18\n\nThe answer is 18 or 20.", "ambiguous"),
        ('<think>a</think><answer>18</answer>\n{"answer": 20}', "ambiguous"),
        ("ans = 18\nanswer = 20", "ambiguous"),
        ("ans = 20\nanswer = 20", "wrong"),
        ('{"answer": 18, "result": 20}', "ambiguous"),
    ],
)
def test_all_answers_that_a_text_commits_to_have_to_agree(text: str, reason: str) -> None:
    seen = grade(text, "18")
    assert (seen.correct, seen.reason) == (not reason, reason)


def test_answers_written_in_two_ways_are_compared_as_mathematics() -> None:
    text = "It is \\boxed{\\frac{1}{2}}.\nThe answer is 0.5."
    assert grade(text, "1/2").correct
    assert grade(text, "0.5").correct
    assert grade(text.replace("0.5", "0.6"), "1/2").reason == "ambiguous"


def test_options_answer_with_their_letter_and_with_their_words() -> None:
    for gold in ("B", "(B)", "20", "20 apples"):
        assert grade("The answer is (B) 20 apples.", gold).correct, gold
    for gold in ("C", "21", "apples"):
        assert not grade("The answer is (B) 20 apples.", gold).correct, gold


@pytest.mark.parametrize(
    ("before", "after", "altered"),
    [
        ("so the answer is ", ".", False),
        ("of those who do not play there are ", " left.", False),
        ("it is not 20 but ", "", False),
        (r"so $x = ", "$.", False),
        (r"so $x < ", "$.", True),
        (r"$\neg", "$", True),
        ("it is not ", "", True),
        ("it cannot be equal to ", "", True),
        ("half of ", "", True),
        ("", " or 20", True),
        ("", r"$ \pm 2", True),
        ("", " apples or more", True),
        ("", " times", False),
        ("", " times 2", True),
    ],
)
def test_what_stands_around_an_answer_may_alter_it(before: str, after: str, altered: bool) -> None:
    assert is_altered(before, after) is altered


def test_what_follows_may_take_an_answer_back_or_offer_another() -> None:
    assert is_taken_back(". Wait, that is wrong.")
    assert not is_taken_back(". Let me check: 2 + 3 = 5. This is right.")
    assert offers_another(". Alternatively, 20.", "18")
    assert not offers_another(". Alternatively, 20 - 2 = 18.", "18")
