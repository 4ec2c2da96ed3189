// What calls that give results refuse: with which code, in which words, and that nothing changes.

#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>

#include "c_handles.hpp"

using namespace c_handles;
using designs::Vector;

namespace {

constexpr const pymixed_options* defaults = nullptr;
constexpr const double* no_numbers = nullptr;

Design design_of(Index n = 60) {
    return designs::simulate(n, 2, {{6, 2}}, 3);
}

std::string slope_bytes() {
    std::ifstream file(PYMIXED_MODEL_FILES "/0.1.0-slope.pmx", std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

Model slope_model() {
    const std::string bytes = slope_bytes();
    return made<Model>(pymixed_model_from_bytes, static_cast<const void*>(bytes.data()),
                       static_cast<int64_t>(bytes.size()));
}

}  // namespace

TEST("fits: handles, quantities, positions, room") {
    const Design design = design_of();
    const Data data = data_of(design);
    const Problem problem = made<Problem>(pymixed_problem_from_data, data.get(), defaults);
    const Fit fit = fit_of(data);
    pymixed_fit* out = nullptr;
    CHECK_NULL(pymixed_problem_from_data(data.get(), nullptr, nullptr), "problem");
    CHECK_NULL(pymixed_fit_from_data(nullptr, nullptr, &out), "data");
    CHECK_NULL(pymixed_fit_from_data(data.get(), nullptr, nullptr), "fit");
    CHECK_NULL(pymixed_fit_from_problem(nullptr, nullptr, &out), "problem");
    CHECK_NULL(pymixed_fit_from_problem(problem.get(), nullptr, nullptr), "fit");
    CHECK_NULL(pymixed_fit_from_products(nullptr, nullptr, &out), "products");

    int64_t rows = -7, columns = -7;
    double values[4] = {7.0, 7.0, 7.0, 7.0};
    CHECK_NULL(pymixed_fit_size(nullptr, PYMIXED_THETA, 0, &rows, &columns), "fit");
    CHECK_NULL(pymixed_fit_size(fit.get(), PYMIXED_THETA, 0, nullptr, &columns), "n_rows");
    CHECK_NULL(pymixed_fit_size(fit.get(), PYMIXED_THETA, 0, &rows, nullptr), "n_columns");
    CHECK_NULL(pymixed_fit_get(nullptr, PYMIXED_THETA, 0, values, 4), "fit");
    CHECK_NULL(pymixed_fit_get(fit.get(), PYMIXED_THETA, 0, nullptr, 4), "values");
    CHECK_REFUSED(pymixed_fit_get(fit.get(), PYMIXED_THETA, 0, values, 2),
                  "capacity: expected at least 3 numbers, got 2");
    CHECK_REFUSED(pymixed_fit_get(fit.get(), PYMIXED_THETA, 0, values, -1),
                  "capacity: expected at least 3 numbers, got -1");
    CHECK_REFUSED(pymixed_fit_get(fit.get(), PYMIXED_THETA, 1, values, 4), "index: expected 0 to 0, got 1");
    CHECK_REFUSED(pymixed_fit_get(fit.get(), PYMIXED_TERM_COVARIANCE, 1, values, 4), "index: expected 0 to 0, got 1");
    CHECK_REFUSED(pymixed_fit_size(fit.get(), PYMIXED_MODES, -1, &rows, &columns), "index: expected 0 to 0, got -1");
    CHECK_REFUSED(pymixed_fit_get(fit.get(), 21, 0, values, 4),
                  "quantity: expected one that the fit of a linear model has, got 21");
    CHECK_REFUSED(pymixed_fit_get(fit.get(), -1, 0, values, 4),
                  "quantity: expected one that the fit of a linear model has, got -1");
    CHECK_REFUSED(pymixed_fit_get(fit.get(), PYMIXED_FAMILY_PARAMETERS, 0, values, 4),
                  "quantity: expected one that the fit of a linear model has, got 16");
    CHECK(rows == -7 && columns == -7 && values[0] == 7.0 && values[3] == 7.0);

    Design counts = design;
    counts.y = (0.3 * design.y).array().exp().round();
    const Data of_counts = data_of(counts);
    CHECK_OK(pymixed_data_set_family(of_counts.get(), "poisson", "log", NAN, NAN));
    CHECK_REFUSED(pymixed_fit_get(fit_of(of_counts).get(), PYMIXED_SIGMA, 0, values, 4),
                  "quantity: expected one that the fit of a generalized model has, got 12");
}

TEST("many responses: handles, quantities, sizes") {
    const Design design = design_of();
    const Data data = data_of(design);
    pymixed_refits* out = nullptr;
    const double* y = design.y.data();
    CHECK_NULL(pymixed_refits_from_data(nullptr, nullptr, y, nullptr, nullptr, 60, &out), "data");
    CHECK_NULL(pymixed_refits_from_data(data.get(), nullptr, nullptr, nullptr, nullptr, 60, &out), "responses");
    CHECK_NULL(pymixed_refits_from_data(data.get(), nullptr, y, nullptr, nullptr, 60, nullptr), "refits");
    CHECK_REFUSED(pymixed_refits_from_data(data.get(), nullptr, y, nullptr, nullptr, 59, &out),
                  "size: expected a multiple of the 60 rows, got 59");
    CHECK_REFUSED(pymixed_refits_from_data(data.get(), nullptr, y, nullptr, nullptr, -60, &out),
                  "size: expected a multiple of the 60 rows, got -60");
    const Refits refits =
        made<Refits>(pymixed_refits_from_data, data.get(), defaults, y, no_numbers, no_numbers, Index{60});
    int64_t rows = 0, columns = 0;
    double values[3] = {};
    CHECK_NULL(pymixed_refits_size(nullptr, PYMIXED_THETA, &rows, &columns), "refits");
    CHECK_NULL(pymixed_refits_size(refits.get(), PYMIXED_THETA, nullptr, &columns), "n_rows");
    CHECK_NULL(pymixed_refits_size(refits.get(), PYMIXED_THETA, &rows, nullptr), "n_columns");
    CHECK_NULL(pymixed_refits_get(nullptr, PYMIXED_THETA, values, 3), "refits");
    CHECK_NULL(pymixed_refits_get(refits.get(), PYMIXED_THETA, nullptr, 3), "values");
    CHECK_REFUSED(pymixed_refits_get(refits.get(), PYMIXED_THETA, values, 2),
                  "capacity: expected at least 3 numbers, got 2");
    for (const int32_t quantity : {PYMIXED_MODES, PYMIXED_FAMILY_PARAMETERS, PYMIXED_ZERO_COEFFICIENTS})
        CHECK(pymixed_refits_get(refits.get(), quantity, values, 3) == PYMIXED_INVALID_ARGUMENT);
    CHECK_REFUSED(pymixed_refits_get(refits.get(), 99, values, 3),
                  "quantity: expected one that fits of a linear model to many responses have, got 99");
}

TEST("cross-products: handles, other models; what failed changed nothing") {
    const Design design = design_of();
    const Data data = data_of(design);
    const Products products = made<Products>(pymixed_products_from_data, data.get());
    pymixed_products* out = nullptr;
    int64_t n = 0;
    CHECK_NULL(pymixed_products_from_data(nullptr, &out), "data");
    CHECK_NULL(pymixed_products_from_data(data.get(), nullptr), "products");
    CHECK_NULL(pymixed_products_add(nullptr, data.get()), "products");
    CHECK_NULL(pymixed_products_add(products.get(), nullptr), "data");
    CHECK_NULL(pymixed_products_merge(nullptr, products.get()), "products");
    CHECK_NULL(pymixed_products_merge(products.get(), nullptr), "other");
    CHECK_NULL(pymixed_products_rows(nullptr, &n), "products");
    CHECK_NULL(pymixed_products_rows(products.get(), nullptr), "n_rows");

    const Design other = designs::simulate(60, 2, {{7, 2}}, 3);
    CHECK_REFUSED(pymixed_products_add(products.get(), data_of(other).get()),
                  "data: expected the factors, levels and terms of the first batch, got others");
    const Products of_other = made<Products>(pymixed_products_from_data, data_of(other).get());
    CHECK(pymixed_products_merge(products.get(), of_other.get()) == PYMIXED_INVALID_ARGUMENT);
    const Data wider = data_of(design);
    CHECK_OK(pymixed_data_add_fixed(wider.get(), design.y.data(), 60));
    CHECK_REFUSED(pymixed_products_add(products.get(), wider.get()), "X: expected 2 columns, got 3");
    const Data counts = data_of(design);
    CHECK_OK(pymixed_data_set_family(counts.get(), "gaussian", "identity", NAN, NAN));
    CHECK_REFUSED(pymixed_products_from_data(counts.get(), &out),
                  "data: expected a linear model, got one with a family");
    CHECK_OK(pymixed_products_rows(products.get(), &n));
    CHECK(n == 60 && out == nullptr);
}

TEST("bytes that are no model file") {
    std::string bytes = slope_bytes();
    pymixed_model* model = nullptr;
    const auto read = [&](int64_t size) { return pymixed_model_from_bytes(bytes.data(), size, &model); };
    const auto all = static_cast<int64_t>(bytes.size());
    CHECK_NULL(pymixed_model_from_bytes(nullptr, all, &model), "bytes");
    CHECK_NULL(pymixed_model_from_bytes(bytes.data(), all, nullptr), "model");
    CHECK_REFUSED(read(-1), "size: expected 0 or more, got -1");
    CHECK(read(0) == PYMIXED_BAD_FILE && read(10) == PYMIXED_BAD_FILE && read(all - 1) == PYMIXED_BAD_FILE);
    bytes[bytes.size() / 2] ^= 1;
    CHECK(read(all) == PYMIXED_BAD_FILE && model == nullptr && std::strlen(pymixed_last_error()) > 10);
}

TEST("models: handles, names, positions, other rows") {
    const Model model = slope_model();
    const pymixed_model* m = model.get();
    int64_t number = 0;
    int32_t code = 0;
    const char* text = nullptr;
    double values[4] = {};
    CHECK_NULL(pymixed_model_size(nullptr, PYMIXED_THETA, 0, &number, &number), "model");
    CHECK_NULL(pymixed_model_size(m, PYMIXED_THETA, 0, nullptr, &number), "n_rows");
    CHECK_NULL(pymixed_model_size(m, PYMIXED_THETA, 0, &number, nullptr), "n_columns");
    CHECK_NULL(pymixed_model_get(nullptr, PYMIXED_THETA, 0, values, 4), "model");
    CHECK_NULL(pymixed_model_get(m, PYMIXED_THETA, 0, nullptr, 4), "values");
    CHECK_NULL(pymixed_model_names_size(nullptr, 0, 0, &number), "model");
    CHECK_NULL(pymixed_model_names_size(m, 0, 0, nullptr), "size");
    CHECK_NULL(pymixed_model_name(nullptr, 0, 0, 0, &text), "model");
    CHECK_NULL(pymixed_model_name(m, 0, 0, 0, nullptr), "name");
    CHECK_NULL(pymixed_model_family(nullptr, &text, &text), "model");
    CHECK_NULL(pymixed_model_family(m, nullptr, &text), "distribution");
    CHECK_NULL(pymixed_model_family(m, &text, nullptr), "link");
    CHECK_NULL(pymixed_model_terms(nullptr, &number), "model");
    CHECK_NULL(pymixed_model_terms(m, nullptr), "n_terms");
    CHECK_NULL(pymixed_model_term(nullptr, 0, &number, &code), "model");
    CHECK_NULL(pymixed_model_term(m, 0, nullptr, &code), "factor");
    CHECK_NULL(pymixed_model_term(m, 0, &number, nullptr), "structure");
    CHECK_NULL(pymixed_model_level_code(nullptr, 0, "308", &code), "model");
    CHECK_NULL(pymixed_model_level_code(m, 0, nullptr, &code), "label");
    CHECK_NULL(pymixed_model_level_code(m, 0, "308", nullptr), "code");

    CHECK_REFUSED(pymixed_model_get(m, PYMIXED_STATUS, 0, values, 4),
                  "quantity: expected one that the file of a linear model has, got 0");
    CHECK_REFUSED(pymixed_model_get(m, PYMIXED_MODES, 9, values, 4), "index: expected 0 to 0, got 9");
    CHECK_REFUSED(pymixed_model_get(m, PYMIXED_COVARIANCE, 0, values, 1),
                  "capacity: expected at least 4 numbers, got 1");
    CHECK_REFUSED(pymixed_model_names_size(m, 4, 0, &number), "names: expected 0 to 3, got 4");
    CHECK_REFUSED(pymixed_model_names_size(m, PYMIXED_LEVEL_NAMES, 1, &number), "index: expected 0 to 0, got 1");
    CHECK_REFUSED(pymixed_model_name(m, PYMIXED_COLUMN_NAMES, -1, 0, &text), "index: expected 0 to 0, got -1");
    CHECK_REFUSED(pymixed_model_name(m, PYMIXED_COEFFICIENT_NAMES, 0, 2, &text), "position: expected 0 to 1, got 2");
    CHECK_REFUSED(pymixed_model_term(m, 1, &number, &code), "term: expected 0 to 0, got 1");
    CHECK_REFUSED(pymixed_model_level_code(m, 1, "308", &code), "factor: expected 0 to 0, got 1");

    const Design design = design_of();
    const Data data = data_of(design);
    Vector eta(60);
    CHECK_NULL(pymixed_model_linear_predictor(nullptr, data.get(), eta.data(), 60), "model");
    CHECK_NULL(pymixed_model_linear_predictor(m, nullptr, eta.data(), 60), "data");
    CHECK_NULL(pymixed_model_linear_predictor(m, data.get(), nullptr, 60), "values");
    CHECK_NULL(pymixed_model_variances(nullptr, data.get(), eta.data(), 60), "model");
    CHECK_NULL(pymixed_model_variances(m, nullptr, eta.data(), 60), "data");
    CHECK_NULL(pymixed_model_variances(m, data.get(), nullptr, 60), "values");
    CHECK_NULL(pymixed_model_mean(nullptr, eta.data(), nullptr, 60, eta.data(), 60), "model");
    CHECK_NULL(pymixed_model_mean(m, nullptr, nullptr, 60, eta.data(), 60), "eta");
    CHECK_NULL(pymixed_model_mean(m, eta.data(), nullptr, 60, nullptr, 60), "values");
    CHECK_REFUSED(pymixed_model_mean(m, eta.data(), nullptr, -1, eta.data(), 60), "size: expected 0 or more, got -1");
    CHECK_REFUSED(pymixed_model_linear_predictor(m, data.get(), eta.data(), 59),
                  "capacity: expected at least 60 numbers, got 59");
    const Data wider = data_of(design);
    CHECK_OK(pymixed_data_add_term_columns(wider.get(), nullptr, 60));
    CHECK_REFUSED(pymixed_model_linear_predictor(m, wider.get(), eta.data(), 60),
                  "data: expected the factors and terms of the model, got others");
    const Data narrower = made<Data>(pymixed_data_new, Index{60});
    CHECK_REFUSED(pymixed_model_variances(m, narrower.get(), eta.data(), 60),
                  "data: expected the factors and terms of the model, got others");
}
