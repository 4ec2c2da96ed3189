#include "leading.hpp"

#include <Eigen/Cholesky>
#include <cmath>
#include <cstring>
#include <numeric>

#include "small_matrix.hpp"

namespace pymixed {

Leading::Leading(const CrossProducts& products)
    : c(products.layout().factors()[0].n_cols),
      n_levels(products.layout().factors()[0].n_levels),
      P(products.p() + 1),
      pattern(n_levels) {
    const Index size = packed(c, 0);
    const double* ZtZ = products.factor(0).ZtZ.data();
    // open addressing on the bits of a level's block
    Index slots = 16;
    while (slots < 2 * n_levels)
        slots *= 2;
    std::vector<std::int32_t> table(slots, -1), first_level;
    for (Index g = 0; g < n_levels; ++g) {
        const double* a = ZtZ + g * size;
        std::uint64_t hash = 1469598103934665603u;
        for (Index i = 0; i < size; ++i) {
            std::uint64_t bits;
            std::memcpy(&bits, a + i, sizeof bits);
            hash = (hash ^ bits ^ (bits >> 29)) * 0x9E3779B97F4A7C15u;
            hash ^= hash >> 32;
        }
        Index slot = static_cast<Index>(hash) & (slots - 1);
        while (table[slot] >= 0 && std::memcmp(a, ZtZ + first_level[table[slot]] * size, size * sizeof(double)) != 0)
            slot = (slot + 1) & (slots - 1);
        if (table[slot] < 0) {
            table[slot] = static_cast<std::int32_t>(n_patterns++);
            first_level.push_back(static_cast<std::int32_t>(g));
            count.push_back(0.0);
        }
        pattern[g] = table[slot];
        count[table[slot]] += 1.0;
    }
    A.resize(n_patterns * c * c);
    for (Index k = 0; k < n_patterns; ++k) {
        const double* a = ZtZ + first_level[k] * size;
        for (Index i = 0; i < c; ++i)
            for (Index j = 0; j <= i; ++j)
                A[k * c * c + i * c + j] = A[k * c * c + j * c + i] = a[packed(i, j)];
    }
}

void Leading::sum_moments(const double* B) {
    moments.assign(n_patterns * packed(c, 0) * P * P, 0.0);
    for (Index g = 0; g < n_levels; ++g) {
        const double* b = B + g * c * P;
        double* out = moments.data() + pattern[g] * packed(c, 0) * P * P;
        for (Index i = 0; i < c; ++i)
            for (Index j = 0; j <= i; ++j)
                for (Index k = 0; k < P; ++k)
                    for (Index l = 0; l < P; ++l)
                        *out++ += b[i * P + k] * b[j * P + l];
    }
}

bool Leading::is_positive_definite(const Matrix& T) const {
    Matrix M(c, c);
    for (Index k = 0; k < n_patterns; ++k) {
        M = T.transpose() * ConstMatrixMap(A.data() + k * c * c, c, c) * T;
        M.diagonal().array() += 1.0;
        if (M.llt().info() != Eigen::Success)
            return false;
    }
    return true;
}

Leading::Leading(Index c, Index n_levels)
    : c(c),
      n_levels(n_levels),
      P(0),
      n_patterns(n_levels),
      pattern(n_levels),
      A(n_levels * c * c),
      count(n_levels, 1.0) {
    std::iota(pattern.begin(), pattern.end(), std::int32_t{0});
}

LeadingInverse::LeadingInverse(const Leading& leading)
    : leading_(leading),
      size_(leading.c * leading.c),
      K_(leading.n_patterns * size_),
      N_(leading.n_patterns * size_),
      AN_(leading.n_patterns * size_),
      work_(2 * size_) {}

template <Index C>
void LeadingInverse::invert(const Matrix& T) {
    const Index c = C > 0 ? C : leading_.c;
    double* Sigma = work_.data();
    double* M = Sigma + size_;
    for (Index i = 0; i < c; ++i)
        for (Index j = 0; j < c; ++j) {
            double sum = 0.0;
            for (Index k = 0; k < c; ++k)
                sum += T(i, k) * T(j, k);
            Sigma[i * c + j] = sum;
        }
    // the product of many determinants, its logarithm taken only before it could overflow
    double product = 1.0, log_sum = 0.0;
    for (Index p = 0; p < leading_.n_patterns; ++p) {
        const double* A = leading_.A.data() + p * size_;
        double* N = N_.data() + p * size_;
        double* K = K_.data() + p * size_;
        double* AN = AN_.data() + p * size_;
        for (Index i = 0; i < c; ++i)
            for (Index j = 0; j < c; ++j) {
                double sum = i == j ? 1.0 : 0.0;
                for (Index k = 0; k < c; ++k)
                    sum += Sigma[i * c + k] * A[k * c + j];
                M[i * c + j] = sum;
            }
        const double determinant = invert_small<C>(c, M, N);
        if (!(determinant > 0.0)) {
            product = std::nan("");  // negative weights can do this
        } else if (leading_.count[p] == 1.0 && determinant < 1e100) {
            product *= determinant;
            if (product > 1e200) {
                log_sum += std::log(product);
                product = 1.0;
            }
        } else {
            log_sum += leading_.count[p] * std::log(determinant);
        }
        for (Index i = 0; i < c; ++i)
            for (Index j = 0; j <= i; ++j) {
                double k_sum = 0.0, a_sum = 0.0;
                for (Index k = 0; k < c; ++k) {
                    k_sum += N[i * c + k] * Sigma[k * c + j];
                    a_sum += A[i * c + k] * N[k * c + j];
                }
                K[i * c + j] = K[j * c + i] = k_sum;
                AN[i * c + j] = AN[j * c + i] = a_sum;
            }
    }
    log_determinant_ = log_sum + std::log(product);
}

void LeadingInverse::update(const Matrix& T) {
    switch (leading_.c) {
        case 1:
            invert<1>(T);
            break;
        case 2:
            invert<2>(T);
            break;
        case 3:
            invert<3>(T);
            break;
        default:
            invert<0>(T);
    }
}

}  // namespace pymixed
