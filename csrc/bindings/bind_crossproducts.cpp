#include "arrays.hpp"
#include "layout.hpp"
#include "pymixed/crossproducts.hpp"
#include "rows.hpp"

namespace py = pybind11;
using namespace pymixed;

namespace {

using Terms = std::vector<std::tuple<Index, Index, std::string>>;
using Columns = std::vector<std::optional<Array>>;
using Products = std::shared_ptr<CrossProducts>;

Products from_rows(const Array& y, const Array& X, const std::vector<Codes>& codes, const std::vector<Index>& n_levels,
                   const Terms& terms, const Columns& columns, const std::optional<Array>& weights,
                   const std::optional<Array>& offset, std::optional<Index> intercept) {
    const HostRows rows(y, X, codes, columns, weights, offset);
    RandomEffects layout = make_layout(n_levels, terms);
    rows.check(layout);
    py::gil_scoped_release release;  // `rows` holds the arrays; Python objects are not touched
    return std::make_shared<CrossProducts>(std::move(layout), rows.view(), intercept);
}

void add(CrossProducts& products, const Array& y, const Array& X, const std::vector<Codes>& codes,
         const Columns& columns, const std::optional<Array>& weights, const std::optional<Array>& offset) {
    const HostRows rows(y, X, codes, columns, weights, offset);
    rows.check(products.layout());
    py::gil_scoped_release release;  // `rows` holds the arrays; Python objects are not touched
    products.add(rows.view());
}

Products relevelled(const CrossProducts& products, const std::vector<Codes>& maps, const std::vector<Index>& n_levels) {
    std::vector<std::vector<std::int32_t>> copies;
    for (const Codes& map : maps)
        copies.emplace_back(map.data(), map.data() + map.size());
    py::gil_scoped_release release;  // Python objects are not touched
    return std::make_shared<CrossProducts>(products.relevelled(copies, n_levels));
}

py::tuple counts(const CrossProducts& products) {
    const auto& factors = products.layout().factors();
    py::tuple out(factors.size());
    for (std::size_t f = 0; f < factors.size(); ++f)
        out[factors[f].user_position] = take(std::vector<std::int64_t>(products.factor(f).rows));
    return out;
}

py::dict to_dict(const CrossProducts& products) {
    State state;
    {
        py::gil_scoped_release release;  // Python objects are not touched
        state = products.state();
    }
    py::dict out;
    for (auto& [name, array] : state)
        out[py::str(name)] = std::visit([](auto& values) -> py::object { return take(std::move(values)); }, array);
    return out;
}

template <class T>
bool read(const py::handle& value, StateArray& out) {
    if (!py::isinstance<py::array_t<T>>(value))
        return false;
    const auto array = py::array_t<T, py::array::c_style>::ensure(value);
    out = std::vector<T>(array.data(), array.data() + array.size());
    return true;
}

Products from_dict(const py::dict& dict) {
    State state;
    for (const auto& [key, value] : dict) {
        const std::string name = py::str(key);
        StateArray& array = state[name];
        if (!read<double>(value, array) && !read<std::int64_t>(value, array) && !read<std::int32_t>(value, array))
            throw std::invalid_argument("state: expected " + name + " to be an array of float64, int64 or int32");
    }
    py::gil_scoped_release release;  // Python objects are not touched
    return std::make_shared<CrossProducts>(CrossProducts::from_state(state));
}

}  // namespace

void bind_crossproducts(py::module_& module) {
    using NoGil = py::call_guard<py::gil_scoped_release>;
    py::register_exception<UnsafeSubtraction>(module, "UnsafeSubtraction", PyExc_ValueError);
    py::class_<CrossProducts, Products>(module, "CrossProducts")
        .def(py::init(&from_rows), py::arg("y"), py::arg("X"), py::arg("codes"), py::arg("n_levels"), py::arg("terms"),
             py::arg("columns"), py::arg("weights"), py::arg("offset"), py::arg("intercept") = py::none())
        .def("add", &add, py::arg("y"), py::arg("X"), py::arg("codes"), py::arg("columns"), py::arg("weights"),
             py::arg("offset"))
        .def("merge", &CrossProducts::merge, py::arg("other"), NoGil())
        .def("subtract", &CrossProducts::subtract, py::arg("other"), NoGil())
        .def("relevelled", &relevelled, py::arg("maps"), py::arg("n_levels"))
        .def("grow", &CrossProducts::grow, py::arg("n_levels"), NoGil())
        .def(
            "copy", [](const CrossProducts& products) { return std::make_shared<CrossProducts>(products); }, NoGil())
        .def("state", &to_dict)
        .def_static("from_state", &from_dict, py::arg("state"))
        .def_property_readonly("n", &CrossProducts::n)
        .def_property_readonly("p", &CrossProducts::p)
        .def_property_readonly("sum_weights", &CrossProducts::sum_weights)
        .def_property_readonly("n_levels", [](const CrossProducts& products) { return products.layout().n_levels(); })
        .def_property_readonly("n_bytes", &CrossProducts::n_bytes)
        .def_property_readonly("means", &CrossProducts::means)
        .def_property_readonly("counts", &counts);
}
