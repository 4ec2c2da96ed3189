// The kernels of pattern_lanes.hpp; included by the files that compile them, in an anonymous namespace.

constexpr int width = Lane::width;

#define PYMIXED_LANE_OPERATOR(op)                           \
    inline Lane operator op(const Lane& a, const Lane& b) { \
        Lane out;                                           \
        for (int h = 0; h < Lane::n_parts; ++h)             \
            out.part[h] = a.part[h] op b.part[h];           \
        return out;                                         \
    }                                                       \
    inline Lane operator op(const Lane& a, double b) {      \
        Lane out;                                           \
        for (int h = 0; h < Lane::n_parts; ++h)             \
            out.part[h] = a.part[h] op b;                   \
        return out;                                         \
    }
PYMIXED_LANE_OPERATOR(+)
PYMIXED_LANE_OPERATOR(-)
PYMIXED_LANE_OPERATOR(*)
#undef PYMIXED_LANE_OPERATOR

inline Lane constant(double value) {
    Lane out;
    for (int l = 0; l < width; ++l)
        out.of[l] = value;
    return out;
}

inline Lane reciprocal(const Lane& a) {
    Lane out;
    for (int h = 0; h < Lane::n_parts; ++h)
        out.part[h] = 1.0 / a.part[h];
    return out;
}

inline Lane root(const Lane& a) {  // NaN where a is not positive, so that a failed factor shows
    Lane out;
    for (int l = 0; l < width; ++l)
        out.of[l] = a.of[l] > 0.0 ? std::sqrt(a.of[l]) : std::numeric_limits<double>::quiet_NaN();
    return out;
}

inline Lane logarithm(const Lane& a) {
    Lane out;
    for (int l = 0; l < width; ++l)
        out.of[l] = std::log(a.of[l]);
    return out;
}

inline void add_product(Lane& sum, const Lane& a, const Lane& b) {
    for (int h = 0; h < Lane::n_parts; ++h)
        sum.part[h] += a.part[h] * b.part[h];
}

inline void add_product(Lane& sum, const Lane& a, double b) {
    for (int h = 0; h < Lane::n_parts; ++h)
        sum.part[h] += a.part[h] * b;
}

inline std::ptrdiff_t packed_position(std::ptrdiff_t i, std::ptrdiff_t j) {
    return i * (i + 1) / 2 + j;
}

/// Inverse by cofactors, and the determinant; by rows.
template <int C>
Lane invert(const Lane* a, Lane* inverse) {
    if constexpr (C == 1) {
        inverse[0] = reciprocal(a[0]);
        return a[0];
    } else if constexpr (C == 2) {
        const Lane determinant = a[0] * a[3] - a[1] * a[2], scale = reciprocal(determinant);
        inverse[0] = a[3] * scale;
        inverse[1] = (a[1] * scale) * -1.0;
        inverse[2] = (a[2] * scale) * -1.0;
        inverse[3] = a[0] * scale;
        return determinant;
    } else {
        const auto minor = [&](int r0, int r1, int c0, int c1) {
            return a[r0 * 3 + c0] * a[r1 * 3 + c1] - a[r0 * 3 + c1] * a[r1 * 3 + c0];
        };
        const Lane m0 = minor(1, 2, 1, 2), m1 = minor(1, 2, 0, 2), m2 = minor(1, 2, 0, 1);
        const Lane determinant = a[0] * m0 - a[1] * m1 + a[2] * m2, scale = reciprocal(determinant);
        inverse[0] = m0 * scale;
        inverse[1] = minor(0, 2, 1, 2) * scale * -1.0;
        inverse[2] = minor(0, 1, 1, 2) * scale;
        inverse[3] = m1 * scale * -1.0;
        inverse[4] = minor(0, 2, 0, 2) * scale;
        inverse[5] = minor(0, 1, 0, 2) * scale * -1.0;
        inverse[6] = m2 * scale;
        inverse[7] = minor(0, 2, 0, 1) * scale * -1.0;
        inverse[8] = minor(0, 1, 0, 1) * scale;
        return determinant;
    }
}

/// N = (I + Sigma A)^-1, K = N Sigma and A N of every pattern; [X y]'V^-1[X y] in the lower triangle of V (by rows),
/// which comes as [X y]'W[X y]. Returns log|M|.
template <int C>
Lane add_patterns(const LaneModel& model, const LaneState& state, const Lane* Sigma, Lane* N_all, Lane* AN_all,
                  Lane* V) {
    const std::ptrdiff_t P = model.P;
    Lane log_determinant = constant(0.0);
    for (std::ptrdiff_t k = 0; k < model.n_patterns; ++k) {
        const double* A = model.A + k * C * C;
        Lane *N = N_all + k * C * C, *AN = AN_all + k * C * C;
        Lane M[C * C];
        for (int i = 0; i < C; ++i)
            for (int j = 0; j < C; ++j) {
                M[i * C + j] = constant(i == j ? 1.0 : 0.0);
                for (int h = 0; h < C; ++h)
                    add_product(M[i * C + j], Sigma[i * C + h], A[h * C + j]);
            }
        const Lane determinant = invert<C>(M, N);
        add_product(log_determinant, logarithm(determinant), model.count[k]);
        const Lane* moment = state.moments + k * packed_position(C, 0) * P * P;
        for (int i = 0; i < C; ++i)
            for (int j = 0; j <= i; ++j, moment += P * P) {
                Lane weight = constant(0.0), product = constant(0.0);
                for (int h = 0; h < C; ++h) {
                    add_product(weight, N[i * C + h], Sigma[h * C + j]);
                    add_product(product, N[h * C + j], A[i * C + h]);
                }
                AN[i * C + j] = AN[j * C + i] = product;
                weight = weight * -1.0;
                for (std::ptrdiff_t a = 0; a < P; ++a)
                    for (std::ptrdiff_t b = 0; b <= a; ++b) {
                        add_product(V[a * P + b], weight, moment[a * P + b]);
                        if (i != j)
                            add_product(V[a * P + b], weight, moment[b * P + a]);
                    }
            }
    }
    return log_determinant;
}

/// V = L L' in place. Returns the product of the pivots but the last.
inline Lane factor(std::ptrdiff_t P, Lane* V) {
    Lane product = constant(1.0);
    for (std::ptrdiff_t j = 0; j < P; ++j) {
        Lane pivot = V[j * P + j];
        for (std::ptrdiff_t k = 0; k < j; ++k)
            pivot = pivot - V[j * P + k] * V[j * P + k];
        V[j * P + j] = root(pivot);
        if (j + 1 < P)
            product = product * V[j * P + j];
        const Lane inverse = reciprocal(V[j * P + j]);
        for (std::ptrdiff_t i = j + 1; i < P; ++i) {
            Lane sum = V[i * P + j];
            for (std::ptrdiff_t k = 0; k < j; ++k)
                sum = sum - V[i * P + k] * V[j * P + k];
            V[i * P + j] = sum * inverse;
        }
    }
    return product;
}

/// [RX^-1, (-beta, 1)'] from the factor.
inline void solve(std::ptrdiff_t P, const Lane* L, Lane* W) {
    const std::ptrdiff_t p = P - 1;
    for (std::ptrdiff_t x = 0; x < p; ++x) {  // row x of L^-1 is column x of RX^-1
        W[x * P + x] = reciprocal(L[x * P + x]);
        for (std::ptrdiff_t a = 0; a < x; ++a) {
            Lane sum = constant(0.0);
            for (std::ptrdiff_t k = a; k < x; ++k)
                add_product(sum, L[x * P + k], W[a * P + k]);
            W[a * P + x] = sum * W[x * P + x] * -1.0;
        }
    }
    for (std::ptrdiff_t a = 0; a < p; ++a) {
        Lane sum = constant(0.0);
        for (std::ptrdiff_t x = a; x < p; ++x)
            add_product(sum, W[a * P + x], L[p * P + x]);
        W[a * P + p] = sum * -1.0;
    }
    W[p * P + p] = constant(1.0);
}

/// Sums over the levels: of s s', of G G' + ratio s s', of s_x G_y as row x C + y; and c_i'Z'V^-1Z c_j.
template <int C>
struct LaneScores {
    Lane ss[C * C], projection[C * C];
    Lane* sG;           // C * C x p
    Lane* information;  // m x m, lower triangle
    Lane* RX;           // p x p: RX^-1 RX^-T
    Lane* left;         // P
    Lane* cross;        // C * C x p

    void add(const LaneModel& model, const LaneState& state, const Lane* N_all, const Lane* AN_all, const Lane* D,
             const Lane& ratio) {
        const std::ptrdiff_t P = model.P, p = P - 1, m = model.m;
        const Lane* W = state.W;
        for (Lane& sum : ss)
            sum = constant(0.0);
        for (Lane& sum : projection)
            sum = constant(0.0);
        std::fill(sG, sG + C * C * p, constant(0.0));
        std::fill(information, information + m * m, constant(0.0));
        if (model.reml)
            for (std::ptrdiff_t a = 0; a < p; ++a)
                for (std::ptrdiff_t b = 0; b <= a; ++b) {
                    Lane sum = constant(0.0);
                    for (std::ptrdiff_t x = a; x < p; ++x)
                        add_product(sum, W[a * P + x], W[b * P + x]);
                    RX[a * p + b] = RX[b * p + a] = sum;
                }
        for (std::ptrdiff_t k = 0; k < model.n_patterns; ++k)
            add_pattern(model, state, k, N_all + k * C * C, AN_all + k * C * C, D, ratio);
    }

 private:
    void add_pattern(const LaneModel& model, const LaneState& state, std::ptrdiff_t k, const Lane* N, const Lane* AN,
                     const Lane* D, const Lane& ratio) {
        const std::ptrdiff_t P = model.P, p = P - 1, m = model.m;
        const Lane *W = state.W, *moments = state.moments + k * packed_position(C, 0) * P * P;
        Lane own[C * C], both[C * C], pattern_ss[C * C];
        for (int i = 0; i < C; ++i)
            for (int j = 0; j < C; ++j) {
                const int high = i >= j ? i : j, low = i >= j ? j : i;
                const Lane* M = moments + packed_position(high, low) * P * P;  // sum of b_high[a] b_low[b]
                const std::ptrdiff_t step_i = i >= j ? P : 1, step_j = i >= j ? 1 : P;
                Lane total = constant(0.0);
                for (std::ptrdiff_t a = 0; a < P; ++a) {
                    left[a] = constant(0.0);
                    for (std::ptrdiff_t b = 0; b < P; ++b)
                        add_product(left[a], M[a * step_i + b * step_j], W[b * P + p]);
                    add_product(total, left[a], W[a * P + p]);
                }
                own[i * C + j] = total;
                for (std::ptrdiff_t x = 0; x < p; ++x) {
                    Lane sum = constant(0.0);
                    for (std::ptrdiff_t a = 0; a <= x; ++a)
                        add_product(sum, left[a], W[a * P + x]);
                    cross[(i * C + j) * p + x] = sum;
                }
                if (j > i)
                    continue;
                Lane fixed = total * ratio;
                if (model.reml)
                    for (std::ptrdiff_t a = 0; a < p; ++a)
                        for (std::ptrdiff_t b = 0; b < p; ++b)
                            add_product(fixed, M[a * P + b], RX[a * p + b]);
                both[i * C + j] = both[j * C + i] = fixed;
            }
        for (int x = 0; x < C; ++x)
            for (int y = 0; y < C; ++y) {
                Lane sum_ss = constant(0.0), sum_both = constant(0.0);
                for (int i = 0; i < C; ++i)
                    for (int j = 0; j < C; ++j) {
                        const Lane weight = N[i * C + x] * N[j * C + y], turned = N[i * C + y] * N[j * C + x];
                        add_product(sum_ss, weight, own[i * C + j]);
                        add_product(sum_both, weight, both[i * C + j]);
                        for (std::ptrdiff_t l = 0; l < p; ++l)
                            add_product(sG[(x * C + y) * p + l], turned, cross[(i * C + j) * p + l]);
                    }
                ss[x * C + y] = ss[x * C + y] + sum_ss;
                projection[x * C + y] = projection[x * C + y] + sum_both;
                pattern_ss[x * C + y] = sum_ss;
            }
        for (std::ptrdiff_t j = 0; j < m; ++j) {  // tr(D_i AN D_j ss)
            Lane right[C * C], middle[C * C];
            multiply(D + j * C * C, pattern_ss, right);
            multiply(AN, right, middle);
            for (std::ptrdiff_t i = j; i < m; ++i)
                for (int a = 0; a < C; ++a)
                    for (int b = 0; b < C; ++b)
                        add_product(information[i * m + j], D[i * C * C + a * C + b], middle[b * C + a]);
        }
    }

    static void multiply(const Lane* A, const Lane* B, Lane* out) {
        for (int i = 0; i < C; ++i)
            for (int j = 0; j < C; ++j) {
                out[i * C + j] = constant(0.0);
                for (int h = 0; h < C; ++h)
                    add_product(out[i * C + j], A[i * C + h], B[h * C + j]);
            }
    }
};

template <int C>
void evaluate(const LaneModel& model, LaneState& state) {
    const std::ptrdiff_t P = model.P, p = P - 1, m = model.m;
    Lane* work = state.work;
    const auto take = [&](std::ptrdiff_t size) {
        Lane* out = work;
        work += size;
        return out;
    };
    Lane T[C * C], Sigma[C * C], H[C * C], TH[C * C];
    for (Lane& entry : T)
        entry = constant(0.0);
    for (std::ptrdiff_t e = 0; e < m; ++e)
        for (int i = 0; i < C; ++i)
            add_product(T[i * C + model.column[e]], state.theta[e], model.basis[i * C + model.row[e]]);
    for (int i = 0; i < C; ++i)
        for (int j = 0; j <= i; ++j) {
            Lane sum = constant(0.0);
            for (int h = 0; h < C; ++h)
                add_product(sum, T[i * C + h], T[j * C + h]);
            Sigma[i * C + j] = Sigma[j * C + i] = sum;
        }
    Lane* V = take(P * P);
    std::copy(state.XytXy, state.XytXy + P * P, V);
    Lane *N = take(model.n_patterns * C * C), *AN = take(model.n_patterns * C * C);
    Lane value = add_patterns<C>(model, state, Sigma, N, AN, V);
    const Lane pivots = factor(P, V);
    state.pwrss = V[P * P - 1] * V[P * P - 1];
    add_product(value, logarithm(state.pwrss), model.nu);
    if (model.reml)
        add_product(value, logarithm(pivots), 2.0);
    state.value = value + model.constant;

    solve(P, V, state.W);
    Lane* D = take(m * C * C);
    for (std::ptrdiff_t e = 0; e < m; ++e)
        for (int i = 0; i < C; ++i)
            for (int j = 0; j < C; ++j)
                D[(e * C + i) * C + j] = T[j * C + model.column[e]] * model.basis[i * C + model.row[e]] +
                                         T[i * C + model.column[e]] * model.basis[j * C + model.row[e]];
    const Lane ratio = reciprocal(state.pwrss) * model.nu;
    LaneScores<C> scores;
    scores.sG = take(C * C * p);
    scores.information = take(m * m);
    scores.RX = take(p * p);
    scores.left = take(P);
    scores.cross = take(C * C * p);
    scores.add(model, state, N, AN, D, ratio);

    for (int i = 0; i < C * C; ++i) {
        H[i] = scores.projection[i] * -1.0;
        for (std::ptrdiff_t k = 0; k < model.n_patterns; ++k)
            add_product(H[i], AN[k * C * C + i], model.count[k]);
    }
    for (int i = 0; i < C; ++i)
        for (int j = 0; j < C; ++j) {
            TH[i * C + j] = constant(0.0);
            for (int h = 0; h < C; ++h)
                add_product(TH[i * C + j], T[h * C + i], H[h * C + j]);
        }
    Lane *Gc = take(m * p), *sc = take(m);
    for (std::ptrdiff_t e = 0; e < m; ++e) {
        Lane slope = constant(0.0);
        for (int i = 0; i < C; ++i)
            add_product(slope, TH[model.column[e] * C + i], 2.0 * model.basis[i * C + model.row[e]]);
        state.gradient[e] = slope;
        sc[e] = constant(0.0);
        std::fill(Gc + e * p, Gc + (e + 1) * p, constant(0.0));
        for (int i = 0; i < C * C; ++i) {
            add_product(sc[e], D[e * C * C + i], scores.ss[i]);
            for (std::ptrdiff_t l = 0; l < p; ++l)
                add_product(Gc[e * p + l], D[e * C * C + i], scores.sG[i * p + l]);
        }
    }
    const Lane inverse_pwrss = reciprocal(state.pwrss);
    for (std::ptrdiff_t i = 0; i < m; ++i)
        for (std::ptrdiff_t j = 0; j <= i; ++j) {
            Lane sum = scores.information[i * m + j] - sc[i] * sc[j] * inverse_pwrss;
            for (std::ptrdiff_t l = 0; l < p; ++l)
                sum = sum - Gc[i * p + l] * Gc[j * p + l];
            sum = sum * ratio;
            if (model.column[i] == model.column[j])
                for (int a = 0; a < C; ++a)
                    for (int b = 0; b < C; ++b)
                        add_product(sum, H[a * C + b],
                                    2.0 * model.basis[a * C + model.row[i]] * model.basis[b * C + model.row[j]]);
            state.curvature[i * m + j] = state.curvature[j * m + i] = sum;
        }
}

void evaluate_lanes(const LaneModel& model, LaneState& state) {
    if (model.c == 1)
        evaluate<1>(model, state);
    else if (model.c == 2)
        evaluate<2>(model, state);
    else
        evaluate<3>(model, state);
}

void newton_step(std::ptrdiff_t m, const Lane* H, const Lane* g, Lane* step, Lane& gain, Lane* work) {
    std::copy(H, H + m * m, work);
    std::copy(g, g + m, step);
    factor(m, work);
    for (std::ptrdiff_t i = 0; i < m; ++i) {
        for (std::ptrdiff_t j = 0; j < i; ++j)
            step[i] = step[i] - work[i * m + j] * step[j];
        step[i] = step[i] * reciprocal(work[i * m + i]);
    }
    gain = constant(0.0);
    for (std::ptrdiff_t i = 0; i < m; ++i)
        add_product(gain, step[i], step[i] * 0.5);
    for (std::ptrdiff_t i = m - 1; i >= 0; --i) {
        for (std::ptrdiff_t j = i + 1; j < m; ++j)
            step[i] = step[i] - work[j * m + i] * step[j];
        step[i] = step[i] * reciprocal(work[i * m + i]);
    }
    for (std::ptrdiff_t i = 0; i < m; ++i)
        step[i] = step[i] * -1.0;
}

/// Adds the response's part in the moments of a level: blocks (i, j), i >= j, in packed order.
inline void add_moments(std::ptrdiff_t c, std::ptrdiff_t P, const double* ZtX, const Lane* Zty, Lane* block) {
    const std::ptrdiff_t p = P - 1;
    for (std::ptrdiff_t i = 0; i < c; ++i)
        for (std::ptrdiff_t j = 0; j <= i; ++j, block += P * P) {
            for (std::ptrdiff_t k = 0; k < p; ++k) {
                add_product(block[k * P + p], Zty[j], ZtX[i * P + k]);
                add_product(block[p * P + k], Zty[i], ZtX[j * P + k]);
            }
            add_product(block[P * P - 1], Zty[i], Zty[j]);
        }
}

void sum_responses(const LaneRows& rows, std::ptrdiff_t n_patterns, LaneSums& sums) {
    const std::ptrdiff_t n = rows.n, p = rows.p, P = p + 1, c = rows.c;
    Lane *rest = sums.work, *Zty = sums.work + n, *Xty = sums.XytXy_row;
    std::fill(Xty, Xty + P, constant(0.0));
    Lane whole = constant(0.0);
    for (std::ptrdiff_t i = 0; i < n; ++i) {
        const Lane weighted = rows.weights == nullptr ? sums.y[i] : sums.y[i] * rows.weights[i];
        add_product(whole, sums.y[i], weighted);
        for (std::ptrdiff_t j = 0; j < p; ++j)
            add_product(Xty[j], weighted, rows.X[j * n + i]);
    }
    for (std::ptrdiff_t j = 0; j < p; ++j) {
        sums.gamma[j] = constant(0.0);
        for (std::ptrdiff_t k = 0; k < p; ++k)
            add_product(sums.gamma[j], Xty[k], rows.XtWX_inverse[j * p + k]);
    }
    Lane size = constant(0.0);
    for (std::ptrdiff_t i = 0; i < n; ++i) {
        Lane fixed = constant(0.0);
        for (std::ptrdiff_t j = 0; j < p; ++j)
            add_product(fixed, sums.gamma[j], rows.X[j * n + i]);
        rest[i] = sums.y[i] - fixed;
        add_product(size, rest[i], rows.weights == nullptr ? rest[i] : rest[i] * rows.weights[i]);
    }
    for (int l = 0; l < width; ++l) {
        const double before = std::sqrt(whole.of[l] / rows.sum_weights), after = std::sqrt(size.of[l] / rows.sum_weights);
        sums.scale.of[l] = after > response_rounding * before ? after : (before > 0.0 ? before : 1.0);
    }

    const Lane inverse = reciprocal(sums.scale);
    std::fill(Xty, Xty + P, constant(0.0));
    std::fill(Zty, Zty + rows.n_levels * c, constant(0.0));
    for (std::ptrdiff_t i = 0; i < n; ++i) {
        const Lane scaled = rest[i] * inverse;
        const Lane weighted = rows.weights == nullptr ? scaled : scaled * rows.weights[i];
        add_product(Xty[p], scaled, weighted);
        for (std::ptrdiff_t j = 0; j < p; ++j)
            add_product(Xty[j], weighted, rows.X[j * n + i]);
        Lane* of_level = Zty + rows.level[i] * c;
        if (rows.z == nullptr)
            of_level[0] = of_level[0] + weighted;
        else
            for (std::ptrdiff_t j = 0; j < c; ++j)
                add_product(of_level[j], weighted, rows.z[i * c + j]);
    }
    const std::ptrdiff_t n_blocks = packed_position(c, 0);
    for (std::ptrdiff_t k = 0; k < n_patterns * n_blocks; ++k)
        for (std::ptrdiff_t a = 0; a < P; ++a)
            sums.moments[k * P * P + a * P + p] = sums.moments[k * P * P + p * P + a] = constant(0.0);
    for (std::ptrdiff_t g = 0; g < rows.n_levels; ++g)
        add_moments(c, P, rows.ZtX + g * c * P, Zty + g * c, sums.moments + rows.pattern[g] * n_blocks * P * P);
}
