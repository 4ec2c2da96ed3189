#include <mutex>

#include "arrays.hpp"
#include "pymixed/fit.hpp"

namespace py = pybind11;
using namespace pymixed;

namespace {

/// A criterion with its problem and a lock: Python threads may share one.
class SharedDeviance {
 public:
    SharedDeviance(std::shared_ptr<Problem> problem, bool reml, int n_threads)
        : problem_(std::move(problem)), deviance_(*problem_, reml, n_threads) {}

    /// Calls function(deviance) with the interpreter free and the workspace locked.
    template <class Function>
    auto run(Function&& function) {
        py::gil_scoped_release release;  // only the core's own arrays are used below
        const std::lock_guard<std::mutex> lock(mutex_);
        return function(deviance_);
    }
    template <class Function>
    auto run_at(const Vector& theta, bool internal, Function&& function) {
        return run([&](Deviance& deviance) {
            deviance.evaluate(theta, internal ? Coordinates::Internal : Coordinates::User);
            return function(deviance);
        });
    }
    const Problem& problem() const { return *problem_; }

 private:
    std::shared_ptr<Problem> problem_;
    std::mutex mutex_;
    Deviance deviance_;
};

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

    py::tuple to_python(const Problem& problem) && {
        return py::make_tuple(beta, unscaled_covariance, pwrss, by_factor(problem.layout(), std::move(modes), false), gradient,
                              curvature);
    }
};

}  // namespace

void bind_deviance(py::module_& module) {
    py::class_<FitResult>(module, "FitResult")
        .def_property_readonly("status", [](const FitResult& fit) { return to_string(fit.status); })
        .def_property_readonly("success", [](const FitResult& fit) { return fit.status == Status::Success; })
        .def_readonly("theta", &FitResult::theta)
        .def_readonly("internal", &FitResult::internal)
        .def_readonly("objective", &FitResult::objective)
        .def_readonly("expected_gain", &FitResult::expected_gain)
        .def_readonly("n_evaluations", &FitResult::n_evaluations)
        .def_readonly("n_gradients", &FitResult::n_gradients)
        .def_readonly("n_differences", &FitResult::n_differences);

    py::class_<SharedDeviance>(module, "Deviance")
        .def(py::init<std::shared_ptr<Problem>, bool, int>(), py::arg("problem"), py::arg("reml"), py::arg("n_threads"))
        .def(
            "fit",
            [](SharedDeviance& self, const std::optional<Vector>& start, double tolerance, Index max_evaluations) {
                FitOptions options;
                options.newton.tolerance = tolerance;
                options.newton.max_evaluations = max_evaluations;
                if (start)
                    options.start = *start;
                options.newton.interrupted = signalled;
                std::optional<Estimates> estimates;
                const FitResult result = self.run([&](Deviance& deviance) {
                    FitResult found = fit(deviance, options);
                    if (found.status != Status::NotPositiveDefinite)
                        estimates.emplace(deviance);
                    return found;
                });
                if (result.status == Status::Interrupted)
                    throw py::error_already_set();
                const py::object values =
                    estimates ? std::move(*estimates).to_python(self.problem()) : py::object(py::none());
                return py::make_tuple(result, values);
            },
            py::arg("start"), py::arg("tolerance"), py::arg("max_evaluations"))
        .def(
            "estimates",
            [](SharedDeviance& self, const Vector& theta) {
                Estimates found = self.run_at(theta, false, [](Deviance& deviance) {
                    deviance.differentiate();
                    return Estimates(deviance);
                });
                return std::move(found).to_python(self.problem());
            },
            py::arg("theta"))
        .def(
            "evaluate",
            [](SharedDeviance& self, const Vector& theta, bool internal) {
                return self.run_at(theta, internal, [](Deviance& deviance) { return deviance.value(); });
            },
            py::arg("theta"), py::arg("internal") = false)
        .def(
            "differentiate",
            [](SharedDeviance& self, const Vector& theta, bool internal) {
                return self.run_at(theta, internal, [](Deviance& deviance) {
                    deviance.differentiate();
                    return std::make_tuple(deviance.value(), deviance.gradient(), deviance.curvature());
                });
            },
            py::arg("theta"), py::arg("internal") = false, "Criterion, gradient and approximate Hessian at theta.")
        .def(
            "hessian",
            [](SharedDeviance& self, const Vector& theta, bool internal) {
                return self.run([&](Deviance& deviance) {
                    return deviance.hessian(theta, internal ? Coordinates::Internal : Coordinates::User);
                });
            },
            py::arg("theta"), py::arg("internal") = false)
        .def(
            "variance_derivatives",
            [](SharedDeviance& self, const Vector& theta) {
                return self.run([&](Deviance& deviance) {
                    Matrix hessian = deviance.hessian(theta, Coordinates::User);
                    deviance.evaluate(theta, Coordinates::User);
                    deviance.differentiate();
                    return std::make_tuple(deviance.gradient(), std::move(hessian), deviance.unscaled_covariance(),
                                           deviance.covariance_derivatives(), deviance.pwrss_derivatives());
                });
            },
            py::arg("theta"), "Gradient, Hessian, (X'V^-1X)^-1, its derivatives and those of r^2 in theta.")
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
        .def("to_user",
             [](SharedDeviance& self, const Vector& internal) {
                 return self.problem().products().random_basis().to_user(self.problem().layout(), internal);
             })
        .def("to_internal",
             [](SharedDeviance& self, const Vector& theta) {
                 return self.problem().products().random_basis().to_internal(self.problem().layout(), theta);
             })
        .def("start", [](SharedDeviance& self) { return minque_start(self.problem()); });
}
