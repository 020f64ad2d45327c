"""One run of GRPO, PPO or RLOO, from a model on disk to its policy, resumable at any moment."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from formatlab.errors import RunError
from formatlab.models.lora import LoraSettings
from formatlab.models.model import best_device, load_saved, load_tokenizer
from formatlab.store.run_folder import RunFolder
from formatlab.train.checkpoints import newest_checkpoint
from formatlab.train.metrics import StepReport
from formatlab.train.on_policy.engine import Engine
from formatlab.train.on_policy.exploration import Exploration
from formatlab.train.on_policy.settings import Grpo, OnPolicy, Ppo, Rloo
from formatlab.train.probe import Probe
from formatlab.train.reward import Reward
from formatlab.world.prompt import Prompt

if TYPE_CHECKING:
    from formatlab.train.on_policy.rollout_trainer import RolloutTrainer


def run_on_policy(
    folder: RunFolder,
    *,
    model: Path,
    settings: OnPolicy,
    reward: Reward,
    exploration: Exploration,
    engine: Engine,
    prompts: Sequence[Prompt],
    probe: Probe,
    probe_prompts: Sequence[Prompt],
    seed: int,
    lora: LoraSettings | None,
    report: StepReport,
) -> None:
    """Train, going on from the newest whole checkpoint, and leave the policy in `policy/`.

    Rollouts and metrics later than that checkpoint are dropped and made again; on a CPU they come
    out the same, so a killed and resumed run equals one that ran through. Where `accelerate launch`
    started several processes, each of them has to call this; the first one writes.

    Args:
        folder: the run folder.
        model: a transformers folder, what training starts from; KL is measured against it.
        settings: of the algorithm.
        reward: what rollouts are paid for.
        exploration: what is added to their advantages.
        engine: what samples them.
        prompts: one epoch; `settings.prompts` of them.
        probe: how to observe the policy.
        probe_prompts: what to observe it on.
        seed: decides the order of prompts and all training samples.
        lora: train an adapter; None for all weights.
        report: told about every step.

    Raises:
        InputError: settings that cannot be trained with.
        RunError: training could not go on; the message says why.
    """
    from accelerate import PartialState
    from accelerate.utils import broadcast_object_list
    from transformers import PrinterCallback

    from formatlab.train.policy import AfterUpdates, observe_policy, save_policy

    steps = probe.steps(per_epoch=settings.steps_per_epoch, epochs=settings.epochs)
    processes = PartialState(cpu=best_device().type == "cpu")
    found: list[Any] = [None, 0]
    if processes.is_main_process:
        found = list(_resumed(folder, settings, steps))
    broadcast_object_list(found)
    checkpoint, first_step = found

    tokenizer = load_tokenizer(model)
    base = None
    if lora is None and (settings.kl_coefficient == 0 or isinstance(settings, Ppo)):
        base = load_saved(model).requires_grad_(False)  # else TRL holds it already
    trainer: RolloutTrainer = _trainer(
        settings,
        engine,
        model=model,
        output=folder.checkpoints,
        processes=processes.num_processes,
        reward=reward,
        exploration=exploration,
        seed=seed,
        folder=folder,
        base=base,
        first_step=first_step,
        report=report,
        train_dataset=_dataset(prompts),
        processing_class=tokenizer,
        peft_config=lora.config() if lora else None,
    )
    hf_trainer: Any = trainer
    hf_trainer.remove_callback(PrinterCallback)

    def observe(step: int) -> None:
        if processes.is_main_process or trainer.sharded:
            with trainer.sampling() as policy:
                rows = observe_policy(
                    policy,
                    tokenizer,
                    probe_prompts,
                    probe,
                    limit=settings.completion_length,
                    run_id=folder.name,
                    step=step,
                    epoch=steps[step],
                )
            if processes.is_main_process:
                folder.write_rollouts("probe", steps[step], rows)
        processes.wait_for_everyone()

    if steps[0] not in folder.epochs("probe"):
        processes.wait_for_everyone()  # nobody may find the file that another is about to write
        observe(0)
    calls = {step * settings.updates_per_step: partial(observe, step) for step in steps}
    hf_trainer.add_callback(AfterUpdates(calls))
    hf_trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    if processes.is_main_process:
        trainer.flush()
        if not _complete(folder, settings, steps, settings.steps):
            raise RunError(
                f"{folder.path} lacks rollouts of its own run; run the same command again, and it "
                "is made anew"
            )
    save_policy(hf_trainer, folder)


def _resumed(
    folder: RunFolder, settings: OnPolicy, steps: dict[int, float]
) -> tuple[Path | None, int]:
    """The checkpoint to go on from and its step; what is later than it is dropped."""
    before = len(folder.metrics())
    checkpoint = newest_checkpoint(folder.checkpoints)
    first_step = checkpoint[1] // settings.updates_per_step if checkpoint else 0
    folder.drop_rollouts_from(first_step)
    folder.drop_metrics_from(first_step)
    if not _complete(folder, settings, steps, first_step):  # a file was removed or cut short
        checkpoint, first_step = None, 0
        folder.drop_rollouts_from(0)
        folder.drop_metrics_from(0)
    if before:
        folder.note_resumed(step=first_step, lost=before - first_step)
    return (checkpoint[0] if checkpoint else None), first_step


def _trainer(
    settings: OnPolicy,
    engine: Engine,
    *,
    model: Path,
    output: Path,
    processes: int,
    **lab: Any,
) -> Any:
    arguments: dict[str, Any] = {"output": output, "seed": lab["seed"], "processes": processes}
    lab |= {"settings": settings, "engine": engine, "model": str(model)}
    match settings:
        case Grpo():
            from formatlab.train.on_policy.grpo_trainer import LabGrpoTrainer, grpo_config

            return LabGrpoTrainer(args=grpo_config(settings, engine, **arguments), **lab)
        case Ppo():
            from formatlab.train.on_policy.ppo_trainer import LabPpoTrainer, ppo_config

            return LabPpoTrainer(args=ppo_config(settings, engine, **arguments), **lab)
        case Rloo():
            from formatlab.train.on_policy.rloo_trainer import LabRlooTrainer, rloo_config

            return LabRlooTrainer(args=rloo_config(settings, engine, **arguments), **lab)
        case _:
            raise TypeError(f"{type(settings).__name__} is not an algorithm of this kind")


def _complete(folder: RunFolder, settings: OnPolicy, steps: dict[int, float], done: int) -> bool:
    """Whether the folder holds all rollouts, probes and metrics of the first `done` steps."""
    rollouts = folder.count_rollouts("train")
    probed = folder.epochs("probe")
    due = [epoch for step, epoch in steps.items() if 0 < step <= done]
    return (
        rollouts == done * settings.rollouts_per_step
        and len(folder.metrics()) == done
        and all(epoch in probed for epoch in due)
    )


def _dataset(prompts: Sequence[Prompt]) -> Any:
    """The training set, under the names that TRL and the reward read."""
    from datasets import Dataset

    return Dataset.from_list(
        [{"prompt": p.text, "gold": p.gold, "prompt_id": p.id, "family": p.family} for p in prompts]
    )
