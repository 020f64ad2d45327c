"""Equal sharing, and what happens to one share."""

from random import Random

from formatlab.world.lexicon import ITEMS
from formatlab.world.problem import Problem, Result, Step, solved


def sharing(random: Random, steps: int, largest: int) -> Problem:
    """A whole shared equally; then one friend receives (two steps) and uses (three) some."""
    item = random.choice(ITEMS)
    friends = random.randint(2, 6)
    share = random.randint(2, largest)
    sentences = [f"{friends * share} {item} are shared equally by {friends} friends."]
    worked = [
        Step(operator="/", left=friends * share, right=friends, phrase="shared", quantity=item)
    ]
    if steps > 1:
        more = random.randint(1, largest)
        sentences.append(f"One of them gets {more} more.")
        worked.append(
            Step(operator="+", left=Result(0), right=more, phrase="received", quantity=item)
        )
        share += more
    if steps > 2:
        fewer = random.randint(1, min(share - 1, largest))
        sentences.append(f"That friend uses {fewer}.")
        worked.append(Step(operator="-", left=Result(1), right=fewer, phrase="used", quantity=item))
    who = "each friend" if steps == 1 else "that friend"
    sentences.append(f"How many {item} does {who} have?")
    return solved(question=" ".join(sentences), family="sharing", steps=tuple(worked))
