// The generator.

#include "pymixed/random.hpp"
#include "wide_product.hpp"

namespace pymixed {
namespace {

using Block = std::array<std::uint64_t, 4>;

inline Block ten_rounds(Block counter, std::array<std::uint64_t, 2> key) {
    for (int round = 0; round < 10; ++round) {
        const WideProduct a = wide_product(0xD2E7470EE14C6C93, counter[0]);
        const WideProduct b = wide_product(0xCA5A826395121157, counter[2]);
        counter = {b.high ^ counter[1] ^ key[0], b.low, a.high ^ counter[3] ^ key[1], a.low};
        key[0] += 0x9E3779B97F4A7C15;
        key[1] += 0xBB67AE8584CAA73B;
    }
    return counter;
}

}  // namespace

std::array<std::uint64_t, 4> philox4x64(std::array<std::uint64_t, 4> counter, std::array<std::uint64_t, 2> key) {
    return ten_rounds(counter, key);
}

/// In a file of its own, so that it is not compiled into every draw: those that find the buffer filled stay short.
void Random::refill() {
    for (std::size_t i = 0; i < buffer_.size(); i += 4) {
        const Block block = ten_rounds({block_++, 0, stream_, 0}, {seed_, 0});
        for (std::size_t j = 0; j < 4; ++j)
            buffer_[i + j] = block[j];
    }
    used_ = 0;
}

}  // namespace pymixed
