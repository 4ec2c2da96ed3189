#pragma once
/// @file
/// Named texts and arrays in one block of bytes, in which nothing can execute: what files of results are made of.
///
///     8 bytes   "PYMIXED" and 0x1A
///     u32       version of this container
///     u64       number of bytes in all, the checksum included
///     u32       number of entries, then the table:
///                 u32 length of the name, the name (UTF-8)
///                 u8 kind (0 text, 1 list of texts, 2 array), u8 type (NumberType), u8 code, u8 number of dimensions
///                 u64 each dimension (a list of texts: their number), u64 bytes of its data
///     data      of the entries, one after the other
///     u32       CRC-32 (IEEE 802.3) of all bytes before
///
/// Everything is little-endian. Data by code: 0 as they are (a text; IEEE doubles). 1, 2, 4 or 8: integers, as i64 of
/// the least one and per number what it has more in so many bytes. With 16 added (ascending integers): i64 of the first
/// one and per number what it has more than the one before. The code that takes the fewest bytes is chosen; doubles
/// that are all integers are stored as such. A list of texts has the code of the texts' lengths, which stand before the
/// texts.

#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <variant>
#include <vector>

#include "pymixed/types.hpp"

namespace pymixed {

/// What the numbers were on the host's side; it gets them back as that, bit by bit.
enum class NumberType : std::uint8_t { Float64, Int64, Int32, Int8, UInt64, UInt8, Boolean };

/// Numbers with a shape.
struct NumberArray {
    NumberType type = NumberType::Float64;  ///< of the host's numbers
    std::vector<Index> shape;               ///< row-major; empty: one number
    std::vector<double> reals;              ///< of Float64
    std::vector<std::int64_t> integers;     ///< of all other types; UInt64 as the same bits
};

using ArchiveValue = std::variant<std::string, std::vector<std::string>, NumberArray>;  ///< what an entry holds
using Archive = std::map<std::string, ArchiveValue>;                                    ///< entries by name

/// Bytes that are no archive.
class ArchiveError : public std::runtime_error {
 public:
    /// What is wrong with them: not ours, cut short, changed, or of a later version.
    enum class Reason { Foreign, Truncated, Damaged, Newer };
    /// The message says the reason in words.
    explicit ArchiveError(Reason reason);
    Reason reason() const { return reason_; }  ///< what is wrong

 private:
    Reason reason_;
};

/// @throws std::invalid_argument  an array whose shape is not that of its numbers
std::string pack(const Archive& archive);
/// Reads no byte outside of those given, and allocates a small multiple of them at most.
/// @throws ArchiveError  not what pack() wrote
Archive unpack(const void* bytes, std::size_t size);

}  // namespace pymixed
