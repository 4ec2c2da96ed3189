#include "scores.hpp"

#include <algorithm>

namespace pymixed {

Scores::Scores(const Problem& problem) : problem_(problem), response_(problem.response()) {
    const RandomEffects& layout = problem.layout();
    const Leading& lead = problem.leading();
    const Index m = layout.n_theta(), P = lead.P, p = P - 1;
    W_.setZero(P, P);
    information_.setZero(m, m);
    ss_ = projection_ = layout.make_templates();
    Index largest = 1;
    for (const auto& factor : layout.factors()) {
        sG_.push_back(Matrix::Zero(factor.n_cols * factor.n_cols, p));
        largest = std::max(largest, factor.n_cols);
    }
    for (Index i = 0; i < m; ++i)
        if (layout.entries()[i].factor == 0)
            leading_entries_.push_back(i);
    c_i_.resize(m * largest);
    v_i_.resize(largest);
    small_.resize(3 * largest * largest);
    const Index rows = std::min(PenalizedLeastSquares::batch, lead.n_levels) * lead.c;
    E_.setZero(rows, P);
    rows_.setZero(rows, P);
    if (lead.use_moments())
        cross_.setZero(lead.c * lead.c, p);
    std::size_t work = dense_workspace_size(P, rows, P);
    if (problem.has_tail()) {
        const Index q = problem.tail().q();
        for (Matrix* a : {&solution_, &rest_})
            a->setZero(q, P);
        for (Matrix* a : {&c_tail_, &Zc_, &half_})
            a->setZero(q, m);
        QF_.setZero(q, P);
        tail_rows_.setZero(q, P);
        Zc_rows_.setZero(q, m);
        work = std::max({work, dense_workspace_size(m, m, q), dense_workspace_size(P, q, P)});
    }
    work_.resize(work);
}

void Scores::update(PenalizedLeastSquares& pls, const Templates& T, const std::vector<Matrix>& D, bool reml,
                    double ratio) {
    reml_ = reml;
    ratio_ = ratio;
    response_ = pls.response();
    const Index p = problem_.p();
    pls.solve();
    W_.topLeftCorner(p, p) = pls.RX_inverse();
    W_.col(p).head(p) = -pls.beta();
    W_(p, p) = 1.0;
    for (std::size_t f = 0; f < ss_.size(); ++f) {
        ss_[f].setZero();
        projection_[f].setZero();
        sG_[f].setZero();
    }
    information_.setZero();
    if (problem_.has_tail())
        solve_tail(pls, T);
    if (problem_.leading().use_moments())
        add_leading_moments(pls, D);
    else
        add_leading_levels(pls, D);
    if (problem_.has_tail()) {
        add_tail(D);
        project_tail(pls, T);
    }
    for (Templates* sums : {&ss_, &projection_})
        for (Matrix& A : *sums)
            for (Index x = 0; x < A.rows(); ++x)
                for (Index y = 0; y < x; ++y)
                    A(y, x) = A(x, y);
}

void Scores::leading_rhs_into(Index g, double* out) const {
    const Leading& lead = problem_.leading();
    const Index c = lead.c, P = lead.P;
    std::copy(response_.leading + g * c * P, response_.leading + (g + 1) * c * P, out);
    if (!problem_.has_tail())
        return;
    const Tail& tail = problem_.tail();
    for (Index i = tail.coupling_start[g]; i < tail.coupling_start[g + 1]; ++i) {
        const double* d = QF_.data() + tail.coupling_row[i] * P;
        for (Index a = 0; a < c; ++a) {
            const double value = tail.values.coupling[i * c + a];
            for (Index l = 0; l < P; ++l)
                out[a * P + l] -= value * d[l];
        }
    }
}

const RowMatrix& Scores::leading_rows(const PenalizedLeastSquares& pls, Index first, Index last) {
    const Leading& lead = problem_.leading();
    const Index c = lead.c, P = lead.P, rows = (last - first) * c;
    double* rhs = rows_.data();  // one level at a time, before the product fills it
    for (Index g = first; g < last; ++g) {
        leading_rhs_into(g, rhs);
        const double* N = pls.leading().N(lead.pattern[g]);
        double* out = E_.data() + (g - first) * c * P;
        for (Index y = 0; y < c; ++y, out += P) {
            for (Index l = 0; l < P; ++l)
                out[l] = N[y] * rhs[l];
            for (Index j = 1; j < c; ++j)
                for (Index l = 0; l < P; ++l)
                    out[l] += N[j * c + y] * rhs[j * P + l];
        }
    }
    std::fill(rows_.data(), rows_.data() + rows * P, 0.0);
    dense_kernels().multiply_add(P, rows, P, 1.0, {W_.data(), P, 1}, {E_.data(), 1, P}, rows_.data(), P, false,
                                 work_.data());
    return rows_;
}

/// Adds one level's rows of [G, s] to the sums of its factor (lower triangles).
void Scores::add_level(const double* rows, Index factor, Index c) {
    const Index P = W_.rows(), p = P - 1;
    Matrix& ss = ss_[factor];
    Matrix& projection = projection_[factor];
    for (Index x = 0; x < c; ++x) {
        const double* row_x = rows + x * P;
        const double s_x = row_x[p];
        for (Index y = 0; y <= x; ++y) {
            const double* row_y = rows + y * P;
            const double product = s_x * row_y[p];
            double sum = ratio_ * product;
            if (reml_)
                for (Index k = 0; k < p; ++k)
                    sum += row_x[k] * row_y[k];
            ss(x, y) += product;
            projection(x, y) += sum;
        }
        for (Index y = 0; y < c; ++y) {
            const double* row_y = rows + y * P;
            double* out = sG_[factor].data() + x * c + y;
            for (Index k = 0; k < p; ++k)
                out[k * c * c] += s_x * row_y[k];
        }
    }
}

void Scores::add_leading_levels(const PenalizedLeastSquares& pls, const std::vector<Matrix>& D) {
    const Leading& lead = problem_.leading();
    const Index c = lead.c, P = lead.P, m = information_.rows(), count = static_cast<Index>(leading_entries_.size());
    // out = M in for a c x c matrix by rows
    const auto multiply = [c](const double* M, const double* in, double* out) {
        for (Index x = 0; x < c; ++x) {
            out[x] = 0.0;
            for (Index y = 0; y < c; ++y)
                out[x] += M[x * c + y] * in[y];
        }
    };
    Zc_rows_.setZero();
    for (Index first = 0; first < lead.n_levels; first += PenalizedLeastSquares::batch) {
        const Index last = std::min(first + PenalizedLeastSquares::batch, lead.n_levels);
        leading_rows(pls, first, last);
        for (Index g = first; g < last; ++g) {
            const double* rows = rows_.data() + (g - first) * c * P;
            add_level(rows, 0, c);
            double* s = small_.data();
            for (Index x = 0; x < c; ++x)
                s[x] = rows[x * P + P - 1];
            for (Index i = 0; i < count; ++i) {
                const Index entry = leading_entries_[i];
                double* c_i = c_i_.data() + i * c;
                multiply(D[entry].data(), s, c_i);  // D is symmetric
                multiply(pls.leading().AN(lead.pattern[g]), c_i, v_i_.data());
                for (Index j = 0; j <= i; ++j) {
                    double sum = 0.0;
                    for (Index x = 0; x < c; ++x)
                        sum += c_i_[j * c + x] * v_i_[x];
                    information_(entry, leading_entries_[j]) += sum;
                }
                if (!problem_.has_tail())
                    continue;
                const Tail& tail = problem_.tail();
                multiply(pls.leading().N(lead.pattern[g]), c_i, v_i_.data());
                for (Index k = tail.coupling_start[g]; k < tail.coupling_start[g + 1]; ++k) {
                    double sum = 0.0;
                    for (Index x = 0; x < c; ++x)
                        sum += tail.values.coupling[k * c + x] * v_i_[x];
                    Zc_rows_.data()[tail.coupling_row[k] * m + entry] += sum;
                }
            }
        }
    }
}

/// The same from sums over the levels of each pattern (one factor only): with b_i the rows of B and w the last column
/// of W, sums of (b_i'w)(b_j'w), of b_i'W_x W_x'b_j and of (b_i'W_x)(b_j'w), multiplied by N' afterwards.
void Scores::add_leading_moments(const PenalizedLeastSquares& pls, const std::vector<Matrix>& D) {
    const Leading& lead = problem_.leading();
    const Index c = lead.c, P = lead.P, p = P - 1;
    MatrixMap ss(small_.data(), c, c), both(small_.data() + c * c, c, c), pattern_ss(small_.data() + 2 * c * c, c, c);
    auto left = E_.row(0);
    for (Index k = 0; k < lead.n_patterns; ++k) {
        const double* N = pls.leading().N(k);
        const double* AN = pls.leading().AN(k);
        const double* moments = response_.moments + k * packed(c, 0) * P * P;
        for (Index i = 0; i < c; ++i)
            for (Index j = 0; j < c; ++j) {
                // M[a * step_i + b * step_j] = sum of b_i[a] b_j[b]
                const double* M = moments + packed(std::max(i, j), std::min(i, j)) * P * P;
                const Index step_i = i >= j ? P : 1, step_j = i >= j ? 1 : P;
                for (Index a = 0; a < P; ++a) {
                    double sum = 0.0;
                    for (Index b = 0; b < P; ++b)
                        sum += M[a * step_i + b * step_j] * W_(b, p);
                    left[a] = sum;
                }
                double own = 0.0, fixed = 0.0;
                for (Index a = 0; a < P; ++a)
                    own += left[a] * W_(a, p);
                for (Index x = 0; x < p; ++x) {
                    double sum = 0.0;
                    for (Index a = 0; a <= x; ++a)
                        sum += left[a] * W_(a, x);
                    cross_(i * c + j, x) = sum;
                }
                for (Index x = 0; reml_ && j <= i && x < p; ++x)
                    for (Index a = 0; a <= x; ++a) {
                        double sum = 0.0;
                        for (Index b = 0; b <= x; ++b)
                            sum += M[a * step_i + b * step_j] * W_(b, x);
                        fixed += W_(a, x) * sum;
                    }
                ss(i, j) = own;
                if (j <= i)
                    both(i, j) = both(j, i) = fixed;
            }
        both += ratio_ * ss;
        for (Index x = 0; x < c; ++x)
            for (Index y = 0; y < c; ++y) {
                double sum_ss = 0.0, sum_both = 0.0;
                for (Index i = 0; i < c; ++i)
                    for (Index j = 0; j < c; ++j) {
                        const double weight = N[i * c + x] * N[j * c + y], turned = N[i * c + y] * N[j * c + x];
                        sum_ss += weight * ss(i, j);
                        sum_both += weight * both(i, j);
                        for (Index l = 0; l < p; ++l)
                            sG_[0](x * c + y, l) += turned * cross_(i * c + j, l);
                    }
                ss_[0](x, y) += sum_ss;
                projection_[0](x, y) += sum_both;
                pattern_ss(x, y) = sum_ss;
            }
        for (const Index i : leading_entries_)
            for (const Index j : leading_entries_) {
                if (j > i)
                    break;
                double trace = 0.0;  // of D_i AN D_j ss
                for (Index a = 0; a < c; ++a)
                    for (Index b = 0; b < c; ++b) {
                        double left_ab = 0.0, right_ba = 0.0;
                        for (Index l = 0; l < c; ++l) {
                            left_ab += D[i](a, l) * AN[l * c + b];
                            right_ba += D[j](b, l) * pattern_ss(l, a);
                        }
                        trace += left_ab * right_ba;
                    }
                information_(i, j) += trace;
            }
    }
}

void Scores::solve_tail(PenalizedLeastSquares& pls, const Templates& T) {
    SchurComplement& schur = pls.schur();
    const Index q = problem_.tail().q(), P = W_.rows();
    solution_ = pls.tail_half_solved();
    schur.back_solve(solution_);
    schur.multiply_template(T, false, solution_);
    QF_ = solution_;
    schur.multiply_S0(solution_, rest_);
    rest_ = pls.tail_rhs() - rest_;
    tail_rows_.setZero();
    dense_kernels().multiply_add(P, q, P, 1.0, {W_.data(), P, 1}, {rest_.data(), q, 1}, tail_rows_.data(), P, false,
                                 work_.data());
}

/// Sums over the tail's levels, and c_i of its entries.
void Scores::add_tail(const std::vector<Matrix>& D) {
    const Tail& tail = problem_.tail();
    const Index P = W_.rows();
    for (Index J = 0; J < tail.n_blocks(); ++J)
        add_level(tail_rows_.data() + tail.block_start[J] * P, tail.block_factor[J],
                  tail.block_start[J + 1] - tail.block_start[J]);
    const auto& entries = problem_.layout().entries();
    c_tail_.setZero();
    for (std::size_t i = 0; i < entries.size(); ++i)
        for (const Index block : tail.block_of[entries[i].factor]) {
            const Index first = tail.block_start[block], c = D[i].rows();
            for (Index x = 0; x < c; ++x)
                for (Index y = 0; y < c; ++y)
                    c_tail_(first + x, i) += D[i](x, y) * tail_rows_(first + y, P - 1);
        }
}

/// What the tail adds to c_i'Z'V^-1Z c_j: with r_i = A2g N_g c_i (leading) or S0 c_i (tail) and h_i = L^-1 T2'r_i,
/// c_i'r_j for an entry i of the tail, less h_i'h_j.
void Scores::project_tail(PenalizedLeastSquares& pls, const Templates& T) {
    SchurComplement& schur = pls.schur();
    const auto& entries = problem_.layout().entries();
    const Index m = information_.rows(), q = problem_.tail().q();
    schur.multiply_S0(c_tail_, Zc_);
    for (const Index i : leading_entries_)
        Zc_.col(i) = Zc_rows_.col(i);
    for (Index i = 0; i < m; ++i)
        for (Index j = 0; j < m; ++j) {
            if (entries[i].factor == 0 || (entries[j].factor != 0 && j > i))
                continue;
            information_(std::max(i, j), std::min(i, j)) = c_tail_.col(i).dot(Zc_.col(j));
        }
    half_ = Zc_;
    schur.multiply_template(T, true, half_);
    schur.half_solve(half_);
    dense_kernels().multiply_add(m, m, q, -1.0, {half_.data(), q, 1}, {half_.data(), 1, q}, information_.data(), m,
                                 true, work_.data());
}

}  // namespace pymixed
