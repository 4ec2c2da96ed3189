#pragma once
/// @file
/// What this build of the core is and which instruction set it uses: for bug reports and measurements.
///
/// The loops that take most of the time are compiled twice: with the flags of the library as a whole, and with AVX2 and
/// FMA. One of the two is used by the whole process, by default the faster of those that this processor runs. Results
/// differ in their last digits, since FMA rounds once where two instructions round twice.
///
/// The environment variable PYMIXED_INSTRUCTION_SET (`baseline` or `avx2`; empty is as if it were not there) forces the
/// choice. It is read once, when the core first needs it, and is all that the core ever reads from its environment.

#include <cstddef>
#include <string>
#include <vector>

namespace pymixed {

/// What the innermost loops are compiled for.
enum class InstructionSet {
    Baseline,  ///< what the library as a whole was compiled for
    Avx2,      ///< AVX2 and FMA of x86-64-v3
};

/// The names that the environment variable takes.
inline const char* to_string(InstructionSet set) {
    return set == InstructionSet::Avx2 ? "avx2" : "baseline";
}

/// The one in use. Throws std::invalid_argument where the environment variable names none of those that this build has
/// and this processor runs; so does then whatever needs it first, the construction of CrossProducts as a rule.
InstructionSet instruction_set();

/// Those compiled in, the slowest first.
std::vector<InstructionSet> compiled_instruction_sets();

/// Facts of a build.
struct BuildInfo {
    std::string version;                           ///< of pymixed
    std::string compiler;                          ///< name and version
    long cpp_standard;                             ///< as __cplusplus has it: 201703 is C++17
    std::string eigen;                             ///< version of its headers
    std::size_t pointer_bits;                      ///< 64 as a rule
    InstructionSet instruction_set;                ///< in use
    std::vector<InstructionSet> instruction_sets;  ///< compiled in
};

/// Throws as instruction_set() does.
BuildInfo build_info();

}  // namespace pymixed
