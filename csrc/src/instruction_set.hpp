#pragma once
// What the processor that runs the program can do, and the choice of kernels that are compiled more than once.

#include "pymixed/build_info.hpp"

#ifdef _MSC_VER
#include <intrin.h>
#endif

namespace pymixed {

/// Whether it runs AVX2 and FMA; false where the compiler cannot ask.
inline bool runs_avx2() {
#if defined(_MSC_VER) && defined(_M_X64)
    // Intel 64 and IA-32 Architectures Software Developer's Manual 1, 14.3 and 14.7.1: the processor's word, and that
    // the operating system saves the registers.
    int word[4];  // eax, ebx, ecx, edx
    const auto bit = [&word](int of, int i) { return (word[of] >> i & 1) != 0; };
    __cpuid(word, 0);
    if (word[0] < 7)
        return false;
    __cpuidex(word, 1, 0);
    const bool fma = bit(2, 12), asks = bit(2, 27), avx = bit(2, 28);
    __cpuidex(word, 7, 0);
    return fma && avx && bit(1, 5) && asks && (_xgetbv(0) & 6) == 6;
#elif (defined(__x86_64__) || defined(__i386__)) && (defined(__GNUC__) || defined(__clang__))
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
    return false;
#endif
}

/// Whether the files NAME_avx2.cpp were; their functions return null pointers otherwise.
bool compiled_for_avx2();

/// The set that a value of PYMIXED_INSTRUCTION_SET chooses (null or empty: the fastest that there is); throws
/// std::invalid_argument where there is no such set. `avx2`: whether it can be used.
InstructionSet choose_instruction_set(const char* wanted, bool avx2);

/// The kernels of the instruction set in use.
template <class Kernels>
const Kernels& kernels_in_use(const Kernels& baseline, const Kernels* avx2) {
    return instruction_set() == InstructionSet::Avx2 ? *avx2 : baseline;
}

}  // namespace pymixed
