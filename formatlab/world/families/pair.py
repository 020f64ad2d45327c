"""Two people whose amounts are combined."""

from random import Random

from formatlab.world.families.comparison import compare, sentence
from formatlab.world.lexicon import ITEMS, NAMES
from formatlab.world.problem import Operand, Problem, Result, Step, evaluate, solved


def pair(random: Random, steps: int, largest: int) -> Problem:
    """One amount, another told by comparison, and their sum. One step gives the bare sum."""
    item = random.choice(ITEMS)
    first, second = random.sample(NAMES, 2)
    amount = random.randint(2, largest)
    sentences = [f"{first} has {amount} {item}."]
    worked: list[Step] = []
    other: Operand
    if steps == 1:
        other = random.randint(2, largest)
        sentences.append(f"{second} has {other}.")
    else:
        phrase, operator, number = compare(random, amount, largest)
        sentences.append(sentence(phrase, who=second, than=first, number=number))
        worked.append(
            Step(operator=operator, left=amount, right=number, phrase=phrase, quantity=item)
        )
        other = Result(0)
    worked.append(Step(operator="+", left=amount, right=other, phrase="together", quantity=item))
    if steps > 2:
        total = evaluate(tuple(worked))[-1]
        spent = random.randint(1, min(total - 1, largest))
        sentences.append(f"They give away {spent} together.")
        worked.append(Step(operator="-", left=Result(1), right=spent, phrase="loss", quantity=item))
    sentences.append(f"How many {item} do they have together?")
    return solved(question=" ".join(sentences), family="pair", steps=tuple(worked))
