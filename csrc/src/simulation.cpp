#include "simulation.hpp"

#include <cmath>

#include "template_parameters.hpp"

namespace pymixed {

namespace {

Templates templates_at(const Problem& problem, const Vector& theta) {
    TemplateParameters parameters(problem.layout(), problem.products().random_basis());
    parameters.load(theta, Coordinates::User);
    return parameters.T();
}

/// b = T u for every level, u standard normal.
void draw_normal_effects(const SortedRows& rows, const Templates& T, Random& random, Vector& b) {
    for (std::size_t f = 0; f < T.size(); ++f) {
        const Index c = T[f].rows();
        for (const Index first : rows.first_effect[f]) {
            auto effects = b.segment(first, c);
            effects.setZero();
            for (Index j = 0; j < c; ++j)
                effects += random.normal() * T[f].col(j);
        }
    }
}

}  // namespace

Vector fixed_predictor(const Problem& problem, const SortedRows& rows, const Vector& beta) {
    const Index p = problem.p();
    Vector eta = rows.X * (problem.products().fixed_basis().U().topLeftCorner(p, p) * beta);
    if (rows.offset.size() > 0)
        eta += rows.offset;
    return eta;
}

LinearSimulation::LinearSimulation(const Problem& problem, const SortedRows& rows, const ModelPoint& truth,
                                   const ResidualPools* pools)
    : problem_(problem),
      rows_(rows),
      pools_(pools),
      mean_(fixed_predictor(problem, rows, truth.beta)),
      T_(pools == nullptr ? templates_at(problem, truth.theta) : problem.products().random_basis().user()),
      sigma_(truth.extra[0]) {
    if (pools == nullptr)
        for (Matrix& T : T_)
            T *= sigma_;
}

void LinearSimulation::draw_effects(Random& random, Vector& b) const {
    if (pools_ == nullptr)
        return draw_normal_effects(rows_, T_, random, b);
    for (std::size_t f = 0; f < T_.size(); ++f) {
        const Index c = T_[f].rows();
        const std::vector<double>& modes = pools_->modes[problem_.layout().factors()[f].user_position];
        const auto& first = rows_.first_effect[f];
        for (const Index at : first) {
            const Index level = static_cast<Index>(random.below(first.size()));
            b.segment(at, c).noalias() = T_[f] * Eigen::Map<const Vector>(modes.data() + level * c, c);
        }
    }
}

void LinearSimulation::write(Random random, Vector& y) const {
    Vector b(rows_.q);
    draw_effects(random, b);
    y = mean_;
    rows_.add_Zb(b.data(), y.data());
    const bool weighted = rows_.weights.size() > 0;
    for (Index i = 0; i < rows_.n; ++i) {
        const double e = pools_ == nullptr ? sigma_ * random.normal() : pools_->residuals[random.below(rows_.n)];
        y[i] += weighted ? e / std::sqrt(rows_.weights[i]) : e;
    }
}

GeneralizedSimulation::GeneralizedSimulation(const GeneralizedProblem& problem, const ModelPoint& truth)
    : problem_(problem),
      mean_(fixed_predictor(problem.linear(), problem.rows(), truth.beta)),
      T_(templates_at(problem.linear(), truth.theta)),
      family_(problem.family().clone()) {
    const Index k = family_->n_parameters(), r = problem.n_zero();
    family_->set_parameters(truth.extra.head(k));
    if (family_->zero_inflated())
        zeta_ = problem.rows().X_zero * (problem.rows().zero_basis.U().topLeftCorner(r, r) * truth.extra.tail(r));
}

void GeneralizedSimulation::write(Random random, Vector& y) const {
    const SortedRows& rows = problem_.rows();
    Vector b(rows.q), eta = mean_;
    draw_normal_effects(rows, T_, random, b);
    rows.add_Zb(b.data(), eta.data());
    family_->simulate(rows.n, eta.data(), zeta_.size() > 0 ? zeta_.data() : nullptr,
                      rows.weights.size() > 0 ? rows.weights.data() : nullptr, random, y.data());
}

}  // namespace pymixed
