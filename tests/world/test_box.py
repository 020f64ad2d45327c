r"""What a text boxes as its answer, and what keeps a box from being one."""

import pytest

from formatlab.world.formats.box import boxed
from formatlab.world.formats.format import Reading

EIGHTEEN = (
    r"\boxed{18}", r"\fbox{18}", r"\boxed 18", r"$\boxed{18}$!", r"The answer is **\boxed{18}**.",
    r"*\boxed{18}*", r"* \boxed{18}", r"- \boxed{18}", r"Answer - \boxed{18}", r"=> \boxed{18}",
    r"-> $\boxed{18}$", r"<answer>\boxed{18}</answer>", r"*Answer:* \boxed{18}",
    r"\boxed{18}\%", r"\boxed{18}^\circ", r"\boxed{18} = x", r"\boxed{18} cm",
    r"\boxed{18}\text{ cm}", r"\boxed{\boxed{18}}", r"\boxed{18} = 36/2", r"\boxed{18} = 2 \cdot 9",
    r"\boxed{18}, which is 2 times 9.", r"\boxed{18}. I hope it is correct.",
    r"\boxed{18} and we are done.", r"\boxed{18}, as wanted.", r"\boxed{18.0} so \boxed{18}",
    r"So $x = \boxed{18}$, and $y = 20$.", r"\boxed{18} (see step 2)", r"\(\boxed{18}\) apples",
    r"最终答案为 $\boxed{18}$。", r"Thus $2x - 4 = 32$ and $x = \boxed{18}$.", r"\[ \boxed{18}. \]",
    r"\begin{align} x &= \boxed{18} \end{align}", r"Not only that: \boxed{18}",
    r"9 + 9 = 18 \boxed{18}",
    # the answer of a question for a least, a most or a sum
    r"She must score at least $\boxed{18}$ points.", r"He can have at most $\boxed{18}$ pens left.",
    r"There can be $\boxed{18}$ children.", r"Both add up to $\boxed{18}$ hours after 5 days.",
    r"The smallest number that $b$ can be is $\boxed{18}$.",
    r"They sold \boxed{18} more than the rest.",
    r"$3! \times 3 = \boxed{18}$", r"$3!\times 3!=\boxed{18}$", r"$\sin T = \boxed{18}$",
    r"The intersection above is $\boxed{18}$.", r"A remainder of \boxed{18} when divided by 20.",
    # places left free
    r"\boxed{~} holds \boxed{18}.", r"\boxed{\phantom{2}} and then \boxed{18}",
    r"\boxed{\quad} so \boxed{18}", r"Put it in \boxed{}. It is \boxed{18}.",
    r"\boxed{\text{your answer}} \boxed{18}", r"$3+\boxed{\phantom{00}}=21$ gives \boxed{18}",
    r"\boxed{\hspace{1cm}} \boxed{18}", r"\boxed{?} \boxed{18}", r"\boxed{\_\_} \boxed{18}",
    r"\boxed{\square} is \boxed{18}", r"Use \boxed{answer}. So \boxed{18}.",
    # steps, and answers denied or taken back
    r"1. \boxed{6} 2. \boxed{10}. Final answer: \boxed{18}",
    r"Red: $\boxed{6}$. Then $4+\boxed{6}=10$. The final answer is $\boxed{18}$.",
    "Step 1: \\boxed{3}\n\n## Final Answer\n\n\\[\n\\boxed{18}\n\\]",
    "\\boxed{3}\n**Answer:** \\boxed{18}\nSo it is \\boxed{18}.", r"\boxed{3}。答案：\boxed{18}",
    r"It is not \boxed{20}. It is \boxed{18}.", r"Is it \boxed{20}? No: \boxed{18}",
    r"\boxed{20}. Wait, that is wrong. So \boxed{18}.",
)  # fmt: skip

NOT_EIGHTEEN = (
    # several
    r"\boxed{18} \boxed{20}", r"\boxed{18} or \boxed{20}", r"\boxed{20}, \boxed{18}",
    r"Maybe \boxed{18} or \boxed{20}", r"The answer is \boxed{20}. The answer is \boxed{18}.",
    r"\boxed{18} or 20", r"\boxed{18}, or 20", r"\boxed{18} and 20", r"\boxed{18}, 20",
    r"\boxed{18}; 20", r"\boxed{18} to 20", r"$\boxed{18}$ and $20$", r"\boxed{18}...20",
    r"\boxed{18}. But it could also be 20.", r"\boxed{18} = 20",
    # part of something else
    r"\boxed{18} \pm 2", r"$\boxed{18}$ \pm 2", r"\boxed{18}!", r"\boxed{18}^2", r"\boxed{18} - 20",
    r"\boxed{18}–20", r"\boxed{18}x", r"\boxed{18}.5", r"\boxed{18},000", r"\boxed{18}\frac{1}{2}",
    r"2\boxed{18}", r"–\boxed{18}", r"x = –\boxed{18}", r"x = -$\boxed{18}$", r"1 - \boxed{18}",
    r"\boxed{18}/20", r"\boxed{18}*2", r"\boxed{18}(20)", r"\boxed{18}:20", r"\boxed{18}_8",
    r"\boxed{18}\boxed{20}", r"2 * \boxed{18}", r"$x*\boxed{18}$", r"\sqrt{\boxed{18}}",
    r"\log \boxed{18}", r"\boxed{18} \times 2", r"\frac{1}{\boxed{18}}", r"half of \boxed{18}",
    r"twice \boxed{18}", r"The square root of \boxed{18}",
    # denied, bounded, hedged, taken back
    r"\neg\boxed{18}", r"not \boxed{18}", r"It is not $\boxed{18}$.", r"$x \ne \boxed{18}$",
    r"neither \boxed{18}", r"anything but \boxed{18}", r"far from \boxed{18}", r"x < \boxed{18}",
    r"$x \le \boxed{18}$", r"$x > $ \boxed{18}", r"x ≥ \boxed{18}", r"less than \boxed{18}",
    "less than\n\\[\\boxed{18}\\]", r"at most \boxed{18}", r"\boxed{18} at most",
    r"\boxed{18} or more", r"It must be at least \boxed{18}", r"It can be at most \boxed{18}",
    r"\boxed{18} < x", r"\boxed{18} \neq x", r"perhaps \boxed{18}", r"\boxed{18} perhaps",
    r"\boxed{18}?", r"\boxed{18}. Wait, that is wrong.", r"\boxed{18}. No, sorry, I misread it.",
)  # fmt: skip


@pytest.mark.parametrize("text", EIGHTEEN)
def test_the_answer_of_a_box(text: str) -> None:
    seen = boxed(text)
    assert isinstance(seen, Reading) and seen.content == "18" and not seen.also


@pytest.mark.parametrize("text", NOT_EIGHTEEN)
def test_a_box_that_is_no_answer(text: str) -> None:
    assert boxed(text) == "ambiguous"


@pytest.mark.parametrize(
    "text",
    [r"\boxed{18} \boxed{20", r"\boxed{18}. So it is \boxed", r"\boxed{18}. It is \fbox{",
     r"\boxed{18",
     r"\boxed{18} then \boxed{\frac{1}{2}", r"\boxed{}", r"\boxed{\quad}", r"\boxed{18} \box"],
)  # fmt: skip
def test_a_last_box_that_is_not_closed_leaves_no_answer(text: str) -> None:
    assert boxed(text) == "malformed"


@pytest.mark.parametrize(
    ("text", "content", "also"),
    [
        (r"\boxed{\boxed{18} 20}", "{18} 20", ()),
        (r"\boxed{20 \boxed{18}}", "20 {18}", ()),
        (r"\boxed{x = \boxed{18}}", "x = {18}", ()),
        (r"\boxed{20 + 2 = 18}", "20 + 2 = 18", ()),
        (r"\boxed{18} so \boxed{18 \text{ cm}}", r"18 \text{ cm}", ("18",)),
        (r"\boxed{\frac{1}{2}}, that is \boxed{0.5}", "0.5", ()),
        (r"\boxed{\sqrt{2}} and \boxed{\dfrac{2}{\sqrt2}}", r"\dfrac{2}{\sqrt2}", (r"\sqrt{2}",)),
        (r"\boxed{–5}", "–5", ()),
        (r"\boxed{ \frac{1}{2} }", r"\frac{1}{2}", ()),
    ],
)
def test_boxes_that_are_written_otherwise_are_all_answers(
    text: str, content: str, also: tuple[str, ...]
) -> None:
    assert boxed(text) == Reading(content=content, also=tuple(Reading(content=c) for c in also))


def test_a_text_that_does_nothing_but_box_has_no_answer() -> None:
    assert boxed(r"\boxed{18} " * 1000) == "ambiguous"
    assert boxed(r"\boxed{18} " * 100) == Reading(content="18")
