#pragma once
// Traces of products with U_u, the symmetric matrix with ones at (x, y) and (y, x).

#include "kenward_roger_sums.hpp"

namespace pymixed {

inline Index count_leading(const std::vector<ColumnPair>& pairs) {
    Index count = 0;
    for (const ColumnPair& pair : pairs)
        count += pair.factor == 0;
    return count;
}

/// tr(U_u M) for a c x c matrix.
inline double pair_trace(const ColumnPair& u, const double* M, Index c) {
    return u.x == u.y ? M[u.x * c + u.x] : M[u.x * c + u.y] + M[u.y * c + u.x];
}

/// tr(U_u M U_v K) for symmetric c x c matrices.
inline double pair_trace(const ColumnPair& u, const double* M, const ColumnPair& v, const double* K, Index c) {
    // tr(e_a e_b' M e_d e_h' K) = M_bd K_ha over both orders of each pair
    const auto of_order = [&](Index a, Index b) {
        const double sum = M[b * c + v.x] * K[v.y * c + a];
        return v.x == v.y ? sum : sum + M[b * c + v.y] * K[v.x * c + a];
    };
    return u.x == u.y ? of_order(u.x, u.y) : of_order(u.x, u.y) + of_order(u.y, u.x);
}

}  // namespace pymixed
