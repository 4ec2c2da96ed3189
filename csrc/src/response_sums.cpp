#include "response_sums.hpp"

#include <cmath>

#include "leading.hpp"

namespace pymixed {

ResponseSums::ResponseSums(const Problem& problem, const SortedRows& rows, const Vector* weights)
    : problem_(problem),
      rows_(rows),
      weights_(weights != nullptr ? *weights : rows.weights),
      XytXy_(*problem.response().XytXy),
      leading_(problem.products().factor(0).ZtXy),
      moments_(problem.leading().moments),
      tail_(*problem.response().tail),
      gamma_(problem.p()),
      rest_(rows.n),
      weighted_(rows.n),
      sums_(rows.q),
      sum_weights_(weights_.size() > 0 ? weights_.sum() : static_cast<double>(rows.n)) {
    const Index p = problem.p();
    XtWX_.compute(XytXy_.topLeftCorner(p, p));
}

static constexpr double rounding = 1e-10;  // of a response, what may be left of it by rounding: as in FixedBasis

void ResponseSums::set(const Vector& y) {
    const Index p = problem_.p(), P = p + 1;
    rest_ = y;
    if (rows_.offset.size() > 0)
        rest_ -= rows_.offset;
    const auto weigh = [&] {
        if (weights_.size() > 0)
            weighted_ = weights_.cwiseProduct(rest_);
        else
            weighted_ = rest_;
    };
    weigh();
    const double whole = std::sqrt(rest_.dot(weighted_) / sum_weights_);
    gamma_.noalias() = rows_.X.transpose() * weighted_;
    XtWX_.solveInPlace(gamma_);
    rest_.noalias() -= rows_.X * gamma_;
    weigh();
    const double size = std::sqrt(rest_.dot(weighted_) / sum_weights_);
    scale_ = size > rounding * whole ? size : (whole > 0.0 ? whole : 1.0);
    weighted_ /= scale_;

    auto column = XytXy_.col(p).head(p);
    column.noalias() = rows_.X.transpose() * weighted_;
    XytXy_.row(p).head(p) = column.transpose();
    XytXy_(p, p) = rest_.dot(weighted_) / scale_;
    sums_.setZero();
    rows_.add_Ztr(weighted_.data(), sums_.data());
    for (Index r = 0; r < rows_.q1; ++r)
        leading_[r * P + p] = sums_[r];
    if (problem_.has_tail())
        tail_.col(p) = sums_.tail(rows_.q - rows_.q1);
    if (!moments_.empty())
        set_moments();
}

/// The entries of Leading::moments that the response has a part in.
void ResponseSums::set_moments() {
    const Leading& lead = problem_.leading();
    const Index c = lead.c, P = lead.P, p = P - 1, size = packed(c, 0) * P * P;
    for (double* block = moments_.data(); block < moments_.data() + moments_.size(); block += P * P) {
        for (Index k = 0; k < P; ++k)
            block[k * P + p] = block[p * P + k] = 0.0;
    }
    for (Index g = 0; g < lead.n_levels; ++g) {
        const double* b = leading_.data() + g * c * P;
        double* block = moments_.data() + lead.pattern[g] * size;
        for (Index i = 0; i < c; ++i)
            for (Index j = 0; j <= i; ++j, block += P * P) {
                const double *b_i = b + i * P, *b_j = b + j * P;
                for (Index k = 0; k < p; ++k) {
                    block[k * P + p] += b_i[k] * b_j[p];
                    block[p * P + k] += b_i[p] * b_j[k];
                }
                block[p * P + p] += b_i[p] * b_j[p];
            }
    }
}

ResponseView ResponseSums::view() const {
    return {&XytXy_, leading_.data(), moments_.data(), &tail_, &gamma_, scale_};
}

}  // namespace pymixed
