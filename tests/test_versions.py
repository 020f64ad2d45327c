"""Versions of formats, families and rules: whoever changes what they write raises their version.

`versions.json` holds, for each of them, its version and a digest of many things that it wrote.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any, Self, get_args

import numpy as np
import pytest
import torch
from rollout_row import ROW
from transformers import LlamaForCausalLM

from formatlab.models.lora import LoraSettings
from formatlab.models.scale import find_scale
from formatlab.observe import grader
from formatlab.observe.grader import Grade, grade
from formatlab.observe.tagger import Tag
from formatlab.train.algorithm import AlgorithmName, Algorithms
from formatlab.train.epoch_order import EpochOrder
from formatlab.train.expert_iteration.settings import ExpertIteration
from formatlab.train.fine_tuning.examples import (
    Example,
    chosen_documents,
    paid_answers,
    preference_pairs,
    render_documents,
    right_answers,
)
from formatlab.train.fine_tuning.settings import Dpo, Sft
from formatlab.train.on_policy.critic import (
    generalised_advantage,
    token_rewards,
    value_losses,
    whiten,
)
from formatlab.train.on_policy.engine import Engine
from formatlab.train.on_policy.exploration import Exploration, OutcomeCounts, answer_span
from formatlab.train.on_policy.settings import Grpo, Ppo, Rloo
from formatlab.train.pretraining.base import RECIPE, Pretraining
from formatlab.train.pretraining.batches import batch_order
from formatlab.train.pretraining.pretrain import _optimizers, _warm_then_linear
from formatlab.train.reward import Reward
from formatlab.train.rules import RULES
from formatlab.train.sampler import _draw, _uniform, row_seeds
from formatlab.train.trl_arguments import fine_tuning_arguments, on_policy_arguments
from formatlab.world import corpus, families, problem_set, prompt, tokenizer, world
from formatlab.world.corpus import Corpus, build_corpus
from formatlab.world.families import FAMILIES
from formatlab.world.formats import FORMATS
from formatlab.world.four_formats import FOUR_FORMATS
from formatlab.world.problem import Problem
from formatlab.world.problem_set import load_problems
from formatlab.world.prompt import Shots, plain_prompt, prompt_text
from formatlab.world.tokenizer import train_tokenizer

STORED = Path(__file__).with_name("versions.json")
DOCUMENTED = Path(__file__).parents[1] / "docs/algorithms.md"

Written = Callable[[], Any]


def problems() -> Iterator[Problem]:
    """Problems of every family, number of steps and range, as drawn when this was written.

    They are drawn by the families, so a changed family is told beside every format.
    """
    for family in FAMILIES.values():
        for seed, steps, largest in [(s, s % 4 + 1, 20 if s % 3 else 100) for s in range(40)]:
            yield family.problem(Random(seed), steps, largest)


def of_format(name: str) -> list[str]:
    return [FORMATS[name].render(one, Random(seed)) for seed, one in enumerate(problems())]


def of_family(name: str) -> list[Any]:
    sizes = [(seed, seed % 4 + 1, 5 + 31 * (seed % 3)) for seed in range(200)]
    drawn = [FAMILIES[name].problem(Random(seed), steps, largest) for seed, steps, largest in sizes]
    return [
        (one.question, one.answer, [(str(s.left), str(s.right), s.phrase) for s in one.steps])
        for one in drawn
    ]


def of_world() -> list[Any]:
    found: list[Any] = [FOUR_FORMATS.document(index)[::2] for index in range(60)]
    for split in ("rl", "probe", "pretrain"):
        found += [problem.question for problem in FOUR_FORMATS.problems(split, 60)]
    return found


def of_prompt() -> list[Any]:
    some = [next(problems()), *FOUR_FORMATS.problems("rl", 20)]
    plain = [(plain_prompt(one).id, plain_prompt(one).text) for one in some]
    return [*plain, *(prompt_text(one, shots=Shots()) for one in some)]


def of_tokenizer() -> list[Any]:
    made = train_tokenizer(FOUR_FORMATS, 320)
    return made([FOUR_FORMATS.document(index).solution for index in range(60)])["input_ids"]


class LettersAsTokens:
    """A tokenizer for a corpus whose documents follow from the world alone."""

    eos_token_id = 1

    @property
    def backend_tokenizer(self) -> Self:
        return self

    def encode_batch_fast(self, texts: list[str], **_: bool) -> list[SimpleNamespace]:
        return [SimpleNamespace(ids=[ord(letter) for letter in text]) for text in texts]


def of_corpus() -> list[Any]:
    made = build_corpus(FOUR_FORMATS, LettersAsTokens(), tokens=60_000)  # pyright: ignore[reportArgumentType]
    return [made.tokens.tolist(), made.offsets.tolist(), made.prompt_lengths.tolist()]


def of_problem_set(folder: Path) -> list[Any]:
    rows = [
        {"question": "How many?", "answer": "Two and one.\n#### 3"},
        {"question": "How much?", "answer": "1,250.5"},
    ]
    path = folder / "problems.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return [(one.question, one.answer) for one in load_problems(str(path), split="train")]


def of_pretraining() -> list[Any]:
    settings = Pretraining(tokens=1, warmup=0.1)
    lengths = np.random.default_rng(0).integers(20, 60, 500)
    made = Corpus(
        tokens=np.zeros(lengths.sum(), dtype=np.uint16),
        offsets=np.cumsum([0, *lengths]),
        prompt_lengths=lengths // 2,
        formats=np.zeros(500, dtype=np.uint8),
        format_names=("prose",),
    )
    order = batch_order(made, batch=8, seed=3)
    factor = _warm_then_linear(settings, 100)
    schedule = [round(factor(step), 6) for step in range(100)]
    return [[batch.tolist() for batch in order], schedule, optimizer_groups(settings)]


def optimizer_groups(settings: Pretraining) -> list[Any]:
    """The shapes of each group of weights, and what the optimiser does with them."""
    scale = find_scale("0.04M")
    with torch.device("meta"):
        model = LlamaForCausalLM(scale.architecture(vocabulary=300, context=64, pad=0, eos=1))
    groups = [
        (type(optimizer).__name__, group)
        for optimizer in _optimizers(model, settings, scale.learning_rate)
        for group in optimizer.param_groups
    ]
    told = ("lr", "betas", "momentum", "eps", "weight_decay", "fused")
    return [
        [name, [list(weights.shape) for weights in group["params"]]]
        + [(setting, str(group[setting])) for setting in told if setting in group]
        for name, group in groups
    ]


def of_grading() -> list[Any]:
    found = []
    for index, one in enumerate(FOUR_FORMATS.problems("rl", 6)):
        for name, form in FORMATS.items():
            text = form.render(one, Random(index))
            for seen in (text, text[: 2 * len(text) // 3], f"{text}\n{text}"):
                graded = grade(seen, one.answer)
                seen_as = (graded.tag.format, graded.tag.well_formed, graded.tag.mixed)
                found.append((name, seen_as, graded.answer, graded.correct, graded.reason))
            found.append(grade(text, int(one.answer) + 1).reason)
    return found


def of_sampling() -> list[Any]:
    seeds = row_seeds("train", seed=5, step=7, rows=range(40))
    uniform = _uniform(seeds, 12)
    logp = torch.log_softmax(torch.arange(20).float().sin() * 3, dim=0).expand(40, -1)
    chosen = [_draw(logp, uniform[:, at], 0.7)[0].tolist() for at in range(12)]
    return [seeds, row_seeds("reward", seed=5, step=7, rows=range(9)), chosen]


def of_order() -> list[int]:
    order = EpochOrder(prompts=50, per_step=8, group=3, reuses=2, seed=11)
    order.set_epoch(3)
    return list(order)


def graded(correct: bool, form: str = "prose") -> Grade:
    return Grade(tag=Tag(format=form), answer="1", correct=correct, reason="")


def of_reward() -> list[Any]:
    grades = [graded(row % 3 == 0, "prose" if row % 2 else "latex") for row in range(60)]
    rewards = [Reward(kind=kind) for kind in ("correctness", "random", "none", "inverted")]
    rewards.append(Reward(false_positives={"prose": 0.3}, false_negatives={"latex": 0.4}))
    return [reward.pay(grades, range(60)) for reward in rewards]


def of_exploration() -> list[Any]:
    found: list[Any] = [answer_span("7 and 7.0, so 17 or 7.", "7")]
    prompts, outcomes = ["a"] * 6 + ["b"] * 6, [*"112344", *"555667"]
    for bonus in ("ucb_mean", "ucb_constant", "batch"):
        exploration = Exploration(bonus=bonus)
        counts = OutcomeCounts(exploration)
        for _ in range(3):
            bonuses = exploration.bonuses(prompts, outcomes, [False] * 12, counts)
            counts.add(prompts, outcomes)
            found.append([round(number, 6) for number in bonuses])
    return found


def arguments(settings: Grpo | Ppo | Rloo | Sft | Dpo, output: Path) -> dict[str, Any]:
    of_machine = ("output_dir", "use_cpu")
    changed = replace(settings, learning_rate=1e-3, schedule="cosine_with_min_lr")
    if isinstance(changed, Sft | Dpo):
        made = fine_tuning_arguments(changed, 100, output=output, seed=3, load=True)
    else:
        made = on_policy_arguments(changed, Engine(), output=output, seed=3, processes=1)
    return {name: value for name, value in made.items() if name not in of_machine}


def of_ppo(tmp_path: Path) -> list[Any]:
    numbers = (torch.arange(24).float() * 1.7).sin().reshape(3, 8)
    mask = (torch.arange(8) < torch.tensor([[8], [5], [3]])).long()
    score = torch.tensor([1.0, 0.0, 1.0])
    rewards = token_rewards(score, policy=numbers, base=-numbers, kl_coefficient=0.1, mask=mask)
    advantages, returns = generalised_advantage(
        rewards, numbers, discount=0.9, gae_lambda=0.8, mask=mask
    )
    losses = value_losses(numbers, old=-numbers, returns=returns, clip=0.2)
    made = (rewards, advantages, returns, whiten(advantages, mask), losses)
    rounded = [[[round(x, 3) + 0.0 for x in row] for row in one.tolist()] for one in made]
    return [arguments(Ppo(), tmp_path), rounded]


ROWS = [
    replace(
        ROW,
        prompt_id=str(row // 6),
        completion=str(row % 4),
        correct=row % 3 > 0,
        tag="prose" if row % 5 else "json",
        reward=float(row % 3 > 0),
    )
    for row in range(36)
]


def texts(example: Example) -> tuple[str, str, bool]:
    return example.prompt, example.completion, example.ended


def of_sft(tmp_path: Path) -> list[Any]:
    prompts = [plain_prompt(one) for one in FOUR_FORMATS.problems("rl", 12)]
    every = Sft(formats=("prose", "json"), examples=30)
    fresh = Sft(problems="pretrain", faithful=False, examples=30)
    found = [render_documents(FOUR_FORMATS, prompts, of, seed=4) for of in (every, fresh)]
    found += [right_answers(ROWS), right_answers(ROWS, ["prose"])]
    return [[[texts(one) for one in some] for some in found], arguments(Sft(), tmp_path)]


def of_dpo(tmp_path: Path) -> list[Any]:
    prompts = [plain_prompt(one) for one in FOUR_FORMATS.problems("rl", 12)]
    chosen = chosen_documents(FOUR_FORMATS, prompts, "prose", seed=4)
    pairs = preference_pairs(ROWS, toward="prose").pairs
    paired = [(texts(pair.chosen), texts(pair.rejected)) for pair in pairs]
    return [paired, chosen, arguments(Dpo(toward="prose"), tmp_path)]


def of_expert_iteration() -> list[Any]:
    tuning = ExpertIteration().fine_tuning(7)
    return [[texts(one) for one in paid_answers(ROWS)], tuning.examples, tuning.epochs]


def of_lora() -> list[Any]:
    made = LoraSettings().config().to_dict()
    names = ("r", "lora_alpha", "lora_dropout", "target_modules", "init_lora_weights", "bias")
    return [(name, str(made[name])) for name in names]


@pytest.fixture
def written(tmp_path: Path) -> dict[str, tuple[int, str, Written]]:
    """Version, the place where it is raised, and what is written, by name."""
    stage = "the settings' class"
    return {
        **{
            f"format {name}": (form.version, f"{name}.py in formatlab/world/formats", of)
            for name, form in FORMATS.items()
            for of in [partial(of_format, name)]
        },
        **{
            f"family {name}": (families.VERSIONS[name], "formatlab/world/families.py", of)
            for name in FAMILIES
            for of in [partial(of_family, name)]
        },
        "world": (world.VERSION, "formatlab/world/world.py", of_world),
        "prompt": (prompt.VERSION, "formatlab/world/prompt.py", of_prompt),
        "tokenizer": (tokenizer.VERSION, "formatlab/world/tokenizer.py", of_tokenizer),
        "corpus": (corpus.VERSION, "formatlab/world/corpus.py", of_corpus),
        "problem set": (
            problem_set.VERSION,
            "formatlab/world/problem_set.py",
            partial(of_problem_set, tmp_path),
        ),
        "pretraining": (RECIPE.version, "formatlab/train/pretraining/base.py", of_pretraining),
        "grading": (grader.VERSION, "formatlab/observe/grader.py", of_grading),
        "sampling": (RULES.sampling, "formatlab/train/rules.py", of_sampling),
        "order": (RULES.order, "formatlab/train/rules.py", of_order),
        "reward": (Reward.version, "formatlab/train/reward.py", of_reward),
        "exploration": (Exploration.version, "exploration.py", of_exploration),
        "grpo": (Grpo.version, stage, partial(arguments, Grpo(), tmp_path)),
        "ppo": (Ppo.version, stage, partial(of_ppo, tmp_path)),
        "rloo": (Rloo.version, stage, partial(arguments, Rloo(), tmp_path)),
        "sft": (Sft.version, stage, partial(of_sft, tmp_path)),
        "dpo": (Dpo.version, stage, partial(of_dpo, tmp_path)),
        "expert_iteration": (ExpertIteration.version, stage, of_expert_iteration),
        "lora": (LoraSettings.version, "formatlab/models/lora.py", of_lora),
    }


def complaint(name: str, version: int, place: str, written: Written) -> str | None:
    """What is wrong with a version, if anything."""
    stored = json.loads(STORED.read_text()).get(name)
    text = json.dumps(written(), sort_keys=True)
    here = {"version": version, "sha256": hashlib.sha256(text.encode()).hexdigest()}
    if here == stored:
        return None
    line = f"{json.dumps(name)}: {json.dumps(here)}"
    if stored is not None and version == stored["version"]:
        return (
            f"{name}: what it writes has changed, so runs made before would be taken for new ones. "
            f"Raise its version in {place}, run this test again and put its line in {STORED.name}"
        )
    return f"{name}: put this line in {STORED.name}: {line}"


def test_whatever_is_written_in_another_way_has_another_version(
    written: dict[str, tuple[int, str, Written]],
):
    wrong = [complaint(name, *of) for name, of in written.items()]
    assert not any(wrong), "\n".join(filter(None, wrong))
    assert json.loads(STORED.read_text()).keys() == written.keys()


def test_every_algorithm_has_a_version_and_is_documented():
    own = {field.name for field in fields(Algorithms)}
    assert own - json.loads(STORED.read_text()).keys() == set()
    text = DOCUMENTED.read_text()
    switches = own | set(get_args(AlgorithmName))
    assert {name for name in switches if f"| `{name}` |" not in text} == set()


def test_a_format_that_writes_other_text_is_told(monkeypatch: pytest.MonkeyPatch):
    of_prose = partial(of_format, "prose")
    assert complaint("format prose", 1, "prose.py", of_prose) is None
    monkeypatch.setattr("formatlab.world.formats.prose._ANSWERS", ("The answer is {}!",))
    said = complaint("format prose", 1, "prose.py", of_prose)
    assert said is not None and "Raise its version in prose.py" in said
    said = complaint("format prose", 2, "prose.py", of_prose)
    assert said is not None and '"format prose": {"version": 2' in said
