#include "data.hpp"
#include "numbers.hpp"
#include "pymixed/saved_model.hpp"

using namespace pymixed;
using namespace pymixed::c_api;

struct pymixed_model {
    SavedModel value;

    Index n_factors() const { return static_cast<Index>(value.factors().size()); }
    Index n_terms() const { return static_cast<Index>(value.terms().size()); }
};

namespace {

std::unique_ptr<pymixed_model> read_model(const void* bytes, int64_t size) {
    given(static_cast<const char*>(bytes), "bytes");
    if (size < 0)
        refuse("size", "0 or more", size);
    try {
        return std::unique_ptr<pymixed_model>(
            new pymixed_model{SavedModel::read(bytes, static_cast<std::size_t>(size))});
    } catch (const std::invalid_argument& error) {  // parts that do not fit together
        throw BadFile(error.what());
    }
}

template <class Use>
void use_numbers(const pymixed_model& handle, int32_t quantity, int64_t index, const Use& use) {
    const SavedModel& model = handle.value;
    const Index position = checked_position("index", index, quantity == PYMIXED_MODES ? handle.n_factors() : 1);
    switch (quantity) {
        case PYMIXED_COEFFICIENTS:
            return use(model.coefficients());
        case PYMIXED_COVARIANCE:
            return use(model.covariance());
        case PYMIXED_THETA:
            return use(model.theta());
        case PYMIXED_SIGMA:
            if (model.linear())
                return use(one(model.sigma()));
            break;
        case PYMIXED_MODES:
            return use(model.modes(position));
        case PYMIXED_ZERO_COEFFICIENTS:
            if (!model.linear())
                return use(model.zero_coefficients());
            break;
        default:
            break;
    }
    refuse_quantity(
        model.linear() ? "one that the file of a linear model has" : "one that the file of a generalized model has",
        quantity);
}

const std::vector<std::string>& names_of(const pymixed_model& handle, int32_t names, int64_t index) {
    const SavedModel& model = handle.value;
    switch (names) {
        case PYMIXED_COEFFICIENT_NAMES:
            checked_position("index", index, 1);
            return model.coefficient_names();
        case PYMIXED_FACTOR_NAMES:
            checked_position("index", index, 1);
            return model.factors();
        case PYMIXED_LEVEL_NAMES:
            return model.levels(checked_position("index", index, handle.n_factors()));
        case PYMIXED_COLUMN_NAMES:
            return model.terms()[checked_position("index", index, handle.n_terms())].columns;
        default:
            refuse("names", "0 to 3", int64_t{names});
    }
}

/// New rows of a model's columns and factors.
const Rows& checked_rows(const pymixed_model& model, const pymixed_data& data) {
    const auto& terms = model.value.terms();
    bool same = data.terms.size() == terms.size() && data.n_levels.size() == model.value.factors().size();
    for (std::size_t i = 0; same && i < terms.size(); ++i)
        same = data.terms[i].factor == terms[i].factor &&
               data.terms[i].n_cols == static_cast<Index>(terms[i].columns.size());
    if (!same)
        refuse("data", "the factors and terms of the model", std::string("others"));
    return data.rows;
}

}  // namespace

extern "C" {

int32_t pymixed_model_from_bytes(const void* bytes, int64_t size, pymixed_model** model) {
    return hand_over(model, "model", [&] { return read_model(bytes, size); });
}

void pymixed_model_free(pymixed_model* model) {
    delete model;
}

int32_t pymixed_model_size(const pymixed_model* model, int32_t quantity, int64_t index, int64_t* n_rows,
                           int64_t* n_columns) {
    return guarded([&] {
        const Shape shape{given(n_rows, "n_rows"), given(n_columns, "n_columns")};
        use_numbers(given(model, "model"), quantity, index, shape);
    });
}

int32_t pymixed_model_get(const pymixed_model* model, int32_t quantity, int64_t index, double* values,
                          int64_t capacity) {
    return guarded([&] { use_numbers(given(model, "model"), quantity, index, Copy{values, capacity}); });
}

int32_t pymixed_model_family(const pymixed_model* model, const char** distribution, const char** link) {
    return guarded([&] {
        given(distribution, "distribution");
        given(link, "link");
        const SavedModel& value = given(model, "model").value;
        *distribution = value.linear() ? nullptr : value.family().c_str();
        *link = value.linear() ? nullptr : value.link().c_str();
    });
}

int32_t pymixed_model_names_size(const pymixed_model* model, int32_t names, int64_t index, int64_t* size) {
    return guarded(
        [&] { given(size, "size") = static_cast<int64_t>(names_of(given(model, "model"), names, index).size()); });
}

int32_t pymixed_model_name(const pymixed_model* model, int32_t names, int64_t index, int64_t position,
                           const char** name) {
    return guarded([&] {
        given(name, "name") = nullptr;
        const auto& texts = names_of(given(model, "model"), names, index);
        *name = texts[checked_position("position", position, static_cast<int64_t>(texts.size()))].c_str();
    });
}

int32_t pymixed_model_terms(const pymixed_model* model, int64_t* n_terms) {
    return guarded([&] { given(n_terms, "n_terms") = given(model, "model").n_terms(); });
}

int32_t pymixed_model_term(const pymixed_model* model, int64_t term, int64_t* factor, int32_t* structure) {
    return guarded([&] {
        given(factor, "factor");
        given(structure, "structure");
        const auto& found = given(model, "model").value.terms()[checked_position("term", term, model->n_terms())];
        *factor = found.factor;
        *structure = found.structure == Structure::Diagonal ? PYMIXED_DIAGONAL : PYMIXED_UNSTRUCTURED;
    });
}

int32_t pymixed_model_level_code(const pymixed_model* model, int64_t factor, const char* label, int32_t* code) {
    return guarded([&] {
        given(code, "code");
        const Index f = checked_position("factor", factor, given(model, "model").n_factors());
        *code = model->value.level_code(f, &given(label, "label"));
    });
}

int32_t pymixed_model_linear_predictor(const pymixed_model* model, const pymixed_data* data, double* values,
                                       int64_t capacity) {
    return guarded([&] {
        const Rows& rows = checked_rows(given(model, "model"), given(data, "data"));
        Copy{values, capacity}(model->value.linear_predictor(rows));
    });
}

int32_t pymixed_model_variances(const pymixed_model* model, const pymixed_data* data, double* values,
                                int64_t capacity) {
    return guarded([&] {
        const Rows& rows = checked_rows(given(model, "model"), given(data, "data"));
        try {
            Copy{values, capacity}(model->value.prediction_variances(rows));
        } catch (const std::runtime_error& error) {  // products that are those of no fit
            throw BadFile(error.what());
        }
    });
}

int32_t pymixed_model_mean(const pymixed_model* model, const double* eta, const double* zeta, int64_t size,
                           double* values, int64_t capacity) {
    return guarded([&] {
        given(eta, "eta");
        if (size < 0)
            refuse("size", "0 or more", size);
        const auto vector = [n = static_cast<Index>(size)](const double* from) {
            return from == nullptr ? Vector() : Vector(Eigen::Map<const Vector>(from, n));
        };
        Copy{values, capacity}(given(model, "model").value.mean(vector(eta), vector(zeta)));
    });
}

}  // extern "C"
