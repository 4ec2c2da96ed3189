#pragma once
// Responses of a mixed model at given parameters, a stream of random numbers per replicate; see pymixed/refit.hpp for
// the equations. Writes them in the order of the sorted rows.

#include "pymixed/random.hpp"
#include "pymixed/refit.hpp"
#include "sorted_rows.hpp"

namespace pymixed {

/// offset + X beta of the sorted rows; beta in the user's coordinates.
Vector fixed_predictor(const Problem& problem, const SortedRows& rows, const Vector& beta);

/// Responses of a linear mixed model.
class LinearSimulation {
 public:
    /// @param pools  null: normal random effects and residuals. Borrowed.
    LinearSimulation(const Problem& problem, const SortedRows& rows, const ModelPoint& truth,
                     const ResidualPools* pools);

    void write(Random random, Vector& y) const;

 private:
    void draw_effects(Random& random, Vector& b) const;

    const Problem& problem_;
    const SortedRows& rows_;
    const ResidualPools* pools_;
    Vector mean_;
    Templates T_;  // sigma T, or the change of basis of the pools' modes
    double sigma_;
};

/// Responses of a generalized linear mixed model.
class GeneralizedSimulation {
 public:
    /// @throws std::invalid_argument  a family that cannot be simulated
    GeneralizedSimulation(const GeneralizedProblem& problem, const ModelPoint& truth);

    void write(Random random, Vector& y) const;

 private:
    const GeneralizedProblem& problem_;
    Vector mean_, zeta_;
    Templates T_;
    std::unique_ptr<Family> family_;
};

}  // namespace pymixed
