#include <mutex>
#include <optional>

#include "arrays.hpp"
#include "family_holder.hpp"
#include "layout.hpp"
#include "pymixed/fit.hpp"
#include "rows.hpp"

namespace py = pybind11;
using namespace pymixed;

namespace {

/// A criterion with its problem and a lock: Python threads may share one.
class SharedGeneralizedDeviance {
 public:
    SharedGeneralizedDeviance(std::shared_ptr<GeneralizedProblem> problem, Index n_agq, Information information,
                              int n_threads)
        : problem_(std::move(problem)), deviance_(*problem_, n_agq, information, n_threads) {}

    /// Calls function(deviance) with the interpreter free and the workspace locked.
    template <class Function>
    auto run(Function&& function) {
        py::gil_scoped_release release;  // only the core's own arrays are used below
        const std::lock_guard<std::mutex> lock(mutex_);
        return function(deviance_);
    }
    const GeneralizedProblem& problem() const { return *problem_; }

 private:
    std::shared_ptr<GeneralizedProblem> problem_;
    std::mutex mutex_;
    GeneralizedDeviance deviance_;
};

/// Estimates at the last point that was evaluated and differentiated, in the host's units.
struct Estimates {
    Vector beta, linear_predictor, gradient;
    Matrix curvature;
    double squared_modes, log_determinant;
    std::vector<std::vector<double>> modes;
    Index n_pirls;
    Matrix unscaled_covariance;

    explicit Estimates(GeneralizedDeviance& deviance)
        : beta(deviance.beta()),
          linear_predictor(deviance.linear_predictor()),
          gradient(deviance.gradient()),
          curvature(deviance.curvature()),
          squared_modes(deviance.squared_modes()),
          log_determinant(deviance.log_determinant()),
          modes(deviance.modes()),
          n_pirls(deviance.n_pirls()),
          unscaled_covariance(deviance.unscaled_covariance()) {}

    py::tuple to_python(const RandomEffects& layout) && {
        return py::make_tuple(beta, unscaled_covariance, by_factor(layout, std::move(modes), false), linear_predictor,
                              squared_modes, log_determinant, n_pirls, gradient, curvature);
    }
};

Information parse_information(const std::string& name) {
    if (name != "observed" && name != "expected")
        throw std::invalid_argument("curvature: expected 'observed' or 'expected', got '" + name + "'");
    return name == "observed" ? Information::Observed : Information::Expected;
}

}  // namespace

void bind_generalized(py::module_& module) {
    py::class_<GeneralizedProblem, std::shared_ptr<GeneralizedProblem>>(module, "GeneralizedProblem")
        .def(py::init([](const Array& y, const Array& X, const std::vector<Codes>& codes,
                         const std::vector<Index>& n_levels,
                         const std::vector<std::tuple<Index, Index, std::string>>& terms,
                         const std::vector<std::optional<Array>>& columns, const std::optional<Array>& weights,
                         const std::optional<Array>& offset, const FamilyHolder& family,
                         const std::optional<Array>& zero_inflation, const std::string& method, double memory_limit) {
                 const HostRows rows(y, X, codes, columns, weights, offset);
                 RandomEffects layout = make_layout(n_levels, terms);
                 rows.check(layout);
                 std::vector<ColumnView> zero;
                 if (zero_inflation)
                     for (py::ssize_t j = 0; j < zero_inflation->shape(1); ++j)
                         zero.push_back({zero_inflation->data(0, j),
                                         static_cast<Index>(zero_inflation->strides(0) / sizeof(double))});
                 const Method chosen = parse_method(method);
                 // the arrays are held by the arguments; no Python object is touched from here on
                 py::gil_scoped_release release;
                 return std::make_shared<GeneralizedProblem>(std::move(layout), rows.view(), family.clone(), zero,
                                                             chosen, memory_limit);
             }),
             py::arg("y"), py::arg("X"), py::arg("codes"), py::arg("n_levels"), py::arg("terms"), py::arg("columns"),
             py::arg("weights"), py::arg("offset"), py::arg("family"), py::arg("zero_inflation"), py::arg("method"),
             py::arg("memory_limit"))
        .def_property_readonly("n", &GeneralizedProblem::n)
        .def_property_readonly("p", &GeneralizedProblem::p)
        .def_property_readonly("kept", [](const GeneralizedProblem& self) { return self.linear().kept(); })
        .def_property_readonly("aliased", [](const GeneralizedProblem& self) { return self.linear().aliased(); })
        .def_property_readonly("method",
                               [](const GeneralizedProblem& self) { return to_string(self.linear().method()); })
        .def_property_readonly("workspace_bytes",
                               [](const GeneralizedProblem& self) { return self.linear().workspace_bytes(); });

    py::class_<SharedGeneralizedDeviance>(module, "GeneralizedDeviance")
        .def(py::init([](std::shared_ptr<GeneralizedProblem> problem, Index n_agq, const std::string& curvature,
                         int n_threads) {
                 return std::make_unique<SharedGeneralizedDeviance>(std::move(problem), n_agq,
                                                                    parse_information(curvature), n_threads);
             }),
             py::arg("problem"), py::arg("n_agq"), py::arg("curvature"), py::arg("n_threads"))
        .def_property_readonly("n_parameters",
                               [](SharedGeneralizedDeviance& self) {
                                   return self.run([](GeneralizedDeviance& d) { return d.n_parameters(); });
                               })
        .def(
            "fit",
            [](SharedGeneralizedDeviance& self, const std::optional<Vector>& start, double tolerance,
               Index max_evaluations) {
                FitOptions options;
                options.newton.tolerance = tolerance;
                options.newton.max_evaluations = max_evaluations;
                if (start)
                    options.start = *start;
                options.newton.interrupted = signalled;
                std::optional<Estimates> estimates;
                const FitResult result = self.run([&](GeneralizedDeviance& deviance) {
                    FitResult found = fit(deviance, options);
                    if (found.status != Status::ModesNotFound)
                        estimates.emplace(deviance);
                    return found;
                });
                if (result.status == Status::Interrupted)
                    throw py::error_already_set();
                const py::object values =
                    estimates ? std::move(*estimates).to_python(self.problem().layout()) : py::object(py::none());
                return py::make_tuple(result, values);
            },
            py::arg("start"), py::arg("tolerance"), py::arg("max_evaluations"))
        .def(
            "estimates",
            [](SharedGeneralizedDeviance& self, const Vector& psi) -> py::object {
                std::optional<Estimates> found;
                self.run([&](GeneralizedDeviance& deviance) {
                    if (!std::isfinite(deviance.evaluate(psi, Coordinates::User)))
                        return;
                    deviance.differentiate();
                    found.emplace(deviance);
                });
                return found ? std::move(*found).to_python(self.problem().layout()) : py::object(py::none());
            },
            py::arg("psi"))
        .def(
            "evaluate",
            [](SharedGeneralizedDeviance& self, const Vector& psi, bool internal) {
                return self.run([&](GeneralizedDeviance& deviance) {
                    return deviance.evaluate(psi, internal ? Coordinates::Internal : Coordinates::User);
                });
            },
            py::arg("psi"), py::arg("internal") = false)
        .def(
            "differentiate",
            [](SharedGeneralizedDeviance& self, const Vector& psi, bool internal) {
                return self.run([&](GeneralizedDeviance& deviance) {
                    if (std::isfinite(deviance.evaluate(psi, internal ? Coordinates::Internal : Coordinates::User)))
                        deviance.differentiate();
                    return std::make_tuple(deviance.value(), deviance.gradient(), deviance.curvature());
                });
            },
            py::arg("psi"), py::arg("internal") = false, "Criterion, gradient and approximate Hessian at psi.")
        .def(
            "hessian",
            [](SharedGeneralizedDeviance& self, const Vector& psi, bool internal) {
                return self.run([&](GeneralizedDeviance& deviance) {
                    return deviance.hessian(psi, internal ? Coordinates::Internal : Coordinates::User);
                });
            },
            py::arg("psi"), py::arg("internal") = false)
        .def(
            "conditional_covariances",
            [](SharedGeneralizedDeviance& self, const Vector& psi) {
                auto blocks = self.run([&](GeneralizedDeviance& deviance) {
                    deviance.evaluate(psi, Coordinates::User);
                    return deviance.conditional_covariances();
                });
                return by_factor(self.problem().layout(), std::move(blocks), true);
            },
            py::arg("psi"), "Var(b | y) per factor: (n_levels, c, c).")
        .def("to_user",
             [](SharedGeneralizedDeviance& self, const Vector& psi) {
                 return self.run([&](GeneralizedDeviance& deviance) { return deviance.to_user(psi); });
             })
        .def("to_internal",
             [](SharedGeneralizedDeviance& self, const Vector& psi) {
                 return self.run([&](GeneralizedDeviance& deviance) { return deviance.to_internal(psi); });
             })
        .def("start", [](SharedGeneralizedDeviance& self) {
            return self.run([](GeneralizedDeviance& deviance) {
                const Vector psi = deviance.start();
                return psi.size() > 0 ? deviance.to_user(psi) : psi;
            });
        });
}
