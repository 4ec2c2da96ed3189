// What one connected component of the tail adds to the sums: the dense part of the work.

#include <algorithm>

#include "kenward_roger_pairs.hpp"

namespace pymixed {

namespace {

/// M <- B M, or M <- M B, with the blocks of a component's levels in B.
template <class Blocks>
void multiply_left(const Blocks& blocks, MatrixMap M) {
    for (Index j = 0; j < M.cols(); ++j)
        blocks([&](const Matrix& block, Index first, Index n_levels) {
            const Index c = block.rows();
            MatrixMap x(&M(first, j), c, n_levels);
            if (c == 1)
                x *= block(0, 0);
            else
                x = block.lazyProduct(x).eval();
        });
}

template <class Blocks>
void multiply_right(MatrixMap M, const Blocks& blocks) {
    blocks([&](const Matrix& block, Index first, Index n_levels) {
        const Index c = block.rows();
        for (Index h = 0; h < n_levels; ++h) {
            auto columns = M.middleCols(first + h * c, c);
            if (c == 1)
                columns *= block(0, 0);
            else
                columns = columns.lazyProduct(block).eval();
        }
    });
}

/// The upper triangle from the lower one, square by square.
void mirror(MatrixMap M) {
    constexpr Index size = 32;
    for (Index j = 0; j < M.cols(); j += size)
        for (Index i = j; i < M.rows(); i += size)
            for (Index b = j; b < std::min(j + size, M.cols()); ++b)
                for (Index a = std::max(i, b + 1); a < std::min(i + size, M.rows()); ++a)
                    M(b, a) = M(a, b);
}

}  // namespace

bool KenwardRogerSums::add_component(Index k, const std::function<bool()>& interrupted) {
    const Index q = components_.size(k), c = problem_.leading().c, n_pairs = static_cast<Index>(pairs_.size());
    const auto stopped = [&] { return interrupted && (q > 500 || k % 1000 == 0) && interrupted(); };
    if (stopped())
        return false;
    gather(k);
    factor(k);
    add_tail_traces(k);
    add_products(k);
    add_leading_traces(k);

    MatrixMap Q = buffer(Q_of, q), R = buffer(R_of, q), M = buffer(S0_of, q), QD = buffer(B_of, q);
    for (Index u = 0; u < n_leading_; ++u) {  // tr(Q D_u Q D_v)
        if (stopped())
            return false;
        M.setZero();
        scatter_D(k, pairs_[u], M);
        mirror(M);
        QD.setZero();
        multiply_add(q, q, q, 1.0, {Q.data(), 1, q}, {M.data(), 1, q}, QD.data(), q);
        M.setZero();
        multiply_add(q, q, q, 1.0, {QD.data(), 1, q}, {Q.data(), 1, q}, M.data(), q, true);
        const Matrix F = sweep(k, M);
        for (Index v = 0; v <= u; ++v)
            T_(u, v) += pair_trace(pairs_[v], F.data(), c);
    }
    for (Index v = n_leading_; v < n_pairs; ++v) {  // tr(D_u R'U_vR)
        if (stopped())
            return false;
        for (Index r = components_.run_start[k]; r < components_.run_start[k + 1]; ++r) {
            const TailComponents::Run& run = components_.runs[r];
            const auto [f, x, y] = pairs_[v];
            if (f != run.factor)
                continue;
            const Index stride = problem_.layout().factors()[f].n_cols;
            const double *R_x = R.data() + run.first + x, *R_y = R.data() + run.first + y;
            M.setZero();
            multiply_add(q, q, run.n_levels, 1.0, {R_x, q, stride}, {R_y, stride, q}, M.data(), q, true);
            if (x != y)
                multiply_add(q, q, run.n_levels, 1.0, {R_y, q, stride}, {R_x, stride, q}, M.data(), q, true);
            const Matrix F = sweep(k, M);
            for (Index u = 0; u < n_leading_; ++u)
                T_(v, u) += pair_trace(pairs_[u], F.data(), c);
        }
    }
    return true;
}

/// S0 of the component, both triangles.
void KenwardRogerSums::gather(Index k) {
    const Tail& tail = problem_.tail();
    const double* values = pls_.schur().S0();
    const Index q = components_.size(k), start = components_.start[k];
    MatrixMap S0 = buffer(S0_of, q);
    if (tail.dense()) {  // positions and rows are in the same order
        for (Index j = 0; j < q; ++j)
            for (Index i = j; i < q; ++i)
                S0(i, j) = S0(j, i) = values[components_.row[start + j] * tail.q() + components_.row[start + i]];
        return;
    }
    S0.setZero();
    for (Index j = 0; j < q; ++j) {
        const Index column = components_.row[start + j];
        for (Index i = tail.pattern.start[column]; i < tail.pattern.start[column + 1]; ++i) {
            const Index row = components_.position[tail.pattern.row[i]] - start;
            S0(row, j) = S0(j, row) = values[i];
        }
    }
}

/// Q = T2 S^-1 T2', R = T2^-T S^-1 T2' and B = R S0.
void KenwardRogerSums::factor(Index k) {
    const Index q = components_.size(k);
    const auto blocks_of = [&](const Templates& templates) {
        return [this, k, &templates](auto&& block) {
            for (Index r = components_.run_start[k]; r < components_.run_start[k + 1]; ++r)
                block(templates[components_.runs[r].factor], components_.runs[r].first, components_.runs[r].n_levels);
        };
    };
    MatrixMap Q = buffer(Q_of, q), R = buffer(R_of, q), S0 = buffer(S0_of, q), B = buffer(B_of, q);
    const KernelWork work{kernel_memory_.data(), kernel_memory_.size() / static_cast<std::size_t>(n_threads_),
                          n_threads_};
    Q = S0;
    multiply_left(blocks_of(T2_transposed_), Q);
    multiply_right(Q, blocks_of(T2_));
    Q.diagonal().array() += 1.0;
    dense_kernels().cholesky(q, Q.data(), q, work);  // of a matrix that the deviance has factored before
    dense_kernels().inverse_from_cholesky(q, Q.data(), q, work);
    mirror(Q);
    multiply_right(Q, blocks_of(T2_transposed_));
    R = Q;
    multiply_left(blocks_of(T2_inverse_transposed_), R);
    multiply_left(blocks_of(T2_), Q);
    B.setZero();
    multiply_add(q, q, q, 1.0, {R.data(), 1, q}, {S0.data(), 1, q}, B.data(), q, true);
    mirror(B);
}

/// T_uv and t_u of the tail's own pairs.
void KenwardRogerSums::add_tail_traces(Index k) {
    using Strided = Eigen::Map<const Matrix, 0, Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>>;
    const Index q = components_.size(k), n_pairs = static_cast<Index>(pairs_.size());
    const MatrixMap B = buffer(B_of, q);
    for (Index r = components_.run_start[k]; r < components_.run_start[k + 1]; ++r)
        for (Index s = components_.run_start[k]; s <= r; ++s) {
            const TailComponents::Run &rows = components_.runs[r], &columns = components_.runs[s];
            const Index row_step = problem_.layout().factors()[rows.factor].n_cols;
            const Index column_step = problem_.layout().factors()[columns.factor].n_cols;
            const auto part = [&](Index a, Index b) {  // rows a and columns b of every pair of levels
                return Strided(B.data() + rows.first + a + (columns.first + b) * q, rows.n_levels, columns.n_levels,
                               {column_step * q, row_step});
            };
            for (Index u = n_leading_; u < n_pairs; ++u) {
                if (pairs_[u].factor != rows.factor)
                    continue;
                const auto [f, x, y] = pairs_[u];
                if (r == s)
                    trace_[u] += (x == y ? 1.0 : 2.0) * part(x, y).diagonal().sum();
                for (Index v = n_leading_; v <= u; ++v) {
                    const auto [h, z, w] = pairs_[v];
                    if (h != columns.factor)
                        continue;
                    double sum = part(x, z).cwiseProduct(part(y, w)).sum();
                    if (x != y && z != w)
                        sum += part(x, w).cwiseProduct(part(y, z)).sum();
                    T_(u, v) += (x == y && z == w ? 1.0 : 2.0) * sum;
                }
            }
        }
}

/// Q_uv: with s the sums of C_gU_uG_g and v = U_uG of the tail, -s'Qs, v'R s and v'B v.
void KenwardRogerSums::add_products(Index k) {
    const Index q = components_.size(k), start = components_.start[k], ld = Q_.rows();
    const Index leading = leading_sums_.cols(), tail = tail_sums_.cols();
    const Operand s{leading_sums_.data() + start * leading, leading, 1};
    const Operand v{tail_sums_.data() + start * tail, tail, 1};
    const auto add = [&](const MatrixMap& M, double sign, Operand left, Index rows, Operand right, Index columns,
                         Index first_row, Index first_column) {
        product_.topLeftCorner(q, columns).setZero();
        multiply_add(q, columns, q, 1.0, {M.data(), 1, q}, right, product_.data(), product_.rows());
        multiply_add(rows, columns, q, sign, {left.data, left.column, left.row}, {product_.data(), 1, product_.rows()},
                     &Q_(first_row, first_column), ld, first_row == first_column);
    };
    if (p_ == 0)
        return;
    add(buffer(Q_of, q), -1.0, s, leading, s, leading, 0, 0);
    add(buffer(R_of, q), 1.0, v, tail, s, leading, leading, 0);
    add(buffer(B_of, q), 1.0, v, tail, v, tail, leading, leading);
}

/// What the tail takes from T_uv and t_u of leading pairs, level by level.
void KenwardRogerSums::add_leading_traces(Index k) {
    const Leading& lead = problem_.leading();
    const Tail& tail = problem_.tail();
    const Index q = components_.size(k), start = components_.start[k], c = lead.c;
    const MatrixMap Q = buffer(Q_of, q);
    Matrix own(c, c);  // C_g'QC_g
    Vector sum(c);
    for (Index l = components_.level_start[k]; l < components_.level_start[k + 1]; ++l) {
        const Index g = components_.level[l], first = tail.coupling_start[g], last = tail.coupling_start[g + 1];
        own.setZero();
        for (Index j = first; j < last; ++j) {
            const double* column = Q.data() + (place_[j] - start) * q - start;
            sum.setZero();
            for (Index i = first; i < last; ++i)
                for (Index a = 0; a < c; ++a)
                    sum[a] += column[place_[i]] * C_[i * c + a];
            for (Index b = 0; b < c; ++b)
                own.col(b) += C_[j * c + b] * sum;
        }
        const double* AN = pls_.leading().AN(lead.pattern[g]);
        for (Index u = 0; u < n_leading_; ++u) {
            trace_[u] -= pair_trace(pairs_[u], own.data(), c);
            for (Index v = 0; v <= u; ++v)
                T_(u, v) -= pair_trace(pairs_[u], AN, pairs_[v], own.data(), c) +
                            pair_trace(pairs_[u], own.data(), pairs_[v], AN, c);
        }
    }
}

/// The lower triangle of D_u, added to zeros.
void KenwardRogerSums::scatter_D(Index k, const ColumnPair& pair, MatrixMap D) const {
    const Tail& tail = problem_.tail();
    const Index start = components_.start[k], c = problem_.leading().c;
    const auto [f, x, y] = pair;
    for (Index l = components_.level_start[k]; l < components_.level_start[k + 1]; ++l) {
        const Index g = components_.level[l], last = tail.coupling_start[g + 1];
        for (Index j = tail.coupling_start[g]; j < last; ++j) {
            double* column = D.data() + (place_[j] - start) * D.rows() - start;
            const double left = C_[j * c + x], right = x == y ? 0.0 : C_[j * c + y];
            for (Index i = j; i < last; ++i)
                column[place_[i]] += left * C_[i * c + y] + right * C_[i * c + x];
        }
    }
}

/// sum_g C_g'M C_g, M given by its lower triangle.
Matrix KenwardRogerSums::sweep(Index k, const MatrixMap& M) const {
    const Tail& tail = problem_.tail();
    const Index start = components_.start[k], c = problem_.leading().c;
    Matrix F = Matrix::Zero(c, c);
    Vector below(c);
    for (Index l = components_.level_start[k]; l < components_.level_start[k + 1]; ++l) {
        const Index g = components_.level[l], last = tail.coupling_start[g + 1];
        for (Index j = tail.coupling_start[g]; j < last; ++j) {
            const double* column = M.data() + (place_[j] - start) * M.rows() - start;
            const double diagonal = 0.5 * column[place_[j]];
            for (Index a = 0; a < c; ++a)
                below[a] = diagonal * C_[j * c + a];
            if (c == 1) {
                double sum = below[0];
                for (Index i = j + 1; i < last; ++i)
                    sum += column[place_[i]] * C_[i];
                below[0] = sum;
            } else {
                for (Index i = j + 1; i < last; ++i)
                    for (Index a = 0; a < c; ++a)
                        below[a] += column[place_[i]] * C_[i * c + a];
            }
            for (Index b = 0; b < c; ++b)
                for (Index a = 0; a < c; ++a)
                    F(a, b) += below[a] * C_[j * c + b] + C_[j * c + a] * below[b];
        }
    }
    return F;
}

}  // namespace pymixed
