#include "own_design.hpp"

#include <algorithm>

namespace pymixed {

bool OwnDesign::set_weights(const Vector& weights, bool are_weights) {
    if (weights_.size() > 0 && weights == weights_)
        return sufficient_;
    weights_ = weights;
    sufficient_ = suffices(weights, are_weights);
    if (!sufficient_)
        return false;
    Vector by_host(rows_.n);
    for (Index k = 0; k < rows_.n; ++k)
        by_host[rows_.order[k]] = weights[k];
    const Rows view = host_rows_.view();
    deviance_.reset();
    own_problem_ = std::make_unique<Problem>(
        problem_, std::make_shared<const CrossProducts>(problem_.products().reweighted(view, by_host)));
    own_rows_.reset();
    if (!own_problem_->aliased().empty())
        own_rows_ = std::make_unique<SortedRows>(*own_problem_, view, std::vector<ColumnView>());
    sums_ = std::make_unique<ResponseSums>(*own_problem_, own_rows_ ? *own_rows_ : rows_, &weights_);
    minque_ = std::make_unique<Minque>(*own_problem_);
    deviance_ = std::make_unique<Deviance>(*own_problem_, reml_);
    return true;
}

void OwnDesign::set_response(const Vector& y) {
    sums_->set(y);
    deviance_->set_response(sums_->view());
}

/// More rows than columns, several levels of every factor, and fewer random effects of a term than rows unless weights
/// tell them from residuals.
bool OwnDesign::suffices(const Vector& weights, bool are_weights) const {
    const RandomEffects& layout = problem_.layout();
    const Index n = (weights.array() > 0.0).count();
    if (n <= problem_.p())
        return false;
    for (std::size_t f = 0; f < layout.factors().size(); ++f) {
        std::vector<bool> seen(layout.factors()[f].n_levels, false);
        for (Index k = 0; k < rows_.n; ++k)
            if (weights[k] > 0.0)
                seen[rows_.factors[f].level[k]] = true;
        const Index n_levels = std::count(seen.begin(), seen.end(), true);
        if (n_levels < 2)
            return false;
        for (const auto& term : layout.terms())
            if (!are_weights && term.factor == static_cast<Index>(f) && n_levels * term.n_cols >= n)
                return false;
    }
    return true;
}

}  // namespace pymixed
