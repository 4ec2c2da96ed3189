// Handles of the C interface that free themselves, and what C++ tests ask of them.
#pragma once

#include <memory>
#include <string>

#include "check.hpp"
#include "designs.hpp"
#include "pymixed.h"

namespace c_handles {

using designs::Design;
using designs::Index;
using designs::Matrix;

template <class Handle, void (*free)(Handle*)>
struct Free {
    void operator()(Handle* handle) const { free(handle); }
};
using Data = std::unique_ptr<pymixed_data, Free<pymixed_data, pymixed_data_free>>;
using Options = std::unique_ptr<pymixed_options, Free<pymixed_options, pymixed_options_free>>;
using Problem = std::unique_ptr<pymixed_problem, Free<pymixed_problem, pymixed_problem_free>>;
using Fit = std::unique_ptr<pymixed_fit, Free<pymixed_fit, pymixed_fit_free>>;
using Refits = std::unique_ptr<pymixed_refits, Free<pymixed_refits, pymixed_refits_free>>;
using Products = std::unique_ptr<pymixed_products, Free<pymixed_products, pymixed_products_free>>;
using Model = std::unique_ptr<pymixed_model, Free<pymixed_model, pymixed_model_free>>;

#define CHECK_OK(call)                                                                         \
    do {                                                                                       \
        const int32_t code_of_call = (call);                                                   \
        check::report(code_of_call == PYMIXED_OK, __FILE__, __LINE__, #call);                  \
        if (code_of_call != PYMIXED_OK)                                                        \
            std::printf("    %d: %s\n", static_cast<int>(code_of_call), pymixed_last_error()); \
    } while (false)

/// A call must return this code and leave this message.
inline void report_refusal(int32_t code, int32_t expected_code, const char* expected, const char* file, int line,
                           const char* call) {
    const std::string message = pymixed_last_error();
    check::report(code == expected_code && message == expected, file, line, call);
    if (code != expected_code || message != expected)
        std::printf("    %d: %s\n", static_cast<int>(code), message.c_str());
}

#define CHECK_REFUSED(call, message) \
    c_handles::report_refusal((call), PYMIXED_INVALID_ARGUMENT, (message), __FILE__, __LINE__, #call)
#define CHECK_NULL(call, name) CHECK_REFUSED(call, name ": expected a pointer, got NULL")

/// The handle that make(Handle**, arguments...) gives.
template <class Pointer, class Make, class... Arguments>
Pointer made(Make make, Arguments... arguments) {
    typename Pointer::pointer handle = nullptr;
    CHECK_OK(make(arguments..., &handle));
    return Pointer(handle);
}

inline Options options() {
    return made<Options>(pymixed_options_new);
}

/// Rows first .. last - 1 of a design, which lends its columns. The first column of X is the constant 1.
inline Data data_of(const Design& design, Index first, Index last) {
    const Index n = last - first;
    Data data = made<Data>(pymixed_data_new, n);
    CHECK_OK(pymixed_data_set_response(data.get(), design.y.data() + first, n));
    CHECK_OK(pymixed_data_add_fixed(data.get(), nullptr, n));
    for (Index j = 1; j < design.X.cols(); ++j)
        CHECK_OK(pymixed_data_add_fixed(data.get(), design.X.col(j).data() + first, n));
    for (std::size_t f = 0; f < design.codes.size(); ++f)
        CHECK_OK(pymixed_data_add_factor(data.get(), design.codes[f].data() + first, n, design.n_levels[f]));
    std::size_t column = 0;
    for (const pymixed::TermSpec& term : design.terms) {
        const bool diagonal = term.structure == pymixed::Structure::Diagonal;
        CHECK_OK(pymixed_data_add_term(data.get(), term.factor, diagonal ? PYMIXED_DIAGONAL : PYMIXED_UNSTRUCTURED));
        for (Index j = 0; j < term.n_cols; ++j, ++column) {
            const auto& z = design.Z[column];
            CHECK_OK(pymixed_data_add_term_columns(data.get(), z.size() == 0 ? nullptr : z.data() + first, n));
        }
    }
    if (design.weights.size() > 0)
        CHECK_OK(pymixed_data_set_weights(data.get(), design.weights.data() + first, n));
    return data;
}

inline Data data_of(const Design& design) {
    return data_of(design, 0, design.n());
}

/// The design's rows as the C++ interface takes them, with the constant 1 in the place of the first column.
inline pymixed::Rows rows_of(const Design& design) {
    pymixed::Rows rows = design.rows();
    rows.X[0] = {};
    return rows;
}

inline Fit fit_of(const Data& data, const Options& options = nullptr) {
    return made<Fit>(pymixed_fit_from_data, data.get(), options.get());
}

/// A quantity by the functions that give its shape and its numbers.
template <class Handle, class Size, class Get, class... Index>
Matrix numbers(const Handle* handle, Size size, Get get, int32_t quantity, Index... index) {
    int64_t rows = -1, columns = -1;
    CHECK_OK(size(handle, quantity, index..., &rows, &columns));
    Matrix values(rows, columns);
    double nothing = 0.0;
    CHECK_OK(get(handle, quantity, index..., values.size() == 0 ? &nothing : values.data(), values.size()));
    return values;
}

inline Matrix numbers(const Fit& fit, int32_t quantity, int64_t index = 0) {
    return numbers(fit.get(), pymixed_fit_size, pymixed_fit_get, quantity, index);
}

inline Matrix numbers(const Refits& refits, int32_t quantity) {
    return numbers(refits.get(), pymixed_refits_size, pymixed_refits_get, quantity);
}

inline Matrix numbers(const Model& model, int32_t quantity, int64_t index = 0) {
    return numbers(model.get(), pymixed_model_size, pymixed_model_get, quantity, index);
}

}  // namespace c_handles
