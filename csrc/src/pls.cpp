#include "pls.hpp"

#include <algorithm>
#include <cmath>

namespace pymixed {

PenalizedLeastSquares::PenalizedLeastSquares(const Problem& problem, int n_threads)
    : problem_(problem), response_(problem.response()), kernels_(dense_kernels()), leading_(problem.leading()) {
    const Leading& lead = problem.leading();
    const Index P = lead.P, p = P - 1, rows = std::min(batch, lead.n_levels) * lead.c;
    VXy_.resize(P, P);
    RX_inverse_.resize(p, p);
    beta_.resize(p);
    std::size_t size = dense_workspace_size(P, P, std::max(P, rows));
    if (!lead.use_moments())
        KB_.resize(rows, P);
    if (problem.has_tail()) {
        const Tail& tail = problem.tail();
        schur_ = std::make_unique<SchurComplement>(tail, tail.values, lead.c, n_threads);
        tail_rhs_.resize(tail.q(), P);
        tail_half_solved_.resize(tail.q(), P);
        size = std::max(size, dense_workspace_size(P, P, tail.q()));
    }
    work_.resize(size);
}

/// VXy -= sum_g B_g'K_gB_g and F -= sum_g A2g K_gB_g, a batch of levels at a time.
void PenalizedLeastSquares::add_levels() {
    const Leading& lead = problem_.leading();
    const Index c = lead.c, P = lead.P;
    for (Index first = 0; first < lead.n_levels; first += batch) {
        const Index last = std::min(first + batch, lead.n_levels);
        for (Index g = first; g < last; ++g) {
            const double* K = leading_.K(lead.pattern[g]);
            const double* B = response_.leading + g * c * P;
            double* KB = KB_.data() + (g - first) * c * P;
            for (Index i = 0; i < c; ++i, KB += P) {
                const double k = K[i * c];
                for (Index l = 0; l < P; ++l)
                    KB[l] = k * B[l];
                for (Index j = 1; j < c; ++j) {
                    const double other = K[i * c + j];
                    for (Index l = 0; l < P; ++l)
                        KB[l] += other * B[j * P + l];
                }
            }
            if (schur_ == nullptr)
                continue;
            const Tail& tail = problem_.tail();
            KB = KB_.data() + (g - first) * c * P;
            for (Index i = tail.coupling_start[g]; i < tail.coupling_start[g + 1]; ++i) {
                double* out = tail_rhs_.data() + tail.coupling_row[i] * P;
                for (Index a = 0; a < c; ++a) {
                    const double value = tail.values.coupling[i * c + a];
                    for (Index l = 0; l < P; ++l)
                        out[l] -= value * KB[a * P + l];
                }
            }
        }
        kernels_.multiply_add(P, P, (last - first) * c, -1.0, {response_.leading + first * c * P, 1, P},
                              {KB_.data(), P, 1}, VXy_.data(), P, true, work_.data());
    }
}

/// The same from sums over the levels that share a pattern.
void PenalizedLeastSquares::add_moments() {
    const Leading& lead = problem_.leading();
    const Index c = lead.c, P = lead.P;
    const double* moment = response_.moments;
    for (Index k = 0; k < lead.n_patterns; ++k) {
        const double* K = leading_.K(k);
        for (Index i = 0; i < c; ++i)
            for (Index j = 0; j <= i; ++j, moment += P * P) {
                const double weight = K[i * c + j];
                for (Index b = 0; b < P; ++b)
                    for (Index a = b; a < P; ++a)
                        VXy_(a, b) -= weight * (i == j ? moment[a * P + b] : moment[a * P + b] + moment[b * P + a]);
            }
    }
}

bool PenalizedLeastSquares::update(const Templates& T) {
    const Index P = VXy_.rows();
    leading_.update(T[0]);
    log_determinant_M_ = leading_.log_determinant();
    VXy_ = *response_.XytXy;
    if (schur_ != nullptr)
        tail_rhs_ = *response_.tail;
    if (problem_.leading().use_moments())
        add_moments();
    else
        add_levels();
    if (schur_ != nullptr) {
        if (!schur_->update({leading_.K(0), problem_.leading().pattern.data()}, T))
            return false;
        log_determinant_M_ += schur_->log_determinant();
        tail_half_solved_ = tail_rhs_;
        schur_->multiply_template(T, true, tail_half_solved_);
        schur_->half_solve(tail_half_solved_);
        const Index q = tail_half_solved_.rows();
        kernels_.multiply_add(P, P, q, -1.0, {tail_half_solved_.data(), q, 1}, {tail_half_solved_.data(), 1, q},
                              VXy_.data(), P, true, work_.data());
    }
    if (!kernels_.cholesky(P, VXy_.data(), P, work_.data()))
        return false;
    if (held_.size() > 0)
        miss_held();
    return true;
}

void PenalizedLeastSquares::hold(const Vector& a, double value) {
    held_ = held_direction_ = a;
    held_value_ = value;
    held_miss_ = 0.0;
}

void PenalizedLeastSquares::miss_held() {
    const Index p = VXy_.rows() - 1;
    Vector& h = held_direction_;
    double free = 0.0;  // a'beta = h'c_beta
    for (Index i = 0; i < p; ++i) {
        h[i] = (held_[i] - VXy_.row(i).head(i).dot(h.head(i))) / VXy_(i, i);
        free += h[i] * VXy_(p, i);
    }
    held_size_ = h.norm();
    held_miss_ = (held_value_ - free) / held_size_;
    h /= held_size_;
}

double PenalizedLeastSquares::log_determinant_RX() const {
    return 2.0 * VXy_.diagonal().head(VXy_.rows() - 1).array().log().sum();
}

double PenalizedLeastSquares::pwrss() const {
    const Index p = VXy_.rows() - 1;
    return VXy_(p, p) * VXy_(p, p) + held_miss_ * held_miss_;
}

void PenalizedLeastSquares::solve() {
    const Index p = VXy_.rows() - 1;
    RX_inverse_.setIdentity();
    kernels_.solve_lower(p, p, VXy_.data(), p + 1, RX_inverse_.data(), p);
    RX_inverse_.transposeInPlace();
    for (Index i = 0; i < p; ++i) {
        beta_[i] = 0.0;
        for (Index j = i; j < p; ++j)
            beta_[i] += RX_inverse_(i, j) * VXy_(p, j);
    }
    if (held_.size() > 0)
        beta_ += held_miss_ * (RX_inverse_ * held_direction_);
}

}  // namespace pymixed
