"""The benchmark on disk."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from forecast_cases import lawful_cases

from formatlab.errors import InputError, RunError
from formatlab.forecast import METHODS
from formatlab.forecast.benchmark import is_benchmark, read_benchmark, write_benchmark


def test_what_is_written_is_read(tmp_path: Path) -> None:
    cases = lawful_cases(6, temperature=0.1)
    twin = replace(cases[0], run="made/twin", set_aside=True)  # of the same probe
    write_benchmark(tmp_path, [*cases, twin])
    assert is_benchmark(tmp_path)
    found = {case.run: case for case in read_benchmark(tmp_path)}
    assert set(found) == {case.run for case in (*cases, twin)}
    for case in (*cases, twin):
        again = found[case.run]
        assert (again.settings, again.set_aside, again.base) == (
            case.settings,
            case.set_aside,
            case.base,
        )
        assert again.probe.formats == case.probe.formats
        for name in ("rollouts", "correct", "tokens", "logprob"):
            assert np.array_equal(getattr(again.probe, name), getattr(case.probe, name))
        assert np.array_equal(again.leads, case.leads)
        assert again.response is not None and case.response is not None
        assert np.array_equal(again.response, case.response)
        for method in METHODS.values():
            tried = method.tried[0]
            assert np.array_equal(
                method.scores(again.known, again.epochs, **tried),
                method.scores(case.known, case.epochs, **tried),
            )


def test_no_benchmark_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no benchmark"):
        read_benchmark(tmp_path)


def test_damage_is_told(tmp_path: Path) -> None:
    write_benchmark(tmp_path, lawful_cases(2, temperature=0.1))
    (tmp_path / "probes.parquet").write_bytes(b"cut")
    with pytest.raises(RunError, match=r"probes\.parquet is damaged"):
        read_benchmark(tmp_path)


def test_a_run_without_a_response_has_none(tmp_path: Path) -> None:
    (case,) = lawful_cases(1, temperature=0.1)
    write_benchmark(tmp_path, [replace(case, response=None)])
    (again,) = read_benchmark(tmp_path)
    assert again.response is None
    assert not METHODS["response"].can_forecast(again.known)
