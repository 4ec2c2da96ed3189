#include "pymixed/types.hpp"

namespace pymixed {

template <>
const char CompiledFor<EIGEN_MAX_ALIGN_BYTES>::same_registers = 0;

}  // namespace pymixed
