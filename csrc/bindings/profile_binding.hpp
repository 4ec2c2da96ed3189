#pragma once
// Points of profile likelihoods, for linear and generalized models alike.

#include <array>
#include <string>

#include "pymixed/profile.hpp"
#include "shared_criterion.hpp"

inline pymixed::ProfileKind parse_profile_kind(const std::string& name) {
    using pymixed::ProfileKind;
    if (name == "coefficient")
        return ProfileKind::Coefficient;
    if (name == "sd")
        return ProfileKind::StandardDeviation;
    if (name == "cor")
        return ProfileKind::Correlation;
    if (name == "sigma")
        return ProfileKind::Sigma;
    if (name == "family")
        return ProfileKind::Family;
    if (name == "zi")
        return ProfileKind::ZeroInflation;
    throw std::invalid_argument("kind: expected 'coefficient', 'sd', 'cor', 'sigma', 'family' or 'zi', got '" + name +
                                "'");
}

inline pymixed::ProfilePoint constrained_fit_of(pymixed::Deviance& deviance, const pymixed::ProfileTarget& target,
                                                double value, const pymixed::Vector& start, double sigma,
                                                const pymixed::NewtonOptions& options) {
    return pymixed::constrained_fit(deviance, target, value, start, sigma, options);
}

inline pymixed::ProfilePoint constrained_fit_of(pymixed::GeneralizedDeviance& deviance,
                                                const pymixed::ProfileTarget& target, double value,
                                                const pymixed::Vector& start, double,
                                                const pymixed::NewtonOptions& options) {
    return pymixed::constrained_fit(deviance, target, value, start, options);
}

template <class Criterion, class Problem>
void bind_constrained_fit(pybind11::class_<SharedCriterion<Criterion, Problem>>& binding) {
    namespace py = pybind11;
    using namespace pymixed;
    binding.def(
        "constrained_fit",
        [](SharedCriterion<Criterion, Problem>& self, const std::string& kind, const std::array<Index, 3>& place,
           double value, const Vector& start, double sigma, double tolerance, Index max_evaluations) {
            const ProfileTarget target{parse_profile_kind(kind), place[0], place[1], place[2]};
            NewtonOptions options;
            options.tolerance = tolerance;
            options.max_evaluations = max_evaluations;
            options.monitor = [](const NewtonProgress&) { return !signalled(); };
            const ProfilePoint point = self.run([&](Criterion& criterion) {
                return constrained_fit_of(criterion, target, value, start, sigma, options);
            });
            if (point.status == Status::Interrupted)
                throw py::error_already_set();
            return py::make_tuple(to_string(point.status), point.expected_gain, point.deviance, point.slope,
                                  point.parameters, point.beta, point.sigma, point.n_evaluations);
        },
        py::arg("kind"), py::arg("place"), py::arg("value"), py::arg("start"), py::arg("sigma"), py::arg("tolerance"),
        py::arg("max_evaluations"), "A point of a profile likelihood; `place`: term or position, row, column.");
}
