"""Python threads that share fits, criteria, cross-products and files find what one thread alone finds, bit by bit.

Free-threaded Python runs them at the same time; elsewhere they are together in the core, which frees the interpreter.
"""

import io
import pickle
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from streams import cut, gap
from test_families import custom

import pymixed as pm

THREADS = 8
PATIENCE = 120.0  # seconds; threads that wait for each other would wait for ever


def together(tasks: Sequence[Callable[[], Any]]) -> list[Any]:
    """What the tasks return; all of them start at the same time."""
    start = threading.Barrier(len(tasks))

    def run(task: Callable[[], Any]) -> Any:
        start.wait(PATIENCE)
        return task()

    with ThreadPoolExecutor(len(tasks)) as pool:
        return [future.result(PATIENCE) for future in [pool.submit(run, task) for task in tasks]]


def bits(value: Any) -> bytes:
    """Everything that a result says, in order."""
    if isinstance(value, pd.DataFrame | pd.Series):
        return bits(value.to_numpy()) + repr(list(value.index)).encode()
    if isinstance(value, dict):
        return b"".join(str(key).encode() + bits(of_key) for key, of_key in value.items())
    if isinstance(value, tuple | list):
        return b"".join(map(bits, value))
    values = np.asarray(value)
    return repr(values.tolist()).encode() if values.dtype == object else values.tobytes()


def estimates(fit: Any) -> bytes:
    return bits([fit.theta, fit.coefficients, fit.se, fit.log_likelihood, dict(fit.random_effects), fit.n_iter])


# ---- the interpreter -------------------------------------------------------------------------------------------------


def test_the_core_does_not_ask_for_the_interpreter_lock() -> None:
    command = "import sys, numpy, pymixed._core; print(getattr(sys, '_is_gil_enabled', lambda: True)())"
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(not sysconfig.get_config_var("Py_GIL_DISABLED"))


# ---- fits ------------------------------------------------------------------------------------------------------------


def test_many_threads_fit_the_same_and_different_models(sleepstudy, penicillin):
    cbpp = pm.datasets.load("cbpp")
    models: list[Callable[[], Any]] = [
        lambda: pm.lmer("Reaction ~ Days + (Days | Subject)", sleepstudy),
        lambda: pm.lmer("diameter ~ 1 + (1 | plate) + (1 | sample)", penicillin, reml=False, n_threads=2),
        lambda: pm.glmer("incidence / size ~ period + (1 | herd)", cbpp, family="binomial", weights="size"),
        lambda: pm.glmer("incidence ~ period + (1 | herd)", cbpp, family=custom(), n_threads=2),  # calls Python back
    ]
    alone = [estimates(model()) for model in models]
    assert [estimates(fit) for fit in together(models * 4)] == alone * 4


def test_threads_fit_many_responses(sleepstudy):
    design = pm.lmer("Reaction ~ Days + (Days | Subject)", sleepstudy)
    Y = design.simulate(40, seed=1)

    def fits() -> bytes:
        found = pm.fit_many("Reaction ~ Days + (Days | Subject)", sleepstudy, Y, n_threads=2)
        return bits([found.coefficients, found.theta, found.objective])

    assert set(together([fits] * THREADS)) == {fits()}


# ---- one solution ----------------------------------------------------------------------------------------------------


def linear(data: pd.DataFrame) -> pm.LMMSolution:
    return pm.lmer("Reaction ~ Days + (Days | Subject)", data)


QUESTIONS: dict[str, Callable[[Any], Any]] = {
    "predict": lambda fit: fit.predict(pm.datasets.load("sleepstudy").iloc[::7], interval="confidence"),
    "conf_int": lambda fit: fit.conf_int(method="profile"),
    "bootstrap": lambda fit: fit.bootstrap(20, seed=3).conf_int(),
    "simulate": lambda fit: fit.simulate(5, seed=4),
    "contrast": lambda fit: fit.contrast(np.eye(2), ddf="kenward-roger"),
    "anova": lambda fit: fit.anova(),
    "ranef": lambda fit: fit.ranef(condvar=True),
    "influence": lambda fit: fit.influence("Subject").to_pandas(),
    "summary": lambda fit: str(fit.summary()),
    "pickle": lambda fit: estimates(pickle.loads(pickle.dumps(fit))),
}


def test_threads_ask_one_solution_everything(sleepstudy):
    alone = {name: bits(ask(linear(sleepstudy))) for name, ask in QUESTIONS.items()}
    fit = linear(sleepstudy)  # nothing is remembered yet
    found = together([lambda ask=ask: bits(ask(fit)) for ask in QUESTIONS.values()] * 2)
    assert dict(zip(list(QUESTIONS) * 2, found, strict=True)) == alone
    assert found[:len(QUESTIONS)] == found[len(QUESTIONS):]


def test_threads_save_and_load_one_solution(sleepstudy, tmp_path: Path):
    fit = linear(sleepstudy)
    expected = bits(fit.predict(sleepstudy))

    def there_and_back(number: int) -> bytes:
        path = tmp_path / f"{number}.pmx"
        fit.save(path)
        return bits(pm.load(path).predict(sleepstudy))

    assert set(together([lambda i=i: there_and_back(i) for i in range(THREADS)])) == {expected}


# ---- one criterion ---------------------------------------------------------------------------------------------------


def evaluated_together(fit: Any) -> tuple[list[Any], list[Any]]:
    """Criterion, gradient and Hessian at some points: by as many threads, and by one."""
    points = fit.theta * np.random.default_rng(5).uniform(0.5, 2.0, (THREADS, len(fit.theta)))

    def at(theta: Any) -> list[Any]:
        return [np.hstack([fit.deviance_at(theta), fit.gradient_at(theta), fit.hessian_at(theta).ravel()])
                for _ in range(5)]

    return together([lambda theta=theta: at(theta) for theta in points]), [at(theta) for theta in points]


def test_threads_evaluate_one_linear_criterion(penicillin):
    found, alone = evaluated_together(pm.lmer("diameter ~ 1 + (1 | plate) + (1 | sample)", penicillin))
    np.testing.assert_array_equal(found, alone)


def test_threads_evaluate_one_generalized_criterion():
    """The search for the modes starts at those of the evaluation before, whosoever it was."""
    fit = pm.glmer("incidence / size ~ period + (1 | herd)", pm.datasets.load("cbpp"), family="binomial",
                   weights="size")
    found, alone = evaluated_together(fit)
    np.testing.assert_allclose(found, alone, rtol=1e-9)


# ---- cross-products --------------------------------------------------------------------------------------------------

FORMULA = "Reaction ~ Days + (Days | Subject)"


def test_threads_read_one_object_of_cross_products(sleepstudy, tmp_path: Path):
    products = pm.CrossProducts.from_batches(FORMULA, cut(sleepstudy, 6))

    def read(number: int) -> bytes:
        products.save(tmp_path / f"{number}.pmx")
        other = pm.CrossProducts.load(tmp_path / f"{number}.pmx")
        twins = [products.copy(), products + products.empty(), pickle.loads(pickle.dumps(products)), other]
        return b"".join(estimates(each.fit()) for each in twins) + repr((products, products.nbytes)).encode()

    assert set(together([lambda i=i: read(i) for i in range(THREADS)])) == {read(THREADS)}


def test_threads_add_to_one_object_of_cross_products_while_others_read(sleepstudy):
    """A reader sees all of a batch or none of it."""
    batches = cut(sleepstudy, 18, seed=6)
    products = pm.CrossProducts.from_batches(FORMULA, batches[:4])
    own = [pm.CrossProducts.from_batches(FORMULA, [batch]) for batch in batches[10:]]
    seen: list[int] = []

    def add(batch: Any) -> None:
        nonlocal products
        if isinstance(batch, pm.CrossProducts):
            before = products
            products += batch
            assert products is before
        else:
            products.update(batch)

    def read() -> None:
        for _ in range(10):
            twin = products.copy()
            seen.append(twin.n_obs)
            assert sum(twin._statistics.counts[0]) == twin.n_obs
            assert twin.fit(reml=False).n_obs == twin.n_obs
            str(products)

    together([*(lambda batch=batch: add(batch) for batch in [*batches[4:10], *own]), read, read])
    assert set(seen) <= set(range(40, 181, 10))
    assert products.n_obs == 180
    fit, whole = products.fit(), linear(sleepstudy)
    assert gap(fit.coefficients, whole.coefficients) < 1e-9  # the order of the sums differs
    assert gap(fit.theta, whole.theta) < 1e-6


def test_two_objects_added_to_each_other_do_not_wait_for_ever(sleepstudy):
    first, second = (pm.CrossProducts.from_batches(FORMULA, [half]) for half in cut(sleepstudy, 2))

    def add(a: pm.CrossProducts, b: pm.CrossProducts) -> None:
        for _ in range(50):
            assert (a + b).n_obs == 180

    together([lambda: add(first, second), lambda: add(second, first)] * 2)


# ---- printing --------------------------------------------------------------------------------------------------------


def test_threads_print_one_solution(sleepstudy):
    fit = linear(sleepstudy)

    def printed() -> str:
        out = io.StringIO()
        print(fit, fit.summary(), file=out)
        return out.getvalue()

    assert len(set(together([printed] * THREADS))) == 1
