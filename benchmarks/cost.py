"""How the cost of a GRPO step grows, and what the machine would allow: a figure and its table.

    python -m benchmarks.cost [--folder plots/performance]     about seven minutes on one core
    python -m benchmarks.cost --draw                           draws the table that is there again

One setting is varied at a time: the scale, the group size (of 256 rollouts in any case), and the
limit of completions. Models have random weights, so that completions are about as long as the limit
allows, and half of all rollouts are paid by lot, so that there is something to learn. All runs on
one thread; seconds are processor time of a whole step: sampling, grading, the pass over the base,
learning, recording.

The floor is what arithmetic and memory need at the least, phase by phase (sampling, base,
learning): the larger of operations / rate of a large matrix product and bytes / rate of a large
copy, both measured here. `step_work` in `roofline.py` says what is counted.
"""

import argparse
import csv
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from statistics import fmean, median
from typing import TYPE_CHECKING, Any, get_type_hints

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from benchmarks.roofline import Machine, Rollout, machine, step_work
from benchmarks.steps import LEARNING_RATE, train_lab
from formatlab.models.scale import Scale, find_scale
from formatlab.show.figures.layout import QUIET, STYLE, figure_layout, save_figure
from formatlab.store.run_folder import RunFolder
from formatlab.train.on_policy.settings import Grpo
from formatlab.train.reward import Reward
from formatlab.world.four_formats import FOUR_FORMATS
from formatlab.world.prompt import plain_prompt

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

ROLLOUTS = 256
VARIED = ("0.13M", "0.46M")
"""Scales at which group size and completion length are varied."""
CONTEXT = 256
BY_LOT = Reward(false_positives={"none": 0.5})
"""Random weights are never right; their rollouts, which have no format, are paid by lot."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One point of a line."""

    varied: str
    """What the line is over: `parameters`, `group size` or `completion length`."""
    scale: str
    group: int = 8
    """Rollouts of a prompt."""
    length: int = 64
    """Most tokens of a completion."""
    rollouts: int = ROLLOUTS


SETTINGS = (
    *(
        Setting(varied="parameters", scale=scale)
        for scale in ("0.04M", "0.08M", "0.13M", "0.27M", "0.46M", "1.9M", "4.1M", "12M")
    ),
    *(
        Setting(varied="group size", scale=scale, group=group)
        for scale in VARIED
        for group in (2, 4, 8, 16, 32, 64)
    ),
    *(
        Setting(varied="completion length", scale=scale, length=length)
        for scale in VARIED
        for length in (16, 32, 64, 128, 192)
    ),
)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One setting, as a row of the table."""

    varied: str
    scale: str
    parameters: int
    group_size: int
    completion_length: int
    """The limit, in tokens."""
    rollouts: int
    tokens: float
    """Mean length of a completion."""
    learned: float
    """Share of the rollouts that the loss has a gradient of."""
    seconds: float
    """Of a step: the median of two up to a width of 128, one above."""
    floor: float
    """Seconds that arithmetic and memory need at the least."""
    flops: float
    """Operations of a step."""
    bytes: float
    """Bytes that a step moves at the least."""
    machine_flops: float
    machine_bytes: float
    """Rates of the machine, a second."""

    @property
    def fraction(self) -> float:
        """Of what the machine would allow."""
        return self.floor / self.seconds


def measure(setting: Setting, base: Path, rates: Machine) -> Measured:
    """Train three steps from a base, two of wide ones; the first is not counted."""
    from formatlab.models.model import load_tokenizer

    scale = find_scale(setting.scale)
    per_step = setting.rollouts // setting.group
    steps = 3 if scale.width <= 128 else 2
    settings = Grpo(
        prompts=steps * per_step,
        prompts_per_step=per_step,
        group_size=setting.group,
        completion_length=setting.length,
        epochs=1,
        learning_rate=LEARNING_RATE,
        checkpoint_every=1_000,
    )
    prompts = [plain_prompt(problem) for problem in FOUR_FORMATS.problems("rl", settings.prompts)]
    with tempfile.TemporaryDirectory() as folder:
        run = RunFolder.create(Path(folder) / "run", config={}, env={})
        seconds = median(train_lab(settings, base, prompts, run, reward=BY_LOT))
        columns = ["step", "prompt_id", "tokens", "advantage"]
        rows = run.rollouts("train", columns=columns).to_pylist()
    tokenizer = load_tokenizer(base)
    lengths = {prompt.id: len(tokenizer(prompt.text)["input_ids"]) for prompt in prompts}
    rollouts = [
        Rollout(
            prompt=row["prompt_id"],
            prompt_tokens=lengths[row["prompt_id"]],
            tokens=row["tokens"],
            learned=row["advantage"] != 0,
        )
        for row in rows
        if row["step"] == steps - 1
    ]
    work = step_work(scale, len(tokenizer), rollouts)
    return Measured(
        varied=setting.varied,
        scale=scale.name,
        parameters=scale.parameters(len(tokenizer)),
        group_size=setting.group,
        completion_length=setting.length,
        rollouts=len(rollouts),
        tokens=fmean(of.tokens for of in rollouts),
        learned=fmean(of.learned for of in rollouts),
        seconds=seconds,
        floor=sum(rates.seconds(phase) for phase in work.values()),
        flops=sum(phase.flops for phase in work.values()),
        bytes=sum(phase.bytes for phase in work.values()),
        machine_flops=rates.flops,
        machine_bytes=rates.bytes,
    )


def random_base(scale: Scale, tokenizer: "PreTrainedTokenizerFast", folder: Path) -> Path:
    """Save a model of a scale with random weights, and its tokenizer."""
    import torch
    from transformers import LlamaForCausalLM

    pad, end = tokenizer.pad_token_id, tokenizer.eos_token_id
    assert isinstance(pad, int) and isinstance(end, int)
    torch.manual_seed(0)
    shape = scale.architecture(vocabulary=len(tokenizer), context=CONTEXT, pad=pad, eos=end)
    LlamaForCausalLM(shape).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def measure_all(settings: Sequence[Setting]) -> Iterator[Measured]:
    """Measure one setting after another, on random bases."""
    import torch

    from formatlab.models.model import silence_libraries
    from formatlab.world.tokenizer import train_tokenizer

    torch.set_num_threads(1)
    silence_libraries()
    rates = machine()
    print(f"{rates.flops / 1e9:.0f} GFLOP/s, {rates.bytes / 1e9:.1f} GB/s", flush=True)
    tokenizer = train_tokenizer(FOUR_FORMATS)
    with tempfile.TemporaryDirectory() as folder:
        for setting in settings:
            base = Path(folder) / setting.scale
            if not base.exists():
                random_base(find_scale(setting.scale), tokenizer, base)
            found = measure(setting, base, rates)
            print(
                f"{setting.scale}, {setting.group} rollouts of a prompt, {setting.length} tokens: "
                f"{found.seconds:.2f} s, at least {found.floor:.2f} s",
                flush=True,
            )
            yield found


def write_table(rows: Iterable[Measured], path: Path) -> None:
    """Write what was measured as CSV."""
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, [field.name for field in fields(Measured)])
        table.writeheader()
        table.writerows(asdict(row) for row in rows)


def read_table(path: Path) -> list[Measured]:
    """Read what `write_table` wrote."""
    kinds: dict[str, Any] = get_type_hints(Measured)
    with path.open(newline="", encoding="utf-8") as file:
        return [
            Measured(**{name: kinds[name](value) for name, value in row.items()})
            for row in csv.DictReader(file)
        ]


def draw(rows: Sequence[Measured]) -> Figure:
    """Draw seconds a step against each setting, and the roofline of the machine."""
    series = [
        (Line2D([], [], color=QUIET, marker="o", ms=5), "measured"),
        (Line2D([], [], color=QUIET, ls="--", lw=1.2), "floor"),
        *((Line2D([], [], color=_colour(scale), lw=3), scale) for scale in VARIED),
    ]
    first = rows[0]
    with matplotlib.rc_context(STYLE):
        figure, (by_size, by_group, by_length, roof) = figure_layout(
            title="Seconds of a GRPO step against parameters, group size and completion length",
            caption=_caption(first),
            panels=4,
            columns=2,
            panel_size=(3.7, 2.5),
            gap=0.7,
            legend=series,
        )
        _draw_growth(by_size, rows, "parameters", lambda row: row.parameters)
        _draw_growth(by_group, rows, "group size", lambda row: row.group_size)
        _draw_growth(by_length, rows, "completion length", lambda row: row.completion_length)
        _draw_roofline(roof, [row for row in rows if row.varied == "parameters"])
    return figure


def _draw_growth(
    panel: Axes, rows: Sequence[Measured], varied: str, place: Callable[[Measured], float]
) -> None:
    mine = [row for row in rows if row.varied == varied]
    scales = [None] if varied == "parameters" else VARIED
    for scale in scales:
        line = [row for row in mine if scale in (None, row.scale)]
        at, colour = [place(row) for row in line], _colour(scale)
        panel.plot(at, [row.seconds for row in line], color=colour, marker="o", ms=5, mec="white")
        panel.plot(at, [row.floor for row in line], color=colour, ls="--", lw=1.2)
    panel.set_title(f"By {varied}")
    panel.set_ylabel("seconds a step")
    _logarithmic(panel)
    if varied == "parameters":
        panel.set_xlabel("parameters, millions")
        panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / 1e6:g}"))
    else:
        panel.set_xlabel("limit of a completion, tokens" if "length" in varied else varied)
        panel.set_xticks(sorted({place(row) for row in mine}))


def _draw_roofline(panel: Axes, rows: Sequence[Measured]) -> None:
    peak, rate = rows[0].machine_flops, rows[0].machine_bytes
    places = [row.flops / row.bytes for row in rows]
    ends = [min(*places, peak / rate) / 2, max(*places, peak / rate) * 2]
    at = [ends[0], peak / rate, ends[1]]
    panel.plot(at, [min(peak, rate * place) / 1e9 for place in at], color="#222222", lw=1.5)
    for place, row in zip(places, rows, strict=True):
        reached = row.flops / row.seconds / 1e9
        panel.plot([place], [reached], color=_colour(None), marker="o", ms=5, mec="white")
        panel.annotate(
            f"{row.scale}: {row.fraction:.0%}",
            (place, reached),
            (5, -3),
            textcoords="offset points",
            fontsize=7.5,
        )
    _logarithmic(panel)
    panel.set_title("Roofline: floor over measured, by scale")
    panel.set_xlabel("operations a byte")
    panel.set_ylabel("GFLOP/s")


def _logarithmic(panel: Axes) -> None:
    panel.set_xscale("log")
    panel.set_yscale("log")
    for axis in (panel.xaxis, panel.yaxis):
        low, high = axis.get_view_interval()
        axis.set_major_locator(LogLocator(subs=(1,) if high > 500 * low else (1, 2, 5)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_locator(NullLocator())


def _colour(scale: str | None) -> str:
    return {None: "#222222", VARIED[0]: "#0072B2", VARIED[1]: "#D55E00"}[scale]


def _caption(row: Measured) -> str:
    return (
        f"{ROLLOUTS} rollouts a step, groups of 8 and completions of up to 64 tokens unless they "
        "vary; random weights, half of the rollouts paid by lot; one thread, processor seconds "
        "of a whole step (sampling, grading, pass over the base, learning, recording). The floor "
        "takes, phase by phase, the larger of operations at "
        f"{row.machine_flops / 1e9:.0f} GFLOP/s (a large matrix product) and bytes at "
        f"{row.machine_bytes / 1e9:.1f} GB/s (a large copy); grading and recording are not in it. "
        "Percentages: floor over measured."
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, write the table and draw the figure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=Path("plots/performance"))
    parser.add_argument("--draw", action="store_true", help="only draw what was measured before")
    options = parser.parse_args(arguments)
    table = options.folder / "cost.csv"
    if not options.draw:
        options.folder.mkdir(parents=True, exist_ok=True)
        rows: list[Measured] = []
        for row in measure_all(SETTINGS):
            rows.append(row)
            write_table(rows, table)
    save_figure(draw(read_table(table)), options.folder / "cost.png")


if __name__ == "__main__":
    main()
