#include "bind.hpp"
#include "layout.hpp"
#include "pymixed/problem.hpp"
#include "rows.hpp"

namespace py = pybind11;
using namespace pymixed;

void bind_problem(py::module_& module) {
    py::class_<CrossProducts, std::shared_ptr<CrossProducts>>(module, "CrossProducts")
        .def(py::init([](const Array& y, const Array& X, const std::vector<Codes>& codes,
                         const std::vector<Index>& n_levels,
                         const std::vector<std::tuple<Index, Index, std::string>>& terms,
                         const std::vector<std::optional<Array>>& columns, const std::optional<Array>& weights,
                         const std::optional<Array>& offset) {
                 const HostRows rows(y, X, codes, columns, weights, offset);
                 RandomEffects layout = make_layout(n_levels, terms);
                 rows.check(layout);
                 // the arrays are held by `rows`; no Python object is touched from here on
                 py::gil_scoped_release release;
                 return std::make_shared<CrossProducts>(std::move(layout), rows.view());
             }),
             py::arg("y"), py::arg("X"), py::arg("codes"), py::arg("n_levels"), py::arg("terms"), py::arg("columns"),
             py::arg("weights"), py::arg("offset"))
        .def("merge", &CrossProducts::merge, py::arg("other"), py::call_guard<py::gil_scoped_release>());

    py::class_<Problem, std::shared_ptr<Problem>>(module, "Problem")
        .def(py::init(
                 [](const std::shared_ptr<CrossProducts>& products, const std::string& method, double memory_limit) {
                     const Method chosen = parse_method(method);
                     py::gil_scoped_release release;  // Python objects are not touched
                     return std::make_shared<Problem>(products, chosen, memory_limit);
                 }),
             py::arg("products"), py::arg("method"), py::arg("memory_limit"))
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
