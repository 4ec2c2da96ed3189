#include "schur.hpp"

#include <algorithm>
#include <cmath>

namespace pymixed {

static Index largest_block(const Tail& tail) {
    Index largest = 1;
    for (Index J = 0; J < tail.n_blocks(); ++J)
        largest = std::max(largest, tail.block_start[J + 1] - tail.block_start[J]);
    return largest;
}

SchurComplement::SchurComplement(const Tail& tail, const TailValues& values, Index c1, int n_threads, bool keep_factor)
    : tail_(tail),
      values_(values),
      c1_(c1),
      keep_factor_(keep_factor),
      S0_(tail.n_values(), 0.0),
      S_(tail.n_values(), 0.0),
      inverse_(keep_factor && !tail.dense() ? tail.n_values() : 0),
      column_(tail.dense() ? 0 : tail.q(), 0.0),
      n_threads_(n_threads),
      kernel_memory_(tail.dense() ? n_threads * dense_workspace_size(tail.q(), tail.q(), tail.q()) : 0),
      row_scale_(tail.q()),
      block_(2 * largest_block(tail) * largest_block(tail)),
      next_(tail.coupling_start.size()),
      sparse_(tail.pattern) {}

KernelWork SchurComplement::kernel_work() {
    return {kernel_memory_.data(), kernel_memory_.size() / n_threads_, n_threads_};
}

/// Column j as a dense array indexed by row, zero on its pattern.
double* SchurComplement::open_column(Index j) {
    if (!tail_.dense())
        return column_.data();  // close_column() leaves it zero
    double* column = S0_.data() + j * tail_.q();
    std::fill(column + j, column + tail_.q(), 0.0);
    return column;
}

void SchurComplement::close_column(Index j) {
    if (tail_.dense())
        return;
    for (Index p = tail_.pattern.start[j]; p < tail_.pattern.start[j + 1]; ++p) {
        S0_[p] = column_[tail_.pattern.row[p]];
        column_[tail_.pattern.row[p]] = 0.0;
    }
}

template <Index C1>
void SchurComplement::build(const LevelMatrices& K) {
    const Index c = C1 > 0 ? C1 : c1_;
    const std::int32_t* row = tail_.coupling_row.data();
    const double* value = values_.coupling.data();
    std::copy(tail_.coupling_start.begin(), tail_.coupling_start.end(), next_.begin());
    for (Index j = 0; j < tail_.q(); ++j) {
        double* column = open_column(j);
        for (Index p = tail_.A22_start[j]; p < tail_.A22_start[j + 1]; ++p)
            column[tail_.A22_row[p]] += values_.A22[p];
        for (Index i = tail_.column_start[j]; i < tail_.column_start[j + 1]; ++i) {
            const std::int32_t g = tail_.column_level[i];
            const Index first = next_[g]++, last = tail_.coupling_start[g + 1];
            const double* k = K.values + K.pattern[g] * c * c;
            if constexpr (C1 == 1) {
                const double t = k[0] * value[first];
                for (Index p = first; p < last; ++p)
                    column[row[p]] -= t * value[p];
            } else {
                for (Index a = 0; a < c; ++a) {
                    double t = 0.0;
                    for (Index b = 0; b < c; ++b)
                        t += k[a * c + b] * value[first * c + b];
                    for (Index p = first; p < last; ++p)
                        column[row[p]] -= t * value[p * c + a];
                }
            }
        }
        close_column(j);
    }
}

template <Index C1>
void SchurComplement::sweep(double* R) {
    const Index c = C1 > 0 ? C1 : c1_;
    const std::int32_t* row = tail_.coupling_row.data();
    const double* value = values_.coupling.data();
    std::copy(tail_.coupling_start.begin(), tail_.coupling_start.end(), next_.begin());
    std::fill(R, R + (tail_.coupling_start.size() - 1) * c * c, 0.0);
    for (Index j = 0; j < tail_.q(); ++j) {
        const double* column = inverse_column(j);
        for (Index i = tail_.column_start[j]; i < tail_.column_start[j + 1]; ++i) {
            const std::int32_t g = tail_.column_level[i];
            const Index first = next_[g]++, last = tail_.coupling_start[g + 1];
            double* r = R + g * c * c;
            for (Index a = 0; a < c; ++a) {
                double sum = 0.0;
                for (Index p = first + 1; p < last; ++p)
                    sum += value[p * c + a] * column[row[p]];
                for (Index b = 0; b < c; ++b) {
                    r[a * c + b] += sum * value[first * c + b];
                    r[b * c + a] += sum * value[first * c + b];
                    r[a * c + b] += value[first * c + a] * value[first * c + b] * column[j];
                }
            }
        }
        close_inverse_column(j);
    }
}

void SchurComplement::coupling_products_into(double* Y) {
    if (c1_ == 1)
        couple<1>(Y);
    else
        couple<0>(Y);
}

template <Index C1>
void SchurComplement::couple(double* Y) {
    const Index c = C1 > 0 ? C1 : c1_;
    const std::int32_t* row = tail_.coupling_row.data();
    const double* value = values_.coupling.data();
    std::copy(tail_.coupling_start.begin(), tail_.coupling_start.end(), next_.begin());
    std::fill(Y, Y + tail_.coupling_row.size() * c, 0.0);
    for (Index j = 0; j < tail_.q(); ++j) {
        const double* column = inverse_column(j);
        for (Index i = tail_.column_start[j]; i < tail_.column_start[j + 1]; ++i) {
            const std::int32_t g = tail_.column_level[i];
            const Index first = next_[g]++, last = tail_.coupling_start[g + 1];
            for (Index a = 0; a < c; ++a) {
                const double own = value[first * c + a];
                double sum = own * column[j];
                for (Index p = first + 1; p < last; ++p) {
                    sum += value[p * c + a] * column[row[p]];
                    Y[p * c + a] += own * column[row[p]];
                }
                Y[first * c + a] += sum;
            }
        }
        close_inverse_column(j);
    }
}

/// Column j of Q as a dense array indexed by row.
const double* SchurComplement::inverse_column(Index j) {
    if (tail_.dense())
        return S_.data() + j * tail_.q();
    for (Index p = tail_.pattern.start[j]; p < tail_.pattern.start[j + 1]; ++p)
        column_[tail_.pattern.row[p]] = inverse()[p];
    return column_.data();
}

void SchurComplement::close_inverse_column(Index j) {
    if (tail_.dense())
        return;
    for (Index p = tail_.pattern.start[j]; p < tail_.pattern.start[j + 1]; ++p)
        column_[tail_.pattern.row[p]] = 0.0;
}

bool SchurComplement::update(const LevelMatrices& K, const Templates& T) {
    switch (c1_) {
        case 1:
            build<1>(K);
            break;
        case 2:
            build<2>(K);
            break;
        default:
            build<0>(K);
    }
    transform(S0_, S_, T, false);
    for (Index j = 0; j < tail_.q(); ++j)
        S_[tail_.diagonal(j)] += 1.0;
    return tail_.dense() ? dense_kernels().cholesky(tail_.q(), S_.data(), tail_.q(), kernel_work())
                         : sparse_.factor(S_.data());
}

double SchurComplement::log_determinant() const {
    double sum = 0.0;
    for (Index j = 0; j < tail_.q(); ++j)
        sum += std::log(S_[tail_.diagonal(j)]);
    return 2.0 * sum;
}

/// Calls block(I, J, offset) for every block of the lower triangle: its element (a, b) stands at
/// diagonal(start_J + b) + offset - b + a, and in the diagonal block (offset 0) where a >= b.
template <class Block>
void SchurComplement::for_blocks(Block&& block) const {
    for (Index J = 0; J < tail_.n_blocks(); ++J) {
        block(J, J, Index{0});
        Index offset = tail_.block_start[J + 1] - tail_.block_start[J];
        const Index first = tail_.dense() ? J + 1 : tail_.below_start[J];
        const Index last = tail_.dense() ? tail_.n_blocks() : tail_.below_start[J + 1];
        for (Index i = first; i < last; ++i) {
            const Index I = tail_.dense() ? i : tail_.below[i];
            block(I, J, offset);
            offset += tail_.block_start[I + 1] - tail_.block_start[I];
        }
    }
}

/// to = T' from T, or T from T' with `transposed`, block by block; `to` may be `from`.
void SchurComplement::transform(const std::vector<double>& from, std::vector<double>& to, const Templates& T,
                                bool transposed) {
    if (tail_.scalar) {
        for (Index J = 0; J < tail_.q(); ++J)
            row_scale_[J] = T[tail_.block_factor[J]](0, 0);
        for (Index j = 0; j < tail_.q(); ++j) {
            const double scale = row_scale_[j];
            const Index first = tail_.diagonal(j);
            if (tail_.dense()) {
                for (Index i = 0; i < tail_.q() - j; ++i)
                    to[first + i] = scale * row_scale_[j + i] * from[first + i];
            } else {
                for (Index p = first; p < tail_.pattern.start[j + 1]; ++p)
                    to[p] = scale * row_scale_[tail_.pattern.row[p]] * from[p];
            }
        }
        return;
    }
    for_blocks([&](Index I, Index J, Index offset) {
        const Matrix& left = T[tail_.block_factor[I]];
        const Matrix& right = T[tail_.block_factor[J]];
        const Index rows = left.rows(), columns = right.rows();
        const auto at = [&](Index a, Index b) { return tail_.diagonal(tail_.block_start[J] + b) + offset - b + a; };
        const bool diagonal = offset == 0;
        MatrixMap value(block_.data(), rows, columns), half(block_.data() + rows * columns, rows, columns);
        for (Index b = 0; b < columns; ++b)
            for (Index a = 0; a < rows; ++a)
                value(a, b) = from[diagonal && a < b ? at(b, a) : at(a, b)];
        if (transposed) {
            half.noalias() = left.lazyProduct(value);
            value.noalias() = half.lazyProduct(right.transpose());
        } else {
            half.noalias() = left.transpose().lazyProduct(value);
            value.noalias() = half.lazyProduct(right);
        }
        for (Index b = 0; b < columns; ++b)
            for (Index a = diagonal ? b : 0; a < rows; ++a)
                to[at(a, b)] = value(a, b);
    });
}

/// products_f += sum over the levels h of factor f of (S^-1 T2' S0)_hh, from the lower triangles of both.
void SchurComplement::add_products(const Templates& T, Templates& products) const {
    const std::vector<double>& S_inverse = inverse();
    if (tail_.scalar) {
        for (Index j = 0; j < tail_.q(); ++j) {
            const Index first = tail_.diagonal(j);
            double& own = products[tail_.block_factor[j]](0, 0);
            own += S_inverse[first] * S0_[first] * row_scale_[j];
            if (tail_.dense()) {
                // runs of rows of one factor
                for (Index i = j + 1; i < tail_.q();) {
                    const std::int32_t f = tail_.block_factor[i];
                    const Index last = tail_.block_of[f].back() + 1;
                    const double sum = ConstMatrixMap(S_inverse.data() + first + i - j, last - i, 1)
                                           .cwiseProduct(ConstMatrixMap(S0_.data() + first + i - j, last - i, 1))
                                           .sum();
                    own += sum * row_scale_[i];
                    products[f](0, 0) += sum * row_scale_[j];
                    i = last;
                }
            } else {
                for (Index p = first + 1; p < tail_.pattern.start[j + 1]; ++p) {
                    const Index i = tail_.pattern.row[p];
                    const double product = S_inverse[p] * S0_[p];
                    own += product * row_scale_[i];
                    products[tail_.block_factor[i]](0, 0) += product * row_scale_[j];
                }
            }
        }
        return;
    }
    for_blocks([&](Index I, Index J, Index offset) {
        const Matrix& T_row = T[tail_.block_factor[I]];
        const Matrix& T_column = T[tail_.block_factor[J]];
        Matrix& of_row = products[tail_.block_factor[I]];
        Matrix& of_column = products[tail_.block_factor[J]];
        const Index rows = T_row.rows(), columns = T_column.rows();
        const bool diagonal = offset == 0;
        const auto at = [&](Index a, Index b) {
            if (diagonal && a < b)
                std::swap(a, b);
            return tail_.diagonal(tail_.block_start[J] + b) + offset - b + a;
        };
        for (Index a = 0; a < rows; ++a)
            for (Index b = 0; b < columns; ++b) {
                const double inverse = S_inverse[at(a, b)];
                for (Index k = 0; k < rows; ++k)
                    for (Index l = 0; l < columns; ++l) {
                        const double product = inverse * S0_[at(k, l)];
                        of_column(b, l) += product * T_row(k, a);  // S^-1_JI T_I' S0_IJ
                        if (!diagonal)
                            of_row(a, k) += product * T_column(l, b);  // S^-1_IJ T_J' S0_JI
                    }
            }
    });
}

void SchurComplement::invert(const Templates& T, Templates& products) {
    std::vector<double>& Q = keep_factor_ && !tail_.dense() ? inverse_ : S_;
    if (tail_.dense())
        dense_kernels().inverse_from_cholesky(tail_.q(), S_.data(), tail_.q(), kernel_work());
    else
        sparse_.selected_inverse(S_.data(), Q.data());
    add_products(T, products);
    transform(Q, Q, T, true);
}

void SchurComplement::multiply_Q(const Templates& T, Eigen::Ref<Matrix> B) {
    if (tail_.dense()) {
        Matrix product(B.rows(), B.cols());
        dense_kernels().multiply_symmetric(tail_.q(), B.cols(), S_.data(), tail_.q(), B.data(), B.outerStride(),
                                           product.data(), tail_.q());
        B = product;
        return;
    }
    multiply_template(T, true, B);
    half_solve(B);
    back_solve(B);
    multiply_template(T, false, B);
}

void SchurComplement::leading_blocks_into(double* R) {
    switch (c1_) {
        case 1:
            sweep<1>(R);
            break;
        case 2:
            sweep<2>(R);
            break;
        default:
            sweep<0>(R);
    }
}

void SchurComplement::diagonal_block_into(Index block, Eigen::Ref<Matrix> out) const {
    const Index first = tail_.block_start[block], c = tail_.block_start[block + 1] - first;
    for (Index b = 0; b < c; ++b)
        for (Index a = b; a < c; ++a)
            out(a, b) = out(b, a) = inverse()[tail_.diagonal(first + b) + a - b];
}

void SchurComplement::multiply_template(const Templates& T, bool transposed, Eigen::Ref<Matrix> B) {
    if (tail_.scalar) {
        for (Index k = 0; k < B.cols(); ++k)
            for (Index j = 0; j < tail_.q(); ++j)
                B(j, k) *= T[tail_.block_factor[j]](0, 0);
        return;
    }
    for (Index J = 0; J < tail_.n_blocks(); ++J) {
        const Matrix& t = T[tail_.block_factor[J]];
        const Index c = t.rows();
        Eigen::Map<Vector> product(block_.data(), c);
        for (Index k = 0; k < B.cols(); ++k) {
            auto b = B.col(k).segment(tail_.block_start[J], c);
            if (transposed)
                product.noalias() = t.transpose().lazyProduct(b);
            else
                product.noalias() = t.lazyProduct(b);
            b = product;
        }
    }
}

void SchurComplement::half_solve(Eigen::Ref<Matrix> B) const {
    if (tail_.dense())
        dense_kernels().solve_lower(tail_.q(), B.cols(), S_.data(), tail_.q(), B.data(), B.outerStride());
    else
        sparse_.solve_lower(S_.data(), B.cols(), B.data());
}

void SchurComplement::back_solve(Eigen::Ref<Matrix> B) const {
    if (tail_.dense())
        dense_kernels().solve_lower_transposed(tail_.q(), B.cols(), S_.data(), tail_.q(), B.data(), B.outerStride());
    else
        sparse_.solve_lower_transposed(S_.data(), B.cols(), B.data());
}

void SchurComplement::multiply_S0(const Eigen::Ref<const Matrix>& B, Eigen::Ref<Matrix> C) const {
    if (tail_.dense()) {
        dense_kernels().multiply_symmetric(tail_.q(), B.cols(), S0_.data(), tail_.q(), B.data(), B.outerStride(),
                                           C.data(), C.outerStride());
        return;
    }
    C.setZero();
    for (Index k = 0; k < B.cols(); ++k)
        for (Index j = 0; j < tail_.q(); ++j) {
            const Index first = tail_.pattern.start[j];
            const double x = B(j, k);
            double sum = S0_[first] * x;
            for (Index p = first + 1; p < tail_.pattern.start[j + 1]; ++p) {
                C(tail_.pattern.row[p], k) += S0_[p] * x;
                sum += S0_[p] * B(tail_.pattern.row[p], k);
            }
            C(j, k) += sum;
        }
}

}  // namespace pymixed
