"""The command line: what it prints, where, and its exit codes."""

import functools
import io
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import pymixed as pm
from pymixed import cli

FORMULA = "Reaction ~ Days + (Days | Subject)"


def run(*arguments: str) -> int:
    return cli.main(["fit", *arguments])


@pytest.fixture(scope="module")
def sleepstudy():
    return pm.datasets.load("sleepstudy")


@pytest.fixture(scope="module")
def solution(sleepstudy):
    return pm.lmer(FORMULA, sleepstudy)


def test_prints_the_summary(solution, capsys):
    assert run(FORMULA, "--data", "sleepstudy") == 0
    assert capsys.readouterr() == (f"{solution.summary()}\n", "")


def test_json_holds_the_estimates(solution, capsys):
    assert run(FORMULA, "--data", "sleepstudy", "--json") == 0
    content = json.loads(capsys.readouterr().out)
    slope = content["coefficients"][1]
    assert slope == {
        "name": "Days",
        "estimate": solution.coefficients[1],
        "se": solution.se[1],
        "df": solution.df_satterthwaite[1],
        "t": solution.t_values[1],
        "p": solution.p_values[1],
    }
    assert content["theta"] == dict(zip(solution.theta_names, solution.theta, strict=True))
    assert content["log_likelihood"] == solution.log_likelihood
    assert content["method"] == "REML"
    assert content["converged"] is True
    assert content["n_groups"] == {"Subject": 18}
    assert content["variance_components"][-1]["grp"] == "Residual"
    assert content["variance_components"][0]["var2"] is None


def test_ml(capsys):
    assert run("Yield ~ 1 + (1 | Batch)", "--data", "dyestuff", "--ml", "--json") == 0
    assert json.loads(capsys.readouterr().out)["method"] == "ML"


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet"])
def test_reads_files(suffix, sleepstudy, solution, tmp_path, capsys):
    path = tmp_path / f"data{suffix}"
    sleepstudy.to_parquet(path) if suffix == ".parquet" else sleepstudy.to_csv(path, index=False)
    assert run(FORMULA, "--data", str(path), "--json") == 0
    estimates = [row["estimate"] for row in json.loads(capsys.readouterr().out)["coefficients"]]
    np.testing.assert_allclose(estimates, solution.coefficients, rtol=1e-10)


def test_weights_offset_and_optimizer_reach_the_fit(sleepstudy, tmp_path, capsys):
    data = sleepstudy.assign(w=1 + sleepstudy["Days"] % 3, shift=10.0 * sleepstudy["Days"])
    data.to_csv(tmp_path / "data.csv", index=False)
    options = ["--weights", "w", "--offset", "shift", "--optimizer", "L-BFGS-B"]
    assert run(FORMULA, "--data", str(tmp_path / "data.csv"), "--json", *options) == 0
    expected = pm.lmer(FORMULA, data, weights="w", offset="shift", optimizer="L-BFGS-B")
    assert json.loads(capsys.readouterr().out)["log_likelihood"] == pytest.approx(expected.log_likelihood, rel=1e-10)


TICKS = ["TICKS ~ YEAR + (1 | BROOD)", "--data", "grouseticks"]


def test_a_generalized_model(capsys):
    assert run(*TICKS, "--family", "negative_binomial") == 0
    expected = pm.glmer(TICKS[0], pm.datasets.load("grouseticks"), family="negative_binomial")
    assert capsys.readouterr() == (f"{expected.summary()}\n", "")


def test_json_of_a_generalized_model(capsys):
    data = pm.datasets.load("grouseticks")
    assert run(*TICKS, "--family", "poisson", "--zi", "~ YEAR", "--json") == 0
    content = json.loads(capsys.readouterr().out)
    expected = pm.glmer(TICKS[0], data, family="poisson", zi="~ YEAR")
    assert content["coefficients"][1] == {
        "name": "YEAR[T.96]",
        "estimate": expected.coefficients[1],
        "se": expected.se[1],
        "z": expected.z_values[1],
        "p": expected.p_values[1],
    }
    assert [row["name"] for row in content["zero_inflation"]] == list(expected.zi_names)
    assert content["deviance"] is None
    assert (content["method"], content["family"], content["link"]) == ("Laplace", "poisson", "log")


def test_quadrature_profiled_and_family_parameters(capsys):
    for nodes, method in ((0, "PIRLS"), (7, "adaptive quadrature with 7 nodes")):
        assert run(*TICKS, "--family", "nbinom2", "--n-agq", str(nodes), "--json") == 0
        content = json.loads(capsys.readouterr().out)
        assert content["method"] == method
        assert content["family_parameters"]["shape"] > 0


def test_warnings_go_to_standard_error(capsys):
    assert run("Yield ~ 1 + (1 | Batch)", "--data", "dyestuff2") == 0
    printed = capsys.readouterr()
    assert "pymixed: warning: " in printed.err
    assert "Batch" in printed.err


def test_a_fit_that_does_not_converge_has_its_own_exit_code(monkeypatch, capsys):
    monkeypatch.setattr(cli, "lmer", functools.partial(pm.lmer, max_iter=1))
    assert run(FORMULA, "--data", "sleepstudy", "--json") == 1
    printed = capsys.readouterr()
    assert json.loads(printed.out)["converged"] is False
    assert "pymixed: warning: " in printed.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["Reaction ~ Days + (Days | Subject", "--data", "sleepstudy"], r"Reaction ~ Days \+ \(Days \| Subject\n"),
        (["Reaction ~ Day + (1 | Subject)", "--data", "sleepstudy"], "Days"),
        ([FORMULA, "--data", "sleep"], "--data: expected a file or one of cake, .*; got 'sleep'"),
        ([FORMULA, "--data", "sleepstudy", "--weights", "w"], "'w'"),
        ([FORMULA, "--data", "sleepstudy", "--optimizer", "bobyqa"], "optimizer"),
        ([*TICKS, "--family", "quasipoisson"], "family: expected one of 'binomial', .* got 'quasipoisson'"),
        ([*TICKS, "--family", "binomial"], "response 'TICKS': expected numbers from 0 to 1"),
        ([*TICKS, "--family", "poisson", "--n-agq", "-1"], "n_agq: expected an integer of at least 0, got -1"),
        ([*TICKS, "--family", "poisson", "--zi", "YEAR"], "zi: expected '~' and the fixed effects"),
    ],
)
def test_bad_input(arguments, message, capsys):
    assert run(*arguments) == cli.BAD_INPUT
    out, err = capsys.readouterr()
    assert not out
    assert err.startswith("pymixed: error: ")
    assert re.search(message, err)


@pytest.mark.parametrize("name", ["broken.parquet", "empty.csv"])
def test_file_that_cannot_be_read(name, tmp_path, capsys):
    (tmp_path / name).write_text("")
    assert run(FORMULA, "--data", str(tmp_path / name)) == cli.BAD_INPUT
    assert f"cannot read '{tmp_path / name}'" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["fit"],
        ["fit", FORMULA],
        ["fit", FORMULA, "--data"],
        ["plot"],
        ["fit", FORMULA, "--data", "sleepstudy", "--zi", "~ 1"],
        ["fit", FORMULA, "--data", "sleepstudy", "--n-agq", "1"],
        ["fit", *TICKS, "--family", "poisson", "--n-agq", "many"],
        ["fit", *TICKS, "--family", "poisson", "--ml"],
    ],
)
def test_wrong_usage(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments)
    assert stop.value.code == cli.BAD_INPUT
    assert "usage: pymixed" in capsys.readouterr().err


def test_version(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"pymixed {pm.__version__}\n"


@pytest.mark.parametrize(("option", "folder", "file"), [
    ("--include", pm.get_include(), "pymixed/models.hpp"),
    ("--cmakedir", pm.get_cmake_dir(), "pymixedConfig.cmake"),
])
def test_folders_of_the_library(option, folder, file, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main([option])
    assert stop.value.code == 0
    assert capsys.readouterr() == (f"{folder}\n", "")
    assert (Path(folder) / file).is_file()


def test_runs_as_a_module():
    command = [sys.executable, "-m", "pymixed", "fit", "Yield ~ 1 + (1 | Batch)", "--data", "dyestuff"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "Batch" in done.stdout
    assert done.stderr == ""


# ---- saved models ----------------------------------------------------------------------------------------------------

def command(*arguments: str) -> int:
    return cli.main(list(map(str, arguments)))


@pytest.fixture
def model(tmp_path, capsys):
    path = tmp_path / "model.pmx"
    assert run(FORMULA, "--data", "sleepstudy", "--save", str(path)) == 0
    capsys.readouterr()
    return path


def test_a_saved_model_predicts_for_a_csv_file(model, solution, sleepstudy, tmp_path, capsys):
    new = sleepstudy[["Days", "Subject"]].iloc[::20]
    new.to_csv(tmp_path / "new.csv", index=False)  # the subjects look like numbers there
    assert command("predict", model, "--data", tmp_path / "new.csv", "--interval", "prediction") == 0
    found = pd.read_csv(io.StringIO(capsys.readouterr().out))
    expected = solution.predict(new, interval="prediction")
    assert found.columns.tolist() == ["estimate", "se", "df", "lower", "upper"]
    np.testing.assert_allclose(found, expected, rtol=1e-14)


def test_predictions_from_parquet_to_parquet(model, solution, sleepstudy, tmp_path, capsys):
    new = sleepstudy.drop(columns="Reaction").iloc[:9]
    new.to_parquet(tmp_path / "new.parquet")
    out = tmp_path / "out.parquet"
    assert command("predict", model, "--data", tmp_path / "new.parquet", "--out", out, "--append", "--re", "none") == 0
    assert capsys.readouterr() == ("", "")
    found = pd.read_parquet(out)
    assert found.columns.tolist() == ["Days", "Subject", "estimate"]
    np.testing.assert_array_equal(found["estimate"], solution.predict(new, re="none"))


def test_predictions_as_json_and_csv_file(model, solution, tmp_path, capsys):
    (tmp_path / "new.csv").write_text("Days,Subject\n3,308\n4,999\n")
    arguments = ("predict", model, "--data", tmp_path / "new.csv", "--new-levels", "missing")
    assert command(*arguments, "--json") == 0
    known, unknown = json.loads(capsys.readouterr().out)
    np.testing.assert_allclose(known["estimate"], solution.predict({"Days": [3], "Subject": ["308"]})[0], rtol=1e-14)
    assert unknown == {"estimate": None}
    assert command(*arguments, "--out", tmp_path / "out.csv") == 0
    assert len(pd.read_csv(tmp_path / "out.csv")) == 2


def test_summaries_of_a_saved_model(model, solution, capsys):
    for name, expected in (("text", str(solution.summary())), ("markdown", solution.summary().to_markdown()),
                           ("latex", solution.summary().to_latex()), ("html", solution.summary()._repr_html_())):
        assert command("summary", model, "--format", name) == 0
        assert capsys.readouterr().out == f"{expected}\n"
    assert command("summary", model, "--json") == 0
    assert json.loads(capsys.readouterr().out)["log_likelihood"] == solution.log_likelihood


def test_rows_in_the_file_on_request(tmp_path, sleepstudy):
    path = tmp_path / "model.pmx"
    assert run(FORMULA, "--data", "sleepstudy", "--save", str(path), "--with-rows") == 0
    assert len(pm.load(path).residuals) == len(sleepstudy)


def test_marginal_means_of_a_generalized_model(tmp_path, capsys):
    path, new = tmp_path / "model.pmx", tmp_path / "new.csv"
    formula = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
    assert run(formula, "--data", "cbpp", "--family", "binomial", "--save", str(path)) == 0
    new.write_text("period\n1\n4\n")
    capsys.readouterr()
    assert command("predict", path, "--data", new, "--type", "marginal") == 0
    found = pd.read_csv(io.StringIO(capsys.readouterr().out))["estimate"]
    np.testing.assert_allclose(found, pm.load(path).predict({"period": ["1", "4"]}, type="marginal"), rtol=1e-14)


@pytest.mark.parametrize(("arguments", "message"), [
    (("--data", "new.csv", "--re", "Batch"), "re: expected one of 'Subject', got 'Batch'"),
    (("--data", "new.csv"), "newdata: expected levels of 'Subject' that the fit has seen, got '999' in row 1"),
    (("--data", "none.csv"), "--data: expected a file"),
    (("--data", "new.csv", "--offset", "o"), "--offset: expected a column of the data, got 'o'"),
    (("--data", "new.csv", "--append", "--new-levels", "missing"), "--append: the data have a column 'estimate'"),
])
def test_bad_input_of_predictions(model, arguments, message, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "new.csv").write_text("Days,Subject,estimate\n3,308,0\n4,999,0\n")
    assert command("predict", model, *arguments) == 2
    assert message in capsys.readouterr().err


def test_bad_model_files(tmp_path, capsys):
    (tmp_path / "bad.pmx").write_bytes(b"no model")
    for path, message in ((tmp_path / "bad.pmx", "expected a model that save wrote"), (tmp_path / "no.pmx", "No such")):
        assert command("summary", path) == 2
        assert message in capsys.readouterr().err
