// Points of profile likelihoods: slopes against differences, estimates on their own profile, and the criterion left as
// it was found.
#include "check.hpp"

#include <stdexcept>

#include "designs.hpp"
#include "pymixed/fit.hpp"
#include "pymixed/profile.hpp"

namespace {

using namespace pymixed;

struct Fitted {
    Problem problem;
    Deviance deviance;
    FitResult result;
    double sigma;

    explicit Fitted(const designs::Design& design)
        : problem(design.layout(), design.rows()), deviance(problem, false), result(fit(deviance, {})) {
        deviance.evaluate(result.parameters, Coordinates::User);
        sigma = std::sqrt(deviance.sigma2());
    }
    ProfilePoint at(const ProfileTarget& target, double value) {
        return constrained_fit(deviance, target, value, result.parameters, sigma, {});
    }
    /// Of the target; correlations and standard deviations are the first term's.
    double estimate(const ProfileTarget& target) {
        const Matrix T = problem.layout().lower_triangle(problem.layout().terms()[0], result.parameters);
        deviance.evaluate(result.parameters, Coordinates::User);
        deviance.differentiate();
        switch (target.kind) {
            case ProfileKind::Sigma:
                return sigma;
            case ProfileKind::Coefficient:
                return deviance.beta()[target.position];
            case ProfileKind::StandardDeviation:
                return sigma * T.row(target.row).norm();
            default:
                return T.row(0).normalized().dot(T.row(1).normalized());
        }
    }
};

const ProfileTarget targets[] = {{ProfileKind::Sigma},
                                 {ProfileKind::Coefficient, 1},
                                 {ProfileKind::StandardDeviation, 0, 0},
                                 {ProfileKind::StandardDeviation, 0, 1},
                                 {ProfileKind::Correlation, 0, 1, 0}};

}  // namespace

TEST("the estimate is the minimum of its profile, slopes are derivatives, and nothing is left behind") {
    for (const auto& factors : {std::vector<std::pair<Index, Index>>{{20, 2}}, {{20, 2}, {9, 1}}}) {
        Fitted fitted(designs::simulate(400, 3, factors, 4));
        for (const ProfileTarget& target : targets) {
            const double estimate = fitted.estimate(target), step = 0.02 * std::max(0.1, std::abs(estimate));
            const ProfilePoint there = fitted.at(target, estimate);
            CHECK(there.status == Status::Success);
            CHECK_CLOSE(there.deviance, fitted.result.objective, 1e-9);
            CHECK(std::abs(there.slope * step) < 1e-3);
            const ProfilePoint away = fitted.at(target, estimate + 5.0 * step);
            CHECK(away.deviance > fitted.result.objective);
            const double h = 0.01 * step;
            const double difference = (fitted.at(target, estimate + 5.0 * step + h).deviance -
                                       fitted.at(target, estimate + 5.0 * step - h).deviance) /
                                      (2.0 * h);
            CHECK_CLOSE(away.slope, difference, 1e-4);
            CHECK_CLOSE(fitted.deviance.evaluate(fitted.result.parameters, Coordinates::User), fitted.result.objective,
                        1e-9);
        }
    }
}

TEST("a standard deviation of zero is the model without the column") {
    const designs::Design design = designs::simulate(300, 2, {{15, 2}}, 7);
    designs::Design without = design;
    without.Z.pop_back();
    without.terms[0].n_cols = 1;
    Fitted fitted(design), smaller(without);
    const ProfilePoint point = fitted.at({ProfileKind::StandardDeviation, 0, 1}, 0.0);
    CHECK_CLOSE(point.deviance, smaller.result.objective, 1e-8);
    CHECK_CLOSE(point.parameters[0], smaller.result.parameters[0], 1e-5);
    CHECK(point.parameters[1] == 0.0);
    CHECK(point.parameters[2] == 0.0);
    CHECK(point.slope == 0.0);
}

TEST("a target that the model does not have is refused") {
    Fitted fitted(designs::simulate(100, 2, {{10, 1}}, 2));
    for (const ProfileTarget& target :
         {ProfileTarget{ProfileKind::Correlation, 0, 0, 0}, ProfileTarget{ProfileKind::Coefficient, 2},
          ProfileTarget{ProfileKind::StandardDeviation, 1, 0}, ProfileTarget{ProfileKind::Family}}) {
        CHECK_THROWS(fitted.at(target, 0.5), std::invalid_argument);
    }
}
