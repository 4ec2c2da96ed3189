// Fits to many responses and the bootstrap. Arrays are converted and checked with the interpreter held; it is free
// while the core computes.

#include <algorithm>

#include "layout.hpp"
#include "pymixed/models.hpp"
#include "rows.hpp"

namespace py = pybind11;
using namespace pymixed;

namespace {

py::tuple to_python(Refits&& refits) {
    py::array_t<std::int8_t> status(static_cast<py::ssize_t>(refits.status.size()));
    std::transform(refits.status.begin(), refits.status.end(), status.mutable_data(),
                   [](Status s) { return static_cast<std::int8_t>(s); });
    const auto counts = [](const std::vector<Index>& values) {
        return py::array_t<Index>(static_cast<py::ssize_t>(values.size()), values.data());
    };
    return py::make_tuple(refits.beta, refits.covariance, refits.theta, refits.extra, refits.objective, status,
                          counts(refits.n_evaluations), counts(refits.n_rows), refits.variance_covariance,
                          refits.jacobian);
}

using Columns = py::array_t<double, py::array::f_style | py::array::forcecast>;

/// @param n  rows of the problem
Responses make_responses(const Columns& Y, const std::optional<Columns>& weights, const std::optional<Columns>& offset,
                         Index n) {
    const auto check = [&](const char* name, const Columns& values) {
        if (values.ndim() != 2 || values.shape(0) != n)
            throw std::invalid_argument(std::string(name) + ": expected " + std::to_string(n) + " rows, got " +
                                        std::to_string(values.ndim() > 0 ? values.shape(0) : 0));
        if (values.shape(1) != Y.shape(1))
            throw std::invalid_argument(std::string(name) + ": expected " + std::to_string(Y.shape(1)) +
                                        " columns as in Y, got " + std::to_string(values.shape(1)));
    };
    check("Y", Y);
    if (weights)
        check("weights", *weights);
    if (offset)
        check("offset", *offset);
    return {Y.data(), weights ? weights->data() : nullptr, offset ? offset->data() : nullptr, Y.shape(1)};
}

/// Calls function() with the interpreter free.
template <class Function>
auto run(Function&& function) {
    py::gil_scoped_release release;  // only the core's own arrays are used below
    return function();
}

/// What linear and generalized models share.
template <class Model>
void bind_fits(py::class_<Model>& binding) {
    binding
        .def(
            "fit_columns",
            [](const Model& self, const Columns& Y, const std::optional<Columns>& weights,
               const std::optional<Columns>& offset, const RefitOptions& options) {
                const Responses responses = make_responses(Y, weights, offset, self.n());
                return to_python(run([&] { return self.fit_columns(responses, options); }));
            },
            py::arg("Y"), py::arg("weights"), py::arg("offset"), py::arg("options"),
            "Fits to the columns of Y (n x r); a row takes no part where a value is NaN.")
        .def(
            "parametric",
            [](const Model& self, const ModelPoint& truth, const Draws& draws, const RefitOptions& options) {
                return to_python(run([&] { return self.parametric(truth, draws, options); }));
            },
            py::arg("truth"), py::arg("draws"), py::arg("options"));
}

}  // namespace

void bind_refit(py::module_& module) {
    py::list statuses;
    for (int code = 0; code <= static_cast<int>(Status::InvalidResponse); ++code)
        statuses.append(to_string(static_cast<Status>(code)));
    module.attr("STATUSES") = py::tuple(statuses);

    py::class_<HostRows>(module, "Rows")
        .def(py::init<const Array&, const Array&, const std::vector<Codes>&, const std::vector<std::optional<Array>>&,
                      const std::optional<Array>&, const std::optional<Array>&>(),
             py::arg("y"), py::arg("X"), py::arg("codes"), py::arg("columns"), py::arg("weights"), py::arg("offset"));
    py::class_<RefitOptions>(module, "RefitOptions")
        .def(
            py::init([](const Vector& start, double tolerance, Index max_evaluations, int n_threads, bool uncertainty) {
                RefitOptions options;
                options.uncertainty = uncertainty;
                options.fit.start = start;
                options.fit.newton.tolerance = tolerance;
                options.fit.newton.max_evaluations = max_evaluations;
                options.n_threads = n_threads;
                return options;
            }),
            py::arg("start"), py::arg("tolerance"), py::arg("max_evaluations"), py::arg("n_threads"),
            py::arg("uncertainty") = false);
    py::class_<Draws>(module, "Draws")
        .def(py::init([](std::uint64_t seed, Index first, Index count) { return Draws{seed, first, count}; }),
             py::arg("seed"), py::arg("first"), py::arg("count"));
    py::class_<ModelPoint>(module, "ModelPoint")
        .def(py::init([](const Vector& theta, const Vector& beta, const Vector& extra) {
                 return ModelPoint{theta, beta, extra};
             }),
             py::arg("theta"), py::arg("beta"), py::arg("extra"));
    py::class_<ResidualPools>(module, "ResidualPools")
        .def(py::init([](const std::vector<RowMatrix>& modes, const Vector& residuals) {
                 ResidualPools pools;
                 for (const RowMatrix& of_factor : modes)
                     pools.modes.emplace_back(of_factor.data(), of_factor.data() + of_factor.size());
                 pools.residuals.assign(residuals.data(), residuals.data() + residuals.size());
                 return pools;
             }),
             py::arg("modes"), py::arg("residuals"));
    py::class_<Clusters>(module, "Clusters")
        .def(py::init([](const Codes& codes, Index count) {
                 return Clusters{{codes.data(), codes.data() + codes.size()}, count};
             }),
             py::arg("codes"), py::arg("count"));

    py::class_<LinearRefits> linear(module, "LinearRefits");
    bind_fits(linear);
    linear
        .def(py::init([](const std::shared_ptr<Problem>& problem, const HostRows& rows, bool reml) {
                 return std::make_unique<LinearRefits>(problem, rows.view(), reml);
             }),
             py::arg("problem"), py::arg("rows"), py::arg("reml"))
        .def(
            "residual",
            [](const LinearRefits& self, const ModelPoint& truth, const ResidualPools& pools, const Draws& draws,
               const RefitOptions& options) {
                return to_python(run([&] { return self.residual(truth, pools, draws, options); }));
            },
            py::arg("truth"), py::arg("pools"), py::arg("draws"), py::arg("options"))
        .def(
            "responses",
            [](const LinearRefits& self, const ModelPoint& truth, const ResidualPools* pools, const Draws& draws) {
                return run([&] { return self.responses(truth, pools, draws); });
            },
            py::arg("truth"), py::arg("pools"), py::arg("draws"));

    py::class_<GeneralizedRefits> generalized(module, "GeneralizedRefits");
    bind_fits(generalized);
    generalized
        .def(py::init([](const std::shared_ptr<GeneralizedProblem>& problem, const HostRows& rows,
                         const std::optional<Array>& zero_inflation, Index n_agq, const std::string& curvature) {
                 return std::make_unique<GeneralizedRefits>(problem, rows.view(), columns_of(zero_inflation), n_agq,
                                                            parse_information(curvature));
             }),
             py::arg("problem"), py::arg("rows"), py::arg("zero_inflation"), py::arg("n_agq"), py::arg("curvature"))
        .def(
            "responses",
            [](const GeneralizedRefits& self, const ModelPoint& truth, const Draws& draws) {
                return run([&] { return self.responses(truth, draws); });
            },
            py::arg("truth"), py::arg("draws"));

    module.def("placeholder_response", &placeholder_response, py::arg("n"), py::arg("discrete"));
    module.def(
        "fit_linear_clusters",
        [](const Problem& problem, const HostRows& rows, const Clusters& clusters, bool reml, const Draws& draws,
           const RefitOptions& options) {
            return to_python(run([&] { return fit_clusters(problem, rows.view(), clusters, reml, draws, options); }));
        },
        py::arg("problem"), py::arg("rows"), py::arg("clusters"), py::arg("reml"), py::arg("draws"),
        py::arg("options"));
    module.def(
        "fit_generalized_clusters",
        [](const GeneralizedProblem& problem, const HostRows& rows, const std::optional<Array>& zero_inflation,
           const Clusters& clusters, Index n_agq, const std::string& curvature, const Draws& draws,
           const RefitOptions& options) {
            const std::vector<ColumnView> zero = columns_of(zero_inflation);
            const Information information = parse_information(curvature);
            return to_python(run([&] {
                return fit_clusters(problem, rows.view(), zero, clusters, n_agq, information, draws, options);
            }));
        },
        py::arg("problem"), py::arg("rows"), py::arg("zero_inflation"), py::arg("clusters"), py::arg("n_agq"),
        py::arg("curvature"), py::arg("draws"), py::arg("options"));
}
