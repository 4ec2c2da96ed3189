#pragma once
// Solutions of A x = b for a small symmetric A that ought to be positive definite: by Cholesky's factor, or where
// rounding has left none (coefficients on their way to infinity) on the eigenvectors that can be told from rounding.

#include <Eigen/Cholesky>
#include <Eigen/Eigenvalues>

#include "pymixed/types.hpp"

namespace pymixed {

class PositiveSolver {
 public:
    void compute(const Matrix& A) {
        llt_.compute(A);
        if (llt_.info() == Eigen::Success)
            return;
        const Eigen::SelfAdjointEigenSolver<Matrix> eigen(A);
        const Vector& values = eigen.eigenvalues();
        const double least = 1e-13 * values.cwiseAbs().maxCoeff();
        const Vector reciprocal = (values.array() > least).select(values.cwiseInverse(), 0.0);
        inverse_ = eigen.eigenvectors() * reciprocal.asDiagonal() * eigen.eigenvectors().transpose();
    }

    template <class Rhs>
    Matrix solve(const Rhs& b) const {
        if (llt_.info() == Eigen::Success)
            return llt_.solve(b);
        return inverse_ * b;
    }

 private:
    Eigen::LLT<Matrix> llt_;
    Matrix inverse_;
};

}  // namespace pymixed
