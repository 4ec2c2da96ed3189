#include "gauss_hermite.hpp"

#include <Eigen/Eigenvalues>
#include <cmath>

namespace pymixed {

GaussHermite::GaussHermite(Index n) : nodes(n), weights(n) {
    Vector off_diagonal(n - 1);
    for (Index k = 1; k < n; ++k)
        off_diagonal[k - 1] = std::sqrt(static_cast<double>(k));
    Eigen::SelfAdjointEigenSolver<Matrix> eigen;
    eigen.computeFromTridiagonal(Vector::Zero(n), off_diagonal, Eigen::EigenvaluesOnly);
    const double root_n = std::sqrt(static_cast<double>(n));
    for (Index i = 0; i < n; ++i) {
        double x = eigen.eigenvalues()[i];
        if (2 * i + 1 == n)
            x = 0.0;
        double sum = 0.0;
        for (int polish = 0; polish < 3; ++polish) {
            // orthonormal polynomials: sqrt(k + 1) h_k+1 = x h_k - sqrt(k) h_k-1
            double previous = 0.0, current = 1.0;
            sum = 0.0;
            for (Index k = 0; k < n; ++k) {
                sum += current * current;
                const double next = (x * current - std::sqrt(static_cast<double>(k)) * previous) /
                                    std::sqrt(static_cast<double>(k + 1));
                previous = current;
                current = next;
            }
            if (polish < 2)
                x -= current / (root_n * previous);
        }
        nodes[i] = x;
        weights[i] = 1.0 / sum;
    }
    nodes = (0.5 * (nodes - nodes.reverse())).eval();
    weights = (0.5 * (weights + weights.reverse())).eval();
}

}  // namespace pymixed
