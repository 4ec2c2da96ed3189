#include "pymixed/build_info.hpp"

#include <Eigen/Core>

#include "pymixed/version.h"

namespace pymixed {
namespace {

std::string dotted(int a, int b, int c) {
    return std::to_string(a) + "." + std::to_string(b) + "." + std::to_string(c);
}

std::string compiler() {
#if defined(__apple_build_version__)
    return "Apple Clang " + dotted(__clang_major__, __clang_minor__, __clang_patchlevel__);
#elif defined(__clang__)
    return "Clang " + dotted(__clang_major__, __clang_minor__, __clang_patchlevel__);
#elif defined(__GNUC__)
    return "GCC " + dotted(__GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__);
#elif defined(_MSC_VER)
    return "MSVC " + std::to_string(_MSC_VER);
#else
    return "unknown";
#endif
}

#if defined(_MSVC_LANG)
constexpr long cpp_standard = _MSVC_LANG;  // __cplusplus says 199711 there
#else
constexpr long cpp_standard = __cplusplus;
#endif

}  // namespace

BuildInfo build_info() {
    return {PYMIXED_VERSION,
            compiler(),
            cpp_standard,
            dotted(EIGEN_WORLD_VERSION, EIGEN_MAJOR_VERSION, EIGEN_MINOR_VERSION),
            8 * sizeof(void*),
            instruction_set(),
            compiled_instruction_sets()};
}

}  // namespace pymixed
