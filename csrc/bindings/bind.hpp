#pragma once
// One bind_* function per subject; nothing here computes.

#include <pybind11/eigen.h>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

using Array = pybind11::array_t<double>;
using Codes = pybind11::array_t<std::int32_t, pybind11::array::c_style>;

void bind_archive(pybind11::module_& module);
void bind_build_info(pybind11::module_& module);
void bind_crossproducts(pybind11::module_& module);
void bind_problem(pybind11::module_& module);
void bind_deviance(pybind11::module_& module);
void bind_effects(pybind11::module_& module);
void bind_family(pybind11::module_& module);
void bind_generalized(pybind11::module_& module);
void bind_refit(pybind11::module_& module);

/// Whether Python's signal handlers raised an exception (Ctrl-C); for loops that run without the interpreter lock.
inline bool signalled() {
    const pybind11::gil_scoped_acquire acquire;
    return PyErr_CheckSignals() != 0;
}
