#include "options.hpp"

#include <cmath>
#include <limits>

using namespace pymixed;
using namespace pymixed::c_api;

FitOptions pymixed_options::monitored_fit() const {
    FitOptions out = fit;
    if (callback != nullptr)
        out.newton.monitor = [callback = callback, user = user,
                              limit = fit.newton.max_evaluations](const NewtonProgress& at) {
            return callback(user, at.n_evaluations, limit, at.value) == 0;
        };
    return out;
}

RefitOptions pymixed_options::refits() const {
    RefitOptions out;
    out.fit = fit;
    out.n_threads = n_threads;
    if (callback != nullptr)
        out.monitor = [callback = callback, user = user](Index done, Index count) {
            return callback(user, done, count, std::numeric_limits<double>::quiet_NaN()) == 0;
        };
    return out;
}

LmmOptions pymixed_options::linear() const {
    return {reml, monitored_fit(), n_threads};
}

GlmmOptions pymixed_options::generalized() const {
    return {n_nodes, information, monitored_fit(), n_threads};
}

LmmManyOptions pymixed_options::linear_many() const {
    return {reml, refits()};
}

GlmmManyOptions pymixed_options::generalized_many() const {
    GlmmManyOptions out{n_nodes, information, refits()};
    out.refits.uncertainty = hessian;
    return out;
}

namespace {

int checked_threads(int64_t n_threads) {
    if (n_threads < 1 || n_threads > 4096)
        refuse("n_threads", "1 to 4096", n_threads);
    return static_cast<int>(n_threads);
}

}  // namespace

extern "C" {

int32_t pymixed_options_new(pymixed_options** options) {
    return hand_over(options, "options", [] { return std::make_unique<pymixed_options>(); });
}

void pymixed_options_free(pymixed_options* options) {
    delete options;
}

int32_t pymixed_options_set_reml(pymixed_options* options, int32_t reml) {
    return guarded([&] { given(options, "options").reml = checked_flag("reml", reml); });
}

int32_t pymixed_options_set_tolerance(pymixed_options* options, double tolerance) {
    return guarded([&] {
        given(options, "options");
        if (!(tolerance > 0.0) || std::isinf(tolerance))
            refuse("tolerance", "a positive number", tolerance);
        options->fit.newton.tolerance = tolerance;
    });
}

int32_t pymixed_options_set_max_evaluations(pymixed_options* options, int64_t max_evaluations) {
    return guarded([&] {
        given(options, "options");
        if (max_evaluations < 1)
            refuse("max_evaluations", "at least 1", max_evaluations);
        options->fit.newton.max_evaluations = static_cast<Index>(max_evaluations);
    });
}

int32_t pymixed_options_set_threads(pymixed_options* options, int64_t n_threads) {
    return guarded([&] { given(options, "options").n_threads = checked_threads(n_threads); });
}

int32_t pymixed_options_set_nodes(pymixed_options* options, int64_t n_nodes) {
    return guarded([&] {
        given(options, "options");
        options->n_nodes = checked_position("n_nodes", n_nodes, 101);
    });
}

int32_t pymixed_options_set_information(pymixed_options* options, int32_t information) {
    return guarded([&] {
        given(options, "options");
        const bool expected = checked_position("information", information, 2) == PYMIXED_EXPECTED;
        options->information = expected ? Information::Expected : Information::Observed;
    });
}

int32_t pymixed_options_set_hessian(pymixed_options* options, int32_t hessian) {
    return guarded([&] { given(options, "options").hessian = checked_flag("hessian", hessian); });
}

int32_t pymixed_options_set_start(pymixed_options* options, const double* start, int64_t size) {
    return guarded([&] {
        given(options, "options");
        if (size < 0 || (start == nullptr && size > 0))
            refuse("start", "values and their number, or NULL and 0", size);
        for (int64_t i = 0; i < size; ++i)
            if (!std::isfinite(start[i]))
                refuse("start", "finite numbers", start[i]);
        options->fit.start = Eigen::Map<const Vector>(start, static_cast<Index>(size));
    });
}

int32_t pymixed_options_set_memory_limit(pymixed_options* options, double bytes) {
    return guarded([&] {
        given(options, "options");
        if (!(bytes >= 0.0))
            refuse("bytes", "0 or more", bytes);
        options->memory_limit = bytes;
    });
}

int32_t pymixed_options_set_callback(pymixed_options* options, pymixed_callback callback, void* user) {
    return guarded([&] {
        given(options, "options");
        options->callback = callback;
        options->user = user;
    });
}

}  // extern "C"
