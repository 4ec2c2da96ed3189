// z'Qz and Q Z'WX against dense algebra with Z as a matrix.
#include "check.hpp"

#include <Eigen/Cholesky>
#include <Eigen/LU>
#include <stdexcept>

#include "designs.hpp"
#include "pymixed/deviance.hpp"
#include "pymixed/effects_covariance.hpp"

namespace {

using namespace pymixed;
using designs::Design;
using designs::difference;
using designs::Normal;

/// Rows of Z in the user's units: the blocks of the factors in the user's order, one level after the other.
Matrix dense_Z(const RandomEffects& layout, const Rows& rows) {
    std::vector<Index> start(layout.factors().size() + 1, 0);
    for (const auto& factor : layout.factors())
        start[factor.user_position + 1] = factor.size();
    for (std::size_t f = 1; f < start.size(); ++f)
        start[f] += start[f - 1];
    Matrix Z = Matrix::Zero(rows.n, start.back());
    for (const auto& factor : layout.factors())
        for (Index i = 0; i < rows.n; ++i)
            if (const Index g = rows.codes[factor.user_position][i]; g >= 0)
                for (Index j = 0; j < factor.n_cols; ++j)
                    Z(i, start[factor.user_position] + g * factor.n_cols + j) = rows.Z[factor.columns[j]][i];
    return Z;
}

/// Lambda over the same columns.
Matrix dense_Lambda(const RandomEffects& layout, const Vector& theta) {
    std::vector<Matrix> templates(layout.factors().size());
    std::vector<Index> n_levels = layout.n_levels();
    for (const auto& factor : layout.factors())
        templates[factor.user_position] = Matrix::Zero(factor.n_cols, factor.n_cols);
    for (Index i = 0; i < layout.n_theta(); ++i) {
        const auto& entry = layout.entries()[i];
        templates[layout.factors()[entry.factor].user_position](entry.row, entry.col) = theta[i];
    }
    Matrix out = Matrix::Zero(layout.n_random(), layout.n_random());
    Index start = 0;
    for (std::size_t f = 0; f < templates.size(); ++f)
        for (Index g = 0; g < n_levels[f]; ++g, start += templates[f].rows())
            out.block(start, start, templates[f].rows(), templates[f].rows()) = templates[f];
    return out;
}

struct Dense {
    Matrix Q, F;

    Dense(const Design& design, const Vector& weights, const Vector& theta) {
        const Matrix Z = dense_Z(design.layout(), design.rows()), Lambda = dense_Lambda(design.layout(), theta);
        const Matrix ZtWZ = Z.transpose() * weights.asDiagonal() * Z;
        Matrix M = Lambda.transpose() * ZtWZ * Lambda;
        M.diagonal().array() += 1.0;
        Q = Lambda * M.ldlt().solve(Lambda.transpose());
        F = Q * (Z.transpose() * weights.asDiagonal() * design.X);
    }
};

/// Any combinations of levels, some of them missing.
Design new_rows(const Design& design, Index n, unsigned seed) {
    Normal normal(seed);
    Design out = design;
    out.y = Vector::Zero(n);
    out.X = Matrix::Ones(n, design.X.cols());
    for (Vector& z : out.Z)
        if (z.size() > 0) {
            z.resize(n);
            for (double& value : z)
                value = normal();
        }
    for (std::size_t f = 0; f < out.codes.size(); ++f) {
        out.codes[f].resize(n);
        for (auto& code : out.codes[f])
            code = static_cast<std::int32_t>(normal.uniform() * (design.n_levels[f] + 1)) - 1;
    }
    return out;
}

Vector flat(const std::vector<std::vector<double>>& blocks) {
    std::vector<double> all;
    for (const auto& block : blocks)
        all.insert(all.end(), block.begin(), block.end());
    return Eigen::Map<const Vector>(all.data(), static_cast<Index>(all.size()));
}

void check_dense(const Design& design, const Problem& problem, const Vector& weights, const Vector& theta) {
    const Dense dense(design, weights, theta);
    const Design asked = new_rows(design, 400, 5);
    const Matrix Z = dense_Z(design.layout(), asked.rows());
    const Vector expected = (Z * dense.Q).cwiseProduct(Z).rowwise().sum();
    EffectsCovariance few(problem, theta), many(problem, theta);
    // the condition of M is below 1e5
    CHECK(difference(few.random_variances(asked.rows(0, 1)), expected.head(1)) < 1e-11);
    CHECK(difference(many.random_variances(asked.rows()), expected) < 1e-11);
    const RowMatrix F = dense.F;
    CHECK(difference(flat(many.fixed_modes()), Eigen::Map<const Vector>(F.data(), F.size())) < 1e-11);
}

std::vector<Design> some_designs() {
    Design nested = designs::simulate(360, 3, {{60, 2}, {12, 2}}, 11);
    for (Index i = 0; i < nested.n(); ++i)
        nested.codes[1][i] = nested.codes[0][i] % 12;
    Design far = designs::simulate(240, 2, {{20, 2}, {11, 2}}, 3);  // columns far from zero
    far.Z[1].array() = 10.0 + far.Z[1].array();
    Design weighted = designs::simulate(240, 3, {{9, 1}, {30, 1}, {5, 2}}, 8);
    weighted.weights = Vector::LinSpaced(240, 0.5, 3.0);
    return {designs::simulate(100, 2, {{20, 1}}, 1),
            designs::simulate(200, 3, {{20, 3}}, 2),
            designs::simulate(240, 2, {{20, 1}, {13, 1}}, 3),
            nested,
            designs::simulate(240, 3, {{17, 2}, {11, 1}, {5, 2}}, 2),
            weighted,
            far};
}

}  // namespace

TEST("dense algebra, by every method, for levels that met and levels that did not") {
    for (const Design& design : some_designs())
        for (const Method method : {Method::Single, Method::Dense, Method::Sparse}) {
            if ((method == Method::Single) != (design.codes.size() == 1))
                continue;
            const Problem problem(design.layout(), design.rows(), method);
            const Vector weights = design.weights.size() > 0 ? design.weights : Vector::Ones(design.n());
            for (unsigned seed = 1; seed <= 2; ++seed)
                check_dense(design, problem, weights, designs::some_theta(design.layout(), seed));
        }
}

TEST("singular templates") {
    for (const Design& design : some_designs()) {
        const Problem problem(design.layout(), design.rows());
        const Vector weights = design.weights.size() > 0 ? design.weights : Vector::Ones(design.n());
        Vector theta = designs::some_theta(design.layout(), 4);
        theta[0] = 0.0;
        check_dense(design, problem, weights, theta);
        theta.setZero();
        check_dense(design, problem, weights, theta);
    }
}

TEST("confounded effects of large variance keep their digits") {
    Design design = designs::simulate(360, 1, {{60, 1}, {12, 1}}, 7);
    for (Index i = 0; i < design.n(); ++i)
        design.codes[1][i] = design.codes[0][i] % 12;
    const Vector theta = Vector::Constant(2, 1e4);
    for (const Method method : {Method::Dense, Method::Sparse}) {
        const Problem problem(design.layout(), design.rows(), method);
        EffectsCovariance covariance(problem, theta);
        // six rows in a level whose effect, with that of the level around it, is as good as free: 1/6 less 1e-8/36
        for (const double h : covariance.random_variances(design.rows()))
            CHECK_CLOSE(h, 1.0 / 6.0, 1e-8);
    }
}

TEST("negative weights, and other weights in the cells of the first") {
    const Design design = designs::simulate(300, 2, {{20, 2}, {11, 1}}, 6);
    const Problem problem(design.layout(), design.rows());
    Vector weights = Vector::LinSpaced(design.n(), 0.2, 2.0);
    for (Index i = 0; i < design.n(); i += 7)
        weights[i] = i % 2 == 0 ? -0.1 : 0.0;
    // rows in the bases of the sums
    const CrossProducts& products = problem.products();
    const Design internal = [&] {
        Design out = design;
        const FixedBasis& basis = products.fixed_basis();
        out.X = (design.X.rowwise() - basis.shift.transpose()) * basis.R_inverse;
        for (std::size_t j = 0; j < out.Z.size(); ++j)
            if (out.Z[j].size() > 0)
                out.Z[j] = (out.Z[j].array() - products.random_basis().shift(j)) / products.random_basis().scale(j);
        return out;
    }();
    const auto reweighted = std::make_shared<const CrossProducts>(products.with_weights(internal.rows(), weights));
    const Vector theta = designs::some_theta(design.layout(), 2);
    const Problem working(problem, reweighted, true);
    check_dense(design, working, weights, theta);
    const auto restored = std::make_shared<const CrossProducts>(CrossProducts::from_state(reweighted->state()));
    const Problem from_state(restored, Method::Automatic, 0.0, true);
    EffectsCovariance live(working, theta), read(from_state, theta);
    CHECK(live.random_variances(design.rows()) == read.random_variances(design.rows()));
    CHECK(live.fixed_modes() == read.fixed_modes());

    const auto negative =
        std::make_shared<const CrossProducts>(products.with_weights(internal.rows(), (-weights).eval()));
    const Problem indefinite(problem, negative, true);
    CHECK_THROWS(EffectsCovariance(indefinite, theta), std::runtime_error);
}

TEST("diagonal blocks are the conditional covariances of the criterion") {
    for (const Design& design : some_designs()) {
        const Problem problem(design.layout(), design.rows());
        const Vector theta = designs::some_theta(design.layout(), 3);
        Deviance deviance(problem, true);
        deviance.evaluate(theta, Coordinates::User);
        deviance.differentiate();
        const auto blocks = deviance.conditional_covariances();
        EffectsCovariance covariance(problem, theta);
        for (const auto& factor : problem.layout().factors()) {
            const Index f = factor.user_position, c = factor.n_cols;
            for (Index j = 0; j < c; ++j) {  // a one in column j, for every level
                Design asked = new_rows(design, factor.n_levels, 1);
                for (auto& codes : asked.codes)
                    std::fill(codes.begin(), codes.end(), -1);
                for (Vector& z : asked.Z)
                    z = Vector::Zero(factor.n_levels);
                asked.Z[factor.columns[j]].setOnes();
                for (Index g = 0; g < factor.n_levels; ++g)
                    asked.codes[f][g] = static_cast<std::int32_t>(g);
                const Vector variances = covariance.random_variances(asked.rows());
                for (Index g = 0; g < factor.n_levels; ++g)
                    CHECK_CLOSE(variances[g], blocks[f][(g * c + j) * c + j], 1e-10);
            }
        }
    }
}

TEST("codes outside the levels are refused") {
    Design design = designs::simulate(60, 2, {{10, 1}, {6, 1}}, 1);
    const Problem problem(design.layout(), design.rows());
    EffectsCovariance covariance(problem, designs::some_theta(design.layout(), 1));
    design.codes[1][7] = 6;
    CHECK_THROWS(covariance.random_variances(design.rows()), std::invalid_argument);
    design.codes[1][7] = -2;
    CHECK_THROWS(covariance.random_variances(design.rows()), std::invalid_argument);
}
