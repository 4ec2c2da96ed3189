#include "own_design.hpp"

#include <algorithm>

namespace pymixed {

namespace {

/// Mean squares of the columns of X, those before them taken out, and of the columns of Z, per unit of weight.
Vector spreads(const CrossProducts& products) {
    const Index p = products.p();
    Vector out(p + products.layout().n_columns());
    out.head(p) = column_pivots(products.XytXy().topLeftCorner(p, p), products.fixed_basis().intercept);
    for (std::size_t f = 0; f < products.layout().factors().size(); ++f) {
        const auto& factor = products.layout().factors()[f];
        const double* ZtZ = products.factor(f).ZtZ.data();
        for (Index j = 0; j < factor.n_cols; ++j) {
            double& sum = out[p + factor.columns[j]];
            sum = 0.0;
            for (Index g = 0; g < factor.n_levels; ++g)
                sum += ZtZ[g * packed(factor.n_cols, 0) + packed(j, j)];
        }
    }
    return out / products.sum_weights();
}

}  // namespace

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
    deviance_.reset();
    sums_.reset();
    own_rows_.reset();
    auto products = std::make_shared<const CrossProducts>(problem_.products().reweighted(host_rows_.view(), by_host));
    // a column of which little is left, an outlier gone perhaps, has lost the basis that suits it
    constexpr double least = 0.01;
    if ((spreads(*products).array() >= least * spreads(problem_.products()).array()).all())
        own_problem_ = std::make_unique<Problem>(problem_, std::move(products));
    else
        analyse_anew(by_host);
    sums_ =
        std::make_unique<ResponseSums>(*own_problem_, own_rows_ ? *own_rows_ : rows_, own_rows_ ? nullptr : &weights_);
    minque_ = std::make_unique<Minque>(*own_problem_);
    deviance_ = std::make_unique<Deviance>(*own_problem_, reml_);
    return true;
}

/// A problem of the rows that are there.
void OwnDesign::analyse_anew(const Vector& weights) {
    present_.clear();
    for (Index i = 0; i < weights.size(); ++i)
        if (weights[i] > 0.0)
            present_.push_back(i);
    OwnedRows rows = host_rows_.take(present_);
    rows.weights.resize(rows.y.size());
    for (Index i = 0; i < rows.y.size(); ++i)
        rows.weights[i] = weights[present_[i]];
    own_problem_ = std::make_unique<Problem>(problem_.layout(), rows.view(), problem_.method());
    own_rows_ = std::make_unique<SortedRows>(*own_problem_, rows.view(), std::vector<ColumnView>());
}

void OwnDesign::set_response(const Vector& y) {
    if (own_rows_) {
        by_host_.resize(y.size());
        for (Index k = 0; k < y.size(); ++k)
            by_host_[rows_.order[k]] = y[k];
        own_y_.resize(own_rows_->n);
        for (Index k = 0; k < own_rows_->n; ++k)
            own_y_[k] = by_host_[present_[own_rows_->order[k]]];
    }
    sums_->set(own_rows_ ? own_y_ : y);
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
