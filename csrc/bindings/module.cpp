#include <pybind11/pybind11.h>

#include "bind.hpp"
#include "pymixed/version.h"

PYBIND11_MODULE(_core, module, pybind11::mod_gil_not_used()) {
    module.doc() = "C++ core of pymixed; private, used by pymixed.solvers.";
    module.attr("__version__") = PYMIXED_VERSION;
    bind_archive(module);
    bind_build_info(module);
    bind_crossproducts(module);
    bind_problem(module);
    bind_deviance(module);
    bind_effects(module);
    bind_family(module);
    bind_generalized(module);
    bind_refit(module);
}
