"""The lines of a worked solution: every step with its numbers and its result."""

from dataclasses import dataclass

from formatlab.world.problem import Operator, Problem, evaluate, value


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkedLine:
    """One step of a solution, calculated."""

    left: int
    operator: Operator
    right: int
    result: int


def worked_lines(problem: Problem) -> list[WorkedLine]:
    """The steps of a controlled problem in order; the last result is the answer they lead to.

    That is not the problem's own answer where a step has been mistranslated.
    """
    results = evaluate(problem.steps)
    return [
        WorkedLine(
            left=value(step.left, results),
            operator=step.operator,
            right=value(step.right, results),
            result=result,
        )
        for step, result in zip(problem.steps, results, strict=True)
    ]
