#include "bind.hpp"
#include "layout.hpp"
#include "pymixed/problem.hpp"

namespace py = pybind11;
using namespace pymixed;

void bind_problem(py::module_& module) {
    py::class_<Problem, std::shared_ptr<Problem>>(module, "Problem")
        .def(py::init([](const std::shared_ptr<CrossProducts>& products, const std::string& method, double memory_limit,
                         bool independent) {
                 const Method chosen = parse_method(method);
                 py::gil_scoped_release release;  // Python objects are not touched
                 return std::make_shared<Problem>(products, chosen, memory_limit, independent);
             }),
             py::arg("products"), py::arg("method"), py::arg("memory_limit"), py::arg("independent") = false)
        .def_property_readonly("n", &Problem::n)
        .def_property_readonly("p", &Problem::p)
        .def_property_readonly("kept", &Problem::kept)
        .def_property_readonly("aliased", &Problem::aliased)
        .def_property_readonly("response_scale",
                               [](const Problem& problem) { return problem.products().fixed_basis().y_scale; })
        .def_property_readonly("method", [](const Problem& problem) { return to_string(problem.method()); })
        .def_property_readonly("workspace_bytes", &Problem::workspace_bytes);

    py::register_exception<MemoryLimit>(module, "MemoryLimit", PyExc_MemoryError);
}
