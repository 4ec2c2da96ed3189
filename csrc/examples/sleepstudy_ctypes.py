"""Reaction ~ Days + (Days | Subject) by REML, through the C interface and ctypes alone.

    python3 sleepstudy_ctypes.py libpymixed_c.so

The numbers of the sleep deprivation study are read from sleepstudy.h, beside this file.
"""

import ctypes
import re
import sys
from ctypes import POINTER, byref, c_char_p, c_double, c_int32, c_int64, c_void_p
from pathlib import Path

UNSTRUCTURED = 0  # enum pymixed_structure
STATUS, COEFFICIENTS, SIGMA = 0, 7, 12  # enum pymixed_quantity
SIGNATURES = {
    "data_new": (c_int64, POINTER(c_void_p)),
    "data_set_response": (c_void_p, POINTER(c_double), c_int64),
    "data_add_fixed": (c_void_p, POINTER(c_double), c_int64),
    "data_add_factor": (c_void_p, POINTER(c_int32), c_int64, c_int64),
    "data_add_term": (c_void_p, c_int64, c_int32),
    "data_add_term_columns": (c_void_p, POINTER(c_double), c_int64),
    "fit_from_data": (c_void_p, c_void_p, POINTER(c_void_p)),
    "fit_size": (c_void_p, c_int32, c_int64, POINTER(c_int64), POINTER(c_int64)),
    "fit_get": (c_void_p, c_int32, c_int64, POINTER(c_double), c_int64),
}

library = ctypes.CDLL(sys.argv[1])
library.pymixed_last_error.restype = c_char_p
library.pymixed_data_free.argtypes = library.pymixed_fit_free.argtypes = (c_void_p,)
for name, argument_types in SIGNATURES.items():
    getattr(library, f"pymixed_{name}").argtypes = argument_types


def call(name, *arguments):
    """Call a function of the library; what it refuses is a ValueError."""
    if getattr(library, f"pymixed_{name}")(*arguments) != 0:
        raise ValueError(library.pymixed_last_error().decode())


def numbers(fit, quantity, index=0):
    """A quantity of a fit as a list, matrices column after column."""
    rows, columns = c_int64(), c_int64()
    call("fit_size", fit, quantity, index, byref(rows), byref(columns))
    values = (c_double * (rows.value * columns.value))()
    call("fit_get", fit, quantity, index, values, len(values))
    return list(values)


source = Path(__file__).with_name("sleepstudy.h").read_text(encoding="utf-8")
reaction = [float(number) for number in re.findall(r"\d+\.\d{4}", source)]
n, n_subjects, n_days = len(reaction), 18, 10
y = (c_double * n)(*reaction)  # the arrays must outlive the data, which borrow them
days = (c_double * n)(*(i % n_days for i in range(n)))
subject = (c_int32 * n)(*(i // n_days for i in range(n)))

data, fit = c_void_p(), c_void_p()
try:
    call("data_new", n, byref(data))
    call("data_set_response", data, y, n)
    call("data_add_fixed", data, None, n)  # the constant 1
    call("data_add_fixed", data, days, n)
    call("data_add_factor", data, subject, n, n_subjects)
    call("data_add_term", data, 0, UNSTRUCTURED)
    call("data_add_term_columns", data, None, n)
    call("data_add_term_columns", data, days, n)
    call("fit_from_data", data, None, byref(fit))
    assert numbers(fit, STATUS) == [0]
    intercept, slope = numbers(fit, COEFFICIENTS)
    print(f"(Intercept)     {intercept!r}")
    print(f"Days            {slope!r}")
    print(f"sigma           {numbers(fit, SIGMA)[0]!r}")
finally:
    library.pymixed_fit_free(fit)
    library.pymixed_data_free(data)
