#pragma once
// The sums of the cross-products that a response enters, for other responses on the same rows:
//
//     y - offset = X~ gamma + scale y~,    X~'W y~,   y~'W y~,   Z'W y~
//
// gamma is the weighted regression on X~, so that a response far from zero loses no digits; what remains has unit
// root mean square, or is rounding next to a response that has. Everything else of the problem stays as it is. One per
// workspace; set() allocates nothing.

#include <Eigen/Cholesky>

#include "sorted_rows.hpp"

namespace pymixed {

class ResponseSums {
 public:
    /// @param weights  of the rows in the place of their own, in their order; null: their own
    ResponseSums(const Problem& problem, const SortedRows& rows, const Vector* weights = nullptr);

    /// @param y  n values in the order of the sorted rows, offset included
    void set(const Vector& y);
    ResponseView view() const;
    double total_weight() const { return sum_weights_; }

 private:
    void set_moments();

    const Problem& problem_;
    const SortedRows& rows_;
    const Vector& weights_;
    Eigen::LLT<Matrix> XtWX_;
    Matrix XytXy_;
    std::vector<double> leading_, moments_;
    RowMatrix tail_;
    Vector gamma_, rest_, weighted_, sums_;
    double scale_ = 1.0, sum_weights_;
};

}  // namespace pymixed
