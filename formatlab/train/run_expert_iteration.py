"""One run of expert iteration, from a model on disk to its policy, resumable at any moment."""

from collections import Counter
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from formatlab.errors import InputError, RunError
from formatlab.models.lora import LoraSettings
from formatlab.models.saved import load_tokenizer
from formatlab.store.run_folder import RunFolder
from formatlab.train.expert_iteration import ExpertIteration
from formatlab.train.health import note_events
from formatlab.train.one_process import require_one_process
from formatlab.train.probe import Probe
from formatlab.train.reward import Reward
from formatlab.world.prompt import Prompt

if TYPE_CHECKING:
    from formatlab.train.rollout_trainer import StepReport


def run_expert_iteration(
    folder: RunFolder,
    *,
    model: Path,
    settings: ExpertIteration,
    reward: Reward,
    prompts: Sequence[Prompt],
    probe: Probe,
    probe_prompts: Sequence[Prompt],
    seed: int,
    lora: LoraSettings | None,
    report: "StepReport",
) -> None:
    """Run the rounds, going on where an interrupted one was, and leave the policy in `policy/`.

    The policy is observed before the first round and after each one: within a round it is the same,
    so fractions of the first epoch are not observed.

    Args:
        folder: the run folder.
        model: a transformers folder, the base; KL is measured against it.
        settings: of expert iteration.
        reward: what rollouts are paid for; those paid are kept.
        prompts: one round; `settings.prompts` of them.
        probe: how to observe the policy.
        probe_prompts: what to observe it on.
        seed: decides the order of prompts and examples, and all training samples.
        lora: train an adapter, a new one each round that starts from the base; None for all
            weights.
        report: told about every step.

    Raises:
        InputError: settings that cannot be trained with.
        RunError: training could not go on; the message says why.
    """
    require_one_process(settings.name)
    if settings.learning_rate is None:
        raise InputError(
            "expert_iteration: learning_rate is not set; give --expert-iteration.learning-rate"
        )
    from formatlab.train.expert_round import ExpertRounds
    from formatlab.train.half_precision import half_precision
    from formatlab.train.policy import observe_policy, write_probe

    sampled = _resumed(folder, settings)
    tokenizer = load_tokenizer(model)
    rounds = ExpertRounds(
        folder=folder,
        model=model,
        tokenizer=tokenizer,
        settings=settings,
        reward=reward,
        prompts=prompts,
        seed=seed,
        lora=lora,
    )

    def observe(number: int) -> None:
        if float(number) in folder.epochs("probe"):
            return
        policy = rounds.policy(number)
        with half_precision(settings.precision, policy.device.type):
            seen = observe_policy(
                policy,  # pyright: ignore[reportArgumentType] - a model with an adapter samples too
                tokenizer,
                probe_prompts,
                probe,
                limit=settings.completion_length,
            )
        step = number * settings.steps_per_epoch
        write_probe(folder, seen, step=step, epoch=float(number))

    observe(0)
    lines = folder.metrics()
    finished = len(lines) // settings.steps_per_epoch
    for number in range(finished + 1, settings.rounds + 1):
        last = number * settings.steps_per_epoch - 1
        first = max(sampled, last + 1 - settings.steps_per_epoch)
        for line in rounds.sample(number, first=first):
            if line["step"] == last:
                tuned = rounds.fine_tune(number)
                line |= tuned | {"seconds": line["seconds"] + tuned["seconds"]}
            lines.append(line)
            fatal = note_events(lines, rewarded=reward.kind != "none")
            if line["step"] == last and not fatal:
                observe(number)
            folder.append_metrics(line)
            report(line["step"] + 1, line)
            if fatal:
                rounds.discard(number)
                raise RunError(fatal)
        rounds.clear(number)
    rounds.leave_policy()


def _resumed(folder: RunFolder, settings: ExpertIteration) -> int:
    """The number of steps whose rollouts stand; what is later than them is dropped."""
    from formatlab.train.expert_round import pending_line, policy_folder

    per_round = settings.steps_per_epoch
    before = len(folder.metrics())
    rows = Counter(folder.rollouts("train", columns=["step"])["step"].to_pylist())
    whole = next(step for step in count() if rows[step] != settings.rollouts_per_step)
    finished = before // per_round
    last_of_round = (finished + 1) * per_round
    if pending_line(folder, finished + 1).exists() and before == last_of_round - 1:
        sampled = needed = last_of_round
    else:
        sampled, needed = min(before, whole), finished * per_round
    probed = set(folder.epochs("probe"))
    if (
        whole < needed
        or not {float(number) for number in range(1, finished + 1)} <= probed
        or (finished and not policy_folder(folder, finished).exists())
    ):
        sampled = 0  # a file was removed or cut short
        folder.remove_checkpoints()
    for number in range(1, settings.rounds + 1):
        if sampled < number * per_round:  # its last step is sampled again
            pending_line(folder, number).unlink(missing_ok=True)
    folder.drop_rollouts_from(sampled)
    folder.drop_metrics_from(sampled)
    if before:
        folder.note_resumed(step=sampled, lost=max(0, before - sampled))
    return sampled
