from pathlib import Path

from formatlab.store.run_folder import RunFolder
from formatlab.store.runs_folder import put_aside


def test_folders_put_aside_do_not_push_one_another_out(tmp_path: Path) -> None:
    folder = tmp_path / "study" / "run"
    there = []
    for number in range(2):
        RunFolder.create(folder, config={"kind": "run", "number": number}, env={})
        there.append(put_aside(folder, tmp_path))
        assert not folder.exists()
    assert [path.name for path in there] == ["run-1", "run-2"]
    assert [RunFolder.open(path).config["number"] for path in there] == [0, 1]
    assert {path.parent for path in there} == {tmp_path / ".aside" / "study"}
