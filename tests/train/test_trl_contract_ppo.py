"""What PPO uses of TRL's and transformers' inner ways is still there; failures say what moved."""

import inspect

import pytest
from transformers import Trainer
from trl.trainer import utils
from trl.trainer.grpo_trainer import GRPOTrainer
from upstream import in_order, parameters_of, source_of


@pytest.mark.parametrize(
    ("owner", "name", "parameters"),
    [
        (GRPOTrainer, "_compute_loss", ["self", "model", "inputs"]),
        (Trainer, "create_optimizer", ["self", "model"]),
        (Trainer, "train", None),
    ],
)
def test_overridden_methods_take_what_they_took(
    owner: type, name: str, parameters: list[str] | None
):
    found = parameters_of(owner, name)
    if parameters is None:
        assert "resume_from_checkpoint" in found, f"{name} no longer takes resume_from_checkpoint"
    else:
        assert found == parameters, f"{owner.__name__}.{name} takes {found} now, not {parameters}"


@pytest.mark.parametrize(
    ("owner", "method", "text", "use"),
    [
        (
            GRPOTrainer,
            "_compute_loss",
            "if advantages.dim() == 1:",
            "advantages (B, C) of every token are left as they are",
        ),
        (
            GRPOTrainer,
            "_compute_loss",
            "* self.current_gradient_accumulation_steps / self.args.steps_per_generation",
            "an update's tokens are counted, and the value loss is divided by the same number",
        ),
        (
            GRPOTrainer,
            "_compute_loss",
            'inputs["num_items_in_batch"].clamp(min=1.0) / self.accelerator.num_processes',
            "an update's tokens are counted, and the value loss is divided by the same number",
        ),
        (
            GRPOTrainer,
            "_generate_and_score_completions",
            "% generate_every != 0",
            "old log-probabilities are kept where a batch is learned from more than once",
        ),
        (
            GRPOTrainer,
            "_prepare_inputs",
            "shuffle_sequence_dict(generation_batch)",
            "values and returns are shuffled and split with the rollouts they belong to",
        ),
        (
            Trainer,
            "_run_epoch",
            "self.control = self.callback_handler.on_pre_optimizer_step(",
            "the critic's gradients are clipped before the optimiser's step",
        ),
        (
            Trainer,
            "_run_epoch",
            "self.control = self.callback_handler.on_optimizer_step(",
            "the critic's gradients are forgotten after the optimiser's step",
        ),
    ],
)
def test_what_the_critic_rests_on_is_still_done(owner: type, method: str, text: str, use: str):
    source = source_of(owner, method)
    assert text in source, f"{owner.__name__}.{method} no longer has `{text}`, by which {use}"


def test_one_forward_pass_of_the_trunk_makes_the_loss():
    source = source_of(GRPOTrainer, "_compute_loss")
    passes = source.count("self._get_per_token_logps_and_entropies(")
    assert passes == 1, f"the loss makes {passes} forward passes; the head reads one pass's states"
    fused = source_of(utils, "add_fused_lm_head")
    assert "getattr(self, backbone_attr)(*args, **kwargs)" in fused, (
        "TRL's fused head no longer calls the trunk as a module, so a hook on it sees nothing"
    )
    assert 'backbone_attr = "base_model"' in fused, "TRL's fused head calls another trunk"


def test_gradients_are_clipped_before_the_callback_and_learning_rates_follow_it():
    steps = [
        "self._clip_grad_norm(model)",
        "on_pre_optimizer_step(",
        "self.optimizer.step()",
        "on_optimizer_step(",
        "self.lr_scheduler.step()",
    ]
    ordered = in_order(source_of(Trainer, "_run_epoch"), steps, "Trainer._run_epoch")
    assert ordered, "transformers updates in another order; see CriticUpdate"


def test_the_schedule_is_made_after_the_optimiser_has_all_its_groups():
    made = ["self.create_optimizer()", "self.create_scheduler(num"]
    assert in_order(inspect.getsource(Trainer), made, "Trainer"), (
        "transformers makes the schedule before the optimiser, so the critic's rate has none"
    )
