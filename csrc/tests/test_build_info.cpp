// What the build says of itself, and the choice of an instruction set.
#include "check.hpp"

#include <algorithm>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include "canonical_kernels.hpp"
#include "chunk_kernels.hpp"
#include "dense_kernels.hpp"
#include "instruction_set.hpp"
#include "pattern_lanes.hpp"
#include "pymixed/version.h"

namespace {

using namespace pymixed;

std::string refusal(const char* wanted, bool avx2) {
    try {
        choose_instruction_set(wanted, avx2);
    } catch (const std::invalid_argument& error) {
        return error.what();
    }
    return "none";
}

/// Whether the kernels are those of the set in use.
template <class Kernels>
bool follows(const Kernels& used, const Kernels& baseline, const Kernels* avx2) {
    return &used == (instruction_set() == InstructionSet::Avx2 ? avx2 : &baseline);
}

TEST("without a wish the fastest, else the one wished for") {
    for (const char* none : {static_cast<const char*>(nullptr), ""}) {
        CHECK(choose_instruction_set(none, true) == InstructionSet::Avx2);
        CHECK(choose_instruction_set(none, false) == InstructionSet::Baseline);
    }
    CHECK(choose_instruction_set("avx2", true) == InstructionSet::Avx2);
    CHECK(choose_instruction_set("baseline", true) == InstructionSet::Baseline);
    CHECK(choose_instruction_set("baseline", false) == InstructionSet::Baseline);
}

TEST("a wish that cannot be followed is refused: the variable, what was expected, what was got") {
    CHECK(refusal("AVX2", true) == "PYMIXED_INSTRUCTION_SET: expected baseline or avx2, got 'AVX2'");
    CHECK(refusal("avx2", false) ==
          "PYMIXED_INSTRUCTION_SET: expected baseline, all that this build has and this processor runs, got 'avx2'");
}

TEST("the variable decides in this process, for all kernels") {
    const bool avx2 = compiled_for_avx2() && runs_avx2();
    CHECK(instruction_set() == choose_instruction_set(std::getenv("PYMIXED_INSTRUCTION_SET"), avx2));
    CHECK(follows(dense_kernels(), detail::dense_kernels_baseline(), detail::dense_kernels_avx2()));
    CHECK(follows(chunk_kernels(), detail::chunk_kernels_baseline(), detail::chunk_kernels_avx2()));
    CHECK(follows(canonical_kernels(), detail::canonical_kernels_baseline(), detail::canonical_kernels_avx2()));
    CHECK(follows(lane_kernels(), detail::lane_kernels_baseline(), detail::lane_kernels_avx2()));
}

TEST("all kernels are compiled for AVX2 or none is") {
    for (const bool compiled : {detail::dense_kernels_avx2() != nullptr, detail::chunk_kernels_avx2() != nullptr,
                                detail::canonical_kernels_avx2() != nullptr, detail::lane_kernels_avx2() != nullptr})
        CHECK(compiled == compiled_for_avx2());
}

TEST("the build describes itself") {
    const BuildInfo info = build_info();
    CHECK(info.version == PYMIXED_VERSION);
    CHECK(info.compiler != "unknown");
    CHECK(info.cpp_standard >= 201703);
    CHECK(info.eigen.rfind("3.", 0) == 0);
    CHECK(info.pointer_bits == 8 * sizeof(std::ptrdiff_t));
    CHECK(info.instruction_set == instruction_set());
    CHECK(std::find(info.instruction_sets.begin(), info.instruction_sets.end(), info.instruction_set) !=
          info.instruction_sets.end());
}

}  // namespace
