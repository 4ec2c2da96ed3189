// The criterion against its definition with a dense V, the regimes against each other, derivatives against
// differences, and threads against one thread.
#include "check.hpp"

#include <Eigen/Cholesky>
#include <limits>
#include <thread>

#include "designs.hpp"
#include "pymixed/deviance.hpp"

namespace {

using namespace pymixed;
using designs::Design;
using designs::difference;

struct Evaluation {
    double value;
    Vector gradient;
    Matrix information, curvature;
};

Evaluation evaluate(Deviance& deviance, const Vector& theta, Coordinates coordinates = Coordinates::User) {
    const double value = deviance.evaluate(theta, coordinates);
    deviance.differentiate();
    return {value, deviance.gradient(), deviance.average_information(), deviance.curvature()};
}

void check_same(const Evaluation& a, const Evaluation& b, double tolerance) {
    CHECK_CLOSE(a.value, b.value, tolerance);
    CHECK(difference(a.gradient, b.gradient) < tolerance);
    CHECK(difference(a.information, b.information) < tolerance);
    CHECK(difference(a.curvature, b.curvature) < tolerance);
}

/// log|V| (REML: + log|X'V^-1X|) + nu (1 + log(2 pi r^2/nu)) with V = W^-1 + Z Lambda Lambda'Z' written out, n x n.
double dense_criterion(const Design& design, const Vector& theta, bool reml) {
    const RandomEffects layout = design.layout();
    Templates unit = layout.make_templates(), T = unit;
    for (Matrix& basis : unit)
        basis.setIdentity();
    layout.templates_into(theta, unit, T);
    Matrix V = Matrix::Zero(design.n(), design.n());
    V.diagonal() = design.weights.size() == 0 ? Vector::Ones(design.n()) : Vector(design.weights.cwiseInverse());
    for (std::size_t f = 0; f < T.size(); ++f) {
        const auto& factor = layout.factors()[f];
        Matrix z(design.n(), factor.n_cols);
        for (Index j = 0; j < factor.n_cols; ++j)
            z.col(j) = design.z_column(factor.columns[j]);
        const Matrix zT = z * T[f];
        const auto& codes = design.codes[factor.user_position];
        for (Index i = 0; i < design.n(); ++i)
            for (Index k = 0; k < design.n(); ++k)
                if (codes[i] == codes[k])
                    V(i, k) += zT.row(i).dot(zT.row(k));
    }
    const Eigen::LLT<Matrix> root(V);
    Matrix Xy(design.n(), design.X.cols() + 1);
    Xy << design.X, design.y;
    root.matrixL().solveInPlace(Xy);
    const Matrix R = Matrix(Xy.transpose() * Xy).llt().matrixU();  // [RX c; 0 r]
    const Index p = design.X.cols();
    const auto log_determinant = [](const auto& diagonal) { return 2.0 * diagonal.array().log().sum(); };
    const double nu = static_cast<double>(design.n() - (reml ? p : 0)), r2 = R(p, p) * R(p, p);
    return log_determinant(root.matrixLLT().diagonal()) + (reml ? log_determinant(R.diagonal().head(p)) : 0.0) +
           nu * (1.0 + std::log(6.283185307179586 * r2 / nu));
}

/// Five-point differences of the criterion: error step^4 and rounding / step, both near 1e-10 of it here.
Vector differences(Deviance& deviance, const Vector& theta, Coordinates coordinates) {
    const double step = 2e-3;
    Vector out(theta.size());
    for (Index i = 0; i < theta.size(); ++i) {
        const auto at = [&](double steps) {
            Vector point = theta;
            point[i] += steps * step;
            return deviance.evaluate(point, coordinates);
        };
        out[i] = (8.0 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12.0 * step);
    }
    return out;
}

/// Scalar and vector-valued, crossed, a weight per row in the last.
std::vector<Design> crossed_designs() {
    std::vector<Design> out{designs::simulate(240, 3, {{17, 1}, {11, 1}, {5, 1}}, 1),
                            designs::simulate(240, 3, {{17, 2}, {11, 1}, {5, 2}}, 2),
                            designs::simulate(240, 0, {{13, 3}, {17, 1}}, 3),
                            designs::simulate(240, 4, {{11, 4}, {5, 3}}, 4)};
    designs::Normal normal(5);
    out.back().weights.resize(240);
    for (double& w : out.back().weights)
        w = 0.3 + normal.uniform();
    // two terms on one factor, one of them with independent columns
    Design terms = designs::simulate(240, 2, {{17, 3}, {11, 2}}, 6);
    terms.terms = {{0, 1, Structure::Unstructured}, {0, 2, Structure::Diagonal}, {1, 2, Structure::Unstructured}};
    out.push_back(std::move(terms));
    return out;
}

}  // namespace

TEST("the criterion is the one with a dense V, in every regime") {
    std::vector<Design> all = crossed_designs();
    all.push_back(designs::simulate(200, 2, {{25, 1}}, 7));
    all.push_back(designs::simulate(200, 2, {{25, 2}}, 8));
    for (const Design& design : all)
        for (const Method method : {Method::Dense, Method::Sparse})
            for (const bool reml : {true, false}) {
                const Problem problem(design.layout(), design.rows(), method);
                Deviance deviance(problem, reml);
                for (unsigned seed = 1; seed <= 3; ++seed) {
                    const Vector theta = designs::some_theta(design.layout(), seed);
                    const double expected = dense_criterion(design, theta, reml);
                    CHECK_CLOSE(deviance.evaluate(theta, Coordinates::User), expected, 1e-12);
                }
            }
}

TEST("dense and sparse tails agree") {
    for (const Design& design : crossed_designs()) {
        const Problem dense(design.layout(), design.rows(), Method::Dense);
        const Problem sparse(design.layout(), design.rows(), Method::Sparse);
        CHECK(dense.method() == Method::Dense && sparse.method() == Method::Sparse);
        for (const bool reml : {true, false}) {
            Deviance a(dense, reml), b(sparse, reml);
            for (unsigned seed = 1; seed <= 3; ++seed) {
                const Vector theta = designs::some_theta(design.layout(), seed);
                check_same(evaluate(a, theta), evaluate(b, theta), 1e-10);
                check_same(evaluate(a, theta, Coordinates::Internal), evaluate(b, theta, Coordinates::Internal), 1e-10);
            }
        }
    }
}

TEST("one factor agrees with a crossed model whose other factor has no variance") {
    for (const Index n_cols : {1, 2, 3})
        for (const Index others : {1, 2}) {
            Design both = designs::simulate(300, 3, {{40, n_cols}, {6, others}}, 9), one = both;
            one.n_levels.pop_back();
            one.terms.pop_back();
            one.codes.pop_back();
            one.Z.resize(n_cols);
            const Problem single(one.layout(), one.rows());
            CHECK(single.method() == Method::Single);
            const Index m = one.layout().n_theta();
            const Vector theta = designs::some_theta(one.layout(), 1);
            Vector padded = Vector::Zero(both.layout().n_theta());
            padded.head(m) = theta;
            for (const Method method : {Method::Dense, Method::Sparse})
                for (const bool reml : {true, false}) {
                    const Problem crossed(both.layout(), both.rows(), method);
                    Deviance a(single, reml), b(crossed, reml);
                    Evaluation large = evaluate(b, padded);
                    large.gradient = large.gradient.head(m).eval();
                    large.information = large.information.topLeftCorner(m, m).eval();
                    large.curvature = large.curvature.topLeftCorner(m, m).eval();
                    check_same(evaluate(a, theta), large, 1e-10);
                }
        }
}

TEST("the gradient is the derivative, in both coordinates") {
    for (const Design& design : crossed_designs())
        for (const Method method : {Method::Dense, Method::Sparse})
            for (const bool reml : {true, false}) {
                const Problem problem(design.layout(), design.rows(), method);
                Deviance deviance(problem, reml);
                for (const Coordinates coordinates : {Coordinates::User, Coordinates::Internal}) {
                    const Vector theta = designs::some_theta(design.layout(), 4);
                    const Vector gradient = evaluate(deviance, theta, coordinates).gradient;
                    CHECK(difference(gradient, differences(deviance, theta, coordinates)) < 1e-8);
                }
            }
}

TEST("a factor without variance: gradient zero, curvature that of the criterion") {
    for (const Design& design : crossed_designs()) {
        const RandomEffects layout = design.layout();
        for (const Method method : {Method::Dense, Method::Sparse}) {
            const Problem problem(layout, design.rows(), method);
            Deviance deviance(problem, true);
            for (Index f = 0; f < static_cast<Index>(layout.factors().size()); ++f) {
                Vector theta = designs::some_theta(layout, 5);
                for (Index i = 0; i < theta.size(); ++i)
                    if (layout.entries()[i].factor == f)
                        theta[i] = 0.0;
                const Evaluation at_zero = evaluate(deviance, theta);
                const double size = at_zero.gradient.cwiseAbs().maxCoeff();
                for (Index i = 0; i < theta.size(); ++i) {
                    if (layout.entries()[i].factor != f)
                        continue;
                    CHECK(std::abs(at_zero.gradient[i]) <= 1e-9 * size);
                    // even in theta_i: the gradient a little away is curvature times the way
                    const double step = 1e-4;
                    Vector point = theta;
                    point[i] = step;
                    CHECK(std::abs(evaluate(deviance, point).gradient[i] / step - at_zero.curvature(i, i)) <=
                          1e-4 * at_zero.curvature.cwiseAbs().maxCoeff());
                }
            }
        }
    }
}

TEST("user's and internal coordinates name the same model") {
    Design design = designs::simulate(240, 3, {{17, 3}, {11, 2}}, 10);
    for (const std::size_t j : {1, 4})
        design.Z[j].array() = 250.0 + 40.0 * design.Z[j].array();
    const Problem problem(design.layout(), design.rows());
    const RandomEffects& layout = problem.layout();
    const RandomBasis& basis = problem.products().random_basis();
    Deviance deviance(problem, true);
    for (unsigned seed = 1; seed <= 5; ++seed) {
        const Vector phi = designs::some_theta(layout, seed), theta = basis.to_user(layout, phi);
        CHECK(difference(basis.to_internal(layout, theta), phi) < 1e-10);
        const double value = deviance.evaluate(phi, Coordinates::Internal);
        CHECK_CLOSE(deviance.evaluate(theta, Coordinates::User), value, 1e-11);
        Vector flipped = phi;
        flipped.head(3) = -flipped.head(3);  // a column of the first template
        CHECK_CLOSE(deviance.evaluate(flipped, Coordinates::Internal), value, 1e-13);
        CHECK(difference(basis.to_internal(layout, basis.to_user(layout, flipped)), phi) < 1e-10);
    }
}

TEST("the Hessian is symmetric and the derivative of the gradient") {
    const Design design = crossed_designs()[1];
    const Problem problem(design.layout(), design.rows());
    Deviance deviance(problem, true);
    const Vector theta = designs::some_theta(design.layout(), 6);
    const Matrix H = deviance.hessian(theta, Coordinates::User);
    CHECK(H == H.transpose());
    const Vector direction = designs::some_theta(design.layout(), 7);
    const double step = 1e-4;
    const Vector ahead = evaluate(deviance, theta + step * direction).gradient;
    const Vector behind = evaluate(deviance, theta - step * direction).gradient;
    CHECK(difference(H * direction, (ahead - behind) / (2.0 * step)) < 1e-6);
}

TEST("two threads that share a problem give the bits of one") {
    for (const Design& design : crossed_designs())
        for (const Method method : {Method::Dense, Method::Sparse}) {
            const Problem problem(design.layout(), design.rows(), method);
            constexpr unsigned rounds = 20;
            const auto run = [&](std::vector<Evaluation>& out) {
                Deviance deviance(problem, true);
                for (unsigned seed = 1; seed <= rounds; ++seed)
                    out.push_back(evaluate(deviance, designs::some_theta(problem.layout(), seed)));
            };
            std::vector<Evaluation> serial, first, second;
            run(serial);
            std::thread one(run, std::ref(first)), two(run, std::ref(second));
            one.join();
            two.join();
            for (unsigned i = 0; i < rounds; ++i)
                for (const auto* parallel : {&first, &second}) {
                    CHECK((*parallel)[i].value == serial[i].value);
                    CHECK((*parallel)[i].gradient == serial[i].gradient);
                    CHECK((*parallel)[i].curvature == serial[i].curvature);
                }
        }
}

TEST("threads of the factorisation leave the bits alone") {
    const Design design = designs::simulate(4000, 2, {{500, 1}, {400, 1}}, 11);
    const Problem problem(design.layout(), design.rows(), Method::Dense);
    Deviance one(problem, true), three(problem, true, 3);
    for (unsigned seed = 1; seed <= 3; ++seed) {
        const Vector theta = designs::some_theta(problem.layout(), seed);
        const Evaluation serial = evaluate(one, theta), parallel = evaluate(three, theta);
        CHECK(parallel.value == serial.value);
        CHECK(parallel.gradient == serial.gradient);
        CHECK(parallel.curvature == serial.curvature);
    }
}

TEST("a theta that is not finite gives infinity") {
    const Design design = crossed_designs()[0];
    const Problem problem(design.layout(), design.rows());
    Deviance deviance(problem, true);
    Vector theta = designs::some_theta(design.layout(), 1);
    theta[1] = std::nan("");
    CHECK(deviance.evaluate(theta, Coordinates::User) == std::numeric_limits<double>::infinity());
}
