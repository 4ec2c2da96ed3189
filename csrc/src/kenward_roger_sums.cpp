// Sums over the levels of the leading factor, and what all of it costs.

#include "kenward_roger_sums.hpp"

#include <Eigen/SVD>
#include <algorithm>
#include <numeric>

#include "kenward_roger_pairs.hpp"

namespace pymixed {

KenwardRogerSums::KenwardRogerSums(Deviance& deviance, const TailComponents& components,
                                   const std::vector<ColumnPair>& pairs)
    : problem_(deviance.problem()),
      components_(components),
      pairs_(pairs),
      pls_(*deviance.pls_),
      scores_(*deviance.scores_),
      templates_(deviance.parameters_->T()),
      p_(problem_.p()),
      n_leading_(count_leading(pairs)),
      n_threads_(deviance.n_threads()) {
    const Index n_pairs = static_cast<Index>(pairs.size()), n_tail = n_pairs - n_leading_;
    P_.setZero(p_, n_pairs * p_);
    Q_.setZero(n_pairs * p_, n_pairs * p_);
    T_.setZero(n_pairs, n_pairs);
    trace_.setZero(n_pairs);
    Index largest = std::max(PenalizedLeastSquares::batch * problem_.leading().c, n_pairs * p_);
    if (problem_.has_tail()) {
        const Index q = problem_.tail().q(), q_c = components.largest();
        leading_sums_.setZero(q, n_leading_ * p_);
        tail_sums_.setZero(q, n_tail * p_);
        for (auto& buffer : buffers_)
            buffer.resize(q_c * q_c);
        product_.resize(q_c, std::max(n_leading_, n_tail) * p_);
        largest = std::max(largest, q);
    }
    kernel_memory_.resize(n_threads_ * dense_workspace_size(largest, largest, largest));
}

KenwardRogerCost KenwardRogerSums::cost(const Problem& problem, const TailComponents& components,
                                        const std::vector<ColumnPair>& pairs) {
    constexpr double indexed = 4.0;  // an operation on gathered or scattered entries, in operations of a dense product
    const Leading& lead = problem.leading();
    const double c = static_cast<double>(lead.c), p = static_cast<double>(problem.p());
    const double n_leading = static_cast<double>(count_leading(pairs));
    const double n_pairs = static_cast<double>(pairs.size()), n_tail = n_pairs - n_leading;
    const double levels = static_cast<double>(lead.n_levels), width = n_leading * p;
    double operations = levels * c * (2.0 * p * p + width * (width + 2.0 * p) + indexed * c * width);
    double doubles = 4.0 * n_pairs * p * n_pairs * p;
    if (problem.has_tail()) {
        const Tail& tail = problem.tail();
        const double q = static_cast<double>(tail.q()), couplings = static_cast<double>(tail.coupling_row.size());
        double products = 0.0;  // of pairs of rows that couple to one level
        for (Index g = 0; g < lead.n_levels; ++g) {
            const double count = static_cast<double>(tail.coupling_start[g + 1] - tail.coupling_start[g]);
            products += count * (count + 1.0) / 2.0;
        }
        // D_u, and sweeps over Q, Q D_u Q and R'U_vR
        operations += indexed * products * c * (2.0 * n_leading + n_tail + 1.0) + indexed * couplings * c * width;
        for (Index k = 0; k < components.n(); ++k) {
            const double q_c = static_cast<double>(components.size(k));
            double share = 0.0;  // rows of R that the tail's pairs multiply, over q_c
            for (const ColumnPair& pair : pairs)
                for (Index i = components.run_start[k]; i < components.run_start[k + 1]; ++i)
                    if (components.runs[i].factor == pair.factor)
                        share +=
                            static_cast<double>(components.runs[i].n_levels) * (pair.x == pair.y ? 1.0 : 2.0) / q_c;
            operations += q_c * q_c * q_c * (2.0 + 3.0 * n_leading + share);
            operations += q_c * q_c * p * (4.0 * n_leading + 2.0 * n_tail + n_tail * n_tail) + 5000.0 * n_pairs;
        }
        operations += q * (n_pairs * p) * (n_pairs * p);
        const double q_c = static_cast<double>(components.largest());
        doubles += static_cast<double>(n_buffers) * q_c * q_c + q * n_pairs * p +
                   q_c * std::max(n_leading, n_tail) * p + couplings * (c + 0.5) + 2.0 * q;
    }
    return {8.0 * doubles, operations};
}

bool KenwardRogerSums::compute(const std::function<bool()>& interrupted) {
    add_patterns();
    if (problem_.has_tail())
        place_couplings();
    add_leading_levels();
    if (problem_.has_tail()) {
        take_roots();
        place_tail_rows();
        for (Index k = 0; k < components_.n(); ++k)
            if (!add_component(k, interrupted))
                return false;
    }
    Q_.triangularView<Eigen::StrictlyUpper>() = Q_.transpose();
    T_.triangularView<Eigen::StrictlyUpper>() = T_.transpose();
    return true;
}

/// T2 with orthogonal columns: T2^-T of a nearly singular template then cancels nothing, rows of S^-1 T2' being as
/// small as the columns that they are divided by.
void KenwardRogerSums::take_roots() {
    constexpr double least = 1e-11;  // in place of zero; the columns' units are those of the data
    T2_ = templates_;
    T2_transposed_ = T2_inverse_transposed_ = T2_;
    for (std::size_t f = 1; f < T2_.size(); ++f) {
        const Eigen::JacobiSVD<Matrix> svd(templates_[f], Eigen::ComputeFullU);
        const Vector values = svd.singularValues().cwiseMax(least);
        T2_[f] = svd.matrixU() * values.asDiagonal();
        T2_transposed_[f] = T2_[f].transpose();
        T2_inverse_transposed_[f] = svd.matrixU() * values.cwiseInverse().asDiagonal();
    }
}

void KenwardRogerSums::multiply_add(Index m, Index n, Index k, double sign, Operand A, Operand B, double* C, Index ldc,
                                    bool lower) {
    dense_kernels().multiply_add(
        m, n, k, sign, A, B, C, ldc, lower,
        {kernel_memory_.data(), kernel_memory_.size() / static_cast<std::size_t>(n_threads_), n_threads_});
}

/// What the leading factor has on its own: sum_g tr(U_uA_gN_gU_vA_gN_g) and tr(U_uA_gN_g).
void KenwardRogerSums::add_patterns() {
    const Leading& lead = problem_.leading();
    for (Index k = 0; k < lead.n_patterns; ++k) {
        const double* AN = pls_.leading().AN(k);
        for (Index u = 0; u < n_leading_; ++u) {
            trace_[u] += lead.count[k] * pair_trace(pairs_[u], AN, lead.c);
            for (Index v = 0; v <= u; ++v)
                T_(u, v) += lead.count[k] * pair_trace(pairs_[u], AN, pairs_[v], AN, lead.c);
        }
    }
}

/// P and the first part of Q, sum_g G_g'U_uA_gN_gU_vG_g, a batch of levels at a time; sums of C_gU_uG_g.
void KenwardRogerSums::add_leading_levels() {
    const Leading& lead = problem_.leading();
    const Index c = lead.c, P = lead.P, width = n_leading_ * p_;
    const Index batch = PenalizedLeastSquares::batch;
    RowMatrix UG(std::min(batch, lead.n_levels) * c, width), ANUG(UG.rows(), width);
    UG.setZero();  // the rows that a pair does not use stay so
    for (Index first = 0; first < lead.n_levels; first += batch) {
        const Index last = std::min(first + batch, lead.n_levels), rows = (last - first) * c;
        const double* G = scores_.leading_rows(pls_, first, last).data();
        for (Index g = 0; g < last - first; ++g) {
            for (Index u = 0; u < n_leading_; ++u) {
                const auto [f, x, y] = pairs_[u];
                std::copy_n(G + (g * c + y) * P, p_, UG.data() + (g * c + x) * width + u * p_);
                std::copy_n(G + (g * c + x) * P, p_, UG.data() + (g * c + y) * width + u * p_);
            }
            const ConstMatrixMap AN(pls_.leading().AN(lead.pattern[first + g]), c, c);  // symmetric
            ANUG.middleRows(g * c, c).noalias() = AN.lazyProduct(UG.middleRows(g * c, c));
        }
        multiply_add(p_, width, rows, -1.0, {G, 1, P}, {UG.data(), width, 1}, P_.data(), p_);
        multiply_add(width, width, rows, 1.0, {UG.data(), 1, width}, {ANUG.data(), width, 1}, Q_.data(), Q_.rows(),
                     true);
        if (!problem_.has_tail())
            continue;
        const Tail& tail = problem_.tail();
        for (Index g = first; g < last; ++g)
            for (Index i = tail.coupling_start[g]; i < tail.coupling_start[g + 1]; ++i) {
                double* sum = leading_sums_.data() + place_[i] * width;
                for (Index a = 0; a < c; ++a) {
                    const double value = C_[i * c + a];
                    const double* row = UG.data() + ((g - first) * c + a) * width;
                    for (Index l = 0; l < width; ++l)
                        sum[l] += value * row[l];
                }
            }
    }
}

/// Positions and C_g of the couplings.
void KenwardRogerSums::place_couplings() {
    const Leading& lead = problem_.leading();
    const Tail& tail = problem_.tail();
    const Index c = lead.c;
    place_.resize(tail.coupling_row.size());
    C_.assign(place_.size() * c, 0.0);
    std::vector<Index> order;
    for (Index g = 0; g < lead.n_levels; ++g) {
        const Index first = tail.coupling_start[g], count = tail.coupling_start[g + 1] - first;
        const auto position = [&](Index i) { return components_.position[tail.coupling_row[first + i]]; };
        order.resize(count);
        std::iota(order.begin(), order.end(), Index{0});
        std::sort(order.begin(), order.end(), [&](Index i, Index j) { return position(i) < position(j); });
        const double* N = pls_.leading().N(lead.pattern[g]);
        for (Index i = 0; i < count; ++i) {
            place_[first + i] = position(order[i]);
            const double* value = tail.values.coupling.data() + (first + order[i]) * c;
            for (Index a = 0; a < c; ++a)
                for (Index b = 0; b < c; ++b)
                    C_[(first + i) * c + b] += value[a] * N[a * c + b];
        }
    }
}

/// U_uG of the tail's pairs, and their P.
void KenwardRogerSums::place_tail_rows() {
    const Index q = problem_.tail().q(), n_tail = static_cast<Index>(pairs_.size()) - n_leading_, width = n_tail * p_;
    RowMatrix G(q, p_);
    for (Index i = 0; i < q; ++i)
        G.row(i) = scores_.tail_rows().row(components_.row[i]).head(p_);
    for (Index k = 0; k < components_.n(); ++k)
        for (Index r = components_.run_start[k]; r < components_.run_start[k + 1]; ++r) {
            const TailComponents::Run& run = components_.runs[r];
            const Index c = problem_.layout().factors()[run.factor].n_cols, first = components_.start[k] + run.first;
            for (Index u = 0; u < n_tail; ++u) {
                const auto [f, x, y] = pairs_[n_leading_ + u];
                if (f != run.factor)
                    continue;
                for (Index row = first; row < first + run.n_levels * c; row += c) {
                    tail_sums_.row(row + x).segment(u * p_, p_) = G.row(row + y);
                    tail_sums_.row(row + y).segment(u * p_, p_) = G.row(row + x);
                }
            }
        }
    multiply_add(p_, width, q, -1.0, {G.data(), 1, p_}, {tail_sums_.data(), width, 1}, P_.data() + n_leading_ * p_ * p_,
                 p_);
}

}  // namespace pymixed
