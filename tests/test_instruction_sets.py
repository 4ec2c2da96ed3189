"""Instruction sets of the core: which one a process uses, and that the numbers do not depend on it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import pymixed as pm

VARIABLE = "PYMIXED_INSTRUCTION_SET"
IN_USE = "import pymixed; print(pymixed.build_info()['instruction_set'])"

# Each fit stops within 1e-5 standard errors of the optimum, for which test_reference_lmm.py has the same bounds.
TOLERANCE = {"log_likelihood": 1e-9, "theta": 2e-5, "coefficients": 1e-5, "se": 2e-5}


def python(*arguments: str | Path, instruction_set: str | None) -> subprocess.CompletedProcess[str]:
    """Run Python with the variable set, or without it."""
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
    if instruction_set is not None:
        environment[VARIABLE] = instruction_set
    return subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def fastest() -> str:
    """What a process uses that is not told."""
    return python("-c", IN_USE, instruction_set=None).stdout.strip()


@pytest.fixture(scope="module")
def fits() -> dict[str, dict[str, dict[str, object]]]:
    """Numbers of the same fits by the fastest instruction set and by the baseline."""
    script = Path(__file__).with_name("instruction_set_fits.py")
    done = {name: python(script, instruction_set=name) for name in ("", "baseline")}
    return {name or "fastest": json.loads(run.stdout) for name, run in done.items()}


def test_build_info():
    info = pm.build_info()
    assert info["version"] == pm.__version__
    assert info["instruction_set"] in info["instruction_sets"]
    assert info["instruction_sets"] in (["baseline"], ["baseline", "avx2"])
    assert info["cpp_standard"] >= 201703
    assert info["pointer_bits"] == (64 if sys.maxsize > 2**32 else 32)
    assert info["python"].split() == [sys.implementation.name.replace("cpython", "CPython"),
                                      ".".join(map(str, sys.version_info[:3]))]
    assert info["numpy"] == np.__version__
    assert all(isinstance(value, (str, int, list)) for value in info.values())
    assert json.loads(json.dumps(info)) == info


def test_forced_baseline():
    assert python("-c", IN_USE, instruction_set="baseline").stdout.strip() == "baseline"


def test_forced_avx2_is_used_or_refused(fastest):
    assert fastest in pm.build_info()["instruction_sets"]
    done = python("-c", IN_USE, instruction_set="avx2")
    if fastest == "avx2":
        assert done.stdout.strip() == "avx2"
    else:
        assert done.stderr.strip().endswith(f"ImportError: {VARIABLE}: expected baseline, all that this build has and "
                                            "this processor runs, got 'avx2'")


def test_empty_variable_is_none(fastest):
    assert python("-c", IN_USE, instruction_set="").stdout.strip() == fastest


@pytest.mark.parametrize("value", ["sse9", "AVX2", "baseline "])
def test_unknown_value_fails_the_import(value, fastest):
    done = python("-c", "import pymixed", instruction_set=value)
    choice = {"avx2": "baseline or avx2"}.get(fastest, "baseline, all that this build has and this processor runs")
    assert done.returncode == 1
    assert done.stderr.strip().endswith(f"ImportError: {VARIABLE}: expected {choice}, got '{value}'")


def test_fits_were_made_by_two_instruction_sets(fits, fastest):
    assert fits["baseline"]["instruction_set"] == "baseline"
    assert fits["fastest"]["instruction_set"] == fastest


@pytest.mark.parametrize("name", ["linear", "crossed", "binomial", "quadrature", "poisson", "many linear",
                                  "many crossed", "many poisson"])
def test_numbers_do_not_depend_on_the_instruction_set(name, fits):
    one, other = ({key: np.asarray(value) for key, value in fits[which][name].items()}
                  for which in ("fastest", "baseline"))
    units = {"log_likelihood": np.abs(other["log_likelihood"]), "theta": np.maximum(1.0, np.abs(other["theta"])),
             "coefficients": other["se"], "se": other["se"]}
    for key, unit in units.items():
        assert np.isfinite(unit).all()
        assert (np.abs(one[key] - other[key]) <= TOLERANCE[key] * unit).all(), key
