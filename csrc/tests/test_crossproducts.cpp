// Cross-products against naive sums over the rows, and the laws of merging, weighting and dropping columns.
#include "check.hpp"

#include "designs.hpp"
#include "pymixed/deviance.hpp"

namespace {

using namespace pymixed;
using designs::Design;
using designs::difference;

/// The columns of the internal factor f of one level each, side by side: n x q_f, as Z is written in the books.
Matrix dense_Z(const Design& design, const RandomEffects::Factor& factor) {
    Matrix Z = Matrix::Zero(design.n(), factor.size());
    for (Index j = 0; j < factor.n_cols; ++j) {
        const Vector z = design.z_column(factor.columns[j]);
        for (Index i = 0; i < design.n(); ++i)
            Z(i, design.codes[factor.user_position][i] * factor.n_cols + j) = z[i];
    }
    return Z;
}

/// Bases that leave all columns as they are.
FixedBasis plain_fixed_basis(Index p) {
    FixedBasis basis;
    basis.shift = basis.gamma = Vector::Zero(p);
    basis.R = basis.R_inverse = Matrix::Identity(p, p);
    return basis;
}
RandomBasis plain_random_basis(const Design& design) {
    const Index count = static_cast<Index>(design.Z.size());
    std::vector<bool> constant;
    for (const Vector& z : design.Z)
        constant.push_back(z.size() == 0);
    return {design.layout(), Vector::Zero(count), Vector::Ones(count), constant};
}

Design crossed(bool weighted) {
    Design design = designs::simulate(700, 4, {{23, 2}, {31, 1}, {11, 3}}, 5);
    if (weighted) {
        designs::Normal normal(6);
        design.weights.resize(design.n());
        for (double& w : design.weights)
            w = 0.2 + normal.uniform();
    }
    return design;
}

/// Some theta that fits the columns' scales.
Vector natural_theta(const CrossProducts& products) {
    return products.random_basis().to_user(products.layout(), designs::some_theta(products.layout(), 3));
}

/// The criterion and beta at theta: what must not depend on how the sums came about.
struct Outcome {
    double value;
    Vector beta;
};
Outcome outcome(const CrossProducts& products, const Vector& theta) {
    const Problem problem(std::make_shared<const CrossProducts>(products));
    Deviance deviance(problem, true);
    Outcome out{deviance.evaluate(theta, Coordinates::User), {}};
    deviance.differentiate();
    out.beta = deviance.beta();
    return out;
}

CrossProducts in_chunks(const Design& design, Index chunks) {
    const auto chunk = [&](Index k) {
        return CrossProducts(design.layout(), design.rows(k * design.n() / chunks, (k + 1) * design.n() / chunks));
    };
    CrossProducts sum = chunk(0);
    for (Index k = 1; k < chunks; ++k)
        sum.merge(chunk(k));
    return sum;
}

/// n eps of the sums and of the factorisation: 1e-12 leaves room.
void check_merging(const Design& design, double tolerance = 1e-12) {
    const CrossProducts all(design.layout(), design.rows());
    const Vector theta = natural_theta(all);
    const Outcome whole = outcome(all, theta);
    for (const Index chunks : {2, 7}) {
        const CrossProducts merged = in_chunks(design, chunks);
        const Outcome parts = outcome(merged, theta);
        CHECK(merged.n() == design.n());
        CHECK_CLOSE(parts.value, whole.value, tolerance);
        for (Index j = 0; j < whole.beta.size(); ++j)
            CHECK_CLOSE(parts.beta[j], whole.beta[j], 100.0 * tolerance);
    }
}

}  // namespace

TEST("sums against dense Z'WZ and Z'W[X y]") {
    for (const bool weighted : {false, true}) {
        const Design design = crossed(weighted);
        const CrossProducts products(design.layout(), plain_fixed_basis(4), plain_random_basis(design), design.rows());
        const Vector w = weighted ? design.weights : Vector::Ones(design.n());
        Matrix Xy(design.n(), 5);
        Xy << design.X, design.y;
        const Matrix WXy = w.asDiagonal() * Xy;
        CHECK(difference(products.XytXy(), Xy.transpose() * WXy) < 1e-13);
        CHECK_CLOSE(products.sum_log_weights(), w.array().log().sum(), 1e-13);
        const auto& factors = products.layout().factors();
        std::vector<Matrix> Z;
        for (std::size_t f = 0; f < factors.size(); ++f) {
            Z.push_back(dense_Z(design, factors[f]));
            const Index c = factors[f].n_cols, size = packed(c, 0);
            const ConstRowMatrixMap ZtXy(products.factor(f).ZtXy.data(), factors[f].size(), 5);
            CHECK(difference(ZtXy, Z[f].transpose() * WXy) < 1e-13);
            const Matrix ZtZ = Z[f].transpose() * w.asDiagonal() * Z[f];
            const auto& blocks = products.factor(f).ZtZ;
            for (Index g = 0; g < factors[f].n_levels; ++g)
                for (Index i = 0; i < c; ++i)
                    for (Index j = 0; j <= i; ++j)
                        CHECK(std::abs(blocks[g * size + packed(i, j)] - ZtZ(g * c + i, g * c + j)) < 1e-12);
        }
        CHECK(products.couplings().size() == 3);
        for (const CouplingProducts& coupling : products.couplings()) {
            CHECK(coupling.a < coupling.b);
            const Index ca = factors[coupling.a].n_cols, cb = factors[coupling.b].n_cols;
            Matrix rebuilt = Matrix::Zero(factors[coupling.a].size(), factors[coupling.b].size());
            for (Index g = 0; g < factors[coupling.a].n_levels; ++g)
                for (Index k = coupling.start[g]; k < coupling.start[g + 1]; ++k) {
                    CHECK(k == coupling.start[g] || coupling.level[k - 1] < coupling.level[k]);
                    const ConstRowMatrixMap block(coupling.block.data() + k * ca * cb, ca, cb);
                    rebuilt.block(g * ca, coupling.level[k] * cb, ca, cb) = block;
                }
            CHECK(difference(rebuilt, Z[coupling.a].transpose() * w.asDiagonal() * Z[coupling.b]) < 1e-13);
        }
    }
}

TEST("the basis travels with the sums") {
    const Design design = crossed(true);
    const CrossProducts products(design.layout(), design.rows());
    Matrix Xy(design.n(), 5);
    Xy << design.X, design.y;
    const Matrix U = products.fixed_basis().U();
    const Matrix plain = Xy.transpose() * design.weights.asDiagonal() * Xy;
    CHECK(difference(U.transpose() * products.XytXy() * U, plain) < 1e-13);
}

TEST("merged equals unmerged") {
    check_merging(crossed(false));
    check_merging(crossed(true));
    check_merging(designs::simulate(200, 0, {{13, 2}}, 9));
}

TEST("merged equals unmerged far from zero and with a drift from chunk to chunk") {
    Design design = crossed(false);
    for (Index i = 0; i < design.n(); ++i) {
        const double drift = static_cast<double>(i);  // chunks' means are many standard deviations apart
        design.X(i, 1) += 1e6 + drift;
        design.Z[1][i] += 1e6 + drift;
        design.y[i] += 1e6 + drift;
    }
    check_merging(design, 1e-10);
}

TEST("merged equals unmerged where a column is constant within chunks") {
    // sorted cell means: in each of the seven chunks one column of X is all ones, the others zero
    Design design = crossed(false);
    design.X = Matrix::Zero(design.n(), 7);
    for (Index i = 0; i < design.n(); ++i)
        design.X(i, i * 7 / design.n()) = 1.0;
    check_merging(design);
}

TEST("columns that depend on others are dropped") {
    Design design = crossed(false);
    const CrossProducts independent(design.layout(), design.rows());
    const Vector theta = natural_theta(independent);
    const Outcome without = outcome(independent, theta);
    Matrix X(design.n(), 6);
    X << design.X.leftCols(2), 2.0 * design.X.col(1) - 3.0 * design.X.col(0), design.X.rightCols(2),
        design.X.col(3) + design.X.col(2);
    design.X = X;
    const CrossProducts products(design.layout(), design.rows());
    const Problem problem(std::make_shared<const CrossProducts>(products));
    CHECK((problem.aliased() == std::vector<Index>{2, 5}));
    CHECK((problem.kept() == std::vector<Index>{0, 1, 3, 4}));
    CHECK(problem.p() == 4);
    const Outcome with = outcome(products, theta);
    CHECK_CLOSE(with.value, without.value, 1e-12);
    for (Index j = 0; j < 4; ++j)
        CHECK_CLOSE(with.beta[j], without.beta[j], 1e-10);
}

TEST("integer weights give the sums of repeated rows") {
    Design weighted = designs::simulate(120, 2, {{9, 2}, {5, 1}}, 8), repeated = weighted;
    weighted.weights.resize(120);
    std::vector<Index> from;
    for (Index i = 0; i < 120; ++i) {
        weighted.weights[i] = static_cast<double>(1 + i % 3);
        from.insert(from.end(), 1 + i % 3, i);
    }
    repeated.X = weighted.X(from, Eigen::all).eval();
    repeated.y = weighted.y(from).eval();
    for (Vector& z : repeated.Z)
        if (z.size() > 0)
            z = z(from).eval();
    for (std::size_t f = 0; f < repeated.codes.size(); ++f) {
        repeated.codes[f].clear();
        for (const Index i : from)
            repeated.codes[f].push_back(weighted.codes[f][i]);
    }
    const FixedBasis fixed = FixedBasis::from_rows(weighted.rows());
    const RandomBasis random = RandomBasis::from_rows(weighted.layout(), weighted.rows());
    const CrossProducts a(weighted.layout(), fixed, random, weighted.rows());
    const CrossProducts b(repeated.layout(), fixed, random, repeated.rows());
    const auto as_vector = [](const std::vector<double>& v) { return Eigen::Map<const Vector>(v.data(), v.size()); };
    CHECK(difference(a.XytXy(), b.XytXy()) < 1e-13);
    for (Index f = 0; f < 2; ++f) {
        CHECK(difference(as_vector(a.factor(f).ZtZ), as_vector(b.factor(f).ZtZ)) < 1e-13);
        CHECK(difference(as_vector(a.factor(f).ZtXy), as_vector(b.factor(f).ZtXy)) < 1e-13);
    }
}

TEST("wrong input") {
    for (const std::int32_t code : {-1, 23}) {
        Design design = crossed(false);
        design.codes[0][17] = code;
        CHECK_THROWS(CrossProducts(design.layout(), design.rows()), std::invalid_argument);
    }
    const Design design = crossed(false), other = designs::simulate(700, 3, {{23, 2}, {31, 1}, {11, 3}}, 5);
    CrossProducts products(design.layout(), design.rows());
    CHECK_THROWS(products.merge(CrossProducts(other.layout(), other.rows())), std::invalid_argument);
    const Design more_levels = designs::simulate(700, 4, {{23, 2}, {32, 1}, {11, 3}}, 5);
    CHECK_THROWS(products.merge(CrossProducts(more_levels.layout(), more_levels.rows())), std::invalid_argument);
    CHECK_THROWS(Problem(design.layout(), design.rows(), Method::Single), std::invalid_argument);
    CHECK_THROWS(Problem(design.layout(), design.rows(), Method::Dense, 100.0), MemoryLimit);
    CHECK_THROWS(Problem(design.layout(), design.rows(0, 4)), std::invalid_argument);
}
