"""The lines of a worked solution: every step with its numbers and its result."""

from formatlab.world.problem import Operator, Problem, evaluate, value


def worked_lines(problem: Problem) -> list[tuple[int, Operator, int, int]]:
    """(left, operator, right, result) for every step."""
    results = evaluate(problem.steps)
    return [
        (value(step.left, results), step.operator, value(step.right, results), result)
        for step, result in zip(problem.steps, results, strict=True)
    ]
