#pragma once
// Gauss-Hermite quadrature for the standard normal density: E f(X) = sum_k weight_k f(node_k).

#include "pymixed/types.hpp"

namespace pymixed {

struct GaussHermite {
    /// Nodes are the roots of the Hermite polynomial of degree n (eigenvalues of the Jacobi matrix: Golub & Welsch
    /// 1969, Math. Comp. 23, polished by Newton's method), weights the reciprocals of Christoffel's sums, which keep
    /// their relative precision where the weights are tiny.
    explicit GaussHermite(Index n);

    Vector nodes, weights;
};

}  // namespace pymixed
