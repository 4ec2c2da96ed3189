#include "pymixed/archive.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

namespace pymixed {

namespace {

using Reason = ArchiveError::Reason;
using Integers = std::vector<std::int64_t>;

constexpr char magic[8] = {'P', 'Y', 'M', 'I', 'X', 'E', 'D', '\x1A'};
constexpr std::uint32_t container_version = 1;
constexpr std::size_t checksum_size = 4;
constexpr std::uint8_t as_they_are = 0, differences = 16;
constexpr std::int64_t largest_exact = std::int64_t{1} << 53;  // a double of this size is an exact integer

enum class Kind : std::uint8_t { Text, Texts, Numbers };

std::uint32_t crc32(const char* bytes, std::size_t size) {
    static const auto table = [] {
        std::array<std::uint32_t, 256> out{};
        for (std::uint32_t i = 0; i < 256; ++i) {
            out[i] = i;
            for (int bit = 0; bit < 8; ++bit)
                out[i] = (out[i] >> 1) ^ (out[i] & 1 ? 0xEDB88320u : 0u);
        }
        return out;
    }();
    std::uint32_t crc = 0xFFFFFFFFu;
    for (std::size_t i = 0; i < size; ++i)
        crc = table[(crc ^ static_cast<unsigned char>(bytes[i])) & 0xFF] ^ (crc >> 8);
    return ~crc;
}

template <class T>
std::uint64_t bits(T value) {
    if constexpr (std::is_same_v<T, double>) {
        std::uint64_t out;
        std::memcpy(&out, &value, sizeof out);
        return out;
    } else {
        return static_cast<std::uint64_t>(value);
    }
}

/// Appends the lowest bytes of a number, little-endian.
void put(std::string& out, std::uint64_t value, int width) {
    for (int i = 0; i < width; ++i)
        out.push_back(static_cast<char>(value >> (8 * i)));
}

std::uint64_t get(const char* bytes, int width) {
    std::uint64_t out = 0;
    for (int i = 0; i < width; ++i)
        out |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[i])) << (8 * i);
    return out;
}

void damaged_unless(bool valid) {
    if (!valid)
        throw ArchiveError(Reason::Damaged);
}

// ---- integers
// --------------------------------------------------------------------------------------------------------

int width_of(std::uint64_t largest) {
    return largest >> 8 == 0 ? 1 : (largest >> 16 == 0 ? 2 : (largest >> 32 == 0 ? 4 : 8));
}

/// Appends the integers in the fewest bytes and returns their code. Differences wrap around, as unsigned numbers do.
std::uint8_t put_integers(std::string& out, const Integers& values) {
    if (values.empty()) {
        put(out, 0, 8);
        return 1;
    }
    const std::int64_t least = *std::min_element(values.begin(), values.end());
    std::uint64_t spread = 0, step = 0;
    bool ascending = true;
    for (std::size_t i = 0; i < values.size(); ++i) {
        spread = std::max(spread, bits(values[i]) - bits(least));
        if (i > 0) {
            ascending = ascending && values[i] >= values[i - 1];
            step = std::max(step, bits(values[i]) - bits(values[i - 1]));
        }
    }
    const bool by_steps = ascending && width_of(step) < width_of(spread);
    const int width = by_steps ? width_of(step) : width_of(spread);
    put(out, bits(least), 8);
    std::uint64_t base = bits(least);
    for (const std::int64_t value : values) {
        put(out, bits(value) - base, width);
        if (by_steps)
            base = bits(value);
    }
    return static_cast<std::uint8_t>(width + (by_steps ? differences : 0));
}

/// Bytes that `count` integers of a code take; the count is that of what may not be there.
std::size_t coded_size(std::uint8_t code, std::size_t count, std::size_t available) {
    const std::size_t width = code & ~differences;
    damaged_unless(code < 2 * differences && (width == 1 || width == 2 || width == 4 || width == 8));
    damaged_unless(available >= 8 && count <= (available - 8) / width);
    return 8 + width * count;
}

Integers get_integers(const char* data, std::uint8_t code, std::size_t count) {
    const int width = code & ~differences;
    Integers out(count);
    std::uint64_t base = get(data, 8);
    data += 8;
    for (std::int64_t& value : out) {
        const std::uint64_t found = base + get(data, width);
        std::memcpy(&value, &found, sizeof value);
        if (code & differences)
            base = found;
        data += width;
    }
    return out;
}

/// Least and largest number of an integer type.
std::pair<std::int64_t, std::int64_t> limits(NumberType type) {
    switch (type) {
        case NumberType::Int32:
            return {std::numeric_limits<std::int32_t>::min(), std::numeric_limits<std::int32_t>::max()};
        case NumberType::Int8:
            return {-128, 127};
        case NumberType::UInt8:
            return {0, 255};
        case NumberType::Boolean:
            return {0, 1};
        default:
            return {std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max()};
    }
}

bool is_exact_integer(double value) {
    return std::abs(value) <= static_cast<double>(largest_exact) && value == std::trunc(value) &&
           !(value == 0.0 && std::signbit(value));
}

// ---- writing
// ---------------------------------------------------------------------------------------------------------

struct Entry {
    Kind kind;
    std::uint8_t type = 0, code = as_they_are;
    std::vector<Index> shape;
};

Entry put_value(std::string& data, const std::string& text) {
    data += text;
    return {Kind::Text, 0, as_they_are, {}};
}

Entry put_value(std::string& data, const std::vector<std::string>& texts) {
    Integers lengths;
    for (const std::string& text : texts)
        lengths.push_back(static_cast<std::int64_t>(text.size()));
    const std::uint8_t code = put_integers(data, lengths);
    for (const std::string& text : texts)
        data += text;
    return {Kind::Texts, 0, code, {static_cast<Index>(texts.size())}};
}

Entry put_value(std::string& data, const NumberArray& array) {
    Entry out{Kind::Numbers, static_cast<std::uint8_t>(array.type), as_they_are, array.shape};
    const bool real = array.type == NumberType::Float64;
    const std::size_t count = real ? array.reals.size() : array.integers.size();
    std::size_t expected = 1;
    for (const Index extent : array.shape)
        expected *= static_cast<std::size_t>(extent);
    if (expected != count || array.shape.size() > 255)
        throw std::invalid_argument("archive: expected as many numbers as the shape has, got " + std::to_string(count));
    if (!real) {
        out.code = put_integers(data, array.integers);
    } else if (count > 0 && std::all_of(array.reals.begin(), array.reals.end(), is_exact_integer)) {
        out.code = put_integers(data, Integers(array.reals.begin(), array.reals.end()));
    } else {
        for (const double value : array.reals)
            put(data, bits(value), 8);
    }
    return out;
}

// ---- reading
// ---------------------------------------------------------------------------------------------------------

/// Bytes in turn; throws where there are no more.
class Reader {
 public:
    Reader(const char* bytes, std::size_t size) : at_(bytes), left_(size) {}

    const char* take(std::size_t size) {
        damaged_unless(size <= left_);
        const char* out = at_;
        at_ += size;
        left_ -= size;
        return out;
    }
    std::uint64_t number(int width) { return get(take(width), width); }
    std::size_t left() const { return left_; }

 private:
    const char* at_;
    std::size_t left_;
};

/// Product of the dimensions; those of an array without numbers must make sense as well.
std::size_t count_of(const std::vector<Index>& shape) {
    constexpr Index most = Index{1} << 59;
    Index product = 1;
    bool none = false;
    for (const Index extent : shape) {
        damaged_unless(extent >= 0 && product <= most / std::max<Index>(extent, 1));
        product *= std::max<Index>(extent, 1);
        none = none || extent == 0;
    }
    return none ? 0 : static_cast<std::size_t>(product);
}

std::vector<std::string> get_texts(const Entry& entry, const char* data, std::size_t size) {
    damaged_unless(entry.shape.size() == 1);
    const std::size_t count = count_of(entry.shape), start = coded_size(entry.code, count, size);
    Reader texts(data + start, size - start);
    std::vector<std::string> out;
    out.reserve(count);
    for (const std::int64_t length : get_integers(data, entry.code, count)) {
        damaged_unless(length >= 0);
        out.emplace_back(texts.take(static_cast<std::size_t>(length)), static_cast<std::size_t>(length));
    }
    damaged_unless(texts.left() == 0);
    return out;
}

NumberArray get_numbers(const Entry& entry, const char* data, std::size_t size) {
    damaged_unless(entry.type <= static_cast<std::uint8_t>(NumberType::Boolean));
    NumberArray out{static_cast<NumberType>(entry.type), entry.shape, {}, {}};
    const std::size_t count = count_of(entry.shape);
    const bool real = out.type == NumberType::Float64;
    if (real && entry.code == as_they_are) {
        damaged_unless(count <= size / 8 && size == 8 * count);
        out.reals.resize(count);
        for (std::size_t i = 0; i < count; ++i) {
            const std::uint64_t value = get(data + 8 * i, 8);
            std::memcpy(&out.reals[i], &value, sizeof value);
        }
        return out;
    }
    damaged_unless(coded_size(entry.code, count, size) == size);
    out.integers = get_integers(data, entry.code, count);
    const auto [low, high] = real ? std::pair(-largest_exact, largest_exact) : limits(out.type);
    for (const std::int64_t value : out.integers)
        damaged_unless(value >= low && value <= high);
    if (real) {
        out.reals.assign(out.integers.begin(), out.integers.end());
        out.integers = {};
    }
    return out;
}

ArchiveValue get_value(const Entry& entry, const char* data, std::size_t size) {
    switch (entry.kind) {
        case Kind::Text:
            damaged_unless(entry.code == as_they_are && entry.shape.empty());
            return std::string(data, size);
        case Kind::Texts:
            return get_texts(entry, data, size);
        case Kind::Numbers:
            return get_numbers(entry, data, size);
    }
    throw ArchiveError(Reason::Damaged);
}

const char* in_words(Reason reason) {
    switch (reason) {
        case Reason::Foreign:
            return "these bytes are no file of pymixed";
        case Reason::Truncated:
            return "the file is truncated";
        case Reason::Damaged:
            return "the file is damaged";
        case Reason::Newer:
            return "the file was written by a newer version of pymixed";
    }
    return "unknown";
}

}  // namespace

ArchiveError::ArchiveError(Reason reason) : std::runtime_error(in_words(reason)), reason_(reason) {}

std::string pack(const Archive& archive) {
    std::string table, data;
    for (const auto& [name, value] : archive) {
        const std::size_t before = data.size();
        const Entry entry = std::visit([&](const auto& content) { return put_value(data, content); }, value);
        put(table, name.size(), 4);
        table += name;
        for (const std::uint8_t byte : {static_cast<std::uint8_t>(entry.kind), entry.type, entry.code,
                                        static_cast<std::uint8_t>(entry.shape.size())})
            put(table, byte, 1);
        for (const Index extent : entry.shape)
            put(table, bits(extent), 8);
        put(table, data.size() - before, 8);
    }
    std::string out(magic, sizeof magic);
    put(out, container_version, 4);
    put(out, out.size() + 8 + 4 + table.size() + data.size() + checksum_size, 8);
    put(out, archive.size(), 4);
    out += table;
    out += data;
    put(out, crc32(out.data(), out.size()), checksum_size);
    return out;
}

Archive unpack(const void* bytes, std::size_t size) {
    const char* begin = static_cast<const char*>(bytes);
    constexpr std::size_t head = sizeof magic + 4 + 8;
    if (size == 0 || !std::equal(begin, begin + std::min(size, sizeof magic), magic))
        throw ArchiveError(Reason::Foreign);
    if (size >= sizeof magic + 4 && get(begin + sizeof magic, 4) > container_version)
        throw ArchiveError(Reason::Newer);
    if (size < head || size < get(begin + sizeof magic + 4, 8))
        throw ArchiveError(Reason::Truncated);
    damaged_unless(get(begin + sizeof magic, 4) == container_version && size == get(begin + sizeof magic + 4, 8) &&
                   size >= head + checksum_size);
    const std::size_t content = size - checksum_size;
    damaged_unless(crc32(begin, content) == get(begin + content, checksum_size));

    struct Located {
        std::string name;
        Entry entry;
        std::uint64_t size;
    };
    Reader read(begin + head, content - head);
    std::vector<Located> table;
    for (std::uint64_t count = read.number(4); count > 0; --count) {
        const std::size_t length = read.number(4);
        std::string name(read.take(length), length);
        const auto kind = read.number(1);
        damaged_unless(kind <= static_cast<std::uint64_t>(Kind::Numbers));
        Entry entry{static_cast<Kind>(kind),
                    static_cast<std::uint8_t>(read.number(1)),
                    static_cast<std::uint8_t>(read.number(1)),
                    {}};
        for (std::uint64_t dimensions = read.number(1); dimensions > 0; --dimensions) {
            const std::uint64_t extent = read.number(8);
            damaged_unless(extent < std::uint64_t{1} << 62);
            entry.shape.push_back(static_cast<Index>(extent));
        }
        table.push_back({std::move(name), std::move(entry), read.number(8)});
    }
    Archive out;
    for (const Located& located : table) {
        damaged_unless(located.size <= read.left());
        ArchiveValue value = get_value(located.entry, read.take(located.size), located.size);
        damaged_unless(out.emplace(located.name, std::move(value)).second);
    }
    damaged_unless(read.left() == 0);
    return out;
}

}  // namespace pymixed
