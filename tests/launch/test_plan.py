import json
from dataclasses import replace
from pathlib import Path

import pytest
from made_up_study import STUDY, plan, planned

from formatlab.errors import InputError
from formatlab.launch.plan import Plan, read_plan, write_plan
from formatlab.store.runs_folder import PLAN_FILE

BASE = planned("base 0.04M s0")
RUN = planned("grpo 0.04M s0", [BASE])


def test_what_was_written_is_read(tmp_path: Path) -> None:
    there = Plan(
        study=STUDY,
        command=("formatlab", "run", "my study.py"),
        written="2026-11-21T15:00:00+00:00",
        jobs=2,
        tasks=(BASE, RUN),
    )
    write_plan(tmp_path / STUDY, there)
    assert read_plan(tmp_path / STUDY) == there
    assert there.asks_for(RUN)
    part = replace(there, selected=(BASE.address,))
    write_plan(tmp_path / STUDY, part)
    assert read_plan(tmp_path / STUDY) == part
    assert (part.asks_for(BASE), part.asks_for(RUN)) == (True, False)


def test_before_version_3_a_plan_says_nothing_of_a_selection(tmp_path: Path) -> None:
    plan(tmp_path, [BASE, RUN])
    path = tmp_path / STUDY / PLAN_FILE
    there = json.loads(path.read_text()) | {"schema_version": 2}
    del there["selected"]
    path.write_text(json.dumps(there))
    found = read_plan(tmp_path / STUDY)
    assert found is not None
    assert found.selected is None


def test_before_version_4_all_bases_are_whole(tmp_path: Path) -> None:
    plan(tmp_path, [BASE, RUN])
    path = tmp_path / STUDY / PLAN_FILE
    there = json.loads(path.read_text()) | {"schema_version": 3}
    for task in there["tasks"]:
        del task["facts"]["after"]
    path.write_text(json.dumps(there))
    found = read_plan(tmp_path / STUDY)
    assert found is not None and found.tasks == (BASE, RUN)


def facts(kind: str, chain: str, algorithm: str) -> dict[str, object]:
    return {
        "kind": kind,
        "chain": chain,
        "scale": "0.04M",
        "mixture": "four",
        "algorithm": algorithm,
        "details": "",
        "seeds": {"world": 0, "initialisation": 0, "sampling": 0},
        "after": 1.0,
    }


def test_the_file_is_as_the_design_says(tmp_path: Path) -> None:
    plan(tmp_path, [BASE, RUN], jobs=2)
    there = json.loads((tmp_path / STUDY / "plan.json").read_text())
    assert there["schema_version"] == 4
    assert there["command"] == ["formatlab", "run", "experiments/formats.py"]
    assert there["tasks"] == [
        {
            "address": BASE.address,
            "facts": facts("base", "base", ""),
            "needs": [],
            "steps": None,
        },
        {
            "address": RUN.address,
            "facts": facts("run", "grpo", "grpo"),
            "needs": [BASE.address],
            "steps": 32,
        },
    ]


def test_estimates_in_one_of_before_are_left_out(tmp_path: Path) -> None:
    plan(tmp_path, [BASE, RUN])
    path = tmp_path / STUDY / PLAN_FILE
    there = json.loads(path.read_text())
    for task in there["tasks"]:
        task["seconds"] = 12.5
    path.write_text(json.dumps(there))
    found = read_plan(tmp_path / STUDY)
    assert found is not None and found.tasks == (BASE, RUN)


def test_one_of_version_1_is_read_with_labels_alone(tmp_path: Path) -> None:
    plan(tmp_path, [RUN])
    path = tmp_path / STUDY / PLAN_FILE
    there = json.loads(path.read_text()) | {"schema_version": 1}
    for task in there["tasks"]:
        del task["facts"]
        task |= {"kind": "run", "label": RUN.label}
    path.write_text(json.dumps(there))
    found = read_plan(tmp_path / STUDY)
    assert found is not None
    assert [(task.kind, task.label) for task in found.tasks] == [("run", RUN.label)]


@pytest.mark.parametrize("place", ["nowhere", "a file"])
def test_a_study_may_have_none(tmp_path: Path, place: str) -> None:
    (tmp_path / "a file").write_text("")
    assert read_plan(tmp_path / place) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "7",
        "{}",
        '{"schema_version": 1}',
        '{"schema_version": 2, "study": "", "command": [], "written": "", "jobs": 1, "tasks": [7]}',
        '{"schema_version": 1, "study": "a", "command": [], "written": "", "jobs": "x"}',
    ],
)
def test_a_damaged_one_says_what_to_do(tmp_path: Path, text: str) -> None:
    (tmp_path / PLAN_FILE).write_text(text)
    with pytest.raises(InputError, match=r"cannot read .*plan\.json.*remove it"):
        read_plan(tmp_path)


@pytest.mark.parametrize("address", ["../../etc", "/etc/x", "bases", "a/b/c", "a/..", "/x"])
def test_addresses_outside_the_runs_folder_are_refused(tmp_path: Path, address: str) -> None:
    plan(tmp_path, [RUN])
    path = tmp_path / STUDY / PLAN_FILE
    path.write_text(path.read_text().replace(RUN.address, address))
    with pytest.raises(InputError, match="no address of a task"):
        read_plan(tmp_path / STUDY)


def test_one_of_another_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / PLAN_FILE).write_text('{"schema_version": 5}')
    with pytest.raises(InputError, match="schema version 5"):
        read_plan(tmp_path)
