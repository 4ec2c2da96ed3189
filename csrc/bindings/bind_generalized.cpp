#include "family_holder.hpp"
#include "layout.hpp"
#include "profile_binding.hpp"
#include "rows.hpp"

namespace py = pybind11;
using namespace pymixed;

namespace {

using SharedGeneralizedDeviance = SharedCriterion<GeneralizedDeviance, GeneralizedProblem>;

/// Estimates at the last point that was evaluated and differentiated, in the host's units.
struct Estimates {
    Vector beta, linear_predictor, gradient;
    Matrix curvature;
    double squared_modes, log_determinant;
    std::vector<std::vector<double>> modes;
    Index n_pirls;
    Matrix unscaled_covariance;

    explicit Estimates(GeneralizedDeviance& deviance)
        : beta(deviance.beta()),
          linear_predictor(deviance.linear_predictor()),
          gradient(deviance.gradient()),
          curvature(deviance.curvature()),
          squared_modes(deviance.squared_modes()),
          log_determinant(deviance.log_determinant()),
          modes(deviance.modes()),
          n_pirls(deviance.n_pirls()),
          unscaled_covariance(deviance.unscaled_covariance()) {}

    py::object to_python(const RandomEffects& layout) && {
        return py::make_tuple(beta, unscaled_covariance, by_factor(layout, std::move(modes), false), linear_predictor,
                              squared_modes, log_determinant, n_pirls, gradient, curvature);
    }
};

}  // namespace

void bind_generalized(py::module_& module) {
    py::class_<GeneralizedProblem, std::shared_ptr<GeneralizedProblem>>(module, "GeneralizedProblem")
        .def(py::init([](const Array& y, const Array& X, const std::vector<Codes>& codes,
                         const std::vector<Index>& n_levels,
                         const std::vector<std::tuple<Index, Index, std::string>>& terms,
                         const std::vector<std::optional<Array>>& columns, const std::optional<Array>& weights,
                         const std::optional<Array>& offset, const FamilyHolder& family,
                         const std::optional<Array>& zero_inflation, const std::string& method, double memory_limit,
                         bool centred) {
                 const HostRows rows(y, X, codes, columns, weights, offset);
                 RandomEffects layout = make_layout(n_levels, terms);
                 rows.check(layout);
                 const std::vector<ColumnView> zero = columns_of(zero_inflation);
                 const Method chosen = parse_method(method);
                 // the arrays are held by the arguments; no Python object is touched from here on
                 py::gil_scoped_release release;
                 return std::make_shared<GeneralizedProblem>(std::move(layout), rows.view(), family.clone(), zero,
                                                             chosen, memory_limit, centred);
             }),
             py::arg("y"), py::arg("X"), py::arg("codes"), py::arg("n_levels"), py::arg("terms"), py::arg("columns"),
             py::arg("weights"), py::arg("offset"), py::arg("family"), py::arg("zero_inflation"), py::arg("method"),
             py::arg("memory_limit"), py::arg("centred"))
        .def_property_readonly("n", &GeneralizedProblem::n)
        .def_property_readonly("p", &GeneralizedProblem::p)
        .def_property_readonly("kept", [](const GeneralizedProblem& self) { return self.linear().kept(); })
        .def_property_readonly("aliased", [](const GeneralizedProblem& self) { return self.linear().aliased(); })
        .def_property_readonly("method",
                               [](const GeneralizedProblem& self) { return to_string(self.linear().method()); })
        .def_property_readonly("coefficient_map", &GeneralizedProblem::coefficient_map)
        .def_property_readonly("zero_map", &GeneralizedProblem::zero_map)
        .def_property_readonly("workspace_bytes",
                               [](const GeneralizedProblem& self) { return self.linear().workspace_bytes(); });

    py::class_<SharedGeneralizedDeviance> deviance(module, "GeneralizedDeviance");
    deviance
        .def(py::init([](std::shared_ptr<GeneralizedProblem> problem, Index n_agq, const std::string& curvature,
                         int n_threads) {
                 return std::make_unique<SharedGeneralizedDeviance>(std::move(problem), n_agq,
                                                                    parse_information(curvature), n_threads);
             }),
             py::arg("problem"), py::arg("n_agq"), py::arg("curvature"), py::arg("n_threads"))
        .def_property_readonly("n_parameters", [](SharedGeneralizedDeviance& self) {
            return self.run([](GeneralizedDeviance& criterion) { return criterion.n_parameters(); });
        });
    bind_criterion<GeneralizedDeviance, Estimates>(deviance);
    bind_constrained_fit(deviance);
    deviance
        .def(
            "conditional_covariances",
            [](SharedGeneralizedDeviance& self, const Vector& psi) {
                auto blocks = self.run_at(
                    psi, false, [](GeneralizedDeviance& criterion) { return criterion.conditional_covariances(); });
                return by_factor(self.problem().layout(), std::move(blocks), true);
            },
            py::arg("psi"), "Var(b | y) per factor: (n_levels, c, c).")
        .def(
            "working_rows",
            [](SharedGeneralizedDeviance& self, const Vector& psi) {
                return self.run_at(psi, false, [](GeneralizedDeviance& criterion) {
                    return std::make_tuple(criterion.working_weights(), criterion.working_scores());
                });
            },
            py::arg("psi"), "The criterion's weights and d log f / d eta of every row, with the prior weights.")
        .def(
            "working_products",
            [](SharedGeneralizedDeviance& self, const Vector& psi) {
                return self.run_at(psi, false, [](GeneralizedDeviance& criterion) {
                    return std::make_shared<CrossProducts>(criterion.working_products());
                });
            },
            py::arg("psi"), "Sums over the rows with the criterion's weights.")
        .def(
            "cluster_gradients",
            [](SharedGeneralizedDeviance& self, const Vector& psi, const Codes& clusters, Index n_clusters,
               bool internal) {
                const std::int32_t* codes = clusters.data();
                return self.run_at(psi, internal, [=](GeneralizedDeviance& criterion) {
                    return criterion.cluster_gradients(codes, n_clusters);
                });
            },
            py::arg("psi"), py::arg("clusters"), py::arg("n_clusters"), py::arg("internal") = false,
            "Gradients of the clusters' shares of the criterion: (n_clusters, n_parameters).")
        .def("start", [](SharedGeneralizedDeviance& self) {
            return self.run([](GeneralizedDeviance& criterion) {
                const Vector psi = criterion.start();
                return psi.size() > 0 ? criterion.to_user(psi) : psi;
            });
        });
}
