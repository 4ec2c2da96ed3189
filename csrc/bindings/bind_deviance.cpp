#include "profile_binding.hpp"
#include "pymixed/kenward_roger.hpp"
#include "shared_criterion.hpp"

namespace py = pybind11;
using namespace pymixed;

namespace {

using SharedDeviance = SharedCriterion<Deviance, Problem>;

/// Estimates at a theta, in the host's units.
struct Estimates {
    Vector beta;
    Matrix unscaled_covariance;
    double pwrss;
    std::vector<std::vector<double>> modes;
    Vector gradient;
    Matrix curvature;

    explicit Estimates(Deviance& deviance)
        : beta(deviance.beta()),
          unscaled_covariance(deviance.unscaled_covariance()),
          pwrss(deviance.pwrss()),
          modes(deviance.modes()),
          gradient(deviance.gradient()),
          curvature(deviance.curvature()) {}

    py::object to_python(const RandomEffects& layout) && {
        return py::make_tuple(beta, unscaled_covariance, pwrss, by_factor(layout, std::move(modes), false), gradient,
                              curvature);
    }
};

}  // namespace

void bind_deviance(py::module_& module) {
    module.attr("EXACT_FIT") = exact_fit;
    py::class_<FitResult>(module, "FitResult")
        .def_property_readonly("status", [](const FitResult& fit) { return to_string(fit.status); })
        .def_property_readonly("success", [](const FitResult& fit) { return fit.status == Status::Success; })
        .def_readonly("parameters", &FitResult::parameters)
        .def_readonly("internal", &FitResult::internal)
        .def_readonly("objective", &FitResult::objective)
        .def_readonly("expected_gain", &FitResult::expected_gain)
        .def_readonly("n_evaluations", &FitResult::n_evaluations)
        .def_readonly("n_gradients", &FitResult::n_gradients)
        .def_readonly("n_differences", &FitResult::n_differences);

    py::class_<SharedDeviance> deviance(module, "Deviance");
    deviance.def(py::init<std::shared_ptr<Problem>, bool, int>(), py::arg("problem"), py::arg("reml"),
                 py::arg("n_threads"));
    bind_criterion<Deviance, Estimates>(deviance);
    bind_constrained_fit(deviance);
    deviance
        .def(
            "variance_derivatives",
            [](SharedDeviance& self, const Vector& theta, bool internal) {
                return self.run([&](Deviance& deviance) {
                    const Coordinates coordinates = SharedDeviance::coordinates(internal);
                    Matrix hessian = deviance.hessian(theta, coordinates);
                    deviance.evaluate(theta, coordinates);
                    deviance.differentiate();
                    return std::make_tuple(deviance.gradient(), std::move(hessian), deviance.unscaled_covariance(),
                                           deviance.covariance_derivatives(), deviance.pwrss_derivatives());
                });
            },
            py::arg("theta"), py::arg("internal") = false,
            "Gradient, Hessian, (X'V^-1X)^-1, its derivatives and those of r^2 in theta.")
        .def(
            "conditional_covariances",
            [](SharedDeviance& self, const Vector& theta) {
                auto blocks = self.run_at(theta, false, [](Deviance& deviance) {
                    deviance.differentiate();
                    return deviance.conditional_covariances();
                });
                return by_factor(self.problem().layout(), std::move(blocks), true);
            },
            py::arg("theta"), "Var(b | y) / sigma^2 per factor: (n_levels, c, c).")
        .def(
            "kenward_roger_cost",
            [](SharedDeviance& self) {
                const KenwardRogerCost cost = kenward_roger_cost(self.problem());
                return std::make_tuple(cost.bytes, cost.operations);
            },
            "Bytes and floating-point operations of kenward_roger().")
        .def(
            "kenward_roger",
            [](SharedDeviance& self, const Vector& theta) {
                bool interrupted = false;
                auto found = self.run_at(theta, false, [&](Deviance& deviance) -> std::optional<KenwardRoger> {
                    if (!std::isfinite(deviance.value()))
                        return std::nullopt;
                    deviance.differentiate();
                    auto sums = kenward_roger(deviance, signalled);
                    interrupted = !sums;
                    return sums;
                });
                if (interrupted)
                    throw py::error_already_set();
                return found ? py::object(py::make_tuple(found->sigma2, found->root, found->P, found->Q, found->T,
                                                         found->to_internal))
                             : py::object(py::none());
            },
            py::arg("theta"),
            "sigma2, root of (X'V^-1X)^-1, P, Q, T and the map to the internal parameters; None where the criterion is "
            "infinite.")
        .def("start", [](SharedDeviance& self) { return minque_start(self.problem()); });
}
