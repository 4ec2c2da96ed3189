#include "fit.hpp"

#include "products.hpp"

using namespace pymixed;
using namespace pymixed::c_api;

namespace {

/// Whether a rule of quadrature allows columns to be centred internally (GeneralizedProblem).
bool may_be_centred(const pymixed_data& data, Index n_nodes) {
    bool single = true;
    for (const TermSpec& term : data.terms)
        single = single && term.n_cols == 1;
    return n_nodes <= 1 || single;
}

std::unique_ptr<pymixed_problem> analysed(const pymixed_data& data, const pymixed_options& options) {
    data.check_design();
    data.check_response();
    auto problem = std::make_unique<pymixed_problem>();
    if (data.family == nullptr)
        problem->linear =
            std::make_unique<const Problem>(data.layout(), data.rows, Method::Automatic, options.memory_limit);
    else
        problem->generalized = std::make_unique<const GeneralizedProblem>(
            data.layout(), data.rows, data.whole_family(), data.zero_inflation, Method::Automatic, options.memory_limit,
            may_be_centred(data, options.n_nodes));
    return problem;
}

template <class Value>
std::unique_ptr<pymixed_fit> with_layout(Value value, const RandomEffects& layout) {
    return std::unique_ptr<pymixed_fit>(new pymixed_fit{std::move(value), static_cast<Index>(layout.terms().size()),
                                                        static_cast<Index>(layout.factors().size())});
}

std::unique_ptr<pymixed_fit> fitted(const Problem& problem, const pymixed_options& options) {
    return with_layout(fit_lmm(problem, options.linear()), problem.layout());
}

std::unique_ptr<pymixed_fit> fitted(const pymixed_problem& problem, const pymixed_options& options) {
    if (problem.linear != nullptr)
        return fitted(*problem.linear, options);
    return with_layout(fit_glmm(*problem.generalized, options.generalized()), problem.generalized->layout());
}

}  // namespace

extern "C" {

int32_t pymixed_problem_from_data(const pymixed_data* data, const pymixed_options* options, pymixed_problem** problem) {
    return hand_over(problem, "problem", [&] { return analysed(given(data, "data"), options_or_defaults(options)); });
}

void pymixed_problem_free(pymixed_problem* problem) {
    delete problem;
}

int32_t pymixed_fit_from_data(const pymixed_data* data, const pymixed_options* options, pymixed_fit** fit) {
    return hand_over(fit, "fit", [&] {
        const pymixed_options wanted = options_or_defaults(options);
        return fitted(*analysed(given(data, "data"), wanted), wanted);
    });
}

int32_t pymixed_fit_from_problem(const pymixed_problem* problem, const pymixed_options* options, pymixed_fit** fit) {
    return hand_over(fit, "fit", [&] { return fitted(given(problem, "problem"), options_or_defaults(options)); });
}

int32_t pymixed_fit_from_products(const pymixed_products* products, const pymixed_options* options, pymixed_fit** fit) {
    return hand_over(fit, "fit", [&] {
        const pymixed_options wanted = options_or_defaults(options);
        const auto sums = std::make_shared<const CrossProducts>(given(products, "products").sums);
        return fitted(Problem(sums, Method::Automatic, wanted.memory_limit), wanted);
    });
}

void pymixed_fit_free(pymixed_fit* fit) {
    delete fit;
}

}  // extern "C"
