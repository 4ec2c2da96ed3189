// Predictions from a model file against those of the fit that wrote it.
#include "check.hpp"

#include <Eigen/LU>
#include <fstream>
#include <iterator>
#include <stdexcept>

#include "designs.hpp"
#include "pymixed/fit.hpp"
#include "pymixed/saved_model.hpp"

namespace {

using namespace pymixed;
using designs::Design;
using designs::difference;

NumberArray numbers(const Matrix& values, std::vector<Index> shape) {
    const RowMatrix by_rows = values;
    return {NumberType::Float64, std::move(shape), {by_rows.data(), by_rows.data() + by_rows.size()}, {}};
}

NumberArray integers(std::vector<std::int64_t> values) {
    return {NumberType::Int64, {static_cast<Index>(values.size())}, {}, std::move(values)};
}

NumberArray numbers(const StateArray& array) {
    NumberArray out;
    std::visit(
        [&](const auto& values) {
            using T = typename std::decay_t<decltype(values)>::value_type;
            out.shape = {static_cast<Index>(values.size())};
            if constexpr (std::is_same_v<T, double>) {
                out.reals = values;
            } else {
                out.type = sizeof(T) == 4 ? NumberType::Int32 : NumberType::Int64;
                out.integers.assign(values.begin(), values.end());
            }
        },
        array);
    return out;
}

/// What of a fit stands in a file, whatever its kind.
struct Fitted {
    Vector beta, theta;
    Matrix covariance;
    double sigma;
    std::vector<std::vector<double>> modes;
};

Archive archive_of(const Design& design, const Fitted& fit, const CrossProducts& products) {
    Archive out{{"format", integers({1})}, {"kind", std::string("lmm")}};
    const Index p = fit.beta.size();
    std::vector<std::string> names, factors;
    for (Index j = 0; j < p; ++j)
        names.push_back("x" + std::to_string(j));
    out["coefficient_names"] = names;
    out["coefficients"] = numbers(fit.beta, {p});
    out["vcov"] = numbers(fit.covariance, {p, p});
    out["theta"] = numbers(fit.theta, {fit.theta.size()});
    out["sigma"] = numbers(Vector::Constant(1, fit.sigma), {1});
    std::vector<std::int64_t> factor_of_term;
    for (std::size_t i = 0; i < design.terms.size(); ++i) {
        factor_of_term.push_back(design.terms[i].factor);
        out["terms." + std::to_string(i) + ".columns"] = std::vector<std::string>(design.terms[i].n_cols, "z");
        out["terms." + std::to_string(i) + ".structure"] = std::string("us");
    }
    out["terms.factor"] = integers(factor_of_term);
    for (std::size_t f = 0; f < design.n_levels.size(); ++f) {
        factors.push_back("g" + std::to_string(f));
        std::vector<std::string> labels;
        for (Index g = 0; g < design.n_levels[f]; ++g)
            labels.push_back("level " + std::to_string(g));
        const Index c = static_cast<Index>(fit.modes[f].size()) / design.n_levels[f];
        out["levels." + std::to_string(f)] = labels;
        out["modes." + std::to_string(f)] = NumberArray{NumberType::Float64, {design.n_levels[f], c}, fit.modes[f], {}};
    }
    out["factors"] = factors;
    for (const auto& [name, values] : products.state())
        out["products." + name] = numbers(values);
    return out;
}

SavedModel read(const Archive& archive) {
    const std::string bytes = pack(archive);
    return SavedModel::read(bytes.data(), bytes.size());
}

/// [X Z] of the design, the factors' levels one after the other.
Matrix model_matrix(const Design& design) {
    Index columns = design.X.cols();
    for (std::size_t i = 0; i < design.terms.size(); ++i)
        columns += design.n_levels[i] * design.terms[i].n_cols;
    Matrix out = Matrix::Zero(design.n(), columns);
    out.leftCols(design.X.cols()) = design.X;
    Index start = design.X.cols();
    std::size_t column = 0;
    for (std::size_t i = 0; i < design.terms.size(); ++i) {
        const Index c = design.terms[i].n_cols;
        for (Index j = 0; j < c; ++j, ++column)
            for (Index row = 0; row < design.n(); ++row)
                out(row, start + design.codes[i][row] * c + j) = design.z_column(column)[row];
        start += design.n_levels[i] * c;
    }
    return out;
}

Vector all_effects(const Fitted& fit) {
    std::vector<double> out(fit.beta.data(), fit.beta.data() + fit.beta.size());
    for (const auto& modes : fit.modes)
        out.insert(out.end(), modes.begin(), modes.end());
    return Eigen::Map<const Vector>(out.data(), static_cast<Index>(out.size()));
}

/// Rows of other levels than those that met, from the same design.
Design shuffled(Design design) {
    std::rotate(design.codes[1].begin(), design.codes[1].begin() + 7, design.codes[1].end());
    return design;
}

struct LinearCase {
    Design design = designs::simulate(240, 3, {{20, 2}, {9, 1}}, 3);
    Problem problem{design.layout(), design.rows()};
    Fitted fitted;
    Archive archive;

    LinearCase() {
        Deviance deviance(problem, true);
        const FitResult result = fit(deviance, {});
        deviance.evaluate(result.parameters, Coordinates::User);
        deviance.differentiate();
        fitted = {deviance.beta(), result.parameters, deviance.sigma2() * deviance.unscaled_covariance(),
                  std::sqrt(deviance.sigma2()), deviance.modes()};
        archive = archive_of(design, fitted, problem.products());
    }
};

}  // namespace

TEST("a linear model predicts, with the variances of Henderson's equations") {
    const LinearCase linear;
    SavedModel model = read(linear.archive);
    CHECK(model.linear());
    CHECK(model.level_code(0, "level 7") == 7);
    CHECK(model.level_code(1, "level 9") == -1);
    CHECK(model.coefficient_names()[2] == "x2");
    CHECK(model.terms()[0].columns.size() == 2);
    const Design asked = shuffled(linear.design);
    const Matrix W = model_matrix(asked), training = model_matrix(linear.design);
    const Vector eta = W * all_effects(linear.fitted);
    CHECK(difference(model.linear_predictor(asked.rows()), eta) < 1e-13);
    CHECK(model.mean(eta) == eta);

    Matrix equations = training.transpose() * training;
    Matrix T = Matrix::Zero(2, 2);
    T << linear.fitted.theta[0], 0.0, linear.fitted.theta[1], linear.fitted.theta[2];
    const Matrix precision = (T * T.transpose()).inverse();
    for (Index g = 0; g < 20; ++g)
        equations.block(3 + 2 * g, 3 + 2 * g, 2, 2) += precision;
    equations.diagonal().tail(9).array() += std::pow(linear.fitted.theta[3], -2.0);
    const double sigma2 = linear.fitted.sigma * linear.fitted.sigma;
    const Vector variances = sigma2 * (W * equations.inverse()).cwiseProduct(W).rowwise().sum();
    CHECK(difference(model.prediction_variances(asked.rows()), variances) < 1e-10);  // the condition is below 1e5
}

TEST("unknown levels have no effects; an offset is added") {
    const LinearCase linear;
    SavedModel model = read(linear.archive);
    Design asked = linear.design;
    std::fill(asked.codes[0].begin(), asked.codes[0].end(), -1);
    std::fill(asked.codes[1].begin(), asked.codes[1].end(), -1);
    const Vector offset = Vector::LinSpaced(asked.n(), -1.0, 1.0);
    Rows rows = asked.rows();
    rows.offset = offset.data();
    CHECK(difference(model.linear_predictor(rows), offset + asked.X * linear.fitted.beta) < 1e-14);
    const Vector fixed = (asked.X * linear.fitted.covariance).cwiseProduct(asked.X).rowwise().sum();
    CHECK(difference(model.prediction_variances(rows), fixed) < 1e-13);
}

TEST("a generalized model predicts on both scales") {
    Design design = designs::simulate(240, 2, {{20, 1}, {9, 1}}, 5);
    for (double& y : design.y)
        y = std::floor(std::exp(0.3 * y));
    const GeneralizedProblem problem(design.layout(), design.rows(), make_family("poisson", "log"), {});
    GeneralizedDeviance deviance(problem, 1, Information::Observed);
    const FitResult result = fit(deviance, {});
    deviance.evaluate(result.parameters, Coordinates::User);
    const Fitted fitted{deviance.beta(), result.parameters.head(2), deviance.unscaled_covariance(), 1.0,
                        deviance.modes()};
    const CrossProducts products = deviance.working_products();
    Archive archive = archive_of(design, fitted, products);
    archive["kind"] = std::string("glmm");
    archive["family"] = std::string("poisson");
    archive["link"] = std::string("log");
    SavedModel model = read(archive);
    CHECK(!model.linear());
    const Vector eta = model.linear_predictor(design.rows());
    CHECK(difference(eta, deviance.linear_predictor()) < 1e-13);
    CHECK(difference(model.mean(eta), eta.array().exp().matrix()) < 1e-15);
    const Vector zeta = Vector::Constant(design.n(), std::log(3.0));
    CHECK(difference(model.mean(eta, zeta), 0.25 * eta.array().exp().matrix()) < 1e-14);

    const Matrix W = model_matrix(design);
    Matrix equations = W.transpose() * deviance.working_weights().asDiagonal() * W;
    equations.diagonal().segment(2, 20).array() += std::pow(fitted.theta[0], -2.0);
    equations.diagonal().tail(9).array() += std::pow(fitted.theta[1], -2.0);
    const Vector variances = (W * equations.inverse()).cwiseProduct(W).rowwise().sum();
    CHECK(difference(model.prediction_variances(design.rows()), variances) < 1e-9);
}

TEST("a file that Python wrote") {
    // lmer("Reaction ~ Days + (Days | Subject)", sleepstudy), its predict({"Days": [10], "Subject": ["308"]}, se=True),
    // and the estimates of lme4
    std::ifstream file(PYMIXED_MODEL_FILES "/0.1.0-slope.pmx", std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), {}};
    SavedModel model = SavedModel::read(bytes.data(), bytes.size());
    CHECK(model.linear() && model.factors() == std::vector<std::string>{"Subject"});
    CHECK((model.coefficient_names() == std::vector<std::string>{"(Intercept)", "Days"}));
    CHECK_CLOSE(model.coefficients()[0], 251.40510484848, 1e-8);
    CHECK_CLOSE(model.coefficients()[1], 10.46728595959, 1e-9);
    const double days = 10.0;
    const std::int32_t subject = model.level_code(0, "308");
    Rows rows;
    rows.n = 1;
    rows.X = rows.Z = {{}, {&days}};
    rows.codes = {&subject};
    CHECK_CLOSE(model.linear_predictor(rows)[0], 450.3262487956987, 1e-9);
    CHECK_CLOSE(std::sqrt(model.prediction_variances(rows)[0]), 15.850667880683663, 1e-9);
}

TEST("every link is its own inverse") {
    Archive archive = LinearCase().archive;
    archive["kind"] = std::string("glmm");
    archive["family"] = std::string("some");
    const Vector eta = Vector::LinSpaced(5, 0.1, 0.9);
    const auto check = [&](const char* link, auto&& predictor) {
        archive["link"] = std::string(link);
        const Vector mean = read(archive).mean(eta);
        for (Index i = 0; i < eta.size(); ++i)
            CHECK_CLOSE(predictor(mean[i]), eta[i], 1e-14);
    };
    check("identity", [](double m) { return m; });
    check("log", [](double m) { return std::log(m); });
    check("sqrt", [](double m) { return std::sqrt(m); });
    check("inverse", [](double m) { return 1.0 / m; });
    check("inverse_squared", [](double m) { return 1.0 / (m * m); });
    check("logit", [](double m) { return std::log(m / (1.0 - m)); });
    check("cloglog", [](double m) { return std::log(-std::log1p(-m)); });
    check("cauchit", [](double m) { return std::tan(std::acos(-1.0) * (m - 0.5)); });
    archive["link"] = std::string("probit");
    const Vector mean = read(archive).mean(eta);
    for (Index i = 0; i < eta.size(); ++i)
        CHECK_CLOSE(mean[i], 0.5 * std::erfc(-eta[i] / std::sqrt(2.0)), 1e-14);
    archive["link"] = std::string("mine");
    CHECK_THROWS(read(archive).mean(eta), std::invalid_argument);
}

TEST("what does not fit is refused") {
    const LinearCase linear;
    for (const auto& [name, value] : linear.archive) {
        Archive less = linear.archive;
        less.erase(name);
        if (name == "format" || name == "kind")
            CHECK_THROWS(read(less), ArchiveError);
        else if (name.compare(0, 9, "products.") == 0)
            CHECK_THROWS(read(less).prediction_variances(linear.design.rows()), std::invalid_argument);
        else
            CHECK_THROWS(read(less), std::invalid_argument);
        for (const ArchiveValue& wrong : {ArchiveValue(integers({1, 2, 3, 4, 5, 6, 7})), ArchiveValue(std::string("?")),
                                          ArchiveValue(std::vector<std::string>{"a"})}) {
            Archive other = linear.archive;
            other[name] = wrong;
            if (name == "terms.0.structure" || wrong.index() == value.index())
                continue;
            CHECK_THROWS(read(other).prediction_variances(linear.design.rows()), std::invalid_argument);
        }
    }
    Archive newer = linear.archive;
    newer["format"] = integers({2});
    CHECK_THROWS(read(newer), ArchiveError);

    Archive wide = linear.archive;  // a small file of a layout of gigabytes, if it were made
    const Index many = 1 << 14;
    wide["terms.0.columns"] = std::vector<std::string>(many);
    wide["modes.0"] = NumberArray{NumberType::Float64, {20, many}, std::vector<double>(20 * many), {}};
    CHECK_THROWS(read(wide), std::invalid_argument);

    const SavedModel model = read(linear.archive);
    Design wrong = linear.design;
    wrong.codes[1][3] = 9;
    CHECK_THROWS(model.linear_predictor(wrong.rows()), std::invalid_argument);
    Rows rows = linear.design.rows();
    rows.X.pop_back();
    CHECK_THROWS(model.linear_predictor(rows), std::invalid_argument);
}
