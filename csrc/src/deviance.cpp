#include "pymixed/deviance.hpp"

#include <Eigen/LU>
#include <algorithm>
#include <cmath>
#include <limits>

#include "pls.hpp"
#include "small_matrix.hpp"

namespace pymixed {

/// Arrays of the derivatives. P = p + 1; "rows" are rows of [G, s], one per random effect.
struct Deviance::Scratch {
    Matrix W;                       // P x P: [RX^-1, (-beta, 1)'], so that [G, s] = E W
    RowMatrix E, GS;                // a batch of leading levels: N'(B_g - A_g2 Q T2), and [G, s]
    Matrix D2, rest, R, half, C;    // tail: Q T2, T2 - S0 Q T2; per entry A c, its half-solve, and c
    RowMatrix D2_rows, tail_GS, R_rows;
    Templates SS, P2, YH;           // per factor: sum s s', sum G G' (REML) + (nu/r^2) s s', T'H
    std::vector<Matrix> U;          // per factor c*c x p: sum of s_x G_y
    std::vector<Matrix> D;          // per entry d_iT T' + T d_iT'
    std::vector<Index> leading_entries;
    std::vector<double> c_i, v_i, leading_R, small, work;
    Matrix base, Gc;                // m x m: c_i'Z'V^-1Z c_j; m x p: c_i'G
    Matrix cross;                   // moments only: c*c x p, sum of (row i of B)'W_x times (row j of B)'w
};

Deviance::Deviance(const Problem& problem, bool reml, int n_threads)
    : problem_(problem),
      reml_(reml),
      pls_(std::make_unique<PenalizedLeastSquares>(problem, n_threads)),
      scratch_(std::make_unique<Scratch>()),
      T_(problem.layout().make_templates()),
      H_(T_) {
    const RandomEffects& layout = problem.layout();
    const Leading& lead = problem.leading();
    const Index m = layout.n_theta(), P = lead.P, p = P - 1;
    theta_.setZero(m);
    lift_.setZero(m);
    lifted_theta_.setZero(m);
    gradient_.setZero(m);
    information_.setZero(m, m);
    curvature_.setZero(m, m);
    Scratch& s = *scratch_;
    s.W.setZero(P, P);
    s.SS = s.P2 = s.YH = T_;
    Index largest = 1;
    for (const auto& factor : layout.factors()) {
        s.U.push_back(Matrix::Zero(factor.n_cols * factor.n_cols, p));
        largest = std::max(largest, factor.n_cols);
    }
    for (Index i = 0; i < m; ++i) {
        const auto& e = layout.entries()[i];
        s.D.push_back(T_[e.factor]);
        if (e.factor == 0) s.leading_entries.push_back(i);
    }
    s.c_i.resize(m * largest);
    s.v_i.resize(largest);
    s.small.resize(2 * largest * largest);
    s.base.setZero(m, m);
    s.Gc.setZero(m, p);
    const Index rows = std::min(PenalizedLeastSquares::batch, lead.n_levels) * lead.c;
    s.E.resize(rows, P);
    s.GS.resize(rows, P);
    if (lead.use_moments()) s.cross.setZero(lead.c * lead.c, p);
    std::size_t work = dense_workspace_size(P, rows, P);
    if (problem.has_tail()) {
        const Index q = problem.tail().q();
        for (Matrix* a : {&s.D2, &s.rest}) a->setZero(q, P);
        for (Matrix* a : {&s.R, &s.half, &s.C}) a->setZero(q, m);
        s.D2_rows.setZero(q, P);
        s.tail_GS.setZero(q, P);
        s.R_rows.setZero(q, m);
        s.leading_R.resize(lead.n_levels * lead.c * lead.c);
        work = std::max({work, dense_workspace_size(m, m, q), dense_workspace_size(P, q, P)});
    }
    s.work.resize(work);
}

Deviance::~Deviance() = default;

void Deviance::load(const Vector& theta, Coordinates coordinates) {
    const RandomEffects& layout = problem_.layout();
    const RandomBasis& basis = problem_.products().random_basis();
    basis_ = coordinates == Coordinates::User ? &basis.user() : &basis.internal();
    theta_ = theta;
    layout.templates_into(theta_, *basis_, T_);
}

/// Behind the leading factor H is found from T'H, for which a template must not be singular. Diagonal entries that are
/// (nearly) zero are lifted to 1e-11 of the columns' natural unit and the factor is renewed: a relative error of that
/// size in H alone, because the gradient is taken as 2 H T with the template as it was given.
void Deviance::lift_templates() {
    const auto& entries = problem_.layout().entries();
    lift_.setZero();
    for (Index i = 0; i < theta_.size(); ++i) {
        const auto& e = entries[i];
        const double least = 1e-11 / (*basis_)[e.factor](e.row, e.row);
        if (e.factor == 0 || e.row != e.col || std::abs(theta_[i]) >= least) continue;
        lift_[i] = std::copysign(least, theta_[i]) - theta_[i];
    }
    if (lift_.isZero(0.0)) return;
    lifted_theta_ = theta_ + lift_;
    problem_.layout().templates_into(lifted_theta_, *basis_, T_);
    pls_->update(T_);
}

double Deviance::evaluate(const Vector& theta, Coordinates coordinates) {
    load(theta, coordinates);
    if (!theta_.allFinite() || !pls_->update(T_)) return value_ = std::numeric_limits<double>::infinity();
    const FixedBasis& basis = problem_.products().fixed_basis();
    constexpr double two_pi = 6.283185307179586476925;
    const double degrees = static_cast<double>(nu());
    value_ = pls_->log_determinant_M() + degrees * (1.0 + std::log(two_pi * pwrss() / degrees)) -
             problem_.products().sum_log_weights();
    if (reml_) value_ += pls_->log_determinant_RX() + 2.0 * basis.R.diagonal().array().log().sum();
    return value_;
}

double Deviance::pwrss() const {
    const double scale = problem_.products().fixed_basis().y_scale;
    return scale * scale * pls_->pwrss();
}

/// E and [G, s] of the leading levels first .. last - 1.
void Deviance::level_rows(Index first, Index last) {
    const Leading& lead = problem_.leading();
    const Index c = lead.c, P = lead.P;
    Scratch& s = *scratch_;
    double* F = s.GS.data();  // scratch: one level at a time, before the product fills it
    for (Index g = first; g < last; ++g) {
        const double* B = lead.B + g * c * P;
        if (problem_.has_tail()) {
            const Tail& tail = problem_.tail();
            std::copy(B, B + c * P, F);
            for (Index i = tail.coupling_start[g]; i < tail.coupling_start[g + 1]; ++i) {
                const double* d = s.D2_rows.data() + tail.coupling_row[i] * P;
                for (Index a = 0; a < c; ++a) {
                    const double value = tail.coupling_value[i * c + a];
                    for (Index l = 0; l < P; ++l) F[a * P + l] -= value * d[l];
                }
            }
            B = F;
        }
        const double* N = pls_->leading().N(lead.pattern[g]);
        double* out = s.E.data() + (g - first) * c * P;
        for (Index y = 0; y < c; ++y, out += P) {
            for (Index l = 0; l < P; ++l) out[l] = N[y] * B[l];
            for (Index j = 1; j < c; ++j)
                for (Index l = 0; l < P; ++l) out[l] += N[j * c + y] * B[j * P + l];
        }
    }
    const Index rows = (last - first) * c;
    std::fill(s.GS.data(), s.GS.data() + rows * P, 0.0);
    dense_kernels().multiply_add(P, rows, P, 1.0, {s.W.data(), P, 1}, {s.E.data(), 1, P}, s.GS.data(), P, false, s.work.data());
}

namespace {

/// Adds one level's rows of [G, s] (c x P, row-major) to the sums of its factor.
void add_level(const double* rows, Index c, Index P, double ratio, bool reml, Matrix& SS, Matrix& P2, Matrix& U) {
    const Index p = P - 1;
    for (Index x = 0; x < c; ++x) {
        const double* row_x = rows + x * P;
        const double s_x = row_x[p];
        for (Index y = 0; y <= x; ++y) {
            const double* row_y = rows + y * P;
            const double ss = s_x * row_y[p];
            double sum = ratio * ss;
            if (reml)
                for (Index k = 0; k < p; ++k) sum += row_x[k] * row_y[k];
            SS(x, y) += ss;
            P2(x, y) += sum;
        }
        for (Index y = 0; y < c; ++y) {
            const double* row_y = rows + y * P;
            double* out = U.data() + x * c + y;
            for (Index k = 0; k < p; ++k) out[k * c * c] += s_x * row_y[k];
        }
    }
}

void symmetrise(Matrix& A) {
    for (Index x = 0; x < A.rows(); ++x)
        for (Index y = 0; y < x; ++y) A(y, x) = A(x, y);
}

}  // namespace

/// Sums over the levels of the leading factor, one by one.
void Deviance::leading_levels() {
    const Leading& lead = problem_.leading();
    const Index c = lead.c, P = lead.P, count = static_cast<Index>(scratch_->leading_entries.size()), m = theta_.size();
    Scratch& s = *scratch_;
    const double ratio = static_cast<double>(nu()) / pls_->pwrss();
    for (Index first = 0; first < lead.n_levels; first += PenalizedLeastSquares::batch) {
        const Index last = std::min(first + PenalizedLeastSquares::batch, lead.n_levels);
        level_rows(first, last);
        for (Index g = first; g < last; ++g) {
            const double* rows = s.GS.data() + (g - first) * c * P;
            add_level(rows, c, P, ratio, reml_, s.SS[0], s.P2[0], s.U[0]);
            const double* AN = pls_->leading().AN(lead.pattern[g]);
            const double* N = pls_->leading().N(lead.pattern[g]);
            for (Index i = 0; i < count; ++i) {
                const Index entry = s.leading_entries[i];
                const double* D = s.D[entry].data();
                double* c_i = s.c_i.data() + i * c;
                for (Index x = 0; x < c; ++x) {
                    c_i[x] = 0.0;
                    for (Index y = 0; y < c; ++y) c_i[x] += D[y * c + x] * rows[y * P + P - 1];
                }
                for (Index x = 0; x < c; ++x) {
                    s.v_i[x] = 0.0;
                    for (Index y = 0; y < c; ++y) s.v_i[x] += AN[x * c + y] * c_i[y];
                }
                for (Index j = 0; j <= i; ++j) {
                    double sum = 0.0;
                    for (Index x = 0; x < c; ++x) sum += s.c_i[j * c + x] * s.v_i[x];
                    s.base(entry, s.leading_entries[j]) += sum;
                }
                if (!problem_.has_tail()) continue;
                const Tail& tail = problem_.tail();
                for (Index x = 0; x < c; ++x) {
                    s.v_i[x] = 0.0;
                    for (Index y = 0; y < c; ++y) s.v_i[x] += N[x * c + y] * c_i[y];
                }
                for (Index k = tail.coupling_start[g]; k < tail.coupling_start[g + 1]; ++k) {
                    double sum = 0.0;
                    for (Index x = 0; x < c; ++x) sum += tail.coupling_value[k * c + x] * s.v_i[x];
                    s.R_rows.data()[tail.coupling_row[k] * m + entry] += sum;
                }
            }
        }
    }
}

/// The same where sums over the levels of a pattern are at hand (one factor only).
void Deviance::leading_moments() {
    const Leading& lead = problem_.leading();
    const Index c = lead.c, P = lead.P, p = P - 1;
    Scratch& s = *scratch_;
    const double ratio = static_cast<double>(nu()) / pls_->pwrss();
    // of the rows before N': b_i'W2 b_j for the two weightings, and (b_i W_x)(b_j'w) for each k
    MatrixMap ss(s.small.data(), c, c), both(s.small.data() + c * c, c, c);
    const auto w = s.W.col(p);
    for (Index k = 0; k < lead.n_patterns; ++k) {
        const double* N = pls_->leading().N(k);
        const double* AN = pls_->leading().AN(k);
        const double* moments = lead.moments.data() + k * packed(c, 0) * P * P;
        for (Index i = 0; i < c; ++i)
            for (Index j = 0; j < c; ++j) {
                const double* M = moments + packed(std::max(i, j), std::min(i, j)) * P * P;
                // M(a, b) = sum of b_hi[a] b_lo[b]
                const Index step_i = i >= j ? P : 1, step_j = i >= j ? 1 : P;
                auto left = s.E.row(0);  // sum over the levels of b_i (b_j'w)
                for (Index a = 0; a < P; ++a) {
                    double sum = 0.0;
                    for (Index b = 0; b < P; ++b) sum += M[a * step_i + b * step_j] * w[b];
                    left[a] = sum;
                }
                double own = 0.0, weighted = 0.0;
                for (Index a = 0; a < P; ++a) own += left[a] * w[a];
                for (Index x = 0; x < p; ++x) {
                    double sum = 0.0;
                    for (Index a = 0; a <= x; ++a) sum += left[a] * s.W(a, x);
                    s.cross(i * c + j, x) = sum;
                }
                if (reml_ && j <= i)
                    for (Index x = 0; x < p; ++x) {
                        for (Index a = 0; a <= x; ++a) {
                            double sum = 0.0;
                            for (Index b = 0; b <= x; ++b) sum += M[a * step_i + b * step_j] * s.W(b, x);
                            weighted += s.W(a, x) * sum;
                        }
                    }
                ss(i, j) = own;
                if (j <= i) both(i, j) = both(j, i) = weighted;
            }
        both += ratio * ss;
        for (Index x = 0; x < c; ++x)
            for (Index y = 0; y < c; ++y) {
                double sum_ss = 0.0, sum_both = 0.0;
                for (Index i = 0; i < c; ++i)
                    for (Index j = 0; j < c; ++j) {
                        const double weight = N[i * c + x] * N[j * c + y];
                        sum_ss += weight * ss(i, j);
                        sum_both += weight * both(i, j);
                        // s_x G_y: the row of G is i here
                        const double turned = N[i * c + y] * N[j * c + x];
                        for (Index l = 0; l < p; ++l) s.U[0](x * c + y, l) += turned * s.cross(i * c + j, l);
                    }
                s.SS[0](x, y) += sum_ss;
                s.P2[0](x, y) += sum_both;
                s.YH[0](x, y) = sum_ss;  // of this pattern alone
            }
        // tr(D_i AN D_j SS) of this pattern
        for (const Index i : s.leading_entries)
            for (const Index j : s.leading_entries) {
                if (j > i) continue;
                double sum = 0.0;
                for (Index a = 0; a < c; ++a)
                    for (Index b = 0; b < c; ++b) {
                        double left_ab = 0.0, right_ba = 0.0;
                        for (Index l = 0; l < c; ++l) {
                            left_ab += s.D[i](a, l) * AN[l * c + b];
                            right_ba += s.D[j](b, l) * s.YH[0](l, a);
                        }
                        sum += left_ab * right_ba;
                    }
                s.base(i, j) += sum;
            }
    }
}

/// Q T2 and [G, s] of the tail, before its factor is inverted.
void Deviance::tail_residuals() {
    Scratch& s = *scratch_;
    SchurComplement& schur = pls_->schur();
    const Index q = problem_.tail().q(), P = problem_.leading().P;
    s.D2 = pls_->tail_half_solved();
    schur.back_solve(s.D2);
    schur.multiply_template(T_, false, s.D2);
    s.D2_rows = s.D2;
    schur.multiply_S0(s.D2, s.rest);
    s.rest = pls_->tail_rhs() - s.rest;
    s.tail_GS.setZero();
    dense_kernels().multiply_add(P, q, P, 1.0, {s.W.data(), P, 1}, {s.rest.data(), q, 1}, s.tail_GS.data(), P, false, s.work.data());
}

/// Sums over the tail's levels and c_i of its entries.
void Deviance::add_tail_levels() {
    Scratch& s = *scratch_;
    const Tail& tail = problem_.tail();
    const Index P = problem_.leading().P;
    const double ratio = static_cast<double>(nu()) / pls_->pwrss();
    for (Index J = 0; J < tail.n_blocks(); ++J) {
        const std::int32_t f = tail.block_factor[J];
        const Index first = tail.block_start[J], c = tail.block_start[J + 1] - first;
        add_level(s.tail_GS.data() + first * P, c, P, ratio, reml_, s.SS[f], s.P2[f], s.U[f]);
    }
    const auto& entries = problem_.layout().entries();
    s.C.setZero();
    for (std::size_t i = 0; i < entries.size(); ++i) {
        if (entries[i].factor == 0) continue;
        for (const Index block : tail.block_of[entries[i].factor]) {
            const Index first = tail.block_start[block], c = s.D[i].rows();
            for (Index x = 0; x < c; ++x)
                for (Index y = 0; y < c; ++y) s.C(first + x, i) += s.D[i](x, y) * s.tail_GS(first + y, P - 1);
        }
    }
}

void Deviance::differentiate() {
    const RandomEffects& layout = problem_.layout();
    const auto& entries = layout.entries();
    const Index m = theta_.size(), p = problem_.p();
    Scratch& s = *scratch_;
    lift_templates();
    pls_->solve();
    s.W.topLeftCorner(p, p) = pls_->RX_inverse();
    s.W.col(p).head(p) = -pls_->beta();
    s.W(p, p) = 1.0;
    for (Index i = 0; i < m; ++i) {
        const auto& e = entries[i];
        const auto a = (*basis_)[e.factor].col(e.row);
        const auto b = T_[e.factor].col(e.col);
        s.D[i].noalias() = a.lazyProduct(b.transpose());
        s.D[i].noalias() += b.lazyProduct(a.transpose());
    }
    for (std::size_t f = 0; f < layout.factors().size(); ++f) {
        s.SS[f].setZero();
        s.P2[f].setZero();
        s.U[f].setZero();
    }
    s.base.setZero();
    if (problem_.has_tail()) {
        s.R_rows.setZero();
        tail_residuals();
    }
    if (problem_.leading().use_moments())
        leading_moments();
    else
        leading_levels();
    if (problem_.has_tail()) add_tail_levels();
    assemble();
}

/// From the sums to gradient and average information.
void Deviance::assemble() {
    const RandomEffects& layout = problem_.layout();
    const auto& entries = layout.entries();
    const Leading& lead = problem_.leading();
    const Index m = theta_.size(), c1 = lead.c;
    Scratch& s = *scratch_;
    for (std::size_t f = 0; f < s.SS.size(); ++f) {
        symmetrise(s.SS[f]);
        symmetrise(s.P2[f]);
    }

    if (problem_.has_tail()) {
        SchurComplement& schur = pls_->schur();
        const Index q = problem_.tail().q();
        schur.multiply_S0(s.C, s.R);
        for (const Index i : s.leading_entries) s.R.col(i) = s.R_rows.col(i);
        for (Index i = 0; i < m; ++i)
            for (Index j = 0; j < m; ++j) {
                if (entries[i].factor == 0 || (entries[j].factor != 0 && j > i)) continue;
                s.base(std::max(i, j), std::min(i, j)) = s.C.col(i).dot(s.R.col(j));
            }
        s.half = s.R;
        schur.multiply_template(T_, true, s.half);
        schur.half_solve(s.half);
        dense_kernels().multiply_add(m, m, q, -1.0, {s.half.data(), q, 1}, {s.half.data(), 1, q}, s.base.data(), m, true,
                                     s.work.data());
        for (Matrix& Y : s.YH) Y.setZero();
        schur.invert(T_, s.YH);  // T'H before the fixed effects and the response, per tail factor
        schur.leading_blocks_into(s.leading_R.data());
    }

    // H of the leading factor
    H_[0].setZero();
    for (Index k = 0; k < lead.n_patterns; ++k)
        H_[0] += lead.count[k] * ConstMatrixMap(pls_->leading().AN(k), c1, c1);
    if (problem_.has_tail()) {
        MatrixMap half(s.small.data(), c1, c1);
        for (Index g = 0; g < lead.n_levels; ++g) {
            const ConstRowMatrixMap N(pls_->leading().N(lead.pattern[g]), c1, c1);
            const ConstMatrixMap R(s.leading_R.data() + g * c1 * c1, c1, c1);
            half.noalias() = R.lazyProduct(N);
            H_[0].noalias() -= N.transpose().lazyProduct(half);
        }
    }
    H_[0] -= s.P2[0];
    s.YH[0].noalias() = T_[0].transpose().lazyProduct(H_[0]);

    for (std::size_t f = 1; f < H_.size(); ++f) {
        const Index c = T_[f].rows();
        MatrixMap copy(s.small.data(), c, c);
        RowMatrixMap inverse(s.small.data() + c * c, c, c);
        copy = T_[f];  // column-major: read by rows it is T'
        invert_small<0>(c, copy.data(), inverse.data());
        H_[f].noalias() = inverse.lazyProduct(s.YH[f]);
        H_[f] -= s.P2[f];
        symmetrise(H_[f]);
        s.YH[f].noalias() -= T_[f].transpose().lazyProduct(s.P2[f]);
    }

    const double r2 = pls_->pwrss(), ratio = static_cast<double>(nu()) / r2;
    double lift = 0.0;
    for (Index i = 0; i < m; ++i) {
        const auto& e = entries[i];
        const auto b = (*basis_)[e.factor].col(e.row);
        if (e.row == e.col) lift = lift_[i];  // a column's diagonal entry comes first
        gradient_[i] = 2.0 * s.YH[e.factor].row(e.col).dot(b);
        if (lift != 0.0)
            gradient_[i] -= 2.0 * lift * b.dot(H_[e.factor].lazyProduct((*basis_)[e.factor].col(e.col)));
        const Index c = s.D[i].rows();
        s.Gc.row(i).setZero();
        for (Index x = 0; x < c; ++x)
            for (Index y = 0; y < c; ++y) s.Gc.row(i) += s.D[i](y, x) * s.U[e.factor].row(x * c + y);
    }
    for (Index i = 0; i < m; ++i)
        for (Index j = 0; j <= i; ++j) {
            const auto &e = entries[i], &o = entries[j];
            const double own = s.D[i].cwiseProduct(s.SS[e.factor]).sum(), other = s.D[j].cwiseProduct(s.SS[o.factor]).sum();
            double value = ratio * (s.base(i, j) - s.Gc.row(i).dot(s.Gc.row(j)) - own * other / r2);
            information_(i, j) = information_(j, i) = value;
            if (e.factor == o.factor && e.col == o.col) {
                const Matrix& B = (*basis_)[e.factor];
                for (Index x = 0; x < B.rows(); ++x) value += 2.0 * B(x, e.row) * H_[e.factor].row(x).dot(B.col(o.row));
            }
            curvature_(i, j) = curvature_(j, i) = value;
        }
}

Matrix Deviance::hessian(const Vector& theta, Coordinates coordinates) {
    const Index m = theta.size();
    const RandomEffects& layout = problem_.layout();
    Matrix H(m, m);
    Vector point = theta;
    load(theta, coordinates);
    for (Index i = 0; i < m; ++i) {
        const auto& e = layout.entries()[i];
        const double unit = 1.0 / (*basis_)[e.factor](e.row, e.row);
        const double step = 3e-5 * std::max(std::abs(theta[i]), 0.1 * unit);
        for (const double sign : {1.0, -1.0}) {
            point[i] = theta[i] + sign * step;
            evaluate(point, coordinates);
            differentiate();
            if (sign > 0.0)
                H.col(i) = gradient_;
            else
                H.col(i) -= gradient_;
        }
        point[i] = theta[i];
        H.col(i) /= 2.0 * step;
    }
    return 0.5 * (H + H.transpose());
}

Vector Deviance::beta() const {
    const FixedBasis& basis = problem_.products().fixed_basis();
    const Index p = problem_.p();
    return basis.U().topLeftCorner(p, p).partialPivLu().solve(basis.gamma + basis.y_scale * pls_->beta());
}

Matrix Deviance::unscaled_covariance() const {
    const Index p = problem_.p();
    const Matrix root = problem_.products().fixed_basis().U().topLeftCorner(p, p).partialPivLu().solve(pls_->RX_inverse());
    return root * root.transpose();
}

std::vector<std::vector<double>> Deviance::modes() {
    const auto& factors = problem_.layout().factors();
    const Leading& lead = problem_.leading();
    const double y_scale = problem_.products().fixed_basis().y_scale;
    const Index P = lead.P;
    const Vector w = scratch_->W.col(P - 1);
    std::vector<std::vector<double>> out(factors.size());
    for (std::size_t f = 0; f < factors.size(); ++f) {
        const Index c = factors[f].n_cols;
        const Matrix C_inverse = y_scale * problem_.products().random_basis().user()[f].inverse();
        std::vector<double> b(factors[f].size());
        for (Index g = 0; g < factors[f].n_levels; ++g) {
            Vector mode(c);
            if (f == 0) {
                RowMatrix F = ConstRowMatrixMap(lead.B + g * c * P, c, P);
                if (problem_.has_tail()) {
                    const Tail& tail = problem_.tail();
                    for (Index i = tail.coupling_start[g]; i < tail.coupling_start[g + 1]; ++i)
                        for (Index a = 0; a < c; ++a)
                            F.row(a) -= tail.coupling_value[i * c + a] * scratch_->D2_rows.row(tail.coupling_row[i]);
                }
                mode = ConstMatrixMap(pls_->leading().K(lead.pattern[g]), c, c) * (F * w);
            } else {
                const Tail& tail = problem_.tail();
                mode = scratch_->D2_rows.middleRows(tail.block_start[tail.block_of[f][g]], c) * w;
            }
            Eigen::Map<Vector>(b.data() + g * c, c) = C_inverse * mode;
        }
        out[factors[f].user_position] = std::move(b);
    }
    return out;
}

std::vector<std::vector<double>> Deviance::conditional_covariances() {
    const auto& factors = problem_.layout().factors();
    const Leading& lead = problem_.leading();
    std::vector<std::vector<double>> out(factors.size());
    for (std::size_t f = 0; f < factors.size(); ++f) {
        const Index c = factors[f].n_cols;
        const Matrix C_inverse = problem_.products().random_basis().user()[f].inverse();
        std::vector<double> blocks(factors[f].size() * c);
        for (Index g = 0; g < factors[f].n_levels; ++g) {
            Matrix V(c, c);
            if (f == 0) {
                V = ConstMatrixMap(pls_->leading().K(lead.pattern[g]), c, c);
                if (problem_.has_tail()) V += (V * ConstMatrixMap(scratch_->leading_R.data() + g * c * c, c, c) * V).eval();
            } else {
                pls_->schur().diagonal_block_into(problem_.tail().block_of[f][g], V);
            }
            MatrixMap(blocks.data() + g * c * c, c, c) = C_inverse * V * C_inverse.transpose();
        }
        out[factors[f].user_position] = std::move(blocks);
    }
    return out;
}

std::vector<Matrix> Deviance::covariance_derivatives() {
    const auto& entries = problem_.layout().entries();
    const Leading& lead = problem_.leading();
    const Index m = theta_.size(), p = problem_.p(), P = p + 1;
    Scratch& s = *scratch_;
    std::vector<Matrix> change(m, Matrix::Zero(p, p));
    const auto add = [&](std::int32_t f, Index c, const double* rows) {  // G_g'D_iG_g
        const ConstRowMatrixMap GS(rows, c, P);
        const auto G = GS.leftCols(p);
        for (Index i = 0; i < m; ++i)
            if (entries[i].factor == f) change[i].noalias() += G.transpose() * (s.D[i] * G);
    };
    for (Index first = 0; first < lead.n_levels; first += PenalizedLeastSquares::batch) {
        const Index last = std::min(first + PenalizedLeastSquares::batch, lead.n_levels);
        level_rows(first, last);
        for (Index g = first; g < last; ++g) add(0, lead.c, s.GS.data() + (g - first) * lead.c * P);
    }
    if (problem_.has_tail()) {
        const Tail& tail = problem_.tail();
        for (Index J = 0; J < tail.n_blocks(); ++J)
            add(tail.block_factor[J], tail.block_start[J + 1] - tail.block_start[J], s.tail_GS.data() + tail.block_start[J] * P);
    }
    const Matrix root = problem_.products().fixed_basis().U().topLeftCorner(p, p).partialPivLu().solve(pls_->RX_inverse());
    for (Matrix& dC : change) dC = (root * dC * root.transpose()).eval();
    return change;
}

Vector Deviance::pwrss_derivatives() const {
    const auto& entries = problem_.layout().entries();
    const double scale = problem_.products().fixed_basis().y_scale;
    Vector out(theta_.size());
    for (Index i = 0; i < out.size(); ++i)
        out[i] = -scale * scale * scratch_->D[i].cwiseProduct(scratch_->SS[entries[i].factor]).sum();
    return out;
}

}  // namespace pymixed
