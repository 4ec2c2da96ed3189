// Simulated data sets for the C++ tests: a design owns its columns and lends them as Rows.
#pragma once

#include <cmath>
#include <cstdint>
#include <random>
#include <utility>
#include <vector>

#include "pymixed/problem.hpp"

namespace designs {

using pymixed::Index;
using pymixed::Matrix;
using pymixed::Vector;

/// Standard normal deviates by Marsaglia's polar method; those of <random> differ from library to library.
class Normal {
 public:
    explicit Normal(unsigned seed) : bits_(seed) {}

    double uniform() { return (static_cast<double>(bits_() >> 11) + 0.5) * 0x1p-53; }

    double operator()() {
        while (true) {
            const double a = 2.0 * uniform() - 1.0, b = 2.0 * uniform() - 1.0, square = a * a + b * b;
            if (square < 1.0)
                return a * std::sqrt(-2.0 * std::log(square) / square);
        }
    }

 private:
    std::mt19937_64 bits_;
};

struct Design {
    Vector y;
    Matrix X;
    std::vector<Vector> Z;  ///< columns of all terms; an empty one is the constant 1
    std::vector<std::vector<std::int32_t>> codes;
    std::vector<Index> n_levels;
    std::vector<pymixed::TermSpec> terms;
    Vector weights;  ///< empty: none

    Index n() const { return y.size(); }
    pymixed::RandomEffects layout() const { return {n_levels, terms}; }
    pymixed::Rows rows() const { return rows(0, n()); }

    /// Rows first .. last - 1. Borrows from this design.
    pymixed::Rows rows(Index first, Index last) const {
        pymixed::Rows out;
        out.n = last - first;
        out.y = {y.data() + first, 1};
        for (Index j = 0; j < X.cols(); ++j)
            out.X.push_back({X.col(j).data() + first, 1});
        for (const Vector& z : Z)
            out.Z.push_back({z.size() == 0 ? nullptr : z.data() + first, 1});
        for (const auto& code : codes)
            out.codes.push_back(code.data() + first);
        out.weights = weights.size() == 0 ? nullptr : weights.data() + first;
        return out;
    }

    /// Column j of Z as numbers.
    Vector z_column(std::size_t j) const { return Z[j].size() == 0 ? Vector::Ones(n()) : Z[j]; }
};

/// n rows, p columns of X (the first is 1, the others normal); for each pair {n_levels, n_cols} one grouping factor
/// with one term: an intercept and n_cols - 1 normal slopes. Every level is used, codes of the first factor are
/// balanced, others random.
inline Design simulate(Index n, Index p, const std::vector<std::pair<Index, Index>>& factors, unsigned seed) {
    Normal normal(seed);
    Design out;
    out.X.resize(n, p);
    out.y.resize(n);
    for (Index i = 0; i < n; ++i) {
        out.y[i] = normal();
        for (Index j = 0; j < p; ++j)
            out.X(i, j) = j == 0 ? 1.0 : normal();
    }
    for (Index j = 0; j < p; ++j)
        out.y += (1.0 + 0.1 * static_cast<double>(j)) * out.X.col(j);
    for (const auto& [levels, n_cols] : factors) {
        std::vector<std::int32_t> code(n);
        for (Index i = 0; i < n; ++i) {
            const bool in_turn = out.codes.empty() || i < levels;
            code[i] = static_cast<std::int32_t>(in_turn ? i % levels : static_cast<Index>(normal.uniform() * levels));
        }
        out.terms.push_back({static_cast<Index>(out.n_levels.size()), n_cols, pymixed::Structure::Unstructured});
        out.n_levels.push_back(levels);
        for (Index j = 0; j < n_cols; ++j) {
            Vector z;
            if (j > 0) {
                z.resize(n);
                for (Index i = 0; i < n; ++i)
                    z[i] = normal();
            }
            Vector effect(levels);
            for (Index g = 0; g < levels; ++g)
                effect[g] = 0.7 * normal();
            for (Index i = 0; i < n; ++i)
                out.y[i] += effect[code[i]] * (j > 0 ? z[i] : 1.0);
            out.Z.push_back(std::move(z));
        }
        out.codes.push_back(std::move(code));
    }
    return out;
}

/// Counts over a factor of 30 levels and one of 12.
inline Design simulate_counts() {
    Design out = simulate(300, 2, {{30, 1}, {12, 1}}, 6);
    out.y = (0.4 * out.y).array().exp().round();
    return out;
}

/// Largest difference of two arrays relative to the largest entry of the second (if that is not zero); a NaN stays.
inline double difference(const Matrix& a, const Matrix& b) {
    const double size = b.cwiseAbs().maxCoeff<Eigen::PropagateNaN>();
    return (a - b).cwiseAbs().maxCoeff<Eigen::PropagateNaN>() / (size == 0.0 ? 1.0 : size);
}

/// A theta inside the parameter space, different for every `seed`.
inline Vector some_theta(const pymixed::RandomEffects& layout, unsigned seed) {
    Normal normal(seed);
    Vector theta(layout.n_theta());
    for (Index i = 0; i < theta.size(); ++i)
        theta[i] = layout.entries()[i].row == layout.entries()[i].col ? 0.3 + normal.uniform() : 0.3 * normal();
    return theta;
}

}  // namespace designs
