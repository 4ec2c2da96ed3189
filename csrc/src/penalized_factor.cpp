#include "penalized_factor.hpp"

#include <algorithm>
#include <cmath>

#include "small_matrix.hpp"

namespace pymixed {

PenalizedFactor::PenalizedFactor(const Problem& problem, const SortedRows& rows, int n_threads)
    : problem_(problem), rows_(rows), leading_(problem.leading().c, problem.leading().n_levels), inverse_(leading_) {
    const Index blocks = leading_.n_levels * leading_.c * leading_.c;
    V_.resize(blocks);
    if (problem.has_tail()) {
        values_ = problem.tail().values;
        schur_ = std::make_unique<SchurComplement>(problem.tail(), values_, leading_.c, n_threads, true);
        R_.resize(blocks);
        cell_.resize(values_.coupling.size());
    }
}

void PenalizedFactor::renew_leading(const double* w) {
    const SortedRows::FactorRows& f = rows_.factors[0];
    const Index c = f.c;
    for (Index g = 0; g < leading_.n_levels; ++g) {
        double* A = leading_.A.data() + g * c * c;
        std::fill(A, A + c * c, 0.0);
        const Index first = rows_.level_start[g], last = rows_.level_start[g + 1];
        if (f.intercept) {
            A[0] = Eigen::Map<const Vector>(w + first, last - first).sum();
            continue;
        }
        for (Index i = first; i < last; ++i) {
            const double* z = f.z.data() + i * c;
            for (Index a = 0; a < c; ++a)
                for (Index b = 0; b <= a; ++b)
                    A[a * c + b] += w[i] * z[a] * z[b];
        }
        for (Index a = 0; a < c; ++a)
            for (Index b = 0; b < a; ++b)
                A[b * c + a] = A[a * c + b];
    }
}

void PenalizedFactor::renew_tail(const double* w) {
    const Tail& tail = problem_.tail();
    const SortedRows::FactorRows& lead = rows_.factors[0];
    const Index c1 = lead.c;
    std::fill(values_.coupling.begin(), values_.coupling.end(), 0.0);
    std::fill(values_.A22.begin(), values_.A22.end(), 0.0);
    for (std::size_t k = 1; k < rows_.factors.size(); ++k) {
        const SortedRows::FactorRows& f = rows_.factors[k];
        const Index* position = tail.A22_position.data() + f.first_cell;
        if (f.intercept && lead.intercept) {
            for (Index i = 0; i < rows_.n; ++i) {
                values_.coupling[f.entry[i]] += w[i];
                values_.A22[position[f.level[i]]] += w[i];
            }
            continue;
        }
        for (Index i = 0; i < rows_.n; ++i) {
            const double *z1 = rows_.z(lead, i), *z = rows_.z(f, i);
            double* coupling = values_.coupling.data() + f.entry[i] * c1;
            const Index* cell = position + f.level[i] * packed(f.c, 0);
            for (Index b = 0; b < f.c; ++b) {
                const double wz = w[i] * z[b];
                for (Index a = 0; a < c1; ++a)
                    *coupling++ += wz * z1[a];
                for (Index a = 0; a <= b; ++a)
                    values_.A22[*cell++] += wz * z[a];
            }
        }
    }
    for (const SortedRows::PairRows& pair : rows_.pairs) {
        const SortedRows::FactorRows &left = rows_.factors[pair.a], &right = rows_.factors[pair.b];
        for (Index i = 0; i < rows_.n; ++i) {
            const double *z_a = rows_.z(left, i), *z_b = rows_.z(right, i);
            const Index* position = tail.A22_position.data() + pair.cell[i];
            for (Index a = 0; a < left.c; ++a)
                for (Index b = 0; b < right.c; ++b)
                    values_.A22[*position++] += w[i] * z_a[a] * z_b[b];
        }
    }
}

bool PenalizedFactor::update(const double* w, const Templates& T) {
    negative_ = std::any_of(w, w + rows_.n, [](double x) { return x < 0.0; });
    renew_leading(w);
    if (schur_)
        renew_tail(w);
    return update(T);
}

bool PenalizedFactor::update(const Templates& T) {
    inverted_ = false;
    inverse_.update(T[0]);
    log_determinant_ = inverse_.log_determinant();
    // an even number of negative eigenvalues does not show in a determinant
    if (!std::isfinite(log_determinant_) || (negative_ && leading_.c > 1 && !leading_.is_positive_definite(T[0])))
        return false;
    if (schur_) {
        if (!schur_->update({inverse_.K(0), leading_.pattern.data()}, T))
            return false;
        log_determinant_ += schur_->log_determinant();
    }
    return std::isfinite(log_determinant_);
}

/// out (tail) -= A21 x and out (leading) -= A12 x for the couplings of the leading factor with the tail.
template <Index C>
static void subtract_couplings(const Tail& tail, const TailValues& values, Index runtime_c, bool to_tail,
                               const double* x, double* out) {
    const Index c = C > 0 ? C : runtime_c;
    const Index n_levels = static_cast<Index>(tail.coupling_start.size()) - 1;
    const std::int32_t* row = tail.coupling_row.data();
    for (Index g = 0; g < n_levels; ++g)
        for (Index i = tail.coupling_start[g]; i < tail.coupling_start[g + 1]; ++i) {
            const double* value = values.coupling.data() + i * c;
            for (Index a = 0; a < c; ++a)
                if (to_tail)
                    out[row[i]] -= value[a] * x[g * c + a];
                else
                    out[g * c + a] -= value[a] * x[row[i]];
        }
}

void PenalizedFactor::solve(const Templates& T, const Matrix& F, Matrix& B, Matrix* U) {
    const Index c = leading_.c, m = F.cols(), q1 = rows_.q1, q2 = rows_.q - q1;
    const auto subtract = c == 1 ? subtract_couplings<1> : subtract_couplings<0>;
    B.resize(F.rows(), m);
    if (U != nullptr)
        U->resize(F.rows(), m);
    std::vector<double> leading(q1), half(c);
    if (schur_) {
        solution_ = F.bottomRows(q2);
        for (Index k = 0; k < m; ++k) {  // less what the leading factor takes away
            for (Index g = 0; g < leading_.n_levels; ++g)
                multiply_small(c, inverse_.K(g), F.col(k).data() + g * c, leading.data() + g * c);
            subtract(problem_.tail(), values_, c, true, leading.data(), solution_.col(k).data());
        }
        if (inverted_) {
            schur_->multiply_Q(T, solution_);
        } else {
            schur_->multiply_template(T, true, solution_);
            schur_->half_solve(solution_);
            schur_->back_solve(solution_);
            if (U != nullptr)
                U->bottomRows(q2) = solution_;
            schur_->multiply_template(T, false, solution_);
        }
        B.bottomRows(q2) = solution_;
    }
    for (Index k = 0; k < m; ++k) {
        std::copy_n(F.col(k).data(), q1, leading.begin());
        if (schur_)
            subtract(problem_.tail(), values_, c, false, solution_.col(k).data(), leading.data());
        for (Index g = 0; g < leading_.n_levels; ++g) {
            multiply_small(c, inverse_.K(g), leading.data() + g * c, B.col(k).data() + g * c);
            if (U == nullptr)
                continue;
            multiply_small_transposed(c, inverse_.N(g), leading.data() + g * c, half.data());
            multiply_small(c, T[0].data(), half.data(), U->col(k).data() + g * c);  // by columns: T'
        }
    }
}

void PenalizedFactor::multiply_template(const Templates& T, bool transposed, const Vector& v, Vector& out) {
    const Index c = leading_.c;
    out.resize(v.size());
    const auto multiply = transposed ? multiply_small : multiply_small_transposed;  // T stands by columns
    for (Index g = 0; g < leading_.n_levels; ++g)
        multiply(c, T[0].data(), v.data() + g * c, out.data() + g * c);
    if (schur_) {
        out.tail(rows_.q - rows_.q1) = v.tail(rows_.q - rows_.q1);
        schur_->multiply_template(T, transposed, out.tail(rows_.q - rows_.q1));
    }
}

void PenalizedFactor::invert(const Templates& T, Templates& products) {
    const Index c = leading_.c;
    std::copy(inverse_.K(0), inverse_.K(0) + V_.size(), V_.begin());
    if (!schur_)
        return;
    schur_->invert(T, products);
    inverted_ = true;
    schur_->coupling_products_into(cell_.data());
    const Tail& tail = problem_.tail();
    std::vector<double> column(c), KR(c * c), KRK(c * c);
    for (Index g = 0; g < leading_.n_levels; ++g) {
        const double* K = inverse_.K(g);
        double *R = R_.data() + g * c * c, *V = V_.data() + g * c * c;
        std::fill(R, R + c * c, 0.0);
        for (Index i = tail.coupling_start[g]; i < tail.coupling_start[g + 1]; ++i) {
            double* Y = cell_.data() + i * c;
            for (Index a = 0; a < c; ++a)
                for (Index b = 0; b < c; ++b)
                    R[a * c + b] += Y[a] * values_.coupling[i * c + b];
            multiply_small(c, K, Y, column.data());
            for (Index a = 0; a < c; ++a)
                Y[a] = -column[a];
        }
        multiply_small_matrices(c, K, R, KR.data());
        multiply_small_matrices(c, KR.data(), K, KRK.data());
        for (Index a = 0; a < c * c; ++a)
            V[a] += KRK[a];
    }
}

void PenalizedFactor::leverages_into(double* h) const {
    const SortedRows::FactorRows& lead = rows_.factors[0];
    const Index c1 = lead.c;
    for (Index i = 0; i < rows_.n; ++i) {
        const double* z = rows_.z(lead, i);
        const double* V = V_.data() + lead.level[i] * c1 * c1;
        double sum = 0.0;
        for (Index a = 0; a < c1; ++a)
            for (Index b = 0; b < c1; ++b)
                sum += z[a] * z[b] * V[a * c1 + b];
        h[i] = sum;
    }
    if (!schur_)
        return;
    const Tail& tail = problem_.tail();
    const double* Q = schur_->Q();
    for (std::size_t k = 1; k < rows_.factors.size(); ++k) {
        const SortedRows::FactorRows& f = rows_.factors[k];
        if (f.intercept && lead.intercept) {
            for (Index i = 0; i < rows_.n; ++i)
                h[i] += 2.0 * cell_[f.entry[i]] + Q[tail.diagonal(f.first[i])];
            continue;
        }
        for (Index i = 0; i < rows_.n; ++i) {
            const double *z1 = rows_.z(lead, i), *z = rows_.z(f, i);
            const double* cell = cell_.data() + f.entry[i] * c1;
            double sum = 0.0;
            for (Index b = 0; b < f.c; ++b) {
                double cross = 0.0;
                for (Index a = 0; a < c1; ++a)
                    cross += z1[a] * *cell++;
                const double* column = Q + tail.diagonal(f.first[i] + b) - b;
                double own = z[b] * column[b];
                for (Index a = b + 1; a < f.c; ++a)
                    own += 2.0 * z[a] * column[a];
                sum += z[b] * (2.0 * cross + own);
            }
            h[i] += sum;
        }
    }
    for (const SortedRows::PairRows& pair : rows_.pairs) {
        const SortedRows::FactorRows &left = rows_.factors[pair.a], &right = rows_.factors[pair.b];
        for (Index i = 0; i < rows_.n; ++i) {
            const bool left_above = left.first[i] < right.first[i];
            const SortedRows::FactorRows &upper = left_above ? left : right, &lower = left_above ? right : left;
            const double *z_u = rows_.z(upper, i), *z_l = rows_.z(lower, i);
            double sum = 0.0;
            for (Index b = 0; b < upper.c; ++b) {
                const double* column = Q + tail.diagonal(upper.first[i] + b) - b + pair.below[i];
                for (Index a = 0; a < lower.c; ++a)
                    sum += z_u[b] * z_l[a] * column[a];
            }
            h[i] += 2.0 * sum;
        }
    }
}

std::vector<RowMatrix> PenalizedFactor::row_products() const {
    std::vector<RowMatrix> out;
    for (const SortedRows::FactorRows& f : rows_.factors)
        out.push_back(RowMatrix::Zero(rows_.n, f.c));
    const SortedRows::FactorRows& lead = rows_.factors[0];
    const Index c1 = lead.c;
    for (Index i = 0; i < rows_.n; ++i)
        multiply_small(c1, V_.data() + lead.level[i] * c1 * c1, rows_.z(lead, i), out[0].data() + i * c1);
    if (!schur_)
        return out;
    const Tail& tail = problem_.tail();
    const double* Q = schur_->Q();
    for (std::size_t k = 1; k < rows_.factors.size(); ++k) {
        const SortedRows::FactorRows& f = rows_.factors[k];
        for (Index i = 0; i < rows_.n; ++i) {
            const double *z1 = rows_.z(lead, i), *z = rows_.z(f, i), *cell = cell_.data() + f.entry[i] * c1;
            double *out1 = out[0].data() + i * c1, *own = out[k].data() + i * f.c;
            for (Index b = 0; b < f.c; ++b) {
                for (Index a = 0; a < c1; ++a, ++cell) {
                    out1[a] += *cell * z[b];
                    own[b] += *cell * z1[a];
                }
                const double* column = Q + tail.diagonal(f.first[i] + b) - b;
                own[b] += column[b] * z[b];
                for (Index a = b + 1; a < f.c; ++a) {
                    own[a] += column[a] * z[b];
                    own[b] += column[a] * z[a];
                }
            }
        }
    }
    for (const SortedRows::PairRows& pair : rows_.pairs) {
        for (Index i = 0; i < rows_.n; ++i) {
            const bool left_above = rows_.factors[pair.a].first[i] < rows_.factors[pair.b].first[i];
            const Index u = left_above ? pair.a : pair.b, v = left_above ? pair.b : pair.a;
            const SortedRows::FactorRows &upper = rows_.factors[u], &lower = rows_.factors[v];
            const double *z_u = rows_.z(upper, i), *z_l = rows_.z(lower, i);
            for (Index b = 0; b < upper.c; ++b) {
                const double* column = Q + tail.diagonal(upper.first[i] + b) - b + pair.below[i];
                for (Index a = 0; a < lower.c; ++a) {
                    out[u](i, b) += column[a] * z_l[a];
                    out[v](i, a) += column[a] * z_u[b];
                }
            }
        }
    }
    return out;
}

Matrix PenalizedFactor::diagonal_block(Index factor, Index level) const {
    const Index c = rows_.factors[factor].c;
    if (factor == 0)
        return ConstMatrixMap(V_.data() + level * c * c, c, c);
    Matrix out(c, c);
    schur_->diagonal_block_into(problem_.tail().block_of[factor][level], out);
    return out;
}

}  // namespace pymixed
