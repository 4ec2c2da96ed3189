#include "data.hpp"
#include "numbers.hpp"
#include "options.hpp"

using namespace pymixed;
using namespace pymixed::c_api;

struct pymixed_refits {
    Refits value;
    bool linear;
    Index n_family_parameters;
};

namespace {

std::unique_ptr<pymixed_refits> fitted(const pymixed_data& data, const Responses& responses,
                                       const pymixed_options& options) {
    data.check_design();
    if (data.family == nullptr) {
        Refits refits = fit_many(data.layout(), data.rows, responses, options.linear_many());
        return std::unique_ptr<pymixed_refits>(new pymixed_refits{std::move(refits), true, 0});
    }
    const std::unique_ptr<Family> family = data.whole_family();
    Refits refits =
        fit_many(data.layout(), data.rows, *family, responses, options.generalized_many(), data.zero_inflation);
    return std::unique_ptr<pymixed_refits>(new pymixed_refits{std::move(refits), false, family->n_parameters()});
}

/// Calls use(matrix) with numbers that have a row per response.
template <class Use>
void use_numbers(const pymixed_refits& handle, int32_t quantity, const Use& use) {
    const Refits& fits = handle.value;
    switch (quantity) {
        case PYMIXED_STATUS:
            return use(reals(fits.status));
        case PYMIXED_ROWS:
            return use(reals(fits.n_rows));
        case PYMIXED_OBJECTIVE:
            return use(fits.objective);
        case PYMIXED_LOG_LIKELIHOOD:
            return use(-0.5 * fits.objective);
        case PYMIXED_EVALUATIONS:
            return use(reals(fits.n_evaluations));
        case PYMIXED_COEFFICIENTS:
            return use(fits.beta);
        case PYMIXED_COVARIANCE:
            return use(fits.covariance);
        case PYMIXED_KEPT:
            return use(reals(fits.kept));
        case PYMIXED_THETA:
            return use(fits.theta);
        case PYMIXED_SIGMA:
            if (handle.linear)
                return use(fits.extra);
            break;
        case PYMIXED_FAMILY_PARAMETERS:
            if (!handle.linear)
                return use(fits.extra.leftCols(handle.n_family_parameters));
            break;
        case PYMIXED_ZERO_COEFFICIENTS:
            if (!handle.linear)
                return use(fits.extra.rightCols(fits.extra.cols() - handle.n_family_parameters));
            break;
        default:
            break;
    }
    refuse_quantity(handle.linear ? "one that fits of a linear model to many responses have"
                                  : "one that fits of a generalized model to many responses have",
                    quantity);
}

}  // namespace

extern "C" {

int32_t pymixed_refits_from_data(const pymixed_data* data, const pymixed_options* options, const double* responses,
                                 const double* weights, const double* offset, int64_t size, pymixed_refits** refits) {
    return hand_over(refits, "refits", [&] {
        const Index n = given(data, "data").rows.n;
        given(responses, "responses");
        if (size < 0 || size % n != 0)
            refuse("size", "a multiple of the " + std::to_string(n) + " rows", size);
        return fitted(*data, {responses, weights, offset, static_cast<Index>(size / n)}, options_or_defaults(options));
    });
}

void pymixed_refits_free(pymixed_refits* refits) {
    delete refits;
}

int32_t pymixed_refits_size(const pymixed_refits* refits, int32_t quantity, int64_t* n_rows, int64_t* n_columns) {
    return guarded([&] {
        const Shape shape{given(n_rows, "n_rows"), given(n_columns, "n_columns")};
        use_numbers(given(refits, "refits"), quantity, shape);
    });
}

int32_t pymixed_refits_get(const pymixed_refits* refits, int32_t quantity, double* values, int64_t capacity) {
    return guarded([&] { use_numbers(given(refits, "refits"), quantity, Copy{values, capacity}); });
}

}  // extern "C"
