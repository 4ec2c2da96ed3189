#include <cmath>
#include <limits>
#include <optional>

#include "bind.hpp"
#include "family_holder.hpp"

namespace py = pybind11;
using namespace pymixed;

namespace {

using Contiguous = py::array_t<double, py::array::c_style | py::array::forcecast>;

/// A family written in Python: an object with vectorised derivatives(y, eta) -> (l, d1, d2, d3) and
/// initial_predictor(y). Slow: every call takes the interpreter lock.
class PythonFamily final : public Family {
 public:
    PythonFamily(std::shared_ptr<py::object> functions, bool canonical)
        : functions_(std::move(functions)), canonical_(canonical) {}

    std::unique_ptr<Family> clone() const override { return std::make_unique<PythonFamily>(*this); }
    bool canonical() const override { return canonical_; }

    void evaluate(const FamilyRows& rows, const FamilyOutput& out) const override {
        const py::gil_scoped_acquire acquire;
        const py::tuple values = functions_->attr("derivatives")(array(rows.n, rows.y), array(rows.n, rows.eta));
        copy(values[0], rows.n, out.l);
        if (out.order >= 1) {
            copy(values[1], rows.n, out.d1);
            copy(values[2], rows.n, out.d2);
        }
        if (out.order >= 2)
            copy(values[3], rows.n, out.d3);
        // the expected information is not known: the observed one takes its place
        for (Index i = 0; out.expected != nullptr && i < rows.n; ++i)
            out.expected[i] = std::max(-out.d2[i], 1e-8);
        for (Index i = 0; out.order >= 2 && out.expected_d1 != nullptr && i < rows.n; ++i)
            out.expected_d1[i] = -out.d3[i];
    }

    double normalizer(Index, const double*, const double*, double*) const override { return 0.0; }

    void initial_predictor(Index n, const double* y, const double*, double* eta) const override {
        const py::gil_scoped_acquire acquire;
        copy(functions_->attr("initial_predictor")(array(n, y)), n, eta);
    }

    Vector initial_parameters(Index, const double*, const double*, const double*) const override { return {}; }

    void simulate(Index, const double*, const double*, const double*, Random&, double*) const override {
        throw std::invalid_argument("family: expected one of the package's own to simulate from, got a custom family");
    }

 private:
    static Contiguous array(Index n, const double* data) { return Contiguous(n, data); }
    static void copy(const py::handle& values, Index n, double* out) {
        const auto data = Contiguous::ensure(values);
        if (!data || data.ndim() != 1 || data.shape(0) != n)
            throw std::invalid_argument("custom family: expected arrays of " + std::to_string(n) + " values");
        std::copy(data.data(), data.data() + n, out);
    }

    std::shared_ptr<py::object> functions_;
    bool canonical_;
};

py::dict evaluate(const FamilyHolder& self, const Contiguous& y, const Contiguous& eta,
                  const std::optional<Contiguous>& zeta, const Vector& parameters) {
    const auto family = self.clone();
    family->set_parameters(parameters);
    const Index n = y.shape(0);
    py::dict values;
    const auto fresh = [&](const std::string& name) {
        py::array_t<double> a(n);
        values[name.c_str()] = a;
        return a.mutable_data();
    };
    FamilyOutput out;
    out.order = 2;
    out.l = fresh("l");
    out.d1 = fresh("d1");
    out.d2 = fresh("d2");
    out.d3 = fresh("d3");
    out.expected = fresh("expected");
    out.expected_d1 = fresh("expected_d1");
    for (Index a = 0; a < family->n_channels(); ++a) {
        const std::string name = "channel" + std::to_string(a) + ".";
        out.channels.push_back({fresh(name + "l"), fresh(name + "d1"), fresh(name + "d2"), fresh(name + "expected")});
    }
    family->evaluate({n, y.data(), eta.data(), zeta ? zeta->data() : nullptr}, out);
    return values;
}

py::array_t<double> simulate(const FamilyHolder& self, const Contiguous& eta, const std::optional<Contiguous>& zeta,
                             const std::optional<Contiguous>& weights, const Vector& parameters, std::uint64_t seed,
                             std::uint64_t stream) {
    const auto family = self.clone();
    family->set_parameters(parameters);
    const Index n = eta.shape(0);
    const auto expect_rows = [n](const char* name, py::ssize_t got) {
        if (got != n)
            throw std::invalid_argument(std::string(name) + ": expected " + std::to_string(n) + " rows, got " +
                                        std::to_string(got));
    };
    if (family->zero_inflated() || zeta)
        expect_rows("zeta", zeta ? zeta->shape(0) : 0);
    if (weights)
        expect_rows("weights", weights->shape(0));
    py::array_t<double> y(n);
    double* out = y.mutable_data();
    {
        // replicates are simulated on several threads
        const py::gil_scoped_release release;
        Random random(seed, stream);
        family->simulate(n, eta.data(), zeta ? zeta->data() : nullptr, weights ? weights->data() : nullptr, random,
                         out);
    }
    return y;
}

}  // namespace

void bind_family(py::module_& module) {
    py::class_<FamilyHolder>(module, "Family")
        .def_property_readonly("n_parameters", [](const FamilyHolder& self) { return self.get().n_parameters(); })
        .def_property_readonly("canonical", [](const FamilyHolder& self) { return self.get().canonical(); })
        .def("evaluate", &evaluate, py::arg("y"), py::arg("eta"), py::arg("zeta"), py::arg("parameters"))
        .def(
            "normalizer",
            [](const FamilyHolder& self, const Contiguous& y, const std::optional<Contiguous>& weights,
               const Vector& parameters) {
                const auto family = self.clone();
                family->set_parameters(parameters);
                Vector gradient = Vector::Zero(family->n_parameters());
                const double value =
                    family->normalizer(y.shape(0), y.data(), weights ? weights->data() : nullptr, gradient.data());
                return py::make_tuple(value, gradient);
            },
            py::arg("y"), py::arg("weights"), py::arg("parameters"))
        .def("simulate", &simulate, py::arg("eta"), py::arg("zeta"), py::arg("weights"), py::arg("parameters"),
             py::arg("seed"), py::arg("stream"));

    module.def(
        "make_family",
        [](const std::string& distribution, const std::string& link, std::optional<double> shape,
           std::optional<double> power) {
            FamilyConstants constants;
            constants.shape = shape.value_or(std::numeric_limits<double>::quiet_NaN());
            constants.power = power.value_or(std::numeric_limits<double>::quiet_NaN());
            return FamilyHolder(make_family(distribution, link, constants));
        },
        py::arg("distribution"), py::arg("link"), py::arg("shape"), py::arg("power"));
    module.def(
        "zero_inflated", [](const FamilyHolder& base) { return FamilyHolder(make_zero_inflated(base.clone())); },
        py::arg("base"));
    module.def(
        "custom_family",
        [](py::object functions, bool canonical) {
            // the last copy may go away on a thread without the interpreter lock
            const std::shared_ptr<py::object> shared(new py::object(std::move(functions)), [](py::object* object) {
                const py::gil_scoped_acquire acquire;
                delete object;
            });
            return FamilyHolder(std::make_unique<PythonFamily>(shared, canonical));
        },
        py::arg("functions"), py::arg("canonical"));
}
