#pragma once
// PYMIXED_AVX2: the including file is compiled for AVX2 and FMA. Microsoft's compiler has one option for both and a
// macro for the first. No function is declared here: see instruction_set_avx2.cpp.

#if defined(__AVX2__) && (defined(__FMA__) || defined(_MSC_VER))
#define PYMIXED_AVX2
#endif

#ifdef _MSC_VER
#include <immintrin.h>
#endif
