#pragma once
// What the processor that runs the program can do, and the choice of kernels that are compiled more than once.

#include "pymixed/build_info.hpp"

namespace pymixed {

/// Whether it runs AVX2 and FMA; false where the compiler cannot ask.
inline bool runs_avx2() {
#if (defined(__x86_64__) || defined(__i386__)) && (defined(__GNUC__) || defined(__clang__))
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
