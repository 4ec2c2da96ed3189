// Compiled for AVX2 and FMA where the compiler and the architecture have them; see instruction_set.hpp. No function of
// a header is used: the linker may take its copy from here for the whole library, and not every processor runs this.

#include "avx2.hpp"

namespace pymixed {

bool compiled_for_avx2() {
#ifdef PYMIXED_AVX2
    return true;
#else
    return false;
#endif
}

}  // namespace pymixed
