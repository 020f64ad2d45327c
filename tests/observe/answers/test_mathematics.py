"""Right answers that are no plain number: what equals them, and what only looks so."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formatlab.errors import RunError
from formatlab.observe.answers import mathematics
from formatlab.observe.answers.child import Child, ChildDied, ChildTimeout
from formatlab.observe.answers.mathematics import compare
from formatlab.observe.answers.number import parse_number
from formatlab.observe.grader import same_answer


@pytest.mark.parametrize(
    ("answer", "gold"),
    [
        # the same but for markup
        (r"$\dfrac{3\sqrt{3}}{4}$", r"\frac{3\sqrt{3}}{4}"),
        (r"\frac{3\sqrt3}4", r"\frac{3\sqrt{3}}{4}"),
        ("(3, 4]", "(3,4]"),
        (r"\left(3,\,4\right]", "(3,4]"),
        (r"\[ 2k+2 \]", "2k + 2"),
        (r"145\pi^\circ", r"145\pi^{\circ}"),
        # words
        ("Evelyn", r"\text{Evelyn}"),
        ("evelyn.", r"\text{Evelyn}"),
        (r"\textbf{even}", "even"),
        ("C", r"\text{(C)}"),
        ("(C)", "C"),
        (r"\mathrm{(C)}", r"\text{(C)}"),
        # bases
        ("52_8", "52_{8}"),
        ("52", "52_8"),
        # mathematics
        (r"\sqrt{117}", r"3\sqrt{13}"),
        (r"x = 3\sqrt{13}", r"3\sqrt{13}"),
        (r"\sqrt{9}\sqrt{13} = 3\sqrt{13}", r"3\sqrt{13}"),
        (r"3\sqrt{13}\text{ cm}", r"3\sqrt{13}"),
        ("2*sqrt(5)", r"2\sqrt{5}"),
        ("2\u221a5", r"2\sqrt{5}"),
        ("18 pi", r"18\pi"),
        ("18\u03c0", r"18\pi"),
        ("-q + p", "p - q"),
        ("2(k+1)", "2k+2"),
        ("x**8 + 1", "x^8+1"),
        ("9i + 6", "6+9i"),
        ("6+9*i", "6+9i"),
        (r"\frac{\cos x}{\sin x}", r"\cot x"),
        (r"\frac{9a}{20} + \frac{11}{20}", r"\frac{11+9a}{20}"),
        ("0.75x", r"\frac{3}{4}x"),
        ("-2, 1", "1,-2"),
        ("1 and -2", "1,-2"),
        (r"x = 1 \text{ or } x = -2", "1,-2"),
        (r"1+\sqrt{19}, 1-\sqrt{19}", r"1 \pm \sqrt{19}"),
        (r"\{1+\sqrt{5}, 1-\sqrt{5}, -2\}", r"\{1\pm\sqrt{5},-2\}"),
        ("6, 31, -1", "(6,31,-1)"),
        ("(0.5, 2)", r"(\frac12, 2)"),
        (r"(-\infty, 0]", r"(-\infty,0]"),
        ("(-oo, 0]", r"(-\infty,0]"),
        (r"x \le 0", r"(-\infty,0]"),
        (r"-2 \le x \le 7", r"x \in [-2,7]"),
        (r"(0,36) \setminus \{9\}", r"(0,9) \cup (9,36)"),
        (
            r"\begin{pmatrix} 0.2 \\ -3.6 \end{pmatrix}",
            r"\begin{pmatrix} 1/5 \\ -18/5 \end{pmatrix}",
        ),
        ("2x + 3", "y = 2x + 3"),
        ("10x - 14y + 22z + 8 = 0", "5x - 7y + 11z + 4 = 0"),
        # decimals, to six digits and every one right
        ("3.141593", r"\pi"),
        ("3.141592", r"\pi"),
        ("10.816654", r"3\sqrt{13}"),
        ("6366.197724", r"\frac{20000}{\pi}"),
    ],
)
def test_the_same_mathematics(answer: str, gold: str) -> None:
    assert compare(answer, gold) == "same"


@pytest.mark.parametrize(
    ("answer", "gold"),
    [
        ("", "x"),
        ("x", ""),
        ("$$", "x"),
        # words are no products of letters
        ("neve", "even"),
        ("neve", r"\text{even}"),
        ("east or west", r"\text{east}"),
        ("not even", r"\text{even}"),
        ("(B) or (C)", r"\text{(C)}"),
        ("A, B, C, D, E", r"\text{(C)}"),
        # several answers, and lists that hold the right one
        ("1,2,3,...", "1,2,3"),
        (r"1, 2, 3, \ldots", "1,2,3"),
        ("1,-2,3", "1,-2"),
        ("2k, 3k", "2k"),
        (r"2k \text{ or } 3k", "2k"),
        ("2k or 3k", "2k"),
        ("2k; 3k", "2k"),
        (r"2k \\ 3k", "2k"),
        ("2k 3k", "2k"),
        (r"\{3\sqrt{13}, 5\}", r"3\sqrt{13}"),
        (r"3\sqrt{13} 18 19", r"3\sqrt{13}"),
        ("5 6 k", "11k"),
        (r"\pm 3\sqrt{13}", r"3\sqrt{13}"),
        (r"1+\sqrt{19}", r"1 \pm \sqrt{19}"),
        (r"x = 5 \text{ or } x = 6", "x = 5k"),
        (r"\boxed{1} \boxed{2k}", "2k"),
        (r"1} \boxed{2k", "2k"),
        ("1$ $2k", "2k"),
        # whole ranges
        (r"[0, 100]", r"3\sqrt{13}"),
        (r"\mathbb{R}", r"3\sqrt{13}"),
        (r"x \ge 3\sqrt{13}", r"3\sqrt{13}"),
        (r"x \ne 5", r"3\sqrt{13}"),
        ("(3,4)", "(3,4]"),
        (r"(0,36)", r"(0,9) \cup (9,36)"),
        (r"(-\infty, \infty)", r"(2,\infty)"),
        # equations that say anything
        (r"5 = 3\sqrt{13}", r"3\sqrt{13}"),
        (r"1 = 2 = 3\sqrt{13}", r"3\sqrt{13}"),
        ("p - q = 1", "p - q"),
        ("y = 5k", "x = 5k"),
        ("x = x", "x = 5k"),
        ("0 = 0", "5x - 7y + 11z + 4 = 0"),
        # tolerances
        ("3.14", r"\pi"),
        ("3.1416", r"\pi"),
        ("3.141590", r"\pi"),
        ("22/7", r"\pi"),
        ("0", r"\frac{\pi}{10000000}"),
        ("0.000000", r"\frac{\pi}{10000000}"),
        ("(0.0000001, 1)", "(0,1)"),
        ("(0.333333, 2)", r"(\frac13, 2)"),
        # bases
        ("52_9", "52_8"),
        ("42", "52_8"),
        # no answers at all
        ("x", "2k"),
        ("?", "2k"),
        ("nan", "2k"),
        (r"\infty", "2k"),
        (r"\frac{0}{0}", "2k"),
        (r"\frac{", "2k"),
        ("2k )", "2k"),
        ("\x00", "2k"),
        ("\ud800", "2k"),
        ("__import__('os')", "2k"),
    ],
)
def test_different_mathematics(answer: str, gold: str) -> None:
    assert compare(answer, gold) == "different"


HOSTILE = {
    "tower": "9^{9^{9^9}}",
    "factorial": "(10^8)!",
    "binomial": r"\binom{10^9}{5 \cdot 10^8}",
    "expansion": "(x+y+z)^{2000}",
    "brackets": "(" * 400 + "k" + ")" * 400,
    "megabyte": "k+" * 500_000 + "k",
    "digits": "9" * 1_000_000 + "k",
    "braces": "{" * 500_000,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_input_ends_and_leaves_the_comparison_working(name: str) -> None:
    assert compare(HOSTILE[name], "2k") in ("time", "memory", "different")
    assert compare("k + k", "2k") == "same"


def test_what_does_not_end_is_said_to_be_out_of_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mathematics, "SECONDS", 0.2)
    assert compare("9^{9^{9^9}}+k", "2k") == "time"
    assert compare("k+" * 500_000 + "k", "2k") == "time"


class Busy:
    """A child that fails so many times before it finds all the same."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.limits: list[float] = []

    def ask(self, request: object, *, seconds: float) -> object:
        if request == ["x", "x"]:  # whether it works at all
            return True
        self.limits.append(seconds)
        if self.failures:
            raise self.failures.pop(0)
        return True


@pytest.mark.parametrize(
    ("failure", "verdict"), [(ChildTimeout("late"), "time"), (ChildDied("gone"), "memory")]
)
def test_a_comparison_that_failed_is_tried_again_and_not_remembered(
    monkeypatch: pytest.MonkeyPatch, failure: Exception, verdict: str
) -> None:
    busy = Busy(failure)
    monkeypatch.setattr(mathematics, "_shared_child", lambda: busy)
    gold = f"k+{verdict}"
    assert compare("k", gold) == "same"
    assert compare("k", gold) == "same"
    first, second = mathematics._FIRST_SECONDS, mathematics.SECONDS
    assert busy.limits == [first, second]  # the reply is remembered
    busy = Busy(failure, failure)
    assert compare("l", gold) == verdict
    assert compare("l", gold) == "same"
    assert busy.limits == [first, second, first]


def test_it_works_in_any_thread() -> None:
    said: list[str] = []
    golds = [rf"{n}\sqrt{{7}}" for n in range(8)]
    threads = [
        threading.Thread(
            target=lambda gold=gold: said.append(compare(rf"\sqrt7 \cdot {gold[0]}", gold))
        )
        for gold in golds
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said == ["same"] * 8


def test_a_child_that_cannot_work_is_an_error_and_no_wrong_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def dead(*_: object, **__: object) -> object:
        raise ChildDied("the child process ended with status 1: no module named math_verify")

    monkeypatch.setattr(Child, "ask", dead)
    with pytest.raises(RunError, match="install math-verify"):
        compare("k + k + k", "3k")


@settings(max_examples=50)
@given(st.text(alphabet="kx0123456789+-*/^_{}()[],.= \\sqrtfac$", max_size=20))
def test_any_jumble_has_a_verdict(text: str) -> None:
    assert compare(text, "7k+3x") in ("same", "different", "time", "memory")


def math500(shared_data: Path) -> list[dict[str, Any]]:
    lines = (shared_data / "math500" / "math500.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


@pytest.mark.slow
def test_every_right_answer_of_math500_equals_itself_however_it_is_set(shared_data: Path) -> None:
    for row in math500(shared_data):
        gold = row["answer"]
        plain = gold.replace(r"\left", "").replace(r"\right", "")
        for written in (gold, f"${gold}$", f" {gold}. ", gold.replace(r"\frac", r"\dfrac"), plain):
            assert same_answer(written, gold), written


@pytest.mark.slow
def test_no_right_answer_of_math500_passes_for_that_of_another_problem(shared_data: Path) -> None:
    golds = [row["answer"] for row in math500(shared_data)]
    distinct = {
        parse_number(gold) or gold.replace(" ", "").replace("dfrac", "frac"): gold for gold in golds
    }
    others = [gold for gold in sorted(distinct.values()) if "_" not in gold]
    pairs = list(zip(others, others[1:] + others[:1], strict=True))
    # neighbours in the order of their characters: the likeliest to be taken for each other
    passed = [(answer, gold) for answer, gold in pairs if same_answer(answer, gold)]
    assert passed == []
