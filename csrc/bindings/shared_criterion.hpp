#pragma once
// What the criteria of linear and of generalized models have in common on the Python side: a lock around the workspace,
// fits, values and derivatives.

#include <mutex>
#include <optional>

#include "arrays.hpp"
#include "pymixed/fit.hpp"

/// A criterion with its problem and a lock: Python threads may share one.
template <class Criterion, class Problem>
class SharedCriterion {
 public:
    template <class... Options>
    explicit SharedCriterion(std::shared_ptr<Problem> problem, Options... options)
        : problem_(std::move(problem)), criterion_(*problem_, options...) {}

    /// Calls function(criterion) with the interpreter free and the workspace locked.
    template <class Function>
    auto run(Function&& function) {
        pybind11::gil_scoped_release release;  // only the core's own arrays are used below
        const std::lock_guard<std::mutex> lock(mutex_);
        return function(criterion_);
    }
    /// The same after an evaluation.
    template <class Function>
    auto run_at(const pymixed::Vector& parameters, bool internal, Function&& function) {
        return run([&](Criterion& criterion) {
            criterion.evaluate(parameters, coordinates(internal));
            return function(criterion);
        });
    }
    static pymixed::Coordinates coordinates(bool internal) {
        return internal ? pymixed::Coordinates::Internal : pymixed::Coordinates::User;
    }
    const Problem& problem() const { return *problem_; }

 private:
    std::shared_ptr<Problem> problem_;
    std::mutex mutex_;
    Criterion criterion_;
};

/// Estimates(criterion) holds what Python wants of the last point that was evaluated and differentiated;
/// to_python(layout) makes a tuple of it.
template <class Criterion, class Estimates, class Problem>
void bind_criterion(pybind11::class_<SharedCriterion<Criterion, Problem>>& binding) {
    namespace py = pybind11;
    using namespace pymixed;
    using Shared = SharedCriterion<Criterion, Problem>;
    binding
        .def(
            "fit",
            [](Shared& self, const std::optional<Vector>& start, double tolerance, Index max_evaluations) {
                FitOptions options;
                options.newton.tolerance = tolerance;
                options.newton.max_evaluations = max_evaluations;
                if (start)
                    options.start = *start;
                options.newton.monitor = [](const NewtonProgress&) { return !signalled(); };
                std::optional<Estimates> estimates;
                const FitResult result = self.run([&](Criterion& criterion) {
                    FitResult found = fit(criterion, options);
                    if (found.status != Status::NotPositiveDefinite && found.status != Status::ModesNotFound)
                        estimates.emplace(criterion);
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
            [](Shared& self, const Vector& parameters) {
                std::optional<Estimates> found;
                self.run_at(parameters, false, [&](Criterion& criterion) {
                    if (!std::isfinite(criterion.value()))
                        return;
                    criterion.differentiate();
                    found.emplace(criterion);
                });
                return found ? std::move(*found).to_python(self.problem().layout()) : py::object(py::none());
            },
            py::arg("parameters"), "What fit() says, at any parameters; None where the criterion is infinite.")
        .def(
            "evaluate",
            [](Shared& self, const Vector& parameters, bool internal) {
                return self.run_at(parameters, internal, [](Criterion& criterion) { return criterion.value(); });
            },
            py::arg("parameters"), py::arg("internal") = false)
        .def(
            "differentiate",
            [](Shared& self, const Vector& parameters, bool internal) {
                return self.run_at(parameters, internal, [](Criterion& criterion) {
                    if (std::isfinite(criterion.value()))
                        criterion.differentiate();
                    return std::make_tuple(criterion.value(), criterion.gradient(), criterion.curvature());
                });
            },
            py::arg("parameters"), py::arg("internal") = false, "Criterion, gradient and approximate Hessian.")
        .def(
            "hessian",
            [](Shared& self, const Vector& parameters, bool internal) {
                return self.run(
                    [&](Criterion& criterion) { return criterion.hessian(parameters, Shared::coordinates(internal)); });
            },
            py::arg("parameters"), py::arg("internal") = false)
        .def("to_user",
             [](Shared& self, const Vector& internal) {
                 return self.run([&](Criterion& criterion) { return criterion.to_user(internal); });
             })
        .def("to_internal", [](Shared& self, const Vector& parameters) {
            return self.run([&](Criterion& criterion) { return criterion.to_internal(parameters); });
        });
}
