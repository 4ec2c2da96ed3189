// Many responses, cross-products and model files by the C interface.

#include <cmath>
#include <fstream>
#include <iterator>
#include <vector>

#include "c_handles.hpp"
#include "pymixed/models.hpp"
#include "pymixed/saved_model.hpp"
#include "refits.hpp"

using namespace c_handles;
using designs::Vector;
using refits::same_bits;

namespace {

constexpr const double* none = nullptr;
constexpr const pymixed_options* defaults = nullptr;

Design linear_design() {
    return designs::simulate(300, 3, {{30, 2}, {12, 1}}, 5);
}

template <class T>
Vector reals(const std::vector<T>& values) {
    Vector out(static_cast<Index>(values.size()));
    for (Index i = 0; i < out.size(); ++i)
        out[i] = static_cast<double>(values[i]);
    return out;
}

/// All that fits of linear and generalized models to many responses have.
void check_common(const Refits& found, const pymixed::Refits& expected) {
    CHECK(same_bits(numbers(found, PYMIXED_STATUS), reals(expected.status)));
    CHECK(same_bits(numbers(found, PYMIXED_ROWS), reals(expected.n_rows)));
    CHECK(same_bits(numbers(found, PYMIXED_EVALUATIONS), reals(expected.n_evaluations)));
    CHECK(same_bits(numbers(found, PYMIXED_OBJECTIVE), expected.objective));
    CHECK(same_bits(numbers(found, PYMIXED_COEFFICIENTS), expected.beta));
    CHECK(same_bits(numbers(found, PYMIXED_COVARIANCE), expected.covariance));
    CHECK(same_bits(numbers(found, PYMIXED_THETA), expected.theta));
    CHECK(same_bits(numbers(found, PYMIXED_KEPT), reals(expected.kept)));
    CHECK(numbers(found, PYMIXED_LOG_LIKELIHOOD)(0) == -0.5 * expected.objective[0]);
}

std::string bytes_of(const char* name) {
    std::ifstream file(std::string(PYMIXED_MODEL_FILES "/0.1.0-") + name + ".pmx", std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

Model model_of(const std::string& bytes) {
    return made<Model>(pymixed_model_from_bytes, static_cast<const void*>(bytes.data()),
                       static_cast<int64_t>(bytes.size()));
}

std::string name_of(const Model& model, int32_t names, int64_t index, int64_t position) {
    const char* name = nullptr;
    CHECK_OK(pymixed_model_name(model.get(), names, index, position, &name));
    return name;
}

/// New rows of a model: random columns, every code from -1 on.
struct NewRows {
    NewRows(const pymixed::SavedModel& model, Index size) : n(size) {
        designs::Normal normal(3);
        const auto column = [&] {
            Vector values(n);
            for (Index i = 0; i < n; ++i)
                values[i] = normal();
            return values;
        };
        X.resize(n, model.coefficients().size());
        for (Index j = 0; j < X.cols(); ++j)
            X.col(j) = column();
        offset = column();
        for (std::size_t f = 0; f < model.factors().size(); ++f) {
            const auto n_levels = static_cast<Index>(model.levels(static_cast<Index>(f)).size());
            codes.emplace_back(n);
            for (Index i = 0; i < n; ++i)
                codes[f][i] = static_cast<std::int32_t>(i % (n_levels + 1) - 1);
        }
        for (const auto& term : model.terms())
            for (std::size_t j = 0; j < term.columns.size(); ++j)
                Z.push_back(column());
        rows.n = n;
        for (Index j = 0; j < X.cols(); ++j)
            rows.X.push_back({X.col(j).data()});
        for (const auto& code : codes)
            rows.codes.push_back(code.data());
        for (const Vector& z : Z)
            rows.Z.push_back({z.data()});
        rows.offset = offset.data();

        data = made<Data>(pymixed_data_new, n);
        CHECK_OK(pymixed_data_add_fixed(data.get(), X.data(), X.size()));
        CHECK_OK(pymixed_data_set_offset(data.get(), offset.data(), n));
        for (const auto& code : codes)
            CHECK_OK(pymixed_data_add_factor(data.get(), code.data(), n, 1));
        std::size_t column_of_Z = 0;
        for (const auto& term : model.terms()) {
            CHECK_OK(pymixed_data_add_term(data.get(), term.factor, PYMIXED_UNSTRUCTURED));
            for (std::size_t j = 0; j < term.columns.size(); ++j)
                CHECK_OK(pymixed_data_add_term_columns(data.get(), Z[column_of_Z++].data(), n));
        }
    }

    Index n;
    Matrix X;
    Vector offset;
    std::vector<std::vector<std::int32_t>> codes;
    std::vector<Vector> Z;
    pymixed::Rows rows;
    Data data;
};

void check_model(const char* name) {
    const std::string bytes = bytes_of(name);
    pymixed::SavedModel expected = pymixed::SavedModel::read(bytes.data(), bytes.size());
    const Model model = model_of(bytes);
    CHECK(same_bits(numbers(model, PYMIXED_COEFFICIENTS), expected.coefficients()));
    CHECK(same_bits(numbers(model, PYMIXED_COVARIANCE), expected.covariance()));
    CHECK(same_bits(numbers(model, PYMIXED_THETA), expected.theta()));

    int64_t size = 0, factor = -1;
    CHECK_OK(pymixed_model_names_size(model.get(), PYMIXED_COEFFICIENT_NAMES, 0, &size));
    CHECK(size == expected.coefficients().size());
    for (int64_t j = 0; j < size; ++j)
        CHECK(name_of(model, PYMIXED_COEFFICIENT_NAMES, 0, j) == expected.coefficient_names()[j]);
    CHECK_OK(pymixed_model_names_size(model.get(), PYMIXED_FACTOR_NAMES, 0, &size));
    CHECK(size == static_cast<int64_t>(expected.factors().size()));
    for (int64_t f = 0; f < size; ++f) {
        CHECK(name_of(model, PYMIXED_FACTOR_NAMES, 0, f) == expected.factors()[f]);
        CHECK(same_bits(numbers(model, PYMIXED_MODES, f), expected.modes(f)));
        int64_t n_levels = 0;
        CHECK_OK(pymixed_model_names_size(model.get(), PYMIXED_LEVEL_NAMES, f, &n_levels));
        CHECK(n_levels == static_cast<int64_t>(expected.levels(f).size()) && n_levels > 1);
        const std::string label = name_of(model, PYMIXED_LEVEL_NAMES, f, n_levels - 1);
        int32_t code = -2;
        CHECK_OK(pymixed_model_level_code(model.get(), f, label.c_str(), &code));
        CHECK(label == expected.levels(f).back() && code == n_levels - 1);
        CHECK_OK(pymixed_model_level_code(model.get(), f, "no such level", &code));
        CHECK(code == -1);
    }
    CHECK_OK(pymixed_model_terms(model.get(), &size));
    CHECK(size == static_cast<int64_t>(expected.terms().size()));
    for (int64_t i = 0; i < size; ++i) {
        const auto& term = expected.terms()[i];
        int32_t structure = -1;
        CHECK_OK(pymixed_model_term(model.get(), i, &factor, &structure));
        CHECK(factor == term.factor && structure == static_cast<int32_t>(term.structure));
        CHECK(name_of(model, PYMIXED_COLUMN_NAMES, i, 0) == term.columns[0]);
    }

    const NewRows fresh(expected, 40);
    Vector eta(40), variances(40), means(40), zeta = fresh.offset;
    CHECK_OK(pymixed_model_linear_predictor(model.get(), fresh.data.get(), eta.data(), 40));
    CHECK(same_bits(eta, expected.linear_predictor(fresh.rows)));
    CHECK_OK(pymixed_model_variances(model.get(), fresh.data.get(), variances.data(), 40));
    CHECK(same_bits(variances, expected.prediction_variances(fresh.rows)) && variances.minCoeff() > 0.0);
    CHECK_OK(pymixed_model_mean(model.get(), eta.data(), nullptr, 40, means.data(), 40));
    CHECK(same_bits(means, expected.mean(eta)));
    CHECK_OK(pymixed_model_mean(model.get(), eta.data(), zeta.data(), 40, means.data(), 40));
    CHECK(same_bits(means, expected.mean(eta, zeta)));
}

}  // namespace

TEST("many responses of a linear model") {
    Design design = linear_design();
    design.X.col(1).setConstant(2.0);  // depends on the intercept
    Matrix Y(300, 4), weights = Matrix::Constant(300, 4, 2.0), offset = Matrix::Constant(300, 4, 0.25);
    Y << design.y, 2.0 * design.y.reverse(), Vector::Ones(300), design.y;
    Y(5, 2) = HUGE_VAL;
    Y(7, 3) = NAN;
    const Data data = data_of(design);
    const Options options = c_handles::options();
    CHECK_OK(pymixed_options_set_threads(options.get(), 2));
    for (const bool own : {false, true}) {
        const double *w = own ? weights.data() : nullptr, *o = own ? offset.data() : nullptr;
        const Refits found =
            made<Refits>(pymixed_refits_from_data, data.get(), options.get(), Y.data(), w, o, Y.size());
        const pymixed::Refits expected =
            fit_many(design.layout(), rows_of(design), pymixed::Responses{Y.data(), w, o, 4});
        check_common(found, expected);
        CHECK(same_bits(numbers(found, PYMIXED_SIGMA), expected.extra));
        CHECK(numbers(found, PYMIXED_STATUS)(0) == PYMIXED_SUCCESS);
        CHECK(numbers(found, PYMIXED_STATUS)(2) == PYMIXED_INVALID_RESPONSE);
        CHECK(numbers(found, PYMIXED_ROWS)(3) == 299.0);
        CHECK(numbers(found, PYMIXED_COEFFICIENTS).cols() == 2 && numbers(found, PYMIXED_KEPT)(1) == 2.0);
    }
    const Refits nothing = made<Refits>(pymixed_refits_from_data, data.get(), defaults, Y.data(), none, none, Index{0});
    CHECK(numbers(nothing, PYMIXED_COEFFICIENTS).rows() == 0);
}

TEST("many responses of a generalized model, without a response of the design") {
    const Design design = designs::simulate_counts();
    Matrix Y(300, 2);
    Y << design.y, design.y.reverse();
    const Vector ones = Vector::Ones(300);
    Data data = made<Data>(pymixed_data_new, Index{300});
    CHECK_OK(pymixed_data_add_fixed(data.get(), nullptr, 300));
    CHECK_OK(pymixed_data_add_fixed(data.get(), design.X.col(1).data(), 300));
    CHECK_OK(pymixed_data_add_factor(data.get(), design.codes[0].data(), 300, 30));
    CHECK_OK(pymixed_data_add_term(data.get(), 0, PYMIXED_UNSTRUCTURED));
    CHECK_OK(pymixed_data_add_term_columns(data.get(), nullptr, 300));
    CHECK_OK(pymixed_data_set_family(data.get(), "negative_binomial", "log", NAN, NAN));
    CHECK_OK(pymixed_data_add_zero_inflation(data.get(), nullptr, 300));
    const Options options = c_handles::options();
    CHECK_OK(pymixed_options_set_hessian(options.get(), 1));
    const Refits found =
        made<Refits>(pymixed_refits_from_data, data.get(), options.get(), Y.data(), none, none, Y.size());

    pymixed::Rows rows = rows_of(design);
    rows.codes.pop_back();
    rows.Z.pop_back();
    pymixed::GlmmManyOptions same;
    same.refits.uncertainty = true;
    const auto family = pymixed::make_zero_inflated(pymixed::make_family("negative_binomial", "log"));
    const pymixed::Refits expected =
        fit_many({{30}, {design.terms[0]}}, rows, *family, {Y.data(), nullptr, nullptr, 2}, same, {{}});
    check_common(found, expected);
    CHECK(same_bits(numbers(found, PYMIXED_FAMILY_PARAMETERS), expected.extra.leftCols(1)));
    CHECK(same_bits(numbers(found, PYMIXED_ZERO_COEFFICIENTS), expected.extra.rightCols(1)));
}

TEST("sums over batches have the bits of the C++ interface") {
    const Design design = linear_design();
    Products sums = made<Products>(pymixed_products_from_data, data_of(design, 0, 120).get());
    CHECK_OK(pymixed_products_add(sums.get(), data_of(design, 120, 200).get()));
    const Products others = made<Products>(pymixed_products_from_data, data_of(design, 200, 300).get());
    CHECK_OK(pymixed_products_merge(sums.get(), others.get()));
    int64_t n = 0;
    CHECK_OK(pymixed_products_rows(sums.get(), &n));
    CHECK(n == 300);
    const auto rows = [&](Index first, Index last) {
        pymixed::Rows batch = design.rows(first, last);
        batch.X[0] = {};
        return batch;
    };
    pymixed::CrossProducts same(design.layout(), rows(0, 120), 0);
    same.add(rows(120, 200));
    same.merge(pymixed::CrossProducts(design.layout(), rows(200, 300), 0));
    const pymixed::LmmFit expected = pymixed::fit_lmm(std::move(same));
    for (int i = 0; i < 2; ++i) {  // a fit leaves the sums as they are
        const Fit found = made<Fit>(pymixed_fit_from_products, sums.get(), defaults);
        CHECK(same_bits(numbers(found, PYMIXED_OBJECTIVE), Vector::Constant(1, expected.objective)));
        CHECK(same_bits(numbers(found, PYMIXED_COEFFICIENTS), expected.coefficients));
        CHECK(same_bits(numbers(found, PYMIXED_COVARIANCE), expected.covariance));
        CHECK(same_bits(numbers(found, PYMIXED_THETA), expected.theta));
    }
}

TEST("a column of numbers is not taken for the intercept of sums") {
    const Design design = linear_design();
    Vector dose = Vector::Ones(300);  // 1 in all of the first batch
    dose.tail(150).setConstant(2.0);
    const auto batch = [&](Index first, Index last) {
        const Index n = last - first;
        Data data = made<Data>(pymixed_data_new, n);
        CHECK_OK(pymixed_data_set_response(data.get(), design.y.data() + first, n));
        CHECK_OK(pymixed_data_add_fixed(data.get(), dose.data() + first, n));
        CHECK_OK(pymixed_data_add_factor(data.get(), design.codes[0].data() + first, n, 30));
        CHECK_OK(pymixed_data_add_term(data.get(), 0, PYMIXED_UNSTRUCTURED));
        CHECK_OK(pymixed_data_add_term_columns(data.get(), nullptr, n));
        return data;
    };
    const Products sums = made<Products>(pymixed_products_from_data, batch(0, 150).get());
    CHECK_OK(pymixed_products_add(sums.get(), batch(150, 300).get()));
    const Fit found = made<Fit>(pymixed_fit_from_products, sums.get(), defaults), once = fit_of(batch(0, 300));
    // another basis: rounding alone, of a minimum that is flat
    CHECK_CLOSE(numbers(found, PYMIXED_COEFFICIENTS)(0), numbers(once, PYMIXED_COEFFICIENTS)(0), 1e-9);
}

TEST("a linear model from a file") {
    check_model("slope");
    const std::string bytes = bytes_of("slope");
    const Model model = model_of(bytes);
    const char *distribution = "", *link = "";
    CHECK_OK(pymixed_model_family(model.get(), &distribution, &link));
    CHECK(distribution == nullptr && link == nullptr);
    CHECK(numbers(model, PYMIXED_SIGMA)(0) == pymixed::SavedModel::read(bytes.data(), bytes.size()).sigma());
}

TEST("a generalized model from a file") {
    check_model("counts");
    const std::string bytes = bytes_of("counts");
    const pymixed::SavedModel expected = pymixed::SavedModel::read(bytes.data(), bytes.size());
    const Model model = model_of(bytes);
    const char *distribution = nullptr, *link = nullptr;
    CHECK_OK(pymixed_model_family(model.get(), &distribution, &link));
    CHECK(distribution == expected.family() && link == expected.link());
    CHECK(same_bits(numbers(model, PYMIXED_ZERO_COEFFICIENTS), expected.zero_coefficients()));
}
