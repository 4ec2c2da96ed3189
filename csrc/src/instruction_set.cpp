#include "instruction_set.hpp"

#include <cstdlib>
#include <stdexcept>

namespace pymixed {

InstructionSet choose_instruction_set(const char* wanted, bool avx2) {
    const std::string name = wanted == nullptr ? "" : wanted;
    if (name.empty())
        return avx2 ? InstructionSet::Avx2 : InstructionSet::Baseline;
    if (name == to_string(InstructionSet::Baseline))
        return InstructionSet::Baseline;
    if (name == to_string(InstructionSet::Avx2) && avx2)
        return InstructionSet::Avx2;
    throw std::invalid_argument(
        std::string("PYMIXED_INSTRUCTION_SET: expected ") +
        (avx2 ? "baseline or avx2" : "baseline, all that this build has and this processor runs") + ", got '" + name +
        "'");
}

InstructionSet instruction_set() {
    static const InstructionSet chosen =
        choose_instruction_set(std::getenv("PYMIXED_INSTRUCTION_SET"), compiled_for_avx2() && runs_avx2());
    return chosen;
}

std::vector<InstructionSet> compiled_instruction_sets() {
    std::vector<InstructionSet> sets{InstructionSet::Baseline};
    if (compiled_for_avx2())
        sets.push_back(InstructionSet::Avx2);
    return sets;
}

}  // namespace pymixed
