#pragma once
// The linear model of a response with rows missing or weights of its own: sums of the design anew, its analysis kept.

#include "minque.hpp"
#include "owned_rows.hpp"
#include "pymixed/deviance.hpp"
#include "response_sums.hpp"

namespace pymixed {

class OwnDesign {
 public:
    /// @param host_rows  of the problem, the kept columns of X alone;  rows  the same, sorted
    OwnDesign(const Problem& problem, const OwnedRows& host_rows, const SortedRows& rows, bool reml)
        : problem_(problem), host_rows_(host_rows), rows_(rows), reml_(reml) {}

    /// Sums with other weights, in the order of the sorted rows; 0: the row is missing. Does nothing where they are
    /// those of the call before. False where the rows do not suffice for the model.
    bool set_weights(const Vector& weights, bool are_weights);
    void set_response(const Vector& y);

    Deviance& deviance() { return *deviance_; }
    Vector start() const { return minque_->start(sums_->view()); }
    double total_weight() const { return weights_.sum(); }
    /// Positions of its coefficients among the problem's.
    const std::vector<Index>& columns() const { return own_problem_->kept(); }

 private:
    bool suffices(const Vector& weights, bool are_weights) const;
    void analyse_anew(const Vector& weights);

    const Problem& problem_;
    const OwnedRows& host_rows_;
    const SortedRows& rows_;
    bool reml_;
    Vector weights_;
    bool sufficient_ = false;
    std::unique_ptr<Problem> own_problem_;
    std::unique_ptr<SortedRows> own_rows_;  // only where the problem is of the rows that are there alone:
    std::vector<Index> present_;            // these
    Vector by_host_, own_y_;
    std::unique_ptr<ResponseSums> sums_;
    std::unique_ptr<Minque> minque_;
    std::unique_ptr<Deviance> deviance_;
};

}  // namespace pymixed
