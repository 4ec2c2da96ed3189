#include "fit.hpp"
#include "numbers.hpp"

using namespace pymixed;
using namespace pymixed::c_api;

namespace {

/// Calls use(matrix) with the numbers that fits of both kinds have; false for others.
template <class Use>
bool use_common(const pymixed_fit& handle, const MixedFit& fit, int32_t quantity, int64_t index, const Use& use) {
    const bool per_term = quantity == PYMIXED_TERM_COVARIANCE, per_factor = quantity == PYMIXED_MODES;
    const Index position = checked_position("index", index,
                                            per_term     ? handle.n_terms
                                            : per_factor ? handle.n_factors
                                                         : 1);
    const auto one_of = [&](const auto& matrices) {
        if (matrices.empty())  // a fit without estimates
            use(Matrix());
        else
            use(matrices[position]);
    };
    switch (quantity) {
        case PYMIXED_STATUS:
            use(one(static_cast<Index>(fit.status)));
            return true;
        case PYMIXED_ROWS:
            use(one(fit.n));
            return true;
        case PYMIXED_OBJECTIVE:
            use(one(fit.objective));
            return true;
        case PYMIXED_LOG_LIKELIHOOD:
            use(one(fit.log_likelihood()));
            return true;
        case PYMIXED_EXPECTED_GAIN:
            use(one(fit.expected_gain));
            return true;
        case PYMIXED_EVALUATIONS:
            use(one(fit.n_evaluations));
            return true;
        case PYMIXED_GRADIENTS:
            use(one(fit.n_gradients));
            return true;
        case PYMIXED_COEFFICIENTS:
            use(fit.coefficients);
            return true;
        case PYMIXED_COVARIANCE:
            use(fit.covariance);
            return true;
        case PYMIXED_KEPT:
            use(reals(fit.kept));
            return true;
        case PYMIXED_ALIASED:
            use(reals(fit.aliased));
            return true;
        case PYMIXED_THETA:
            use(fit.theta);
            return true;
        case PYMIXED_TERM_COVARIANCE:
            one_of(fit.term_covariances);
            return true;
        case PYMIXED_MODES:
            one_of(fit.modes);
            return true;
        default:
            return false;
    }
}

template <class Use>
void use_own(const LmmFit& fit, int32_t quantity, const Use& use) {
    switch (quantity) {
        case PYMIXED_SIGMA:
            return use(one(fit.sigma));
        case PYMIXED_PWRSS:
            return use(one(fit.pwrss));
        default:
            refuse_quantity("one that the fit of a linear model has", quantity);
    }
}

template <class Use>
void use_own(const GlmmFit& fit, int32_t quantity, const Use& use) {
    switch (quantity) {
        case PYMIXED_FAMILY_PARAMETERS:
            return use(fit.family_parameters);
        case PYMIXED_ZERO_COEFFICIENTS:
            return use(fit.zero_coefficients);
        case PYMIXED_LINEAR_PREDICTOR:
            return use(fit.linear_predictor);
        case PYMIXED_PIRLS_ITERATIONS:
            return use(one(fit.n_pirls));
        case PYMIXED_FROM_HESSIAN:
            return use(one(Index{fit.from_hessian}));
        default:
            refuse_quantity("one that the fit of a generalized model has", quantity);
    }
}

template <class Use>
void use_numbers(const pymixed_fit& fit, int32_t quantity, int64_t index, const Use& use) {
    std::visit(
        [&](const auto& value) {
            if (!use_common(fit, value, quantity, index, use))
                use_own(value, quantity, use);
        },
        fit.value);
}

}  // namespace

extern "C" {

int32_t pymixed_fit_size(const pymixed_fit* fit, int32_t quantity, int64_t index, int64_t* n_rows, int64_t* n_columns) {
    return guarded([&] {
        const Shape shape{given(n_rows, "n_rows"), given(n_columns, "n_columns")};
        use_numbers(given(fit, "fit"), quantity, index, shape);
    });
}

int32_t pymixed_fit_get(const pymixed_fit* fit, int32_t quantity, int64_t index, double* values, int64_t capacity) {
    return guarded([&] { use_numbers(given(fit, "fit"), quantity, index, Copy{values, capacity}); });
}

}  // extern "C"
