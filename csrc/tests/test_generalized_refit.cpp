// The same of generalized models: fits of one workspace to many responses, and replicates of the bootstrap.
#include <cmath>

#include "refits.hpp"
#include "sorted_rows.hpp"

namespace {

using namespace pymixed;
using namespace refits;
using designs::Design;
using designs::difference;

/// A family with the columns of its zero inflation, and how it is fitted.
struct Model {
    const char *distribution, *link;
    Vector extra;  ///< truth: family parameters, coefficient of the zero inflation
    bool zero_inflated = false;
    Index n_nodes = 1;
    Information information = Information::Observed;

    std::unique_ptr<Family> family() const {
        auto base = make_family(distribution, link);
        return zero_inflated ? make_zero_inflated(std::move(base)) : std::move(base);
    }
    std::vector<ColumnView> zero_columns() const {
        return zero_inflated ? std::vector<ColumnView>{ColumnView{}} : std::vector<ColumnView>{};
    }
    std::shared_ptr<const GeneralizedProblem> problem(const Design& design, const Vector& y) const {
        Rows rows = design.rows();
        rows.y = {y.data(), 1};
        return std::make_shared<const GeneralizedProblem>(design.layout(), rows, family(), zero_columns());
    }
};

std::vector<Model> models() {
    const auto some = [](std::initializer_list<double> values) {
        return Vector(Eigen::Map<const Vector>(values.begin(), static_cast<Index>(values.size())));
    };
    return {{"poisson", "log", {}},
            {"poisson", "log", {}, false, 0},
            {"poisson", "log", {}, false, 5},
            {"binomial", "logit", {}},
            {"binomial", "probit", {}, false, 1, Information::Expected},
            {"negative_binomial", "log", some({0.7})},
            {"gamma", "log", some({-1.0})},
            {"beta", "logit", some({1.5})},
            {"poisson", "log", some({-1.0}), true}};
}

/// One factor; crossed where quadrature does not forbid it.
Design design_of(const Model& model) {
    Design design =
        model.n_nodes > 1 ? designs::simulate(240, 2, {{24, 1}}, 21) : designs::simulate(240, 2, {{24, 1}, {9, 1}}, 22);
    if (model.distribution[0] == 'b' && model.distribution[1] == 'i') {
        design.weights.resize(240);
        for (Index i = 0; i < 240; ++i)
            design.weights[i] = static_cast<double>(1 + i % 7);
    }
    return design;
}

struct Simulated {
    Model model;
    Design design;
    ModelPoint truth;
    Matrix Y;
    std::shared_ptr<const GeneralizedProblem> problem;
    RefitOptions options;

    explicit Simulated(const Model& m) : model(m), design(design_of(m)) {
        const Index n_theta = design.layout().n_theta();
        truth = {Vector::Constant(n_theta, 0.5), Vector::Constant(2, 0.4), model.extra};
        Vector start = Vector::Constant(design.n(), 0.5);  // a response that every family may have
        const auto any = model.problem(design, start);
        Y = refits_of(any).responses(truth, {17, 0, 6});
        problem = model.problem(design, Y.col(0));
        start.resize(n_theta + (model.n_nodes > 0 ? 2 : 0) + model.extra.size());
        start << truth.theta, truth.beta.head(model.n_nodes > 0 ? 2 : 0), truth.extra;
        options = started_at(start);
    }
    GeneralizedRefits refits() const { return refits_of(problem); }
    GeneralizedRefits refits_of(const std::shared_ptr<const GeneralizedProblem>& of) const {
        return {of, design.rows(), model.zero_columns(), model.n_nodes, model.information};
    }
};

void name(const Model& model, int failures_before) {
    if (check::failures() > failures_before)
        std::printf("  in: %s %s, %d nodes\n", model.distribution, model.link, static_cast<int>(model.n_nodes));
}

}  // namespace

TEST("fits to the columns are fits of their own, in any order") {
    for (const Model& model : models()) {
        const int before = check::failures();
        Simulated of(model);
        of.options.fit.newton.tolerance = 1e-13;
        const Refits all = check_columns(of.refits(), of.Y, of.options);
        for (Index i = 0; i < of.Y.cols(); ++i) {
            const auto fresh = model.problem(of.design, of.Y.col(i));
            GeneralizedDeviance deviance(*fresh, model.n_nodes, model.information);
            deviance.set_response(fresh->rows().y);
            const FitResult found = fit(deviance, of.options.fit);
            CHECK(found.status == Status::Success && all.status[i] == Status::Success);
            CHECK_CLOSE(found.objective, all.objective[i], 1e-10);
            const Index m = all.theta.cols(), k = all.extra.cols();
            // the minimum is flat: parameters agree to the root of the criterion's own tolerance
            CHECK((found.parameters.head(m).transpose() - all.theta.row(i)).cwiseAbs().maxCoeff() < 2e-5);
            CHECK(k == 0 || (found.parameters.tail(k).transpose() - all.extra.row(i)).cwiseAbs().maxCoeff() < 2e-5);
            const Vector se = deviance.unscaled_covariance().diagonal().cwiseSqrt();
            CHECK((deviance.beta() - all.beta.row(i).transpose()).cwiseQuotient(se).cwiseAbs().maxCoeff() < 1e-5);
            for (Index j = 0; j < se.size(); ++j)
                CHECK_CLOSE(se[j], std::sqrt(all.covariance(i, packed(j, j))), 1e-5);
        }
        name(model, before);
    }
}

TEST("replicates do not depend on threads and ranges, nor on the response of the problem") {
    for (const Model& model : models()) {
        const int before = check::failures();
        const Simulated of(model);
        const GeneralizedRefits refits = of.refits();
        check_replicates([&](const Draws& d, const RefitOptions& o) { return refits.parametric(of.truth, d, o); },
                         of.options);
        const Clusters clusters{of.design.codes[0], of.design.n_levels[0]};
        if (of.design.codes.size() == 1) {
            Rows rows = of.design.rows();
            rows.y = {of.Y.col(0).data(), 1};
            check_replicates(
                [&](const Draws& d, const RefitOptions& o) {
                    return fit_clusters(*of.problem, rows, model.zero_columns(), clusters, model.n_nodes,
                                        model.information, d, o);
                },
                of.options);
        }
        name(model, before);
    }
}

TEST("counts that are all zero, or undefined, are a row that disturbs no other") {
    for (const Model& model : models()) {
        const int before = check::failures();
        const Simulated of(model);
        const Index n = of.design.n();
        Matrix Y(n, 6);
        Y << of.Y.col(0), Vector::Zero(n), of.Y.col(1), Vector::Constant(n, std::nan("")), of.Y.col(2),
            Vector::Constant(n, 1.0);
        const Refits all = check_columns(of.refits(), Y, of.options);
        const Matrix some = of.Y.leftCols(3);
        const Refits alone = of.refits().fit_columns(responses_of(some), of.options);
        for (Index i = 0; i < 3; ++i)
            check_same_row(all, 2 * i, alone, i);
        CHECK(all.status[3] != Status::Success && is_missing(all, 3));
        for (Index i = 0; i < 6; ++i)
            CHECK((all.status[i] == Status::Success) != is_missing(all, i));
        name(model, before);
    }
}
