#include "pymixed/random_effects.hpp"

#include <Eigen/LU>
#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <string>

namespace pymixed {

RandomEffects::RandomEffects(const std::vector<Index>& n_levels, const std::vector<TermSpec>& terms) {
    if (terms.empty())
        throw std::invalid_argument("terms: expected at least one random-effects term, got none");
    const Index n_factors = static_cast<Index>(n_levels.size());
    std::vector<Factor> by_user(n_levels.size());
    for (Index f = 0; f < n_factors; ++f)
        by_user[f] = Factor{f, n_levels[f], 0, {}};

    Index column = 0, theta = 0;
    for (const TermSpec& spec : terms) {
        if (spec.factor < 0 || spec.factor >= n_factors)
            throw std::invalid_argument("terms: factor " + std::to_string(spec.factor) + " of " +
                                        std::to_string(n_factors));
        if (spec.n_cols < 1)
            throw std::invalid_argument("terms: expected at least one column, got none");
        Factor& factor = by_user[spec.factor];
        Term term{spec.factor, factor.n_cols, spec.n_cols, spec.structure, theta};
        for (Index j = 0; j < spec.n_cols; ++j)
            factor.columns.push_back(column++);
        factor.n_cols += spec.n_cols;
        theta += term.n_theta();
        terms_.push_back(term);
    }
    for (const Factor& factor : by_user) {
        if (factor.n_levels < 1)
            throw std::invalid_argument("n_levels: expected at least 1 level, got 0");
        if (factor.n_cols < 1)
            throw std::invalid_argument("terms: factor " + std::to_string(factor.user_position) + " has no term");
    }

    std::vector<Index> order(by_user.size()), position(by_user.size());
    std::iota(order.begin(), order.end(), Index{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](Index a, Index b) { return by_user[a].size() > by_user[b].size(); });
    for (Index i = 0; i < n_factors; ++i) {
        position[order[i]] = i;
        factors_.push_back(std::move(by_user[order[i]]));
    }
    for (Term& term : terms_) {
        term.factor = position[term.factor];
        for (Index j = 0; j < term.n_cols; ++j) {
            const Index last = term.structure == Structure::Diagonal ? j + 1 : term.n_cols;
            for (Index i = j; i < last; ++i)
                entries_.push_back({term.factor, term.first_column + i, term.first_column + j});
        }
    }
}

Index RandomEffects::n_random() const {
    Index q = 0;
    for (const Factor& factor : factors_)
        q += factor.size();
    return q;
}

Index RandomEffects::n_columns() const {
    Index n = 0;
    for (const Term& term : terms_)
        n += term.n_cols;
    return n;
}

std::vector<Index> RandomEffects::n_levels() const {
    std::vector<Index> out(factors_.size());
    for (const Factor& factor : factors_)
        out[factor.user_position] = factor.n_levels;
    return out;
}

std::vector<TermSpec> RandomEffects::specs() const {
    std::vector<TermSpec> out;
    for (const Term& term : terms_)
        out.push_back({factors_[term.factor].user_position, term.n_cols, term.structure});
    return out;
}

Templates RandomEffects::make_templates() const {
    Templates out;
    for (const Factor& factor : factors_)
        out.push_back(Matrix::Zero(factor.n_cols, factor.n_cols));
    return out;
}

void RandomEffects::templates_into(const Vector& theta, const Templates& basis, Templates& out) const {
    for (Matrix& T : out)
        T.setZero();
    for (Index i = 0; i < n_theta(); ++i) {
        const Entry& e = entries_[i];
        out[e.factor].col(e.col) += theta[i] * basis[e.factor].col(e.row);
    }
}

Matrix RandomEffects::lower_triangle(const Term& term, const Vector& theta) const {
    Matrix T = Matrix::Zero(term.n_cols, term.n_cols);
    for (Index i = term.first_theta; i < term.first_theta + term.n_theta(); ++i)
        T(entries_[i].row - term.first_column, entries_[i].col - term.first_column) = theta[i];
    return T;
}

void RandomEffects::lower_triangle_into(const Term& term, const Matrix& T, Vector& theta) const {
    for (Index i = term.first_theta; i < term.first_theta + term.n_theta(); ++i)
        theta[i] = T(entries_[i].row - term.first_column, entries_[i].col - term.first_column);
}

RandomBasis::RandomBasis(const RandomEffects& layout, Vector shift, Vector scale, std::vector<bool> constant)
    : shift_(std::move(shift)), scale_(std::move(scale)), constant_(std::move(constant)) {
    user_ = internal_ = layout.make_templates();
    for (std::size_t f = 0; f < layout.factors().size(); ++f) {
        const auto& columns = layout.factors()[f].columns;
        const auto anchor = std::find_if(columns.begin(), columns.end(), [&](Index j) { return constant_[j]; });
        Matrix& C = user_[f];
        for (std::size_t j = 0; j < columns.size(); ++j) {
            if (anchor == columns.end() || constant_[columns[j]])
                shift_[columns[j]] = 0.0;
            if (constant_[columns[j]])
                scale_[columns[j]] = 1.0;
            C(j, j) = scale_[columns[j]];
            if (anchor != columns.end())
                C(anchor - columns.begin(), j) += shift_[columns[j]];
        }
    }
    for (const auto& term : layout.terms()) {
        const Matrix& C = user_[term.factor];
        term_.push_back(term_basis(term));
        term_inverse_.push_back(term_.back().inverse());
        internal_[term.factor].middleCols(term.first_column, term.n_cols) =
            C.middleCols(term.first_column, term.n_cols) * term_inverse_.back();
    }
}

Templates RandomBasis::change_to(const RandomEffects& layout, const RandomBasis& to) const {
    Templates out = layout.make_templates();
    for (std::size_t f = 0; f < layout.factors().size(); ++f) {
        const auto& columns = layout.factors()[f].columns;
        const auto anchor = std::find_if(columns.begin(), columns.end(), [&](Index j) { return constant_[j]; });
        for (std::size_t j = 0; j < columns.size(); ++j) {
            const Index column = columns[j];
            out[f](j, j) = scale_[column] / to.scale_[column];
            if (anchor != columns.end())  // the shifts' difference first: they may be large
                out[f](anchor - columns.begin(), j) += (shift_[column] - to.shift_[column]) / to.scale_[column];
        }
    }
    return out;
}

/// The term's own part of C where an unstructured term holds the constant that its columns are centred by;
/// elsewhere the scales alone, because a shift would leave the term's structure.
Matrix RandomBasis::term_basis(const RandomEffects::Term& term) const {
    const Matrix& C = user_[term.factor];
    const Index first = term.first_column, c = term.n_cols;
    const Matrix own = C.block(first, first, c, c);
    Matrix outside = C.middleCols(first, c);
    outside.middleRows(first, c).setZero();
    const bool closed = term.structure == Structure::Unstructured && outside.isZero(0.0);
    return closed ? own : Matrix(own.diagonal().asDiagonal());
}

Matrix lower_factor(Matrix A) {
    const Index c = A.rows();
    for (Index i = 0; i < c; ++i) {
        for (Index j = i + 1; j < A.cols(); ++j) {
            if (A(i, j) == 0.0)
                continue;
            const double r = std::hypot(A(i, i), A(i, j)), cosine = A(i, i) / r, sine = A(i, j) / r;
            for (Index k = i; k < c; ++k) {
                const double x = A(k, i), y = A(k, j);
                A(k, i) = cosine * x + sine * y;
                A(k, j) = cosine * y - sine * x;
            }
            A(i, j) = 0.0;
        }
        if (A(i, i) < 0.0)
            A.col(i) = -A.col(i);
        // a row without variance of its own: a zero column, where there is one, stands at its diagonal
        for (Index j = i + 1; A(i, i) == 0.0 && j < c; ++j)
            if (A.col(j).isZero(0.0)) {
                A.col(i).swap(A.col(j));
                break;
            }
    }
    return A.leftCols(c);
}

Vector RandomBasis::convert(const RandomEffects& layout, const Vector& from, bool to_user) const {
    Vector out(from.size());
    const std::vector<Matrix>& change = to_user ? term_inverse_ : term_;
    for (std::size_t t = 0; t < change.size(); ++t) {
        const RandomEffects::Term& term = layout.terms()[t];
        layout.lower_triangle_into(term, lower_factor(change[t] * layout.lower_triangle(term, from)), out);
    }
    return out;
}

Vector RandomBasis::to_user(const RandomEffects& layout, const Vector& phi) const {
    return convert(layout, phi, true);
}

Vector RandomBasis::to_internal(const RandomEffects& layout, const Vector& theta) const {
    return convert(layout, theta, false);
}

}  // namespace pymixed
