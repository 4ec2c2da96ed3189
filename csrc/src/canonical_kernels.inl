// Included by canonical_kernels.cpp and canonical_kernels_avx2.cpp inside an unnamed namespace. Nothing of the standard
// library is inlined here: the linker might keep the AVX2 copy for everyone.

/// `a` where x has a minus sign, else `b`; compilers make jumps of comparisons, and then no vector instructions.
inline double select_negative(double x, double a, double b) {
    std::uint64_t sign, bits_a, bits_b;
    std::memcpy(&sign, &x, sizeof sign);
    std::memcpy(&bits_a, &a, sizeof bits_a);
    std::memcpy(&bits_b, &b, sizeof bits_b);
    const std::uint64_t mask = std::uint64_t{0} - (sign >> 63), bits = (bits_a & mask) | (bits_b & ~mask);
    double out;
    std::memcpy(&out, &bits, sizeof out);
    return out;
}

/// exp(x), |x| <= 708, to about one unit in the last place: 2^k exp(r) with |r| <= log(2)/2 (Cody & Waite 1980,
/// Software Manual for the Elementary Functions), Taylor's polynomial for exp(r).
inline double vector_exp(double x) {
    constexpr double shifter = 0x1.8p52;  // adding it rounds to an integer, left in the low bits
    const double shifted = x * 1.44269504088896340736 + shifter, k = shifted - shifter;
    const double r = (x - k * 0x1.62e42fefa0000p-1) - k * 0x1.cf79abc9e3b3ap-40;
    double sum = 1.0 / 6227020800;
    sum = sum * r + 1.0 / 479001600;
    sum = sum * r + 1.0 / 39916800;
    sum = sum * r + 1.0 / 3628800;
    sum = sum * r + 1.0 / 362880;
    sum = sum * r + 1.0 / 40320;
    sum = sum * r + 1.0 / 5040;
    sum = sum * r + 1.0 / 720;
    sum = sum * r + 1.0 / 120;
    sum = sum * r + 1.0 / 24;
    sum = sum * r + 1.0 / 6;
    sum = sum * r + 0.5;
    sum = sum * r * r + r;
    std::uint64_t bits;
    std::memcpy(&bits, &shifted, sizeof bits);
    bits = (bits << 52) + (std::uint64_t{1023} << 52);
    double power;
    std::memcpy(&power, &bits, sizeof power);
    return sum * power + power;
}

/// log(1 + u), 0 <= u <= 1: 2 atanh(u / (2 + u)) by its series.
inline double vector_log1p(double u) {
    const double z = u / (2.0 + u), s = z * z;
    double sum = 1.0 / 33;
    for (int k = 31; k >= 3; k -= 2)
        sum = sum * s + 1.0 / k;
    return 2.0 * (z + z * s * sum);
}

template <int order>
void binomial_logit_rows(std::ptrdiff_t n, const double* y_of, const double* eta_of, double* __restrict l,
                         double* __restrict d1, double* __restrict d2, double* __restrict d3) {
    for (std::ptrdiff_t i = 0; i < n; ++i) {
        const double y = y_of[i], eta = eta_of[i], z = 1.0 - y, size = std::fabs(eta);
        const double u = vector_exp(select_negative(708.0 - size, -708.0, -size));
        l[i] = y * (0.5 * (eta - size)) - z * (0.5 * (eta + size)) - vector_log1p(u);
        if (order >= 1) {
            const double large = 1.0 / (1.0 + u), small = u * large;
            const double p = select_negative(eta, small, large), q = select_negative(eta, large, small);
            d1[i] = y * q - z * p;
            d2[i] = -small * large;
            if (order >= 2)
                d3[i] = -small * large * (q - p);
        }
    }
}

template <int order>
void poisson_log_rows(std::ptrdiff_t n, const double* y_of, const double* eta_of, double* __restrict l,
                      double* __restrict d1, double* __restrict d2, double* __restrict d3) {
    for (std::ptrdiff_t i = 0; i < n; ++i) {
        const double y = y_of[i], eta = eta_of[i], below = select_negative(700.0 - eta, 700.0, eta);
        const double inside = select_negative(below + 700.0, -700.0, below), mean = vector_exp(inside);
        l[i] = y * inside - mean - std::fabs(eta - inside);
        if (order >= 1) {
            d1[i] = y - mean;
            d2[i] = -mean;
            if (order >= 2)
                d3[i] = -mean;
        }
    }
}

void binomial_logit(std::ptrdiff_t n, const double* y, const double* eta, double* l, double* d1, double* d2,
                    double* d3) {
    (d1 == nullptr   ? binomial_logit_rows<0>
     : d3 == nullptr ? binomial_logit_rows<1>
                     : binomial_logit_rows<2>)(n, y, eta, l, d1, d2, d3);
}

void poisson_log(std::ptrdiff_t n, const double* y, const double* eta, double* l, double* d1, double* d2, double* d3) {
    (d1 == nullptr   ? poisson_log_rows<0>
     : d3 == nullptr ? poisson_log_rows<1>
                     : poisson_log_rows<2>)(n, y, eta, l, d1, d2, d3);
}
