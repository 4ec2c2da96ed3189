#include "data.hpp"

#include <limits>

#include "pymixed/host_rows.hpp"

using namespace pymixed;
using namespace pymixed::c_api;

namespace {

void check_size(int64_t expected, int64_t size) {
    if (size != expected)
        refuse("size", std::to_string(expected) + ", the number of rows", size);
}

/// Appends the columns of a matrix; their number.
Index append(const char* name, const double* columns, int64_t size, Index n, std::vector<ColumnView>& to) {
    if (columns == nullptr && size != n)
        refuse(name, "values, or NULL with a size of " + std::to_string(n) + " for the constant 1",
               "NULL with a size of " + std::to_string(size));
    if (size < n || size % n != 0)
        refuse("size", "a positive multiple of the " + std::to_string(n) + " rows", size);
    const Index count = static_cast<Index>(size / n);
    for (Index j = 0; j < count; ++j)
        to.push_back({columns == nullptr ? nullptr : columns + j * n});
    return count;
}

/// An optional vector.
const double* vector_or_none(const double* values, int64_t size, Index n) {
    if (values != nullptr)
        check_size(n, size);
    return values;
}

}  // namespace

std::unique_ptr<Family> pymixed_data::whole_family() const {
    return zero_inflation.empty() ? family->clone() : make_zero_inflated(family->clone());
}

void pymixed_data::check_design() const {
    if (family == nullptr && !zero_inflation.empty())
        refuse("zero inflation", "a family (pymixed_data_set_family)", std::string("none"));
    check_rows(layout(), rows, zero_inflation);
}

void pymixed_data::check_response() const {
    if (rows.y.data == nullptr)
        refuse("response", "values (pymixed_data_set_response)", std::string("none"));
    if (family == nullptr)
        pymixed::check_response(rows);
    else
        pymixed::check_response(rows, *whole_family(), zero_inflation);
}

extern "C" {

int32_t pymixed_data_new(int64_t n_rows, pymixed_data** data) {
    return hand_over(data, "data", [&] {
        if (n_rows < 1)
            refuse("n_rows", "at least 1", n_rows);
        auto made = std::make_unique<pymixed_data>();
        made->rows.n = static_cast<Index>(n_rows);
        return made;
    });
}

void pymixed_data_free(pymixed_data* data) {
    delete data;
}

int32_t pymixed_data_set_response(pymixed_data* data, const double* values, int64_t size) {
    return guarded([&] {
        Rows& rows = given(data, "data").rows;
        given(values, "values");
        check_size(rows.n, size);
        rows.y = {values};
    });
}

int32_t pymixed_data_set_weights(pymixed_data* data, const double* values, int64_t size) {
    return guarded([&] {
        Rows& rows = given(data, "data").rows;
        rows.weights = vector_or_none(values, size, rows.n);
    });
}

int32_t pymixed_data_set_offset(pymixed_data* data, const double* values, int64_t size) {
    return guarded([&] {
        Rows& rows = given(data, "data").rows;
        rows.offset = vector_or_none(values, size, rows.n);
    });
}

int32_t pymixed_data_add_fixed(pymixed_data* data, const double* columns, int64_t size) {
    return guarded([&] {
        Rows& rows = given(data, "data").rows;
        append("columns", columns, size, rows.n, rows.X);
    });
}

int32_t pymixed_data_add_factor(pymixed_data* data, const int32_t* codes, int64_t size, int64_t n_levels) {
    return guarded([&] {
        Rows& rows = given(data, "data").rows;
        given(codes, "codes");
        check_size(rows.n, size);
        if (n_levels < 1 || n_levels > std::numeric_limits<int32_t>::max())
            refuse("n_levels", "1 to 2147483647", n_levels);
        rows.codes.reserve(rows.codes.size() + 1);
        data->n_levels.push_back(static_cast<Index>(n_levels));
        rows.codes.push_back(codes);
    });
}

int32_t pymixed_data_add_term(pymixed_data* data, int64_t factor, int32_t structure) {
    return guarded([&] {
        const auto n_factors = static_cast<int64_t>(given(data, "data").n_levels.size());
        const Index position = checked_position("factor", factor, n_factors);
        const bool diagonal = checked_position("structure", structure, 2) == PYMIXED_DIAGONAL;
        data->terms.push_back({position, 0, diagonal ? Structure::Diagonal : Structure::Unstructured});
    });
}

int32_t pymixed_data_add_term_columns(pymixed_data* data, const double* columns, int64_t size) {
    return guarded([&] {
        if (given(data, "data").terms.empty())
            refuse("columns", "a term that they belong to (pymixed_data_add_term)", std::string("none"));
        data->terms.back().n_cols += append("columns", columns, size, data->rows.n, data->rows.Z);
    });
}

int32_t pymixed_data_set_family(pymixed_data* data, const char* distribution, const char* link, double shape,
                                double power) {
    return guarded([&] {
        given(data, "data");
        FamilyConstants constants;
        constants.shape = shape;
        constants.power = power;
        data->family = make_family(&given(distribution, "distribution"), &given(link, "link"), constants);
    });
}

int32_t pymixed_data_add_zero_inflation(pymixed_data* data, const double* columns, int64_t size) {
    return guarded([&] {
        given(data, "data");
        append("columns", columns, size, data->rows.n, data->zero_inflation);
    });
}

}  // extern "C"
