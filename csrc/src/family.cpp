#include "pymixed/family.hpp"

#include <cmath>
#include <limits>
#include <stdexcept>

#include "families.hpp"

namespace pymixed {

FamilyConstants::FamilyConstants()
    : shape(std::numeric_limits<double>::quiet_NaN()), power(std::numeric_limits<double>::quiet_NaN()) {}

std::unique_ptr<Family> make_family(const std::string& distribution, const std::string& link,
                                    const FamilyConstants& constants) {
    const double shape = constants.shape, power = constants.power;
    if (!std::isnan(shape) && !(shape > 0.0 && std::isfinite(shape)))
        throw std::invalid_argument("shape of the " + distribution + " family: a positive number expected, got " +
                                    std::to_string(shape));
    if (!std::isnan(power) && !(power > 1.0 && power < 2.0))
        throw std::invalid_argument("power of the " + distribution +
                                    " family: a number between 1 and 2 expected, got " + std::to_string(power));
    if (distribution == "binomial")
        return make_binomial(link);
    if (distribution == "poisson")
        return make_poisson(link);
    if (distribution == "negative_binomial")
        return make_negative_binomial(link, shape);
    if (distribution == "negative_binomial1")
        return make_negative_binomial1(link);
    if (distribution == "gamma")
        return make_gamma(link);
    if (distribution == "inverse_gaussian")
        return make_inverse_gaussian(link);
    if (distribution == "beta")
        return make_beta(link);
    if (distribution == "gaussian")
        return make_gaussian(link);
    if (distribution == "student_t")
        return make_student_t(link, shape);
    if (distribution == "tweedie")
        return make_tweedie(link, power);
    throw std::invalid_argument(
        "distribution: one of binomial, poisson, negative_binomial, negative_binomial1, gamma, inverse_gaussian, beta, "
        "gaussian, student_t, tweedie expected, got '" +
        distribution + "'");
}

namespace {

/// Up to the rounding of proportions times trials.
bool is_whole(double value) {
    constexpr double tolerance = 1e-6;
    return std::abs(value - std::nearbyint(value)) <= tolerance;
}

bool is_possible(Support support, double y, double weight) {
    switch (support) {
        case Support::Real:
            return std::isfinite(y);
        case Support::Positive:
            return y > 0.0 && std::isfinite(y);
        case Support::NonNegative:
            return y >= 0.0 && std::isfinite(y);
        case Support::OpenUnit:
            return y > 0.0 && y < 1.0;
        case Support::Counts:
            return y >= 0.0 && is_whole(y);
        case Support::Proportions:
            return y >= 0.0 && y <= 1.0 && is_whole(weight) && is_whole(weight * y);
    }
    return false;
}

}  // namespace

Index first_unsuitable(Support support, Index n, const double* y, const double* weights) {
    for (Index i = 0; i < n; ++i)
        if (!is_possible(support, y[i], weights == nullptr ? 1.0 : weights[i]))
            return i;
    return -1;
}

const char* to_string(Support support) {
    switch (support) {
        case Support::Real:
            return "finite numbers";
        case Support::Positive:
            return "positive numbers";
        case Support::NonNegative:
            return "numbers that are not negative";
        case Support::OpenUnit:
            return "numbers strictly between 0 and 1";
        case Support::Counts:
            return "counts 0, 1, 2, ...";
        case Support::Proportions:
            return "proportions of whole numbers of trials, which the weights are";
    }
    return "unknown";
}

}  // namespace pymixed
