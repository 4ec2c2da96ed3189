// Cross-products as named arrays and back.
//
// What comes back may be a corrupt file: sizes are checked before anything is sized by them, and all that indexes
// something is checked to be in range.

#include <cmath>
#include <limits>

#include "couplings.hpp"
#include "pymixed/crossproducts.hpp"

namespace pymixed {

namespace {

constexpr std::int64_t state_version = 1;
using Reals = std::vector<double>;
using Integers = std::vector<std::int64_t>;

Reals values(const Matrix& matrix) {
    return {matrix.data(), matrix.data() + matrix.size()};
}

Vector as_vector(const Reals& values) {
    return Eigen::Map<const Vector>(values.data(), static_cast<Index>(values.size()));
}

std::string factor_name(std::size_t f) {
    return "factor" + std::to_string(f) + "_";
}

std::string coupling_name(const CouplingProducts& coupling) {
    return "coupling" + std::to_string(coupling.a) + "_" + std::to_string(coupling.b) + "_";
}

void require(bool valid, const std::string& name, const char* expected) {
    if (!valid)
        throw std::invalid_argument("state: expected " + name + " to be " + expected);
}

/// The product, or -1 where it is no size of an array.
Index size_of(std::initializer_list<Index> factors) {
    Index product = 1;
    for (const Index factor : factors) {
        if (factor < 0 || (factor > 0 && product > std::numeric_limits<Index>::max() / factor))
            return -1;
        product *= factor;
    }
    return product;
}

class Reader {
 public:
    explicit Reader(const State& state) : state_(state) {}

    /// The array of that name, of any size.
    template <class T>
    const std::vector<T>& any(const std::string& name) const {
        const auto found = state_.find(name);
        if (found == state_.end())
            throw std::invalid_argument("state: " + name + " is missing");
        const auto* array = std::get_if<std::vector<T>>(&found->second);
        require(array != nullptr, name, type<T>());
        if constexpr (std::is_same_v<T, double>)
            for (const double value : *array)
                require(std::isfinite(value), name, "finite");
        return *array;
    }
    template <class T>
    const std::vector<T>& sized(const std::string& name, std::initializer_list<Index> shape) const {
        const std::vector<T>& array = any<T>(name);
        const Index size = size_of(shape);
        if (size != static_cast<Index>(array.size()))
            throw std::invalid_argument("state: expected " + std::to_string(size) + " values of " + name + ", got " +
                                        std::to_string(array.size()));
        return array;
    }
    double real(const std::string& name) const { return sized<double>(name, {1})[0]; }
    std::int64_t integer(const std::string& name) const { return sized<std::int64_t>(name, {1})[0]; }
    Matrix matrix(const std::string& name, Index rows, Index columns) const {
        return ConstMatrixMap(sized<double>(name, {rows, columns}).data(), rows, columns);
    }

 private:
    template <class T>
    static const char* type() {
        return std::is_same_v<T, double> ? "float64" : (std::is_same_v<T, std::int64_t> ? "int64" : "int32");
    }
    const State& state_;
};

FixedBasis read_fixed_basis(const Reader& read) {
    FixedBasis basis;
    basis.shift = as_vector(read.any<double>("shift"));
    const Index p = basis.p();
    basis.intercept = read.integer("intercept");
    require(basis.intercept >= -1 && basis.intercept < p, "intercept", "a column or -1");
    const Matrix R = read.matrix("R", p, p);
    for (Index j = 0; j < p; ++j)
        require(R(j, j) != 0.0 && R.col(j).tail(p - j - 1).isZero(0.0), "R", "upper triangular and invertible");
    basis.set_R(R);
    basis.gamma = as_vector(read.sized<double>("gamma", {p}));
    basis.y_scale = read.real("y_scale");
    require(basis.y_scale > 0.0, "y_scale", "positive");
    return basis;
}

/// Checked against the arrays that depend on it before it is made, for its own size depends on it.
RandomEffects read_layout(const Reader& read, Index P) {
    const Integers& n_levels = read.any<std::int64_t>("n_levels");
    const Integers& flat = read.any<std::int64_t>("terms");
    const std::size_t count = n_levels.size(), n_columns = read.any<double>("random_shift").size();
    require(flat.size() % 3 == 0, "terms", "of three numbers each");
    std::vector<TermSpec> terms;
    std::vector<Index> n_cols(count, 0);
    std::size_t columns = 0;
    for (std::size_t i = 0; i < flat.size(); i += 3) {
        const std::int64_t factor = flat[i], c = flat[i + 1], structure = flat[i + 2];
        require(factor >= 0 && factor < static_cast<std::int64_t>(count), "terms", "of one of the factors");
        require(c >= 1 && c <= static_cast<std::int64_t>(n_columns), "terms", "of as many columns as random_shift");
        require(structure == 0 || structure == 1, "terms", "of structure 0 or 1");
        columns += c;
        n_cols[factor] += c;
        terms.push_back({factor, c, structure == 0 ? Structure::Unstructured : Structure::Diagonal});
        require(columns <= n_columns, "terms", "of as many columns as random_shift");
    }
    require(columns == n_columns, "terms", "of as many columns as random_shift");
    for (std::size_t f = 0; f < count; ++f) {
        const std::string name = factor_name(f);
        require(n_levels[f] >= 1 && n_levels[f] <= std::numeric_limits<std::int32_t>::max(), "n_levels",
                "at least 1 and less than 2^31");
        read.sized<std::int64_t>(name + "rows", {n_levels[f]});
        read.sized<double>(name + "ZtZ", {n_levels[f], packed(n_cols[f], 0)});
        read.sized<double>(name + "ZtXy", {n_levels[f], n_cols[f], P});
    }
    return {std::vector<Index>(n_levels.begin(), n_levels.end()), terms};
}

RandomBasis read_random_basis(const Reader& read, const RandomEffects& layout) {
    const Index count = layout.n_columns();
    const Reals &shift = read.sized<double>("random_shift", {count}),
                &scale = read.sized<double>("random_scale", {count});
    const Integers& constant = read.sized<std::int64_t>("random_constant", {count});
    for (Index j = 0; j < count; ++j) {
        require(scale[j] > 0.0, "random_scale", "positive");
        require(constant[j] == 0 || constant[j] == 1, "random_constant", "0 or 1");
    }
    return {layout, as_vector(shift), as_vector(scale), std::vector<bool>(constant.begin(), constant.end())};
}

/// Cells in order and within the levels, and their rows those of the levels.
void check_coupling(const CouplingProducts& coupling, const FactorProducts& left, const FactorProducts& right,
                    const std::string& name) {
    const Index cells = coupling.cells();
    require(coupling.start.front() == 0 && coupling.start.back() == cells, name + "start", "from 0 to the cells");
    for (std::size_t g = 0; g + 1 < coupling.start.size(); ++g)
        require(coupling.start[g] <= coupling.start[g + 1], name + "start", "ascending");
    std::vector<std::int64_t> of_left(left.rows.size(), 0), of_right(right.rows.size(), 0);
    for (std::size_t g = 0; g + 1 < coupling.start.size(); ++g)
        for (Index i = coupling.start[g]; i < coupling.start[g + 1]; ++i) {
            const std::int32_t level = coupling.level[i];
            require(level >= 0 && level < static_cast<Index>(right.rows.size()), name + "level", "one of the levels");
            require(i == coupling.start[g] || coupling.level[i - 1] < level, name + "level", "ascending");
            require(coupling.rows[i] >= 1 && coupling.rows[i] <= left.rows[g] - of_left[g], name + "rows",
                    "the rows of the levels");
            of_left[g] += coupling.rows[i];
            of_right[level] += coupling.rows[i];
        }
    require(of_left == left.rows && of_right == right.rows, name + "rows", "the rows of the levels");
}

}  // namespace

State CrossProducts::state() const {
    State out;
    const auto integer = [](Index value) { return Integers{value}; };
    const auto real = [](double value) { return Reals{value}; };
    out["version"] = integer(state_version);
    const std::vector<Index> n_levels = layout_.n_levels();
    out["n_levels"] = Integers(n_levels.begin(), n_levels.end());
    Integers terms;
    for (const TermSpec& term : layout_.specs())
        terms.insert(terms.end(), {term.factor, term.n_cols, term.structure == Structure::Unstructured ? 0 : 1});
    out["terms"] = std::move(terms);
    out["shift"] = values(fixed_.shift);
    out["intercept"] = integer(fixed_.intercept);
    out["R"] = values(fixed_.R);
    out["gamma"] = values(fixed_.gamma);
    out["y_scale"] = real(fixed_.y_scale);
    out["random_shift"] = values(random_.shifts());
    out["random_scale"] = values(random_.scales());
    out["random_constant"] = Integers(random_.constant().begin(), random_.constant().end());
    out["n"] = integer(n_);
    out["sum_weights"] = real(sum_weights_);
    out["sum_log_weights"] = real(sum_log_weights_);
    out["column_sums"] = values(column_sums_);
    out["peak"] = values(peak_);
    out["XytXy"] = values(XytXy_);
    for (std::size_t f = 0; f < factors_.size(); ++f) {
        const std::string name = factor_name(layout_.factors()[f].user_position);
        out[name + "ZtZ"] = factors_[f].ZtZ;
        out[name + "ZtXy"] = factors_[f].ZtXy;
        out[name + "rows"] = factors_[f].rows;
    }
    for (const CouplingProducts& coupling : couplings_) {
        const std::string name = coupling_name(coupling);
        out[name + "start"] = Integers(coupling.start.begin(), coupling.start.end());
        out[name + "level"] = coupling.level;
        out[name + "block"] = coupling.block;
        out[name + "rows"] = coupling.rows;
    }
    return out;
}

CrossProducts CrossProducts::from_state(const State& state) {
    const Reader read(state);
    require(read.integer("version") == state_version, "version", std::to_string(state_version).c_str());
    FixedBasis fixed = read_fixed_basis(read);
    const Index P = fixed.p() + 1;
    const RandomEffects layout = read_layout(read, P);
    CrossProducts out(layout, std::move(fixed), read_random_basis(read, layout));
    out.n_ = read.integer("n");
    require(out.n_ >= 1, "n", "positive");
    out.sum_weights_ = read.real("sum_weights");
    require(out.sum_weights_ > 0.0, "sum_weights", "positive");
    out.sum_log_weights_ = read.real("sum_log_weights");
    out.column_sums_ = as_vector(read.sized<double>("column_sums", {P}));
    out.peak_ = as_vector(read.sized<double>("peak", {P}));
    require((out.peak_.array() >= 0.0).all(), "peak", "not negative");
    out.XytXy_ = read.matrix("XytXy", P, P);
    for (std::size_t f = 0; f < out.factors_.size(); ++f) {
        FactorProducts& factor = out.factors_[f];
        const std::string name = factor_name(layout.factors()[f].user_position);
        factor = {read.any<double>(name + "ZtZ"), read.any<double>(name + "ZtXy"),
                  read.any<std::int64_t>(name + "rows")};
        std::int64_t left = out.n_;
        for (const std::int64_t rows : factor.rows) {
            require(rows >= 0 && rows <= left, name + "rows", "n rows together");
            left -= rows;
        }
        require(left == 0, name + "rows", "n rows together");
    }
    for (CouplingProducts& coupling : out.couplings_) {
        const auto &a = layout.factors()[coupling.a], &b = layout.factors()[coupling.b];
        const std::string name = coupling_name(coupling);
        const Integers& start = read.sized<std::int64_t>(name + "start", {a.n_levels + 1});
        coupling.start.assign(start.begin(), start.end());
        coupling.level = read.any<std::int32_t>(name + "level");
        const Index cells = coupling.cells();
        coupling.rows = read.sized<std::int64_t>(name + "rows", {cells});
        coupling.block = read.sized<double>(name + "block", {cells, a.n_cols, b.n_cols});
        check_coupling(coupling, out.factors_[coupling.a], out.factors_[coupling.b], name);
    }
    return out;
}

std::size_t CrossProducts::n_bytes() const {
    const auto bytes = [](const auto&... arrays) { return (... + (arrays.capacity() * sizeof(arrays[0]))); };
    std::size_t sum = sizeof(double) * (XytXy_.size() + column_sums_.size() + peak_.size());
    for (const FactorProducts& factor : factors_)
        sum += bytes(factor.ZtZ, factor.ZtXy, factor.rows);
    for (const CouplingProducts& coupling : couplings_)
        sum += bytes(coupling.start, coupling.level, coupling.block, coupling.rows);
    return sum;
}

}  // namespace pymixed
