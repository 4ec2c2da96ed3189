#pragma once
// Derivatives of the rows' log-densities at the modes, with prior weights applied, and the normal equations of the
// parameters that they give.

#include "pirls.hpp"
#include "positive_solver.hpp"
#include "pymixed/generalized_deviance.hpp"

namespace pymixed {

struct RowDerivatives {
    RowDerivatives(Index n, Index n_channels, bool expected);

    /// Where the family's kernel writes.
    FamilyOutput output(int order);
    /// Everything at the modes of `pirls`.
    void evaluate(const Pirls& pirls);

    struct Channel {
        Vector l, d1, weights;  ///< of w log f, w l' and the criterion's weights
        Vector d2, expected;    ///< as the kernel gives them
    };
    bool use_expected;
    Vector l, d1, d2, d3, expected, expected_d1;  ///< as the kernel gives them
    Vector weights, weights_d1;                   ///< the criterion's weights and their derivative in eta
    std::vector<Channel> channels;
    Vector h, v, shift, e;  ///< leverages, h dW/deta, Z Q_o Z'v, v - W_o shift
};

/// For the parameters j of psi (beta among them also where it is profiled): rows -dr/dpsi_j, their sums R = Z'rows,
/// Q R, M^-1 T'R, and the Gram matrix G less R'Q R.
struct NormalEquations {
    Matrix R, QR, UR, P;
    PositiveSolver beta_factor;  ///< of X'V^-1X with the observed weights
};

}  // namespace pymixed
