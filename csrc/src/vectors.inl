// VECTOR doubles in one register. Included by dense_kernels.inl and chunk_kernels.inl, that is inside an unnamed
// namespace: what is compiled for AVX2 must not be what the linker keeps for everyone.

#if defined(__GNUC__) || defined(__clang__)

typedef double Vec __attribute__((vector_size(VECTOR * sizeof(double)), aligned(8), may_alias));

inline Vec load(const double* from) {
    return *reinterpret_cast<const Vec*>(from);
}
inline void store(Vec value, double* to) {
    *reinterpret_cast<Vec*>(to) = value;
}
inline Vec broadcast(double value) {
    return value - Vec{};
}
inline void add_product(Vec& sum, Vec a, Vec b) {
    sum += a * b;
}
inline void prefetch(const double* address) {
    __builtin_prefetch(address, 1);
}

#elif defined(_M_X64)  // Microsoft's compiler; the includer has its intrinsics

#if VECTOR == 4
using Register = __m256d;
#define PYMIXED_REGISTER(operation) _mm256_##operation##_pd
#else
using Register = __m128d;
#define PYMIXED_REGISTER(operation) _mm_##operation##_pd
#endif

struct Vec {
    Register of = PYMIXED_REGISTER(setzero)();
};

inline Vec load(const double* from) {
    return {PYMIXED_REGISTER(loadu)(from)};
}
inline void store(Vec value, double* to) {
    PYMIXED_REGISTER(storeu)(to, value.of);
}
inline Vec broadcast(double value) {
    return {PYMIXED_REGISTER(set1)(value)};
}
inline Vec operator+(Vec a, Vec b) {
    return {PYMIXED_REGISTER(add)(a.of, b.of)};
}
inline Vec& operator+=(Vec& sum, Vec a) {
    return sum = sum + a;
}
inline void add_product(Vec& sum, Vec a, Vec b) {
#if VECTOR == 4
    sum.of = _mm256_fmadd_pd(a.of, b.of, sum.of);
#else
    sum.of = _mm_add_pd(sum.of, _mm_mul_pd(a.of, b.of));
#endif
}
inline void prefetch(const double* address) {
    _mm_prefetch(reinterpret_cast<const char*>(address), _MM_HINT_T0);
}
#undef PYMIXED_REGISTER

#else
#error "On this processor the kernels need GCC or Clang (on Windows clang-cl)."
#endif

/// sum + the entries of the vector, one after the other.
inline double add_entries(double sum, Vec vector) {
    double entries[VECTOR];
    store(vector, entries);
    for (const double entry : entries)
        sum += entry;
    return sum;
}
