#pragma once
// What the processor that runs the program can do, for kernels that are compiled more than once.

namespace pymixed {

/// Whether it runs AVX2 and FMA; false where the compiler cannot ask.
inline bool runs_avx2() {
#if (defined(__x86_64__) || defined(__i386__)) && (defined(__GNUC__) || defined(__clang__))
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
    return false;
#endif
}

}  // namespace pymixed
