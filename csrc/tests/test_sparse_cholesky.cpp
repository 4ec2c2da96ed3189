// The sparse factor, its solves and its selected inverse against dense arithmetic.
#include "check.hpp"

#include <Eigen/Cholesky>
#include <random>

#include "sparse_cholesky.hpp"

namespace {

using namespace pymixed;

/// A lower triangle, true where A may differ from zero.
using Mask = Eigen::Matrix<bool, Eigen::Dynamic, Eigen::Dynamic>;

std::mt19937_64 bits(7);
double uniform() {
    return static_cast<double>(bits() >> 11) * 0x1p-52 - 1.0;
}

/// Where the factor differs from zero: eliminating column k joins all rows below it.
Mask closed_under_fill(Mask mask) {
    const Index n = mask.rows();
    for (Index k = 0; k < n; ++k) {
        mask(k, k) = true;
        for (Index j = k + 1; j < n; ++j)
            for (Index i = j; i < n; ++i)
                mask(i, j) = mask(i, j) || (mask(i, k) && mask(j, k));
    }
    return mask;
}

SparsePattern pattern_of(const Mask& mask) {
    SparsePattern out;
    for (Index j = 0; j < mask.cols(); ++j) {
        for (Index i = j; i < mask.rows(); ++i)
            if (mask(i, j))
                out.row.push_back(static_cast<std::int32_t>(i));
        out.start.push_back(static_cast<Index>(out.row.size()));
    }
    return out;
}

std::vector<double> gather(const SparsePattern& pattern, const Matrix& A) {
    std::vector<double> out;
    for (Index j = 0; j < pattern.n(); ++j)
        for (Index p = pattern.start[j]; p < pattern.start[j + 1]; ++p)
            out.push_back(A(pattern.row[p], j));
    return out;
}

/// A positive definite matrix on the mask; strong diagonal, so that all errors are a few roundings.
Matrix fill(const Mask& mask) {
    const Index n = mask.rows();
    Matrix A = Matrix::Zero(n, n);
    for (Index j = 0; j < n; ++j)
        for (Index i = j + 1; i < n; ++i)
            if (mask(i, j))
                A(i, j) = A(j, i) = uniform();
    A.diagonal() = A.cwiseAbs().rowwise().sum().array() + 1.0;
    return A;
}

double largest_difference(const std::vector<double>& a, const std::vector<double>& b) {
    const Eigen::Map<const Vector> x(a.data(), a.size()), y(b.data(), b.size());
    return (x - y).cwiseAbs().maxCoeff<Eigen::PropagateNaN>();
}

void check_against_dense(const Mask& mask) {
    const Index n = mask.rows();
    const SparsePattern pattern = pattern_of(closed_under_fill(mask));
    SparseCholesky sparse(pattern);
    for (int round = 0; round < 2; ++round) {  // the workspace must come out of a round as it went in
        const Matrix A = fill(mask);
        const Matrix L = A.llt().matrixL(), inverse = A.llt().solve(Matrix::Identity(n, n));
        const double tolerance = 1e-15 * static_cast<double>(n + 3) * A.diagonal().maxCoeff();
        std::vector<double> values = gather(pattern, A);
        CHECK(sparse.factor(values.data()));
        CHECK(largest_difference(values, gather(pattern, L)) <= tolerance);

        Matrix B(n, 3);
        for (Index i = 0; i < B.size(); ++i)
            B.data()[i] = uniform();
        Matrix forward = B, backward = B;
        sparse.solve_lower(values.data(), 3, forward.data());
        sparse.solve_lower_transposed(values.data(), 3, backward.data());
        CHECK((L * forward - B).cwiseAbs().maxCoeff<Eigen::PropagateNaN>() <= tolerance);
        CHECK((L.transpose() * backward - B).cwiseAbs().maxCoeff<Eigen::PropagateNaN>() <= tolerance);

        std::vector<double> apart(values.size());
        sparse.selected_inverse(values.data(), apart.data());
        CHECK(largest_difference(apart, gather(pattern, inverse)) <= tolerance);
        sparse.selected_inverse(values.data(), values.data());
        CHECK(values == apart);
    }
}

Mask tridiagonal(Index n) {
    Mask mask = Mask::Zero(n, n);
    for (Index j = 0; j + 1 < n; ++j)
        mask(j + 1, j) = true;
    return mask;
}

}  // namespace

TEST("tridiagonal by hand") {
    // A = tridiag(-1, 2, -1): L_jj^2 = (j + 2)/(j + 1), and (A^-1)_ij = (j + 1)(n - i)/(n + 1) for i >= j from 0
    const Index n = 9;
    const SparsePattern pattern = pattern_of(closed_under_fill(tridiagonal(n)));
    SparseCholesky sparse(pattern);
    std::vector<double> values;
    for (Index j = 0; j < n; ++j) {
        values.push_back(2.0);
        if (j + 1 < n)
            values.push_back(-1.0);
    }
    CHECK(sparse.factor(values.data()));
    for (Index j = 0; j < n; ++j)
        CHECK_CLOSE(values[pattern.start[j]], std::sqrt((j + 2.0) / (j + 1.0)), 1e-15);
    sparse.selected_inverse(values.data(), values.data());
    for (Index j = 0; j < n; ++j)
        for (Index p = pattern.start[j]; p < pattern.start[j + 1]; ++p)
            CHECK_CLOSE(values[p], (j + 1.0) * (n - pattern.row[p]) / (n + 1.0), 1e-14);
}

TEST("an arrow with its point last has no fill, by hand") {
    // diagonal 2, last row 1, last pivot n: the Schur complement is n - (n - 1)/2 = (n + 1)/2
    const Index n = 6;
    Mask mask = Mask::Zero(n, n);
    mask.row(n - 1).setConstant(true);
    const SparsePattern pattern = pattern_of(closed_under_fill(mask));
    CHECK(static_cast<Index>(pattern.row.size()) == 2 * n - 1);
    SparseCholesky sparse(pattern);
    std::vector<double> values;
    for (Index j = 0; j + 1 < n; ++j)
        values.insert(values.end(), {2.0, 1.0});
    values.push_back(static_cast<double>(n));
    CHECK(sparse.factor(values.data()));
    CHECK_CLOSE(values.back(), std::sqrt((n + 1.0) / 2.0), 1e-15);
    sparse.selected_inverse(values.data(), values.data());
    const double corner = 2.0 / (n + 1.0);
    CHECK_CLOSE(values.back(), corner, 1e-15);
    for (Index j = 0; j + 1 < n; ++j) {
        CHECK_CLOSE(values[2 * j], 0.5 + 0.25 * corner, 1e-15);
        CHECK_CLOSE(values[2 * j + 1], -0.5 * corner, 1e-15);
    }
}

TEST("tridiagonal, arrow with its point first, dense and diagonal patterns") {
    for (const Index n : {1, 2, 3, 17}) {
        Mask arrow = Mask::Zero(n, n);
        arrow.col(0).setConstant(true);
        check_against_dense(tridiagonal(n));
        check_against_dense(arrow);
        check_against_dense(Mask::Constant(n, n, true));
        check_against_dense(Mask::Zero(n, n));
    }
}

TEST("random patterns") {
    for (const Index n : {5, 20, 60})
        for (const double density : {0.02, 0.1, 0.3}) {
            Mask mask = Mask::Zero(n, n);
            for (Index j = 0; j < n; ++j)
                for (Index i = j + 1; i < n; ++i)
                    mask(i, j) = 0.5 * (uniform() + 1.0) < density;
            check_against_dense(mask);
        }
}

TEST("a pivot that is not positive is refused, and the workspace serves again") {
    const Mask mask = tridiagonal(8);
    const SparsePattern pattern = pattern_of(closed_under_fill(mask));
    SparseCholesky sparse(pattern);
    const Matrix A = fill(mask);
    for (const double pivot : {0.0, -1.0, std::nan("")})
        for (const Index at : {0, 3, 7}) {
            Matrix broken = A;
            broken(at, at) = pivot;
            std::vector<double> values = gather(pattern, broken);
            CHECK(!sparse.factor(values.data()));
            values = gather(pattern, A);
            CHECK(sparse.factor(values.data()));
            CHECK(largest_difference(values, gather(pattern, A.llt().matrixL())) <= 1e-14);
        }
}
