#include "pymixed/effects_covariance.hpp"

#include <Eigen/Cholesky>
#include <Eigen/LU>
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <string>
#include <utility>

#include "leading.hpp"
#include "path_rows.hpp"
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

EffectsCovariance::PathRows::PathRows(const EffectsCovariance& covariance, const PathInverse& paths, const Rows& rows)
    : covariance_(covariance), rows_(rows), of_level_(covariance.problem_.leading().c, PathSum(paths)), sum_(paths) {}

const PathSum& EffectsCovariance::PathRows::of(Index row) {
    const Problem& problem = covariance_.problem_;
    const auto& factors = problem.layout().factors();
    const Tail& tail = problem.tail();
    const Templates& T = covariance_.T_;
    sum_.clear();
    if (const std::int32_t g = rows_.codes[factors[0].user_position][row]; g >= 0) {
        const Index c = problem.leading().c;
        for (Index a = 0; a < c && g != level_; ++a) {
            of_level_[a].clear();
            for_couplings(tail, T, g, a, c, [&](Index j, double x) { of_level_[a].add(j, x); });
        }
        level_ = g;
        covariance_.row_values_into(rows_, row, 0, z_);
        Kz_ = covariance_.K(g) * z_;
        for (Index a = 0; a < c; ++a)
            sum_.add(of_level_[a], -Kz_[a]);
    }
    for (std::size_t f = 1; f < factors.size(); ++f)
        if (const std::int32_t h = rows_.codes[factors[f].user_position][row]; h >= 0) {
            covariance_.row_values_into(rows_, row, f, z_);
            const Index first = tail.block_start[tail.block_of[f][h]];
            for (Index j = 0; j < z_.size(); ++j)
                sum_.add(first + j, T[f].col(j).dot(z_));
        }
    return sum_;
}

/// K of a level of the leading factor.
ConstMatrixMap EffectsCovariance::K(Index level) const {
    const Leading& lead = problem_.leading();
    return ConstMatrixMap(leading_->K(lead.pattern[level]), lead.c, lead.c);
}

/// T2't of a row, t zero before.
void EffectsCovariance::add_tail_part(const Rows& rows, Index row, Eigen::Ref<Vector> t) const {
    const auto& factors = problem_.layout().factors();
    const Tail& tail = problem_.tail();
    Vector z, Kz;
    if (const std::int32_t g = rows.codes[factors[0].user_position][row]; g >= 0) {
        row_values_into(rows, row, 0, z);
        Kz = K(g) * z;
        for (Index a = 0; a < Kz.size(); ++a)
            for_couplings(tail, T_, g, a, Kz.size(), [&](Index j, double x) { t[j] -= Kz[a] * x; });
    }
    for (std::size_t f = 1; f < factors.size(); ++f)
        if (const std::int32_t h = rows.codes[factors[f].user_position][row]; h >= 0) {
            row_values_into(rows, row, f, z);
            t.segment(tail.block_start[tail.block_of[f][h]], z.size()) += T_[f].transpose() * z;
        }
}

/// L^-1 where it is worth its memory for so many rows, else null: what was asked for before does not matter.
const PathInverse* EffectsCovariance::paths_for(Index n_rows) const {
    const Tail& tail = problem_.tail();
    constexpr double some = 1e6;  // values whose memory does not matter
    if (schur_ == nullptr || 4 * n_rows <= tail.q() ||
        PathInverse::n_values(tail) >= 4.0 * static_cast<double>(tail.n_values()) + some)
        return nullptr;
    const std::lock_guard<std::mutex> lock(mutex_);
    if (paths_ == nullptr)
        paths_ = std::make_unique<PathInverse>(tail, schur_->L());
    return paths_.get();
}

Vector EffectsCovariance::random_variances(const Rows& rows) const {
    const RandomEffects& layout = problem_.layout();
    const std::int32_t* codes = rows.codes[layout.factors()[0].user_position];
    const std::vector<Index> order = by_leading_level(layout, rows);
    Vector out = Vector::Zero(rows.n), z;
    for (Index i = 0; i < rows.n; ++i)
        if (codes[i] >= 0) {
            row_values_into(rows, i, 0, z);
            out[i] = z.dot(K(codes[i]) * z);
        }
    if (schur_ == nullptr)
        return out;
    if (const PathInverse* inverse = paths_for(rows.n)) {
        PathRows paths(*this, *inverse, rows);
        for (const Index i : order)
            out[i] += paths.of(i).squared_norm();
        return out;
    }
    constexpr Index batch = 32;  // rows solved for at a time
    Matrix t;
    for (Index start = 0; start < rows.n; start += batch) {
        const Index m = std::min(batch, rows.n - start);
        t.setZero(problem_.tail().q(), m);
        for (Index k = 0; k < m; ++k)
            add_tail_part(rows, order[start + k], t.col(k));
        schur_->half_solve(t);
        for (Index k = 0; k < m; ++k)
            out[order[start + k]] += t.col(k).squaredNorm();
    }
    return out;
}

/// Z_S Q Z_S' of a set of rows, those of a leading level one after the other.
void EffectsCovariance::random_covariances_into(const Rows& rows, const std::vector<Index>& set, PathRows* paths,
                                                Matrix& out) const {
    const auto& leading = problem_.layout().factors()[0];
    const std::int32_t* codes = rows.codes[leading.user_position];
    const Index m = static_cast<Index>(set.size());
    Matrix t;  // L^-1 T2't of the rows, in the entries that are not all zero
    if (paths != nullptr) {
        std::vector<Index> column_start(1, 0);
        std::vector<std::pair<Index, double>> entries;
        std::vector<Index> position(problem_.tail().q(), -1);
        Index n_used = 0;
        for (const Index i : set) {
            paths->of(i).for_each([&](Index j, double x) {
                if (position[j] < 0)
                    position[j] = n_used++;
                entries.emplace_back(position[j], x);
            });
            column_start.push_back(static_cast<Index>(entries.size()));
        }
        t.setZero(n_used, m);
        for (Index k = 0; k < m; ++k)
            for (Index e = column_start[k]; e < column_start[k + 1]; ++e)
                t(entries[e].first, k) = entries[e].second;
    } else if (schur_ != nullptr) {
        t.setZero(problem_.tail().q(), m);
        for (Index k = 0; k < m; ++k)
            add_tail_part(rows, set[k], t.col(k));
        schur_->half_solve(t);
    }
    out.setZero(m, m);
    if (t.rows() > 0)
        out.selfadjointView<Eigen::Lower>().rankUpdate(t.transpose());
    out = out.selfadjointView<Eigen::Lower>();
    Matrix z(leading.n_cols, m);
    Vector values;
    for (Index k = 0; k < m; ++k) {
        row_values_into(rows, set[k], 0, values);
        z.col(k) = values;
    }
    for (Index first = 0, last = 0; first < m; first = last) {
        const std::int32_t g = codes[set[first]];
        while (last < m && codes[set[last]] == g)
            ++last;
        if (g >= 0)
            out.block(first, first, last - first, last - first).noalias() +=
                z.middleCols(first, last - first).transpose() * (K(g) * z.middleCols(first, last - first));
    }
}

Matrix EffectsCovariance::solve_sets(const Rows& rows, const std::int32_t* sets, Index n_sets, const Vector& weights,
                                     const Matrix& values) const {
    std::vector<std::vector<Index>> members(n_sets);
    for (const Index i : by_leading_level(problem_.layout(), rows)) {
        if (sets[i] < -1 || sets[i] >= n_sets)
            throw std::invalid_argument("sets: expected -1 to " + std::to_string(n_sets - 1) + ", got " +
                                        std::to_string(sets[i]));
        if (sets[i] >= 0)
            members[sets[i]].push_back(i);
    }
    std::unique_ptr<PathRows> paths;
    if (const PathInverse* inverse = paths_for(rows.n))
        paths = std::make_unique<PathRows>(*this, *inverse, rows);
    Matrix out = Matrix::Constant(values.rows(), values.cols(), std::numeric_limits<double>::quiet_NaN()), H, x;
    for (const std::vector<Index>& S : members) {
        random_covariances_into(rows, S, paths.get(), H);
        const Vector root = weights(S).cwiseSqrt();
        H = -(root.asDiagonal() * H * root.asDiagonal());
        H.diagonal().array() += 1.0;
        const Eigen::LLT<Matrix> factor(H);
        if (factor.info() != Eigen::Success)
            continue;
        x = root.cwiseInverse().asDiagonal() * values(S, Eigen::all);
        factor.solveInPlace(x);
        x = root.cwiseInverse().asDiagonal() * x;
        out(S, Eigen::all) = x;
    }
    return out;
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
