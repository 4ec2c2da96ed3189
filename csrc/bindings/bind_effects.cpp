#include "pymixed/effects_covariance.hpp"
#include "rows.hpp"
#include "shared_criterion.hpp"

namespace py = pybind11;
using namespace pymixed;

namespace {

using SharedCovariance = SharedCriterion<EffectsCovariance, Problem>;

Vector random_variances(SharedCovariance& self, std::vector<Codes> codes, std::vector<std::optional<Array>> columns) {
    const auto n = codes.empty() ? py::ssize_t{0} : codes[0].shape(0);
    // codes and columns alone are read
    const HostRows rows(Array(n), Array(std::vector<py::ssize_t>{n, 0}), std::move(codes), std::move(columns),
                        std::nullopt, std::nullopt);
    rows.check(self.problem().layout());
    return self.run([&](EffectsCovariance& covariance) { return covariance.random_variances(rows.view()); });
}

}  // namespace

void bind_effects(py::module_& module) {
    py::class_<SharedCovariance>(module, "EffectsCovariance")
        .def(py::init([](std::shared_ptr<Problem> problem, const Vector& theta, int n_threads) {
                 py::gil_scoped_release release;  // Python objects are not touched
                 return std::make_unique<SharedCovariance>(std::move(problem), theta, n_threads);
             }),
             py::arg("problem"), py::arg("theta"), py::arg("n_threads") = 1)
        .def("random_variances", &random_variances, py::arg("codes"), py::arg("columns"),
             "z'Qz of rows: their codes of every factor (-1: none) and values of all columns of the terms.")
        .def(
            "fixed_modes",
            [](SharedCovariance& self) {
                auto values = self.run([](EffectsCovariance& covariance) { return covariance.fixed_modes(); });
                return by_factor(self.problem().layout(), std::move(values), self.problem().p());
            },
            "T M^-1 T'Z'WX per factor: (n_levels, c, p).");
}
