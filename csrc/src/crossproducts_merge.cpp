// Sums over some rows and sums over others: together, and one without the other.

#include <algorithm>
#include <functional>

#include "couplings.hpp"
#include "pymixed/crossproducts.hpp"

namespace pymixed {

void CrossProducts::expect_same_model(const CrossProducts& other, const char* what) const {
    const auto expect = [what](bool same, const char* name) {
        if (!same)
            throw std::invalid_argument(std::string(what) + ": expected the same " + name);
    };
    expect(other.p() == p(), "columns of X");
    expect(other.layout_.specs() == layout_.specs(), "random-effects terms");
    expect(other.random_.constant() == random_.constant(), "constant columns in the random-effects terms");
    expect(other.layout_.n_levels() == layout_.n_levels(), "levels of every grouping factor");
}

/// The couplings with room for the cells of `parts`; nothing for those that have them all.
std::vector<CouplingProducts> CrossProducts::extended_couplings(const std::vector<CouplingProducts>& parts) const {
    std::vector<CouplingProducts> extended(parts.size());
    for (std::size_t i = 0; i < parts.size(); ++i)
        if (missing_cells(couplings_[i], parts[i]) > 0)
            extended[i] = united(couplings_[i], parts[i]);
    return extended;
}

void CrossProducts::extend_couplings(std::vector<CouplingProducts>&& extended) noexcept {
    for (std::size_t i = 0; i < extended.size(); ++i)
        if (!extended[i].start.empty())
            couplings_[i] = std::move(extended[i]);
}

/// Of the same model in the same basis.
void CrossProducts::add_sums(const CrossProducts& other) {
    extend_couplings(extended_couplings(other.couplings_));  // nothing that follows fails
    n_ += other.n_;
    sum_weights_ += other.sum_weights_;
    sum_log_weights_ += other.sum_log_weights_;
    column_sums_ += other.column_sums_;
    peak_ += other.peak_;
    XytXy_ += other.XytXy_;
    const auto add = [](auto& to, const auto& from) {
        std::transform(to.begin(), to.end(), from.begin(), to.begin(), std::plus<>());
    };
    for (std::size_t f = 0; f < factors_.size(); ++f) {
        add(factors_[f].ZtZ, other.factors_[f].ZtZ);
        add(factors_[f].ZtXy, other.factors_[f].ZtXy);
        add(factors_[f].rows, other.factors_[f].rows);
    }
    for (std::size_t i = 0; i < couplings_.size(); ++i)
        add_cells(couplings_[i], other.couplings_[i], 1);
}

void CrossProducts::merge(const CrossProducts& other) {
    expect_same_model(other, "merge");
    const bool same_intercept = fixed_.intercept == other.fixed_.intercept;
    const CrossProducts& larger = other.n_ > n_ ? other : *this;
    const FixedBasis fixed = same_intercept ? larger.fixed_ : larger.fixed_.without_intercept();
    const RandomBasis random = larger.random_;
    const auto in_basis = [&](const CrossProducts& part) { return part.fixed_ == fixed && part.random_ == random; };
    std::optional<CrossProducts> changed;
    if (!in_basis(other)) {
        changed = other;
        changed->change_basis(fixed, random);
    }
    const CrossProducts& addend = changed ? *changed : other;
    if (in_basis(*this)) {
        add_sums(addend);
        return;
    }
    CrossProducts sum = *this;
    sum.change_basis(fixed, random);
    sum.add_sums(addend);
    *this = std::move(sum);
}

/// Throws UnsafeSubtraction unless enough digits of `after` remain, what is left of `before`.
static void check_remaining(const Matrix& before, Matrix after, const Vector& peak, Index intercept) {
    constexpr double safe = 1e-6;
    const Index p = before.rows() - 1;
    const Vector had = column_pivots(before, intercept);
    for (Index j = 0; j <= p; ++j)
        if (had[j] == 0.0) {  // depends on others: what is left of it is rounding errors
            after.row(j).setZero();
            after.col(j).setZero();
        }
    const Vector has = column_pivots(after, intercept);
    for (Index j = 0; j <= p; ++j)
        if (had[j] > 0.0 && !(has[j] >= safe * peak[j]))
            throw UnsafeSubtraction("subtract: too little would remain of " +
                                    (j < p ? "column " + std::to_string(j) + " of X" : std::string("the response")) +
                                    ", more than 6 of 16 digits would be lost; sum over the rows that stay instead");
}

/// Levels that keep no row get exact zeros.
static void subtract_levels(FactorProducts& from, const FactorProducts& part) noexcept {
    const std::size_t levels = from.rows.size();
    for (std::size_t g = 0; g < levels; ++g)
        from.rows[g] -= part.rows[g];
    const auto subtract = [&](std::vector<double>& to, const std::vector<double>& sums) {
        const std::size_t size = to.size() / levels;
        for (std::size_t g = 0; g < levels; ++g)
            for (std::size_t k = g * size; k < (g + 1) * size; ++k)
                to[k] = from.rows[g] == 0 ? 0.0 : to[k] - sums[k];
    };
    subtract(from.ZtZ, part.ZtZ);
    subtract(from.ZtXy, part.ZtXy);
}

void CrossProducts::subtract(const CrossProducts& other) {
    expect_same_model(other, "subtract");
    if (other.fixed_.intercept != fixed_.intercept)
        throw std::invalid_argument("subtract: expected the same constant column");
    if (other.n_ >= n_)
        throw std::invalid_argument("subtract: expected fewer than " + std::to_string(n_) + " rows, got " +
                                    std::to_string(other.n_));
    for (std::size_t f = 0; f < factors_.size(); ++f)
        for (std::size_t g = 0; g < factors_[f].rows.size(); ++g)
            if (other.factors_[f].rows[g] > factors_[f].rows[g])
                throw std::invalid_argument("subtract: level " + std::to_string(g) + " of factor " +
                                            std::to_string(layout_.factors()[f].user_position) + " has " +
                                            std::to_string(factors_[f].rows[g]) + " rows, fewer than the " +
                                            std::to_string(other.factors_[f].rows[g]) + " to be taken away");
    for (std::size_t i = 0; i < couplings_.size(); ++i)
        if (!has_rows_of(couplings_[i], other.couplings_[i]))
            throw std::invalid_argument("subtract: two levels have fewer rows in common than are to be taken away");
    std::optional<CrossProducts> changed;
    if (!(other.fixed_ == fixed_ && other.random_ == random_)) {
        changed = other;
        changed->change_basis(fixed_, random_);
    }
    const CrossProducts& part = changed ? *changed : other;
    const Matrix remaining = XytXy_ - part.XytXy_;
    const Vector peak = peak_.cwiseMax(part.peak_);
    check_remaining(XytXy_, remaining, peak, fixed_.intercept);

    n_ -= part.n_;
    sum_weights_ -= part.sum_weights_;
    sum_log_weights_ -= part.sum_log_weights_;
    column_sums_ -= part.column_sums_;
    peak_ = peak;
    XytXy_ = remaining;
    for (std::size_t f = 0; f < factors_.size(); ++f)
        subtract_levels(factors_[f], part.factors_[f]);
    for (std::size_t i = 0; i < couplings_.size(); ++i) {
        add_cells(couplings_[i], part.couplings_[i], -1);
        drop_empty_cells(couplings_[i]);
    }
}

}  // namespace pymixed
