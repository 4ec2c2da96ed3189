// Compiled with -mavx2 -mfma where the compiler and the architecture have them; see instruction_set.hpp. No header is
// included: the linker may take an inline function from here for the whole library, and not every processor runs this.

namespace pymixed {

bool compiled_for_avx2() {
#if defined(__AVX2__) && defined(__FMA__)
    return true;
#else
    return false;
#endif
}

}  // namespace pymixed
