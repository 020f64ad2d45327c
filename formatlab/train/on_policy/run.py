"""One run of an on-policy algorithm, from a model on disk to its policy; a killed one resumes."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from formatlab.errors import RunError
from formatlab.models.model import best_device, load_saved, load_tokenizer
from formatlab.train.checkpoints import is_complete, resume
from formatlab.train.stage import StageInputs
from formatlab.world.prompt import Prompt

if TYPE_CHECKING:
    from formatlab.train.on_policy.settings import OnPolicy


def run_on_policy(settings: "OnPolicy", inputs: StageInputs) -> None:
    """Train from the newest whole checkpoint on and leave the policy in `policy/`.

    On a CPU a killed and resumed run equals one that ran through. Where `accelerate launch` started
    several processes, each of them has to call this; the first one writes.

    Raises:
        InputError: settings that cannot be trained with.
        RunError: training cannot continue; the message says why.
    """
    from accelerate import PartialState
    from accelerate.utils import broadcast_object_list
    from transformers import PrinterCallback

    from formatlab.train.policy import AfterUpdates, observe_stage, save_policy
    from formatlab.train.trl_arguments import on_policy_arguments

    folder, model = inputs.folder, inputs.model
    probes = inputs.probe.steps(per_epoch=settings.steps_per_epoch, epochs=settings.epochs)
    complete = partial(
        is_complete, folder, probes=probes, rollouts_per_step=settings.rollouts_per_step
    )
    processes = PartialState(cpu=best_device().type == "cpu")
    found: list[Any] = [None, 0]
    if processes.is_main_process:
        found = list(resume(folder, complete, updates_per_step=settings.updates_per_step))
    broadcast_object_list(found)
    checkpoint, first_step = found

    tokenizer = load_tokenizer(model)
    kind = settings.trainer()
    arguments = on_policy_arguments(
        settings,
        inputs.engine,
        output=folder.checkpoints,
        seed=inputs.seed,
        processes=processes.num_processes,
    )
    base = None
    if inputs.lora is None and arguments["beta"] == 0:  # else TRL holds it already
        base = load_saved(model).requires_grad_(False)
    trainer = kind(
        settings=settings,
        reward=inputs.reward,
        exploration=inputs.exploration,
        engine=inputs.engine,
        seed=inputs.seed,
        folder=folder,
        base=base,
        first_step=first_step,
        report=inputs.report,
        model=str(model),
        args=kind.trl_config(**arguments),
        train_dataset=_dataset(inputs.prompts),
        processing_class=tokenizer,
        peft_config=inputs.lora.config() if inputs.lora else None,
    )
    hf_trainer: Any = trainer
    hf_trainer.remove_callback(PrinterCallback)

    def observe(step: int) -> None:
        if processes.is_main_process or trainer.sharded:
            with trainer.sampling() as policy:
                limit = settings.completion_length
                observe_stage(inputs, policy, tokenizer, limit=limit, step=step, epoch=probes[step])
        processes.wait_for_everyone()

    if probes[0] not in folder.epochs("probe"):
        processes.wait_for_everyone()  # nobody may find the file that another is about to write
        observe(0)
    if processes.is_main_process:
        inputs.before_first_step(folder)
    calls = {step * settings.updates_per_step: partial(observe, step) for step in probes}
    hf_trainer.add_callback(AfterUpdates(calls))
    hf_trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    if processes.is_main_process:
        trainer.flush()
        if not complete(settings.steps):
            raise RunError(
                f"{folder.path} lacks rollouts of its own run; run the same command again, and it "
                "is made anew"
            )
    save_policy(hf_trainer, folder)


def _dataset(prompts: Sequence[Prompt]) -> Any:
    """The training set, under the names that TRL and the reward read."""
    from datasets import Dataset

    return Dataset.from_list(
        [{"prompt": p.text, "gold": p.gold, "prompt_id": p.id, "family": p.family} for p in prompts]
    )
