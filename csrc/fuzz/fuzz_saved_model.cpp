// Fuzzing of the reader of model files: bytes are read as an archive, as a model, and the model predicts.
//
// The container ends with a checksum that no mutation of bytes survives, so that inputs are mutated in one of two ways:
// the bytes, after which size and checksum are set right again, or one entry of the archive that they hold, which is
// then packed anew. Build with PYMIXED_BUILD_FUZZERS; `.ci/fuzz` runs it with tests/model_files as seeds.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <random>
#include <string>

#include "pymixed/saved_model.hpp"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

namespace {

using namespace pymixed;

constexpr std::size_t head_size = 20, size_at = 12, checksum_size = 4;  // of the container, see archive.hpp

/// CRC-32, bit by bit.
std::uint32_t checksum(const std::uint8_t* bytes, std::size_t size) {
    std::uint32_t crc = 0xFFFFFFFFu;
    for (std::size_t i = 0; i < size; ++i) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; ++bit)
            crc = (crc >> 1) ^ (crc & 1 ? 0xEDB88320u : 0u);
    }
    return ~crc;
}

void put(std::uint8_t* out, std::uint64_t value, int width) {
    for (int i = 0; i < width; ++i)
        out[i] = static_cast<std::uint8_t>(value >> (8 * i));
}

/// Sets size and checksum of a container right.
void seal(std::uint8_t* bytes, std::size_t size) {
    if (size < head_size + checksum_size)
        return;
    put(bytes + size_at, size, 8);
    put(bytes + size - checksum_size, checksum(bytes, size - checksum_size), checksum_size);
}

// ---- mutation of entries
// ---------------------------------------------------------------------------------------------

using Random = std::minstd_rand;

std::size_t below(std::size_t count, Random& random) {
    return random() % count;
}

void mutate_bytes(std::string& bytes) {
    const std::size_t size = bytes.size();
    bytes.resize(size + 32);
    bytes.resize(LLVMFuzzerMutate(reinterpret_cast<std::uint8_t*>(bytes.data()), size, bytes.size()));
}

template <class T>
void mutate_numbers(std::vector<T>& values) {
    const std::size_t before = values.size();
    values.resize(before + 4);
    const std::size_t size =
        LLVMFuzzerMutate(reinterpret_cast<std::uint8_t*>(values.data()), sizeof(T) * before, sizeof(T) * values.size());
    values.resize(size / sizeof(T));
}

void mutate(std::string& text, Random&) {
    mutate_bytes(text);
}

void mutate(std::vector<std::string>& texts, Random& random) {
    switch (texts.empty() ? 0 : below(4, random)) {
        case 0:
            texts.insert(texts.begin() + below(texts.size() + 1, random), "x");
            break;
        case 1:
            texts.erase(texts.begin() + below(texts.size(), random));
            break;
        case 2:
            texts.push_back(texts[below(texts.size(), random)]);
            break;
        default:
            mutate_bytes(texts[below(texts.size(), random)]);
    }
}

/// The numbers, and the shape where their count changes; sometimes the type.
void mutate(NumberArray& array, Random& random) {
    const bool real = array.type == NumberType::Float64;
    const std::size_t before = array.reals.size() + array.integers.size();
    if (below(8, random) == 0) {
        array.type = static_cast<NumberType>(below(7, random));
        if (real != (array.type == NumberType::Float64)) {
            array.integers.assign(real ? before : 0, 1);
            array.reals.assign(real ? 0 : before, 1.0);
        }
    } else if (real) {
        mutate_numbers(array.reals);
    } else {
        mutate_numbers(array.integers);
    }
    const std::size_t count = array.reals.size() + array.integers.size();
    if (count != before || below(8, random) == 0)
        array.shape = {static_cast<Index>(count)};
}

/// One entry mutated, dropped, exchanged with another or given another name.
void mutate(Archive& archive, Random& random) {
    if (archive.empty()) {
        archive["format"] = std::string();
        return;
    }
    const auto chosen = std::next(archive.begin(), below(archive.size(), random));
    const auto other = std::next(archive.begin(), below(archive.size(), random));
    switch (below(16, random)) {
        case 0:
            archive.erase(chosen);
            break;
        case 1:
            chosen->second = ArchiveValue(other->second);
            break;
        case 2: {
            std::string name = chosen->first;
            mutate_bytes(name);
            archive[name] = chosen->second;
            break;
        }
        default:
            std::visit([&](auto& value) { mutate(value, random); }, chosen->second);
    }
}

// ---- what is tried
// ---------------------------------------------------------------------------------------------------

/// Means and variances of a few rows, unknown levels among them.
void predict(const SavedModel& model) {
    const Index n = 3;
    const double values[n] = {1.0, -0.5, 1e3};
    Rows rows;
    rows.n = n;
    rows.X.assign(model.coefficient_names().size(), {values, 1});
    for (const SavedModel::Term& term : model.terms())
        rows.Z.insert(rows.Z.end(), term.columns.size(), {values, 1});
    std::vector<std::vector<std::int32_t>> codes;
    for (std::size_t f = 0; f < model.factors().size(); ++f) {
        const auto& levels = model.levels(static_cast<Index>(f));
        codes.push_back({-1, 0, model.level_code(static_cast<Index>(f), levels.back())});
    }
    for (const auto& code : codes)
        rows.codes.push_back(code.data());
    const Vector eta = model.linear_predictor(rows);
    const Vector variances = model.prediction_variances(rows);
    if (eta.size() != n || variances.size() != n || model.mean(eta, Vector(eta)).size() != n)
        std::abort();
}

}  // namespace

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size,
                                               unsigned seed) {
    Random random(seed + 1);
    if (below(4, random) > 0) {
        try {
            Archive archive = unpack(data, size);
            mutate(archive, random);
            const std::string packed = pack(archive);
            if (packed.size() <= max_size) {
                std::memcpy(data, packed.data(), packed.size());
                return packed.size();
            }
        } catch (const std::exception&) {  // no archive, or one that cannot be written
        }
    }
    size = LLVMFuzzerMutate(data, size, max_size);
    seal(data, size);
    return size;
}

/// Everything that is not among the errors that the headers name ends the program.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    try {
        const std::string once = pack(unpack(data, size));
        if (pack(unpack(once.data(), once.size())) != once)
            std::abort();
        predict(SavedModel::read(data, size));
    } catch (const std::invalid_argument&) {
    } catch (const std::runtime_error&) {  // ArchiveError, and products that are those of no fit
    }
    return 0;
}
