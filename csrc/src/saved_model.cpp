#include "pymixed/saved_model.hpp"

#include <cmath>
#include <mutex>
#include <stdexcept>

#include "links.hpp"
#include "pymixed/effects_covariance.hpp"

namespace pymixed {

namespace {

constexpr std::int64_t model_format = 1;

void require(bool valid, const std::string& name, const std::string& expected) {
    if (!valid)
        throw std::invalid_argument("model file: expected " + name + " to be " + expected);
}

/// Entries of an archive by name and type.
class Entries {
 public:
    explicit Entries(const Archive& archive) : archive_(archive) {}

    bool has(const std::string& name) const { return archive_.count(name) > 0; }
    const std::string& text(const std::string& name) const { return get<std::string>(name, "text"); }
    const std::vector<std::string>& texts(const std::string& name) const {
        return get<std::vector<std::string>>(name, "a list of texts");
    }
    const NumberArray& numbers(const std::string& name, std::vector<Index> shape) const {
        const NumberArray& array = get<NumberArray>(name, "an array");
        std::string extents;
        for (const Index extent : shape)
            extents += (extents.empty() ? "" : " x ") + std::to_string(extent);
        require(array.shape == shape, name, "an array of " + extents + " numbers");
        return array;
    }
    RowMatrix matrix(const std::string& name, Index rows, Index columns) const {
        return ConstRowMatrixMap(reals(numbers(name, {rows, columns}), name), rows, columns);
    }
    Vector vector(const std::string& name, Index size) const {
        return Eigen::Map<const Vector>(reals(numbers(name, {size}), name), size);
    }
    Vector vector(const std::string& name) const {
        const NumberArray& array = get<NumberArray>(name, "an array");
        return vector(name, array.shape.empty() ? 0 : array.shape[0]);
    }
    const std::vector<std::int64_t>& integers(const std::string& name, Index size) const {
        const NumberArray& array = numbers(name, {size});
        require(array.type != NumberType::Float64, name, "integers");
        return array.integers;
    }
    /// The state of the cross-products, empty without.
    State state() const {
        State out;
        const std::string prefix = "products.";
        for (auto found = archive_.lower_bound(prefix);
             found != archive_.end() && found->first.compare(0, prefix.size(), prefix) == 0; ++found) {
            StateArray& array = out[found->first.substr(prefix.size())];
            const NumberArray& values = get<NumberArray>(found->first, "an array");
            if (values.type == NumberType::Float64)
                array = values.reals;
            else if (values.type == NumberType::Int32)
                array = std::vector<std::int32_t>(values.integers.begin(), values.integers.end());
            else
                array = values.integers;
        }
        return out;
    }

 private:
    template <class T>
    const T& get(const std::string& name, const char* expected) const {
        const auto found = archive_.find(name);
        require(found != archive_.end(), name, "there");
        const T* value = std::get_if<T>(&found->second);
        require(value != nullptr, name, expected);
        return *value;
    }
    static const double* reals(const NumberArray& array, const std::string& name) {
        require(array.type == NumberType::Float64, name, "of type float64");
        return array.reals.data();
    }

    const Archive& archive_;
};

template <class Link>
double probability(double eta) {
    return std::exp(Link::at(eta).success.value);
}

/// The inverse link of that name.
double (*inverse_link(const std::string& name))(double) {
    if (name == "identity")
        return IdentityLink::mean;
    if (name == "log")
        return LogLink::mean;
    if (name == "sqrt")
        return SqrtLink::mean;
    if (name == "inverse")
        return InverseLink::mean;
    if (name == "inverse_squared")
        return InverseSquaredLink::mean;
    if (name == "logit")
        return probability<LogitLink>;
    if (name == "probit")
        return probability<ProbitLink>;
    if (name == "cloglog")
        return probability<CloglogLink>;
    if (name == "cauchit")
        return probability<CauchitLink>;
    throw std::invalid_argument("link: expected one of the core's own, got '" + name + "'");
}

}  // namespace

/// What variances need besides the file's numbers; empty before the first are asked for.
struct SavedModel::Factored {
    std::mutex mutex;
    std::unique_ptr<Problem> problem;
    std::unique_ptr<EffectsCovariance> effects;
    std::vector<std::vector<double>> fixed_modes;
};

SavedModel::SavedModel() : factored_(std::make_unique<Factored>()) {}
SavedModel::~SavedModel() = default;
SavedModel::SavedModel(SavedModel&&) noexcept = default;

SavedModel SavedModel::read(const void* bytes, std::size_t size) {
    const Archive archive = unpack(bytes, size);
    const Entries read(archive);
    if (!read.has("format") || !read.has("kind"))
        throw ArchiveError(ArchiveError::Reason::Foreign);
    const std::int64_t format = read.integers("format", 1)[0];
    if (format > model_format)
        throw ArchiveError(ArchiveError::Reason::Newer);
    require(format == model_format, "format", std::to_string(model_format));

    SavedModel out;
    const std::string& kind = read.text("kind");
    require(kind == "lmm" || kind == "glmm", "kind", "lmm or glmm");
    if (kind == "glmm") {
        out.family_ = read.text("family");
        out.link_ = read.text("link");
        require(!out.family_.empty(), "family", "a name");
    }
    out.coefficient_names_ = read.texts("coefficient_names");
    const Index p = static_cast<Index>(out.coefficient_names_.size());
    out.coefficients_ = read.vector("coefficients", p);
    out.covariance_ = read.matrix("vcov", p, p);
    out.sigma_ = read.vector("sigma", 1)[0];
    if (read.has("zi.coefficients"))
        out.zero_coefficients_ = read.vector("zi.coefficients");

    out.factors_ = read.texts("factors");
    const Index n_factors = static_cast<Index>(out.factors_.size());
    std::vector<TermSpec> specs;
    std::vector<Index> n_levels, n_cols(n_factors, 0);
    Index n_terms = 0, n_theta = 0;
    while (read.has("terms." + std::to_string(n_terms) + ".columns"))
        ++n_terms;
    for (const std::int64_t factor : read.integers("terms.factor", n_terms)) {
        require(factor >= 0 && factor < n_factors, "terms.factor", "factors of the model");
        const std::string name = "terms." + std::to_string(out.terms_.size());
        const std::string& structure = read.text(name + ".structure");
        require(structure == "us" || structure == "diag", name + ".structure", "us or diag");
        out.terms_.push_back(
            {factor, read.texts(name + ".columns"), structure == "us" ? Structure::Unstructured : Structure::Diagonal});
        const Index c = static_cast<Index>(out.terms_.back().columns.size());
        specs.push_back({factor, c, out.terms_.back().structure});
        n_cols[factor] += c;
        n_theta += out.terms_.back().structure == Structure::Unstructured ? c * (c + 1) / 2 : c;
    }
    for (Index f = 0; f < n_factors; ++f) {
        const std::string number = std::to_string(f);
        out.levels_.push_back(read.texts("levels." + number));
        n_levels.push_back(static_cast<Index>(out.levels_[f].size()));
        out.modes_.push_back(read.matrix("modes." + number, n_levels[f], n_cols[f]));
        out.codes_.emplace_back();
        for (Index g = 0; g < n_levels[f]; ++g)
            out.codes_[f].emplace(out.levels_[f][g], static_cast<std::int32_t>(g));
    }
    out.theta_ = read.vector("theta", n_theta);  // before the layout, whose size is theta's
    out.layout_ = std::make_unique<RandomEffects>(n_levels, specs);
    out.state_ = read.state();
    return out;
}

std::int32_t SavedModel::level_code(Index factor, const std::string& label) const {
    const auto found = codes_.at(factor).find(label);
    return found == codes_[factor].end() ? -1 : found->second;
}

void SavedModel::check_rows(const Rows& rows) const {
    const auto expect = [](const char* name, std::size_t expected, std::size_t got) {
        if (got != expected)
            throw std::invalid_argument(std::string(name) + ": expected " + std::to_string(expected) +
                                        " of them, got " + std::to_string(got));
    };
    expect("columns of X", coefficient_names_.size(), rows.X.size());
    expect("codes", factors_.size(), rows.codes.size());
    expect("columns of Z", static_cast<std::size_t>(layout_->n_columns()), rows.Z.size());
    for (std::size_t f = 0; f < factors_.size(); ++f)
        for (Index i = 0; i < rows.n; ++i)
            if (rows.codes[f][i] < -1 || rows.codes[f][i] >= static_cast<Index>(levels_[f].size()))
                throw std::invalid_argument("codes of " + factors_[f] + ": expected -1 to " +
                                            std::to_string(levels_[f].size() - 1) + ", got " +
                                            std::to_string(rows.codes[f][i]));
}

Vector SavedModel::linear_predictor(const Rows& rows) const {
    check_rows(rows);
    Vector out = Vector::Zero(rows.n);
    if (rows.offset != nullptr)
        out = Eigen::Map<const Vector>(rows.offset, rows.n);
    for (Index j = 0; j < coefficients_.size(); ++j)
        for (Index i = 0; i < rows.n; ++i)
            out[i] += coefficients_[j] * rows.X[j][i];
    for (const auto& factor : layout_->factors()) {
        const RowMatrix& modes = modes_[factor.user_position];
        for (Index j = 0; j < factor.n_cols; ++j)
            for (Index i = 0; i < rows.n; ++i)
                if (const std::int32_t g = rows.codes[factor.user_position][i]; g >= 0)
                    out[i] += modes(g, j) * rows.Z[factor.columns[j]][i];
    }
    return out;
}

Vector SavedModel::mean(const Vector& eta, const Vector& zeta) const {
    Vector out = linear() ? eta : Vector(eta.unaryExpr(inverse_link(link_)));
    if (zeta.size() > 0)  // less the part of the structural zeros
        out.array() *= zeta.unaryExpr([](double z) { return 1.0 / (1.0 + std::exp(z)); }).array();
    return out;
}

const SavedModel::Factored& SavedModel::factored() const {
    const std::lock_guard<std::mutex> lock(factored_->mutex);
    if (factored_->effects != nullptr)
        return *factored_;
    if (state_.empty())
        throw std::invalid_argument("prediction_variances: expected a model file with the products of its rows");
    auto products = std::make_shared<const CrossProducts>(CrossProducts::from_state(state_));
    require(products->layout().n_levels() == layout_->n_levels() && products->layout().specs() == layout_->specs(),
            "products", "of the file's factors and terms");
    const Index p = coefficients_.size();
    auto problem = std::make_unique<Problem>(products, Method::Automatic, 0.0, products->p() == p);
    require(problem->p() == p, "products", "of as many columns as there are coefficients");
    auto effects = std::make_unique<EffectsCovariance>(*problem, theta_);
    factored_->fixed_modes = effects->fixed_modes();
    factored_->problem = std::move(problem);
    factored_->effects = std::move(effects);
    return *factored_;
}

Vector SavedModel::prediction_variances(const Rows& rows) const {
    check_rows(rows);
    const Factored& known = factored();
    const Index p = coefficients_.size();
    Vector out = sigma_ * sigma_ * known.effects->random_variances(rows), x(p);
    for (Index i = 0; i < rows.n; ++i) {
        for (Index j = 0; j < p; ++j)
            x[j] = rows.X[j][i];
        for (const auto& factor : layout_->factors())
            if (const std::int32_t g = rows.codes[factor.user_position][i]; g >= 0) {
                const double* F = known.fixed_modes[factor.user_position].data() + g * factor.n_cols * p;
                for (Index j = 0; j < factor.n_cols; ++j)
                    x -= rows.Z[factor.columns[j]][i] * Eigen::Map<const Vector>(F + j * p, p);
            }
        out[i] += x.dot(covariance_ * x);
    }
    return out;
}

}  // namespace pymixed
