// What data and options refuse: with which code, in which words, and that nothing changes.

#include <cmath>
#include <cstring>
#include <limits>

#include "c_handles.hpp"
#include "pymixed/status.hpp"

using namespace c_handles;
using designs::Vector;

namespace {

Design design_of(Index n = 60) {
    return designs::simulate(n, 2, {{6, 2}}, 3);
}

/// What every call that reads data for a fit refuses.
void check_unfit(const pymixed_data* data, const char* message) {
    pymixed_fit* fit = nullptr;
    pymixed_problem* problem = nullptr;
    CHECK_REFUSED(pymixed_fit_from_data(data, nullptr, &fit), message);
    CHECK_REFUSED(pymixed_problem_from_data(data, nullptr, &problem), message);
    CHECK(fit == nullptr && problem == nullptr);
}

}  // namespace

TEST("numbers and texts of the statuses are those of the core") {
    using pymixed::Status;
    const Status statuses[] = {
        Status::Success,       Status::IterationLimit, Status::NoDescent,           Status::Interrupted,
        Status::ModesNotFound, Status::RankDeficient,  Status::NotPositiveDefinite, Status::InvalidResponse};
    const int32_t codes[] = {PYMIXED_SUCCESS,
                             PYMIXED_ITERATION_LIMIT,
                             PYMIXED_NO_DESCENT,
                             PYMIXED_INTERRUPTED,
                             PYMIXED_MODES_NOT_FOUND,
                             PYMIXED_RANK_DEFICIENT,
                             PYMIXED_NOT_POSITIVE_DEFINITE,
                             PYMIXED_INVALID_RESPONSE};
    for (int i = 0; i < 8; ++i) {
        CHECK(codes[i] == static_cast<int32_t>(statuses[i]));
        CHECK(std::strcmp(pymixed_status_message(codes[i]), pymixed::to_string(statuses[i])) == 0);
    }
    CHECK(std::strcmp(pymixed_status_message(8), "unknown") == 0);
    CHECK(std::strcmp(pymixed_status_message(-1), "unknown") == 0);
    CHECK(std::strcmp(pymixed_version(), PYMIXED_VERSION) == 0);
}

TEST("freeing NULL does nothing") {
    pymixed_data_free(nullptr);
    pymixed_options_free(nullptr);
    pymixed_problem_free(nullptr);
    pymixed_fit_free(nullptr);
    pymixed_refits_free(nullptr);
    pymixed_products_free(nullptr);
    pymixed_model_free(nullptr);
    CHECK(true);
}

TEST("the message stays until another call fails") {
    CHECK(std::strcmp(pymixed_last_error(), "data: expected a pointer, got NULL") != 0);
    CHECK(pymixed_data_new(3, nullptr) == PYMIXED_INVALID_ARGUMENT);
    const Data data = made<Data>(pymixed_data_new, Index{3});
    CHECK(std::strcmp(pymixed_last_error(), "data: expected a pointer, got NULL") == 0);
}

TEST("data: handles, sizes, codes") {
    pymixed_data* handle = reinterpret_cast<pymixed_data*>(&handle);
    CHECK_REFUSED(pymixed_data_new(0, &handle), "n_rows: expected at least 1, got 0");
    CHECK(handle == nullptr);
    CHECK_REFUSED(pymixed_data_new(-5, &handle), "n_rows: expected at least 1, got -5");
    CHECK_NULL(pymixed_data_new(3, nullptr), "data");

    const double values[6] = {1, 2, 3, 4, 5, 6};
    const int32_t codes[3] = {0, 1, 0};
    CHECK_NULL(pymixed_data_set_response(nullptr, values, 3), "data");
    CHECK_NULL(pymixed_data_set_weights(nullptr, values, 3), "data");
    CHECK_NULL(pymixed_data_set_offset(nullptr, values, 3), "data");
    CHECK_NULL(pymixed_data_add_fixed(nullptr, values, 3), "data");
    CHECK_NULL(pymixed_data_add_factor(nullptr, codes, 3, 2), "data");
    CHECK_NULL(pymixed_data_add_term(nullptr, 0, 0), "data");
    CHECK_NULL(pymixed_data_add_term_columns(nullptr, values, 3), "data");
    CHECK_NULL(pymixed_data_set_family(nullptr, "poisson", "log", NAN, NAN), "data");
    CHECK_NULL(pymixed_data_add_zero_inflation(nullptr, values, 3), "data");

    const Data data = made<Data>(pymixed_data_new, Index{3});
    pymixed_data* d = data.get();
    CHECK_NULL(pymixed_data_set_response(d, nullptr, 3), "values");
    CHECK_REFUSED(pymixed_data_set_response(d, values, 2), "size: expected 3, the number of rows, got 2");
    CHECK_REFUSED(pymixed_data_set_weights(d, values, 4), "size: expected 3, the number of rows, got 4");
    CHECK_REFUSED(pymixed_data_set_offset(d, values, -3), "size: expected 3, the number of rows, got -3");
    CHECK_REFUSED(pymixed_data_add_fixed(d, values, 5), "size: expected a positive multiple of the 3 rows, got 5");
    CHECK_REFUSED(pymixed_data_add_fixed(d, values, 0), "size: expected a positive multiple of the 3 rows, got 0");
    CHECK_REFUSED(pymixed_data_add_fixed(d, nullptr, 6),
                  "columns: expected values, or NULL with a size of 3 for the constant 1, got NULL with a size of 6");
    CHECK_REFUSED(pymixed_data_add_zero_inflation(d, values, -3),
                  "size: expected a positive multiple of the 3 rows, got -3");
    CHECK_REFUSED(pymixed_data_add_term(d, 0, PYMIXED_UNSTRUCTURED), "factor: expected nothing: there are none, got 0");
    CHECK_REFUSED(pymixed_data_add_term_columns(d, values, 3),
                  "columns: expected a term that they belong to (pymixed_data_add_term), got none");
    CHECK_NULL(pymixed_data_add_factor(d, nullptr, 3, 2), "codes");
    CHECK_REFUSED(pymixed_data_add_factor(d, codes, 6, 2), "size: expected 3, the number of rows, got 6");
    CHECK_REFUSED(pymixed_data_add_factor(d, codes, 3, 0), "n_levels: expected 1 to 2147483647, got 0");
    CHECK_REFUSED(pymixed_data_add_factor(d, codes, 3, int64_t{1} << 31),
                  "n_levels: expected 1 to 2147483647, got 2147483648");
    CHECK_OK(pymixed_data_add_factor(d, codes, 3, 2));
    CHECK_REFUSED(pymixed_data_add_term(d, 1, PYMIXED_UNSTRUCTURED), "factor: expected 0 to 0, got 1");
    CHECK_REFUSED(pymixed_data_add_term(d, -1, PYMIXED_UNSTRUCTURED), "factor: expected 0 to 0, got -1");
    CHECK_REFUSED(pymixed_data_add_term(d, 0, 2), "structure: expected 0 to 1, got 2");
    CHECK_OK(pymixed_data_add_term(d, 0, PYMIXED_DIAGONAL));
    CHECK_REFUSED(pymixed_data_add_term_columns(d, values, 4),
                  "size: expected a positive multiple of the 3 rows, got 4");

    CHECK_NULL(pymixed_data_set_family(d, nullptr, "log", NAN, NAN), "distribution");
    CHECK_NULL(pymixed_data_set_family(d, "poisson", nullptr, NAN, NAN), "link");
    CHECK(pymixed_data_set_family(d, "fish", "log", NAN, NAN) == PYMIXED_INVALID_ARGUMENT);
    CHECK(std::strstr(pymixed_last_error(), "fish") != nullptr);
    CHECK(pymixed_data_set_family(d, "poisson", "loglog", NAN, NAN) == PYMIXED_INVALID_ARGUMENT);
    CHECK(pymixed_data_set_family(d, "negative_binomial", "log", -1.0, NAN) == PYMIXED_INVALID_ARGUMENT);
    CHECK(pymixed_data_set_family(d, "tweedie", "log", NAN, 2.5) == PYMIXED_INVALID_ARGUMENT);
}

TEST("data that no model can be fitted to") {
    Design design = design_of();
    const Data empty = made<Data>(pymixed_data_new, Index{60});
    check_unfit(empty.get(), "response: expected values (pymixed_data_set_response), got none");
    CHECK_OK(pymixed_data_set_response(empty.get(), design.y.data(), 60));
    check_unfit(empty.get(), "terms: expected at least one random-effects term, got none");
    CHECK_OK(pymixed_data_add_factor(empty.get(), design.codes[0].data(), 60, 6));
    CHECK_OK(pymixed_data_add_term(empty.get(), 0, PYMIXED_UNSTRUCTURED));
    check_unfit(empty.get(), "terms: expected at least one column, got none");

    const Data data = data_of(design);
    const auto check_spoiled = [&](double& value, double spoiled, const char* message) {
        const double before = value;
        value = spoiled;
        check_unfit(data.get(), message);
        value = before;
    };
    const double inf = std::numeric_limits<double>::infinity();
    Vector weights = Vector::Ones(60), offset = Vector::Zero(60);
    CHECK_OK(pymixed_data_set_weights(data.get(), weights.data(), 60));
    CHECK_OK(pymixed_data_set_offset(data.get(), offset.data(), 60));
    check_spoiled(design.y[3], std::nan(""), "y: expected finite numbers, got nan in row 3");
    check_spoiled(design.X(59, 1), inf, "X[1]: expected finite numbers, got inf in row 59");
    check_spoiled(design.Z[1][0], -inf, "Z[1]: expected finite numbers, got -inf in row 0");
    check_spoiled(offset[1], std::nan(""), "offset: expected finite numbers, got nan in row 1");
    check_spoiled(weights[2], 0.0, "weights: expected positive numbers, got 0 in row 2");
    check_spoiled(weights[2], -1.5, "weights: expected positive numbers, got -1.5 in row 2");
    check_spoiled(weights[2], inf, "weights: expected positive numbers, got inf in row 2");
    design.codes[0][8] = 6;
    check_unfit(data.get(), "codes: expected 0 to 5, got 6");
    design.codes[0][8] = -1;
    check_unfit(data.get(), "codes: expected 0 to 5, got -1");
    design.codes[0][8] = 2;

    Vector zeros = Vector::Zero(60);
    CHECK_OK(pymixed_data_add_zero_inflation(data.get(), zeros.data(), 60));
    check_unfit(data.get(), "zero inflation: expected a family (pymixed_data_set_family), got none");
    CHECK_OK(pymixed_data_set_family(data.get(), "gaussian", "identity", NAN, NAN));
    check_unfit(data.get(), "zero inflation: a family of counts expected");
    CHECK_OK(pymixed_data_set_family(data.get(), "poisson", "log", NAN, NAN));
    design.y = design.y.array().exp().round();
    check_spoiled(zeros[4], inf, "zero_inflation[0]: expected finite numbers, got inf in row 4");
    check_spoiled(design.y[5], 0.5, "y: expected counts 0, 1, 2, ..., got 0.5 in row 5");
}

TEST("a factor without a term, more columns than rows") {
    const Design design = design_of();
    const Data data = data_of(design);
    CHECK_OK(pymixed_data_add_factor(data.get(), design.codes[0].data(), 60, 6));
    check_unfit(data.get(), "terms: factor 1 has no term");
    const Design small = design_of(12);
    const Data wide = data_of(small, 0, 2);
    check_unfit(wide.get(), "X: expected more rows than independent columns, got 2 rows and rank 2");
}

TEST("options") {
    CHECK_NULL(pymixed_options_new(nullptr), "options");
    CHECK_NULL(pymixed_options_set_reml(nullptr, 1), "options");
    CHECK_NULL(pymixed_options_set_tolerance(nullptr, 1.0), "options");
    CHECK_NULL(pymixed_options_set_max_evaluations(nullptr, 1), "options");
    CHECK_NULL(pymixed_options_set_threads(nullptr, 1), "options");
    CHECK_NULL(pymixed_options_set_nodes(nullptr, 1), "options");
    CHECK_NULL(pymixed_options_set_information(nullptr, 0), "options");
    CHECK_NULL(pymixed_options_set_hessian(nullptr, 1), "options");
    CHECK_NULL(pymixed_options_set_start(nullptr, nullptr, 0), "options");
    CHECK_NULL(pymixed_options_set_memory_limit(nullptr, 0.0), "options");
    CHECK_NULL(pymixed_options_set_callback(nullptr, nullptr, nullptr), "options");

    const Options options = c_handles::options();
    pymixed_options* o = options.get();
    CHECK_REFUSED(pymixed_options_set_reml(o, 2), "reml: expected 0 to 1, got 2");
    CHECK_REFUSED(pymixed_options_set_hessian(o, -1), "hessian: expected 0 to 1, got -1");
    CHECK_REFUSED(pymixed_options_set_tolerance(o, 0.0), "tolerance: expected a positive number, got 0");
    CHECK_REFUSED(pymixed_options_set_tolerance(o, std::nan("")), "tolerance: expected a positive number, got nan");
    CHECK_REFUSED(pymixed_options_set_max_evaluations(o, 0), "max_evaluations: expected at least 1, got 0");
    CHECK_REFUSED(pymixed_options_set_threads(o, 0), "n_threads: expected 1 to 4096, got 0");
    CHECK_REFUSED(pymixed_options_set_threads(o, 4097), "n_threads: expected 1 to 4096, got 4097");
    CHECK_REFUSED(pymixed_options_set_nodes(o, -1), "n_nodes: expected 0 to 100, got -1");
    CHECK_REFUSED(pymixed_options_set_information(o, 2), "information: expected 0 to 1, got 2");
    CHECK_REFUSED(pymixed_options_set_memory_limit(o, -1.0), "bytes: expected 0 or more, got -1");
    const double start[2] = {1.0, std::nan("")};
    CHECK_REFUSED(pymixed_options_set_start(o, nullptr, 2),
                  "start: expected values and their number, or NULL and 0, "
                  "got 2");
    CHECK_REFUSED(pymixed_options_set_start(o, start, -1),
                  "start: expected values and their number, or NULL and 0, "
                  "got -1");
    CHECK_REFUSED(pymixed_options_set_start(o, start, 2), "start: expected finite numbers, got nan");

    const Design design = design_of();
    const Data data = data_of(design);
    CHECK_OK(pymixed_options_set_start(o, start, 1));
    pymixed_fit* fit = nullptr;
    CHECK(pymixed_fit_from_data(data.get(), o, &fit) == PYMIXED_INVALID_ARGUMENT);
    CHECK(std::strstr(pymixed_last_error(), "start: expected 3 values, got 1") != nullptr);
}

TEST("a limit of memory") {
    const Design design = designs::simulate(400, 2, {{60, 2}, {50, 2}}, 4);
    const Data data = data_of(design);
    const Options options = c_handles::options();
    CHECK_OK(pymixed_options_set_memory_limit(options.get(), 1000.0));
    pymixed_problem* problem = nullptr;
    CHECK(pymixed_problem_from_data(data.get(), options.get(), &problem) == PYMIXED_OUT_OF_MEMORY);
    CHECK(problem == nullptr && std::strstr(pymixed_last_error(), "GB, the limit is") != nullptr);
    CHECK_OK(pymixed_options_set_memory_limit(options.get(), 1e9));
    CHECK(fit_of(data, options) != nullptr);
}
