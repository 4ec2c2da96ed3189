// What is packed comes back; what was changed on the way does not.
#include "check.hpp"

#include <cstring>
#include <limits>
#include <random>

#include "pymixed/archive.hpp"

namespace {

using namespace pymixed;
using Reason = ArchiveError::Reason;

NumberArray reals(std::vector<double> values) {
    NumberArray out{NumberType::Float64, {static_cast<Index>(values.size())}, {}, {}};
    out.reals = std::move(values);
    return out;
}

NumberArray integers(std::vector<std::int64_t> values, NumberType type = NumberType::Int64) {
    NumberArray out{type, {static_cast<Index>(values.size())}, {}, {}};
    out.integers = std::move(values);
    return out;
}

bool same(const ArchiveValue& a, const ArchiveValue& b) {
    if (a.index() != b.index())
        return false;
    if (const auto* x = std::get_if<NumberArray>(&a)) {
        const auto& y = std::get<NumberArray>(b);
        return x->type == y.type && x->shape == y.shape && x->integers == y.integers &&
               x->reals.size() == y.reals.size() &&
               (x->reals.empty() ||
                std::memcmp(x->reals.data(), y.reals.data(), x->reals.size() * sizeof(double)) == 0);
    }
    if (const auto* text = std::get_if<std::string>(&a))
        return *text == std::get<std::string>(b);
    return std::get<std::vector<std::string>>(a) == std::get<std::vector<std::string>>(b);
}

void check_same(const Archive& a, const Archive& b) {
    CHECK(a.size() == b.size());
    for (const auto& [name, value] : a) {
        const auto found = b.find(name);
        CHECK(found != b.end() && same(value, found->second));
    }
}

Archive small() {
    NumberArray matrix = reals({1.5, -2.0, 3.0, 4.0, 5.0, 6.0});
    matrix.shape = {2, 3};
    return {{"text", std::string("a")},
            {"texts", std::vector<std::string>{"x", "", "long"}},
            {"matrix", matrix},
            {"codes", integers({3, 1, 2}, NumberType::Int32)},
            {"start", integers({0, 300, 600, 900})}};
}

/// CRC-32 by its definition, bit by bit.
std::uint32_t checksum(const std::string& bytes, std::size_t size) {
    std::uint32_t crc = 0xFFFFFFFFu;
    for (std::size_t i = 0; i < size; ++i) {
        crc ^= static_cast<unsigned char>(bytes[i]);
        for (int bit = 0; bit < 8; ++bit)
            crc = (crc >> 1) ^ (crc & 1 ? 0xEDB88320u : 0u);
    }
    return ~crc;
}

/// The length and the checksum that the bytes ought to have.
void seal(std::string& bytes) {
    for (int i = 0; i < 8; ++i)
        bytes[12 + i] = static_cast<char>(bytes.size() >> (8 * i));
    const std::uint32_t crc = checksum(bytes, bytes.size() - 4);
    for (int i = 0; i < 4; ++i)
        bytes[bytes.size() - 4 + i] = static_cast<char>(crc >> (8 * i));
}

bool refused(const std::string& bytes, Reason reason) {
    try {
        unpack(bytes.data(), bytes.size());
    } catch (const ArchiveError& error) {
        return error.reason() == reason;
    }
    return false;
}

}  // namespace

TEST("everything comes back as it was") {
    const double inf = std::numeric_limits<double>::infinity();
    constexpr auto least = std::numeric_limits<std::int64_t>::min(), most = std::numeric_limits<std::int64_t>::max();
    NumberArray scalar = integers({7});
    scalar.shape = {};
    NumberArray empty = reals({});
    empty.shape = {3, 0, 2};
    const Archive archive{{"", std::string()},
                          {"text", std::string("gr\xC3\xB6\xC3\x9F"
                                               "e\0 and more",
                                               16)},
                          {"no texts", std::vector<std::string>{}},
                          {"texts", std::vector<std::string>{"", std::string(70000, 'x'), "y"}},
                          {"special", reals({std::nan(""), -std::nan("7"), inf, -inf, 0.0, 1e-320, 0.1})},
                          {"negative zero", reals({1.0, -0.0})},
                          {"large", reals({9007199254740992.0, -9007199254740992.0})},
                          {"too large", reals({9007199254740994.0, 1e300})},
                          {"whole", reals({5.0, -3.0, 1e6})},
                          {"scalar", scalar},
                          {"empty", empty},
                          {"no integers", integers({}, NumberType::Int8)},
                          {"extremes", integers({most, least, 0, -1})},
                          {"ascending extremes", integers({least, -1, 0, most})},
                          {"steps", integers({-1000000, -999999, -999800, 1})},
                          {"int32", integers({-2147483648, 2147483647}, NumberType::Int32)},
                          {"int8", integers({-128, 127}, NumberType::Int8)},
                          {"uint8", integers({0, 255}, NumberType::UInt8)},
                          {"uint64", integers({least, -1, most}, NumberType::UInt64)},
                          {"boolean", integers({1, 0, 1}, NumberType::Boolean)}};
    const std::string bytes = pack(archive);
    check_same(unpack(bytes.data(), bytes.size()), archive);
    check_same(unpack(pack({}).data(), pack({}).size()), {});
    CHECK_THROWS(pack({{"a", NumberArray{NumberType::Float64, {2}, {1.0}, {}}}}), std::invalid_argument);
}

TEST("the bytes are those that the header describes") {
    const std::string bytes = pack({{"ab", integers({256, 258, 259}, NumberType::Int32)}});
    const std::string expected(
        "PYMIXED\x1A"
        "\x01\0\0\0"
        "\x41\0\0\0\0\0\0\0"  // 65 bytes
        "\x01\0\0\0"
        "\x02\0\0\0"
        "ab"
        "\x02\x02\x01\x01"
        "\x03\0\0\0\0\0\0\0"
        "\x0B\0\0\0\0\0\0\0"
        "\0\x01\0\0\0\0\0\0"
        "\0\x02\x03",
        61);
    CHECK(bytes.substr(0, bytes.size() - 4) == expected);
    CHECK(checksum("123456789", 9) == 0xCBF43926u);  // the check value of CRC-32
    std::string sealed = bytes;
    seal(sealed);
    CHECK(sealed == bytes);
}

TEST("integers take the fewest bytes") {
    const auto size = [](std::vector<std::int64_t> values) { return pack({{"", integers(values)}}).size(); };
    std::vector<std::int64_t> few(1000), wide(1000), steps(1000);
    for (std::int64_t i = 0; i < 1000; ++i) {
        few[i] = 1000000 + i % 7;
        wide[i] = (i % 2) * 70000;
        steps[i] = 100 * i;
    }
    CHECK(size(few) == size({}) + 1000);
    CHECK(size(wide) == size({}) + 4000);
    CHECK(size(steps) == size({}) + 1000);
    CHECK(pack({{"", reals(std::vector<double>(few.begin(), few.end()))}}).size() == size(few));
}

TEST("truncated, damaged, foreign and newer bytes are told apart") {
    const std::string bytes = pack(small());
    CHECK(refused("", Reason::Foreign));
    for (std::size_t size = 1; size < bytes.size(); ++size)
        CHECK(refused(bytes.substr(0, size), Reason::Truncated));
    CHECK(refused(bytes + '\0', Reason::Damaged));
    CHECK(refused("PK\x03\x04 and so on", Reason::Foreign));
    std::string newer = bytes;
    newer[8] = 2;
    CHECK(refused(newer, Reason::Newer));
    for (std::size_t i = 0; i < bytes.size(); ++i)
        for (const unsigned change : {0x01u, 0x80u, 0xFFu}) {
            std::string other = bytes;
            other[i] = static_cast<char>(static_cast<unsigned char>(other[i]) ^ change);
            CHECK_THROWS(unpack(other.data(), other.size()), ArchiveError);
        }
}

TEST("bytes with a valid checksum and nonsense in them are refused or read within their bounds") {
    const std::string bytes = pack(small());
    std::mt19937 random(1);
    int accepted = 0;
    for (int trial = 0; trial < 5000; ++trial) {
        std::string other = bytes;
        if (trial % 3 == 0)
            other.erase(20 + random() % (other.size() - 24), 1 + random() % 3);
        if (trial % 5 == 0)
            other.insert(20 + random() % (other.size() - 24), 1 + random() % 9, static_cast<char>(random()));
        for (int k = random() % 6; k >= 0; --k)
            other[20 + random() % (other.size() - 24)] = static_cast<char>(random() % 4 == 0 ? 0xFF : random());
        seal(other);
        try {
            const Archive archive = unpack(other.data(), other.size());
            check_same(archive, unpack(pack(archive).data(), pack(archive).size()));
            ++accepted;
        } catch (const ArchiveError& error) {
            CHECK(error.reason() == Reason::Damaged);
        }
    }
    CHECK(accepted < 4000);  // other numbers, texts and names are as good as those before
    for (int trial = 0; trial < 2000; ++trial) {
        std::string other = bytes.substr(0, 20 + random() % 40);
        for (std::size_t i = 20; i < other.size(); ++i)
            other[i] = static_cast<char>(random());
        other += "    ";
        seal(other);
        CHECK_THROWS(unpack(other.data(), other.size()), ArchiveError);
    }
}
