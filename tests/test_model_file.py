"""Model files: what is loaded tells and predicts what was saved, to the bit, and a bad file is refused."""

import copy
import json
import pickle
import subprocess
import sys
import warnings
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import pymixed as pm
from pymixed import _core
from pymixed.errors import EstimabilityWarning, InputError, InputTypeError, PymixedWarning, SingularFitWarning

SLEEP = "Reaction ~ Days + (Days | Subject)"
COUNTS = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
MODELS = {
    "slope": (SLEEP, "sleepstudy", {}),
    "ml": (SLEEP, "sleepstudy", {"reml": False}),
    "no df": (SLEEP, "sleepstudy", {"compute_satterthwaite": False}),
    "independent": ("Reaction ~ Days + (Days || Subject)", "sleepstudy", {}),
    "crossed": ("diameter ~ 1 + (1 | plate) + (1 | sample)", "penicillin", {}),
    "nested": ("strength ~ 1 + (1 | batch/cask)", "pastes", {}),
    "weights": (SLEEP, "sleepstudy", {"weights": "w", "offset": "o"}),
    "spline": ("Reaction ~ bs(Days, df=4) + (scale(Days) + poly(Days, 2) | Subject)", "sleepstudy", {}),
    "aliased": ("Reaction ~ Days + I(2 * Days) + (1 | Subject)", "sleepstudy", {}),
    "contrasts": ("angle ~ recipe * C(temp) + (1 | recipe:replicate)", "cake", {"contrasts": {"recipe": "sum"}}),
    "matrix": ("angle ~ recipe + (1 | replicate)", "cake",
               {"contrasts": {"recipe": np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]])}}),
    "factor slope": ("angle ~ temp + (0 + recipe || replicate)", "cake", {}),
    "binomial": (COUNTS, "cbpp", {"family": "binomial"}),
    "profiled": (COUNTS, "cbpp", {"family": "binomial", "n_agq": 0}),
    "quadrature": (COUNTS, "cbpp", {"family": pm.families.Binomial("cloglog"), "n_agq": 5}),
    "counts": ("TICKS ~ YEAR + cHEIGHT + (1 | BROOD) + (1 | LOCATION)", "grouseticks",
               {"family": "negative_binomial"}),
    "held": ("TICKS ~ YEAR + (1 | BROOD)", "grouseticks", {"family": pm.families.NegativeBinomial(shape=2.0)}),
    "inflated": ("TICKS ~ YEAR + (1 | BROOD)", "grouseticks", {"family": "poisson", "zi": "~ cHEIGHT"}),
}
LINEAR = [name for name, (_, _, options) in MODELS.items() if "family" not in options]


@cache
def table(name):
    data = pm.datasets.load(name).copy()
    if name == "sleepstudy":
        data["w"] = np.random.default_rng(1).uniform(0.5, 2.0, len(data))
        data["o"] = np.random.default_rng(2).normal(0.0, 5.0, len(data))
    return data


@cache
def fit_of(name):
    formula, data, options = MODELS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PymixedWarning)
        return (pm.glmer if "family" in options else pm.lmer)(formula, table(data), **options)


def saved(fit, folder, slim=True):
    path = folder / "model.pmx"
    fit.save(path, slim=slim)
    return pm.load(path)


def same(mine, theirs):
    """Equal to the bit, NaN like NaN."""
    pd.testing.assert_frame_equal(pd.DataFrame(mine), pd.DataFrame(theirs), check_exact=True)


# ---- what comes back -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("slim", [True, False], ids=["slim", "with rows"])
@pytest.mark.parametrize("name", MODELS)
def test_a_loaded_model_predicts_the_same_bits(name, slim, tmp_path):
    fit = fit_of(name)
    loaded = saved(fit, tmp_path, slim)
    new = table(MODELS[name][1]).iloc[::3].reset_index(drop=True)
    same(loaded.predict(new), fit.predict(new))
    same(loaded.predict(new, se=True), fit.predict(new, se=True))
    same(loaded.predict(new, re="none", interval="confidence"), fit.predict(new, re="none", interval="confidence"))
    if name in LINEAR:
        same(loaded.predict(new, interval="prediction"), fit.predict(new, interval="prediction"))
    else:
        for kind in ("response", "marginal"):
            same(loaded.predict(new, type=kind, se=True), fit.predict(new, type=kind, se=True))


@pytest.mark.parametrize("slim", [True, False], ids=["slim", "with rows"])
@pytest.mark.parametrize("name", MODELS)
def test_a_loaded_model_tells_the_same(name, slim, tmp_path):
    fit = fit_of(name)
    loaded = saved(fit, tmp_path, slim)
    assert type(loaded) is type(fit)
    assert str(loaded.summary()) == str(fit.summary())
    assert repr(loaded) == repr(fit)
    same(loaded.varcorr(), fit.varcorr())
    same(loaded.vcov(), fit.vcov())
    for group, modes in fit.ranef().items():
        same(loaded.ranef()[group], modes)
    for mine, theirs in zip(loaded.ranef(condvar=True)[1].values(), fit.ranef(condvar=True)[1].values(), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-12)  # another order of the same operations
    assert loaded.convergence == fit.convergence
    assert loaded.coefficient_names == fit.coefficient_names
    assert dict(loaded.info) == dict(fit.info)
    assert loaded.singularity == fit.singularity
    assert [(type(w), str(w)) for w in loaded.warnings] == [(type(w), str(w)) for w in fit.warnings]
    if name in LINEAR or not slim:
        pd.testing.assert_frame_equal(loaded.conf_int(), fit.conf_int(), rtol=1e-6)
    if name != "inflated":
        np.testing.assert_allclose(loaded.r2().marginal, fit.r2().marginal, rtol=1e-9, atol=1e-15)
    if name not in LINEAR and name != "inflated":
        assert loaded.deviance == fit.deviance
    if name not in LINEAR:
        assert loaded.overdispersion == fit.overdispersion


@pytest.mark.parametrize("name", LINEAR)
def test_a_slim_linear_model_keeps_what_its_cross_products_give(name, tmp_path):
    fit = fit_of(name)
    loaded = saved(fit, tmp_path)
    np.testing.assert_allclose(loaded.deviance_at(fit.theta), fit.deviance_at(fit.theta), rtol=1e-12)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EstimabilityWarning)  # of the model with dependent columns
        if fit.reml:
            pd.testing.assert_frame_equal(loaded.anova(ddf="kenward-roger"), fit.anova(ddf="kenward-roger"), rtol=1e-7)
        pd.testing.assert_frame_equal(loaded.anova(), fit.anova(), rtol=1e-7)
    variables = {"contrasts": "recipe", "matrix": "recipe"}
    if name in variables:
        mine, theirs = (f.emmeans(variables[name]).table for f in (loaded, fit))
        pd.testing.assert_frame_equal(mine, theirs, rtol=1e-8)


def test_profiles_of_a_slim_model(tmp_path):
    fit = fit_of("slope")
    pd.testing.assert_frame_equal(saved(fit, tmp_path).conf_int(method="profile"), fit.conf_int(method="profile"),
                                  rtol=1e-6)


@pytest.mark.parametrize("name", ["weights", "counts", "inflated"])
def test_rows_are_kept_on_request(name, tmp_path):
    fit = fit_of(name)
    loaded = saved(fit, tmp_path, slim=False)
    np.testing.assert_array_equal(loaded.residuals, fit.residuals)
    np.testing.assert_array_equal(loaded.fitted_values, fit.fitted_values)
    refitted = loaded.refit(fit._design.y)
    np.testing.assert_allclose(refitted.log_likelihood, fit.log_likelihood, rtol=1e-10)
    np.testing.assert_allclose(loaded.hessian_at(fit.theta), fit.hessian_at(fit.theta), rtol=1e-5)


@pytest.mark.parametrize("what", ["residuals", "fitted_values", "linear_predictor", "deviance_at", "refit",
                                  "bootstrap"])
def test_what_needs_rows_says_so_without_them(what, tmp_path):
    loaded = saved(fit_of("binomial"), tmp_path)
    with pytest.raises(InputError, match=r"holds no rows"):
        {"deviance_at": lambda: loaded.deviance_at(loaded.theta), "refit": lambda: loaded.refit(np.zeros(56)),
         "bootstrap": lambda: loaded.bootstrap(2)}.get(what, lambda: getattr(loaded, what))()


def test_models_from_arrays(tmp_path):
    rng = np.random.default_rng(0)
    g, x = np.repeat(np.arange(12), 5), rng.normal(size=60)
    X = np.column_stack([np.ones(60), x])
    y = X @ [1.0, 2.0] + rng.normal(size=12)[g] + rng.normal(size=60)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SingularFitWarning)
        fit = pm.lmm(y, X, {"g": g}, random_effects={"g": ["1", "x"]}, random_data={"x": x})
    new = {"X": X[:4], "groups": {"g": g[:4]}, "random_data": {"x": x[:4]}}
    for slim in (True, False):
        same(saved(fit, tmp_path, slim).predict(new, se=True), fit.predict(new, se=True))


def test_models_from_cross_products(tmp_path):
    data = table("sleepstudy")
    fit = pm.CrossProducts.from_batches(SLEEP, [data[:100], data[100:]]).fit()
    loaded = saved(fit, tmp_path)
    same(loaded.predict(data, interval="prediction"), fit.predict(data, interval="prediction"))
    assert str(loaded.summary()) == str(fit.summary())


@pytest.mark.parametrize("labels", [
    np.array([3, 1, 2]), np.array([0.5, 1.5, -2.0]), np.array([True, False]), np.array(["ä", "b'c", "d\n"]),
    np.array(["2020-01-01", "2021-06-30", "1999-12-31"], "M8[D]")], ids=lambda labels: labels.dtype.name)
def test_labels_of_any_kind_come_back(labels, tmp_path):
    rng = np.random.default_rng(4)
    g = labels[np.arange(60) % len(labels)]
    data = pd.DataFrame({"y": rng.normal(size=60) + np.arange(60) % len(labels), "g": g, "h": np.arange(60) // 5})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PymixedWarning)
        fit = pm.lmer("y ~ 1 + (1 | g) + (1 | h)", data)
    loaded = saved(fit, tmp_path)
    same(loaded.predict(data), fit.predict(data))
    assert loaded.ranef()["g"].index.tolist() == fit.ranef()["g"].index.tolist()


def test_a_fresh_process_predicts_the_same_bits(tmp_path):
    fit, new = fit_of("counts"), table("grouseticks").iloc[:40]
    fit.save(tmp_path / "model.pmx")
    new.to_csv(tmp_path / "new.csv", index=False)
    code = ("import sys, numpy as np, pandas as pd, pymixed as pm\n"
            "new = pd.read_csv('new.csv', dtype={name: str for name in ('YEAR', 'BROOD', 'LOCATION')})\n"
            "found = pm.load('model.pmx').predict(new, type='response', interval='confidence')\n"
            "np.save('found.npy', found.to_numpy())\n")
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    expected = fit.predict(new, type="response", interval="confidence").to_numpy()
    np.testing.assert_array_equal(np.load(tmp_path / "found.npy"), expected)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))], ids=["deepcopy", "pickle"])
@pytest.mark.parametrize("name", ["slope", "binomial"])
@pytest.mark.parametrize("slim", [None, True, False])
def test_copies(copied, name, slim, tmp_path):
    fit = fit_of(name)
    new = table(MODELS[name][1]).iloc[:9]
    original = fit if slim is None else saved(fit, tmp_path, slim)
    same(copied(original).predict(new, se=True), fit.predict(new, se=True))


# ---- size ------------------------------------------------------------------------------------------------------------

def test_the_size_of_a_slim_file_does_not_depend_on_the_number_of_rows(tmp_path):
    data = table("sleepstudy")
    sizes = []
    for copies in (1, 30):
        many = pd.concat([data] * copies)
        many["Reaction"] += np.random.default_rng(0).normal(size=len(many))
        fit = pm.lmer(SLEEP, many)
        fit.save(tmp_path / "model.pmx")
        sizes.append((tmp_path / "model.pmx").stat().st_size)
    assert sizes[0] < 8000
    assert abs(sizes[1] - sizes[0]) < 400  # numbers are stored in as few bytes as they need


# ---- groups learnt from new rows -------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", ["slope", "crossed", "weights", "binomial", "profiled", "quadrature", "counts",
                                  "inflated"])
def test_all_groups_from_their_own_rows_are_what_they_were(name):
    fit = fit_of(name)
    data = table(MODELS[name][1])
    updated = fit.update_groups(data, weights="w" if name == "weights" else None)
    for group, modes in fit.ranef().items():
        np.testing.assert_allclose(updated.ranef()[group], modes, rtol=1e-7, atol=1e-9)  # where the modes' search ends
    pd.testing.assert_frame_equal(updated.predict(se=True), fit.predict(se=True), rtol=1e-6)
    for mine, theirs in zip(updated.ranef(condvar=True)[1].values(), fit.ranef(condvar=True)[1].values(), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-6)


@pytest.mark.parametrize("slim", [True, False])
@pytest.mark.parametrize("name", ["slope", "binomial", "counts"])
def test_a_new_group_with_the_rows_of_another_is_like_it(name, slim, tmp_path):
    fit = fit_of(name)
    data, group = table(MODELS[name][1]), {"slope": "Subject", "binomial": "herd", "counts": "BROOD"}[name]
    level = fit.ranef()[group].index[3]
    rows = data[data[group] == level]
    others = rows.assign(**{group: "zz"})
    if name == "counts":
        others["LOCATION"] = "none"  # the other factor's level has only these rows then
    updated = saved(fit, tmp_path, slim).update_groups(others)
    again = saved(updated, tmp_path, slim)
    for model in (updated, again):
        assert model.ranef()[group].index[-1] == "zz"
        assert model.n_groups[group] == fit.n_groups[group] + 1
        if name != "counts":
            same(model.predict(rows.drop(columns=group).assign(**{group: level}), se=True), fit.predict(rows, se=True))
            pd.testing.assert_frame_equal(model.predict(others, se=True), fit.predict(rows, se=True), rtol=1e-6)
    same(again.predict(others, interval="confidence"), updated.predict(others, interval="confidence"))


def test_modes_of_new_groups_are_those_of_the_formula():
    """b = ΣZ'(ZΣZ' + sigma²)⁻¹(y − Xβ) with the fit's estimates."""
    data = table("sleepstudy")
    known, new = data[data["Subject"] != "308"], data[data["Subject"] == "308"]
    fit = pm.lmer(SLEEP, known)
    updated = fit.update_groups(new)
    Z = np.column_stack([np.ones(10), new["Days"]])
    sigma = fit.params.term_covariances[0].matrix
    V = Z @ sigma @ Z.T + fit.residual_variance * np.eye(10)
    b = sigma @ Z.T @ np.linalg.solve(V, new["Reaction"] - Z @ fit.coefficients)
    np.testing.assert_allclose(updated.ranef()["Subject"].loc["308"], b, rtol=1e-10)
    F = sigma @ Z.T @ np.linalg.solve(V, Z)
    conditional = sigma - sigma @ Z.T @ np.linalg.solve(V, Z @ sigma)
    x = np.array([1.0, 12.0])
    variance = x @ conditional @ x + (x - F.T @ x) @ fit.vcov() @ (x - F.T @ x)
    found = updated.predict({"Days": [12.0], "Subject": ["308"]}, se=True)["se"]
    np.testing.assert_allclose(found, np.sqrt(variance), rtol=1e-10)
    np.testing.assert_array_equal(updated.predict(known), fit.predict(known))
    with pytest.raises(InputError, match="got '308' in row 0"):
        fit.predict(new)


@pytest.mark.parametrize("name", ["slope", "counts"])
def test_a_single_row_makes_a_group_known(name):
    fit = fit_of(name)
    data = table(MODELS[name][1])
    group = {"slope": "Subject", "counts": "BROOD"}[name]
    row = data.iloc[[4]].assign(**{group: "zz"})
    updated = fit.update_groups(row)
    assert updated.ranef()[group].index[-1] == "zz"
    assert (updated.predict(row, se=True)["se"] < fit.predict(row, new_levels="population", se=True)["se"]).all()
    with pytest.raises(InputError, match="newdata: expected at least one complete row, got none"):
        fit.update_groups(row.iloc[:0])


@pytest.mark.parametrize("slim", [None, True, False])
def test_a_weighted_model_wants_weights_of_new_rows(slim, tmp_path):
    fit = fit_of("weights") if slim is None else saved(fit_of("weights"), tmp_path, slim)
    with pytest.raises(InputError, match="weights: the model was fitted with prior weights, expected them for the new"):
        fit.update_groups(table("sleepstudy").iloc[:5])


def test_what_goes_with_the_rows_of_the_fit_is_refused_after_an_update():
    fit = fit_of("slope")
    updated = fit.update_groups(table("sleepstudy").iloc[:5].assign(Subject="zz"))
    for what in (updated.leverage, updated.influence, lambda: updated.vcov("CR0")):
        with pytest.raises(InputError, match="expected it, got a model whose groups were updated"):
            what()
    assert updated.augment().shape == (180, 8)
    assert updated.update_groups(table("sleepstudy").iloc[:5].assign(Subject="yy")).n_groups == {"Subject": 20}


# ---- bad files -------------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def content(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.pmx"
    fit_of("slope").save(path)
    return path.read_bytes()


def test_every_truncation_is_refused(content, tmp_path):
    path = tmp_path / "model.pmx"
    for size in [*range(64), *range(64, len(content), 97), len(content) - 1]:
        path.write_bytes(content[:size])
        with pytest.raises(InputError, match=r"expected a model that save wrote, whole and unchanged.*model\.pmx"):
            pm.load(path)


def test_every_change_is_refused(content, tmp_path):
    path = tmp_path / "model.pmx"
    for place in [*range(64), *range(64, len(content), 97)]:
        path.write_bytes(content[:place] + bytes([content[place] ^ 0x20]) + content[place + 1:])
        with pytest.raises(InputError, match=r"path: expected a model"):
            pm.load(path)


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "model.pmx"
    for content in (b"", b"y,x\n1,2\n", pickle.dumps({"a": 1}), b"PK\x03\x04" + bytes(100)):
        path.write_bytes(content)
        with pytest.raises(InputError, match="expected a model that save wrote"):
            pm.load(path)
    fit_of("slope").bootstrap(3, seed=1).save(path)
    with pytest.raises(InputError, match="expected a model that save wrote"):
        pm.load(path)
    with pytest.raises(FileNotFoundError):
        pm.load(tmp_path / "none.pmx")


def changed(content, **entries):
    return _core.pack({**_core.unpack(content), **entries})


def test_a_newer_version_is_told(content, tmp_path):
    path = tmp_path / "model.pmx"
    path.write_bytes(changed(content, format=np.array([99])))
    with pytest.raises(InputError, match="format 1, got 99; a newer version of pymixed wrote"):
        pm.load(path)


@pytest.mark.parametrize("attack", ["__import__('os').system('x')", "Days.__class__", "np.load('x')", "exec('x')",
                                    "(lambda: 1)()", "open('x')"])
def test_a_formula_that_does_more_than_compute_is_refused(attack, content, tmp_path):
    header = json.loads(_core.unpack(content)["header"])
    header["encoder"]["formula"] = f"Reaction ~ Days + {attack} + (Days | Subject)"
    path = tmp_path / "model.pmx"
    path.write_bytes(changed(content, header=json.dumps(header)))
    with pytest.raises(InputError, match="path: "):
        pm.load(path)


def test_what_no_file_can_hold(tmp_path):
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"y": rng.normal(size=30), "g": np.repeat(list("abcdef"), 5), "x": rng.normal(size=30)})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PymixedWarning)
        fit = pm.lmer("y ~ np.vectorize(abs)(x) + (1 | g)", data)
    with pytest.raises(InputError, match="formula: expected columns, operators, numbers and functions"):
        fit.save(tmp_path / "model.pmx")
    with pytest.raises(InputTypeError, match="slim: expected True or False, got 1"):
        fit_of("slope").save(tmp_path / "model.pmx", slim=1)
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_replaced_whole(tmp_path):
    path = tmp_path / "model.pmx"
    fit_of("slope").save(path)
    fit_of("crossed").save(path)
    assert pm.load(path).n_groups == fit_of("crossed").n_groups
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.pmx"]


# ---- files of released versions --------------------------------------------------------------------------------------

FILES = sorted((Path(__file__).parent / "model_files").glob("*.pmx"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_files_of_earlier_versions_stay_readable(path):
    name = path.stem.rsplit("-", 1)[1]
    loaded, fit = pm.load(path), fit_of(name)
    new = table(MODELS[name][1]).iloc[::7]
    expected = json.loads(path.with_suffix(".json").read_text())
    np.testing.assert_allclose(loaded.predict(new, se=True), expected["predictions"], rtol=1e-12)
    np.testing.assert_allclose(loaded.coefficients, fit.coefficients, rtol=1e-6)


def test_there_are_such_files():
    assert {path.stem for path in FILES} >= {"0.1.0-slope", "0.1.0-counts"}
