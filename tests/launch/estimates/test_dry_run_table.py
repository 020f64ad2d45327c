from collections.abc import Sequence
from dataclasses import replace

import pytest
from foreseen_tasks import MB, Named, foreseen

from formatlab.launch.estimates.dry_run_table import table_text
from formatlab.launch.estimates.estimate import UNKNOWN
from formatlab.launch.estimates.foreseen import Foreseen, State
from formatlab.study.ladder_run import BaseTask
from formatlab.train.pretraining.base import Base, Pretraining
from formatlab.world.four_formats import FOUR_FORMATS


def table(tasks: Sequence[Foreseen], width: int | None = 100) -> list[str]:
    lines = table_text(tasks, width=width).plain.splitlines()
    assert width is None or max(map(len, lines)) <= width
    return lines


def shown(tasks: Sequence[Foreseen]) -> list[str]:
    """Lines of the table, without its headings and with single spaces."""
    return [" ".join(line.split()) for line in table(tasks)[2:]]


def test_each_task_says_what_it_starts_from_and_what_it_takes():
    base = Named("base 0.04M s0")
    tasks = [foreseen(base), foreseen(Named("grpo 0.04M s0", (base,)))]
    assert table(tasks) == [
        "task           starts from  state    time   memory    disk",
        "                                     each     each  in all",
        "base 0.04M s0               to make  50 s  900 MiB   2 MiB",
        "grpo 0.04M s0  base         to make  50 s  900 MiB   2 MiB",
    ]


def test_seeds_of_an_arm_share_a_line():
    tasks = [foreseen(Named(f"grpo 0.04M s{seed}, temperature 0.7")) for seed in range(200)]
    tasks += [foreseen(Named(f"grpo 0.04M s{seed}, temperature 1.0"), "done") for seed in range(3)]
    assert shown(tasks) == [
        "grpo 0.04M s0-s199, temperature 0.7 200 to make 50 s 900 MiB 400 MiB",
        "grpo 0.04M s0-s2, temperature 1.0 3 done",
    ]


def test_where_all_is_done_nothing_more_is_told():
    tasks = [foreseen(Named(f"base 0.04M s{seed}"), "done") for seed in range(2)]
    assert table(tasks) == ["task              state", "base 0.04M s0-s1  2 done"]


def test_states_of_an_arm_are_counted():
    states: list[State] = ["done", "to make", "to go on", "to make", "to make again"]
    tasks = [foreseen(Named(f"grpo 0.04M s{seed}"), state) for seed, state in enumerate(states)]
    (line,) = shown(tasks)
    assert "1 done, 1 to go on, 1 to make again, 2 to make" in line
    assert line.endswith("50 s 900 MiB 8 MiB")


def test_stages_that_are_shared_say_so():
    base = Named("base 0.04M s0")
    stage = foreseen(Named("sft prose 0.04M s0", (base,)), used_by=3)
    last = Named("sft prose, grpo 0.04M s0", (stage.task,))
    lines = shown([foreseen(base), stage, foreseen(last)])
    assert lines[1].startswith("sft prose 0.04M s0 base to make 3 runs ")
    assert lines[2].startswith("sft prose, grpo 0.04M s0 sft prose to make 50 s")


def test_what_is_unknown_is_said_to_be():
    one = replace(foreseen(Named("grpo smollm2-135m s0")), estimate=UNKNOWN)
    assert shown([one]) == ["grpo smollm2-135m s0 to make unknown unknown unknown"]


def base(seed: int, world_seed: int = 0, *, writes: bool = False) -> Foreseen:
    made = Base(
        world=replace(FOUR_FORMATS, seed=world_seed),
        scale="0.04M",
        pretraining=Pretraining(tokens=100),
        seed=seed,
    )
    corpus = {"seconds": 60.0, "disk": 5 * MB, "corpus_seconds": 10.0, "corpus_disk": 3 * MB}
    return foreseen(BaseTask(base=made), **(corpus if writes else {}))


def test_corpora_have_rows_of_their_own():
    tasks = [base(0, writes=True), base(1)]
    assert shown(tasks) == [
        "corpus four to make 2 bases 10 s 3 MiB",
        "base 0.04M s0-s1 2 to make 50 s 900 MiB 4 MiB",
    ]
    assert len(shown([base(0), base(1)])) == 1


def test_corpora_of_several_worlds_share_a_row():
    tasks = [base(seed, world, writes=seed == 0) for seed in (0, 1) for world in (1, 2, 3)]
    assert shown(tasks) == [
        "corpus four w1-w3 3 to make 2 bases 10 s 9 MiB",
        "base 0.04M w1s0-w3s1 6 to make 50 s 900 MiB 12 MiB",
    ]


LONG = "sft program+tool_tags+latex+prose, grpo 0.04M s0"


def test_long_names_are_folded_where_words_end():
    assert [line[:22].rstrip() for line in table([foreseen(Named(LONG))], 54)[2:]] == [
        "sft program+tool_tags+",
        "  latex+prose, grpo",
        "  0.04M s0",
    ]


@pytest.mark.parametrize("width", [70, 80, 100, 140])
def test_a_wide_table_fits_with_all_that_was_said(width: int):
    start = Named("sft program+tool_tags+latex+prose 0.04M s0")
    states: list[State] = ["done", "to go on", "to make again"]
    tasks = [
        foreseen(Named(LONG.replace("s0", f"s{seed}"), (start,)), state, used_by=12)
        for seed, state in enumerate(states)
    ]
    text = " ".join(" ".join(line.split()) for line in table(tasks, width))
    for words in ("1 done,", "1 to go on,", "1 to make again", "12 runs", "900 MiB", "0.04M s0-s2"):
        assert words in text
    assert ("starts from" in text) == (width > 130)


def test_elsewhere_than_on_a_terminal_an_arm_is_a_line():
    tasks = [foreseen(Named(LONG, (Named("base 0.04M s0"),)))]
    assert len(table(tasks, None)) == 3
