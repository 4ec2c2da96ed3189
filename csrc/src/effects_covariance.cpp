#include "pymixed/effects_covariance.hpp"

#include <Eigen/LU>
#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <string>

#include "leading.hpp"
#include "path_inverse.hpp"
#include "schur.hpp"

namespace pymixed {

namespace {

/// Rows by the level of the leading factor, those without one first; checks all codes.
std::vector<Index> by_leading_level(const RandomEffects& layout, const Rows& rows) {
    for (const auto& factor : layout.factors())
        for (Index i = 0; i < rows.n; ++i)
            if (const std::int32_t code = rows.codes[factor.user_position][i]; code < -1 || code >= factor.n_levels)
                throw std::invalid_argument("codes: expected -1 to " + std::to_string(factor.n_levels - 1) + ", got " +
                                            std::to_string(code));
    const std::int32_t* codes = rows.codes[layout.factors()[0].user_position];
    std::vector<Index> next(layout.factors()[0].n_levels + 2, 0), order(rows.n);
    for (Index i = 0; i < rows.n; ++i)
        ++next[codes[i] + 2];
    std::partial_sum(next.begin(), next.end(), next.begin());
    for (Index i = 0; i < rows.n; ++i)
        order[next[codes[i] + 1]++] = i;
    return order;
}

/// column(j, x) for the entries j of T2'A2g e_a, g a level of the leading factor; block by block.
template <class Column>
void for_couplings(const Tail& tail, const Templates& T, Index g, Index a, Index c1, Column&& column) {
    const double* value = tail.values.coupling.data() + a;
    for (Index i = tail.coupling_start[g]; i < tail.coupling_start[g + 1];) {
        const Index first = tail.coupling_row[i];
        const auto after = std::upper_bound(tail.block_start.begin(), tail.block_start.end(), first);
        const Matrix& t = T[tail.block_factor[after - tail.block_start.begin() - 1]];
        for (Index j = 0; j < t.cols(); ++j) {
            double x = 0.0;
            for (Index k = 0; k < t.rows(); ++k)
                x += t(k, j) * value[(i + k) * c1];
            column(first + j, x);
        }
        i += t.rows();
    }
}

}  // namespace

EffectsCovariance::EffectsCovariance(const Problem& problem, const Vector& theta, int n_threads)
    : problem_(problem),
      T_(problem.layout().make_templates()),
      leading_(std::make_unique<LeadingInverse>(problem.leading())) {
    const Templates& user = problem.products().random_basis().user();
    problem.layout().templates_into(theta, user, T_);
    for (const Matrix& C : user)
        to_internal_.push_back(C.inverse().transpose());
    leading_->update(T_[0]);
    bool positive = std::isfinite(leading_->log_determinant()) && problem.leading().is_positive_definite(T_[0]);
    if (positive && problem.has_tail()) {
        schur_ =
            std::make_unique<SchurComplement>(problem.tail(), problem.tail().values, problem.leading().c, n_threads);
        positive = schur_->update({leading_->K(0), problem.leading().pattern.data()}, T_);
    }
    if (!positive)
        throw std::runtime_error("the normal equations of the random effects are not positive definite");
}

EffectsCovariance::~EffectsCovariance() = default;

/// The row's values of the columns of a factor, in the internal basis.
void EffectsCovariance::row_values_into(const Rows& rows, Index row, std::size_t factor, Vector& z) const {
    const auto& columns = problem_.layout().factors()[factor].columns;
    const Matrix& map = to_internal_[factor];
    z.setZero(map.rows());
    for (Index j = 0; j < map.cols(); ++j)
        z += rows.Z[columns[j]][row] * map.col(j);
}

Vector EffectsCovariance::random_variances(const Rows& rows) {
    const RandomEffects& layout = problem_.layout();
    const std::int32_t* codes = rows.codes[layout.factors()[0].user_position];
    const Leading& lead = problem_.leading();
    const std::vector<Index> order = by_leading_level(layout, rows);
    Vector out = Vector::Zero(rows.n), z;
    for (Index i = 0; i < rows.n; ++i)
        if (codes[i] >= 0) {
            row_values_into(rows, i, 0, z);
            out[i] = z.dot(ConstMatrixMap(leading_->K(lead.pattern[codes[i]]), lead.c, lead.c) * z);
        }
    if (schur_ == nullptr)
        return out;
    const Tail& tail = problem_.tail();
    constexpr double some = 1e6;  // values whose memory does not matter
    if (paths_ == nullptr && 4 * rows.n > tail.q() &&
        PathInverse::n_values(tail) < 4.0 * static_cast<double>(tail.n_values()) + some)
        paths_ = std::make_unique<PathInverse>(tail, schur_->L());
    if (paths_ != nullptr)
        add_rows_by_paths(rows, order, out);
    else
        add_rows_by_solving(rows, order, out);
    return out;
}

/// += |L^-1 T2't|^2 with L^-1 T2'A2g once for all rows of a level.
void EffectsCovariance::add_rows_by_paths(const Rows& rows, const std::vector<Index>& order, Vector& out) {
    const auto& factors = problem_.layout().factors();
    const Leading& lead = problem_.leading();
    const Tail& tail = problem_.tail();
    std::vector<PathSum> of_level(lead.c, PathSum(*paths_));
    PathSum sum(*paths_);
    std::int32_t level = -1;
    Vector z, Kz;
    for (const Index i : order) {
        sum.clear();
        if (const std::int32_t g = rows.codes[factors[0].user_position][i]; g >= 0) {
            for (Index a = 0; a < lead.c && g != level; ++a) {
                of_level[a].clear();
                for_couplings(tail, T_, g, a, lead.c, [&](Index j, double x) { of_level[a].add(j, x); });
            }
            level = g;
            row_values_into(rows, i, 0, z);
            Kz = ConstMatrixMap(leading_->K(lead.pattern[g]), lead.c, lead.c) * z;
            for (Index a = 0; a < lead.c; ++a)
                sum.add(of_level[a], -Kz[a]);
        }
        for (std::size_t f = 1; f < factors.size(); ++f)
            if (const std::int32_t h = rows.codes[factors[f].user_position][i]; h >= 0) {
                row_values_into(rows, i, f, z);
                const Index first = tail.block_start[tail.block_of[f][h]];
                for (Index j = 0; j < z.size(); ++j)
                    sum.add(first + j, T_[f].col(j).dot(z));
            }
        out[i] += sum.squared_norm();
    }
}

/// The same by solving with L, some rows at a time.
void EffectsCovariance::add_rows_by_solving(const Rows& rows, const std::vector<Index>& order, Vector& out) {
    constexpr Index batch = 32;
    const auto& factors = problem_.layout().factors();
    const Leading& lead = problem_.leading();
    const Tail& tail = problem_.tail();
    Matrix t;
    Vector z, Kz;
    for (Index start = 0; start < rows.n; start += batch) {
        const Index m = std::min(batch, rows.n - start);
        t.setZero(tail.q(), m);
        for (Index k = 0; k < m; ++k) {
            const Index i = order[start + k];
            if (const std::int32_t g = rows.codes[factors[0].user_position][i]; g >= 0) {
                row_values_into(rows, i, 0, z);
                Kz = ConstMatrixMap(leading_->K(lead.pattern[g]), lead.c, lead.c) * z;
                for (Index a = 0; a < lead.c; ++a)
                    for_couplings(tail, T_, g, a, lead.c, [&](Index j, double x) { t(j, k) -= Kz[a] * x; });
            }
            for (std::size_t f = 1; f < factors.size(); ++f)
                if (const std::int32_t h = rows.codes[factors[f].user_position][i]; h >= 0) {
                    row_values_into(rows, i, f, z);
                    t.col(k).segment(tail.block_start[tail.block_of[f][h]], z.size()) += T_[f].transpose() * z;
                }
        }
        schur_->half_solve(t);
        for (Index k = 0; k < m; ++k)
            out[order[start + k]] += t.col(k).squaredNorm();
    }
}

std::vector<std::vector<double>> EffectsCovariance::fixed_modes() {
    const auto& factors = problem_.layout().factors();
    const CrossProducts& products = problem_.products();
    const Leading& lead = problem_.leading();
    const Tail& tail = problem_.tail();
    const Index c1 = lead.c, p = problem_.p(), P = p + 1;
    const auto leading_sums = [&](Index g) {
        return ConstRowMatrixMap(products.factor(0).ZtXy.data() + g * c1 * P, c1, P).leftCols(p);
    };
    const auto K = [&](Index g) { return ConstMatrixMap(leading_->K(lead.pattern[g]), c1, c1); };

    Matrix of_tail;  // q2 x p
    if (schur_ != nullptr) {
        RowMatrix rest = tail.B2.leftCols(p), KB;
        for (Index g = 0; g < lead.n_levels; ++g) {
            KB = K(g) * leading_sums(g);
            for (Index i = tail.coupling_start[g]; i < tail.coupling_start[g + 1]; ++i)
                for (Index a = 0; a < c1; ++a)
                    rest.row(tail.coupling_row[i]) -= tail.values.coupling[i * c1 + a] * KB.row(a);
        }
        of_tail = rest;
        schur_->multiply_template(T_, true, of_tail);
        schur_->half_solve(of_tail);
        schur_->back_solve(of_tail);
        schur_->multiply_template(T_, false, of_tail);
    }

    const Matrix U = products.fixed_basis().U().topLeftCorner(p, p);
    std::vector<std::vector<double>> out(factors.size());
    RowMatrix rest;
    Matrix internal;
    for (std::size_t f = 0; f < factors.size(); ++f) {
        const Index c = factors[f].n_cols;
        const Matrix to_user = to_internal_[f].transpose();
        std::vector<double> blocks(factors[f].size() * p);
        for (Index g = 0; g < factors[f].n_levels; ++g) {
            if (f == 0) {
                rest = leading_sums(g);
                for (Index i = schur_ ? tail.coupling_start[g] : 0, last = schur_ ? tail.coupling_start[g + 1] : 0;
                     i < last; ++i)
                    for (Index a = 0; a < c1; ++a)
                        rest.row(a) -= tail.values.coupling[i * c1 + a] * of_tail.row(tail.coupling_row[i]);
                internal = K(g) * rest;
            } else {
                internal = of_tail.middleRows(tail.block_start[tail.block_of[f][g]], c);
            }
            RowMatrixMap(blocks.data() + g * c * p, c, p) = to_user * internal * U;
        }
        out[factors[f].user_position] = std::move(blocks);
    }
    return out;
}

}  // namespace pymixed
