// Rows of refits compared bit by bit, for the C++ tests: order, threads and ranges must leave them alone.
#pragma once

#include <cmath>
#include <cstring>

#include "check.hpp"
#include "designs.hpp"
#include "pymixed/refit.hpp"

namespace refits {

using namespace pymixed;

inline bool same_bits(const Matrix& a, const Matrix& b) {
    return a.rows() == b.rows() && a.cols() == b.cols() &&
           (a.size() == 0 || std::memcmp(a.data(), b.data(), sizeof(double) * static_cast<std::size_t>(a.size())) == 0);
}

/// Row `row` of one against row `other` of the other.
inline void check_same_row(const Refits& a, Index row, const Refits& b, Index other) {
    CHECK(a.status[row] == b.status[other]);
    CHECK(a.n_evaluations[row] == b.n_evaluations[other]);
    CHECK(same_bits(a.objective.segment(row, 1), b.objective.segment(other, 1)));
    CHECK(same_bits(a.beta.row(row), b.beta.row(other)));
    CHECK(same_bits(a.covariance.row(row), b.covariance.row(other)) && a.n_rows[row] == b.n_rows[other]);
    CHECK(same_bits(a.theta.row(row), b.theta.row(other)) && same_bits(a.extra.row(row), b.extra.row(other)));
}

inline bool is_missing(const Refits& refits, Index row) {
    return std::isnan(refits.objective[row]) && refits.beta.row(row).array().isNaN().all() &&
           refits.covariance.row(row).array().isNaN().all() && refits.theta.row(row).array().isNaN().all() &&
           refits.extra.row(row).array().isNaN().all();
}

/// A function of a range of replicates gives the same bits over threads and however the range is split.
template <class Fit>
void check_replicates(Fit&& fit, const RefitOptions& base) {
    RefitOptions options = base;
    const auto draws = [](Index first, Index count) { return Draws{20240607, first, count}; };
    const Refits all = fit(draws(0, 23), options);
    Index good = 0;
    for (const Status status : all.status)
        good += status == Status::Success;
    CHECK(good >= 18);
    for (const int n_threads : {2, 4, 40}) {
        options.n_threads = n_threads;
        const Refits parallel = fit(draws(0, 23), options);
        for (Index i = 0; i < 23; ++i)
            check_same_row(parallel, i, all, i);
    }
    options.n_threads = 2;
    for (const Index split : {1, 7, 22}) {
        const Refits head = fit(draws(0, split), options), tail = fit(draws(split, 23 - split), options);
        for (Index i = 0; i < 23; ++i)
            check_same_row(i < split ? head : tail, i < split ? i : i - split, all, i);
    }
    CHECK(fit(draws(5, 0), options).status.empty());
}

inline RefitOptions started_at(const Vector& start) {
    RefitOptions options;
    options.fit.start = start;
    return options;
}

/// Complete responses with the problem's weights.
inline Responses responses_of(const Matrix& Y) {
    return {Y.data(), nullptr, nullptr, Y.cols()};
}

/// Fits of the columns in another order and over threads are the same rows; a fresh workspace per column too.
template <class Fitter>
Refits check_columns(const Fitter& fitter, const Matrix& Y, RefitOptions options) {
    const Index count = Y.cols();
    const Refits all = fitter.fit_columns(responses_of(Y), options);
    Matrix reversed = Y.rowwise().reverse();
    for (const int n_threads : {1, 2, 3}) {
        options.n_threads = n_threads;
        const Refits back = fitter.fit_columns(responses_of(reversed), options);
        for (Index i = 0; i < count; ++i)
            check_same_row(back, count - 1 - i, all, i);
    }
    for (Index i = 0; i < count; ++i)
        check_same_row(fitter.fit_columns(responses_of(Matrix(Y.col(i))), options), 0, all, i);
    return all;
}

}  // namespace refits
