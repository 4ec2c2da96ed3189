// The sums of Kenward-Roger in every regime against each other; tests/test_kenward_roger.py has them against their
// definition.
#include "check.hpp"

#include "designs.hpp"
#include "pymixed/kenward_roger.hpp"

namespace {

using namespace pymixed;
using designs::Design;
using designs::difference;

KenwardRoger sums(const Problem& problem, const Vector& theta, int n_threads = 1) {
    Deviance deviance(problem, true, n_threads);
    deviance.evaluate(theta, Coordinates::User);
    deviance.differentiate();
    return *kenward_roger(deviance);
}

void check_same(const KenwardRoger& a, const KenwardRoger& b, double tolerance) {
    CHECK_CLOSE(a.sigma2, b.sigma2, tolerance);
    CHECK(difference(a.root, b.root) < tolerance);
    CHECK(difference(a.P, b.P) < tolerance);
    CHECK(difference(a.Q, b.Q) < tolerance);
    CHECK(difference(a.T, b.T) < tolerance);
}

/// Pupils in classes in schools: every school is a component of the tail.
Design nested_design() {
    Design out = designs::simulate(360, 3, {{60, 2}, {12, 2}}, 11);
    for (Index i = 0; i < out.n(); ++i)
        out.codes[1][i] = out.codes[0][i] % 12;
    return out;
}

}  // namespace

TEST("dense and sparse tails agree, with one component or many") {
    for (const Design& design : {nested_design(), designs::simulate(240, 3, {{17, 2}, {11, 1}, {5, 2}}, 2),
                                 designs::simulate(240, 1, {{11, 4}, {5, 3}}, 4)}) {
        const Problem dense(design.layout(), design.rows(), Method::Dense);
        const Problem sparse(design.layout(), design.rows(), Method::Sparse);
        for (unsigned seed = 1; seed <= 3; ++seed) {
            const Vector theta = designs::some_theta(design.layout(), seed);
            check_same(sums(dense, theta), sums(sparse, theta), 1e-10);
        }
    }
}

TEST("one factor agrees with a crossed model whose other factor has no variance") {
    for (const Index n_cols : {1, 2, 3}) {
        Design both = designs::simulate(300, 3, {{40, n_cols}, {6, 1}}, 9), one = both;
        one.n_levels.pop_back();
        one.terms.pop_back();
        one.codes.pop_back();
        one.Z.pop_back();
        const Problem single(one.layout(), one.rows()), crossed(both.layout(), both.rows());
        const Index m = one.layout().n_theta(), p = single.p();
        const Vector theta = designs::some_theta(one.layout(), 1);
        Vector padded = Vector::Zero(m + 1);
        padded.head(m) = theta;
        KenwardRoger large = sums(crossed, padded);
        const KenwardRoger small = sums(single, theta);
        const auto without = [m](const Matrix& A, Index width) {  // the second factor's parameter, before the residual
            Matrix out(A.rows(), (m + 1) * width);
            out << A.leftCols(m * width), A.rightCols(width);
            return out;
        };
        large.P = without(large.P, p);
        large.Q = without(Matrix(without(large.Q, p).transpose()), p);
        large.T = without(Matrix(without(large.T, 1).transpose()), 1);
        check_same(small, large, 1e-10);
    }
}

TEST("two threads give the bits of one") {
    const Design design = designs::simulate(3000, 2, {{300, 1}, {260, 1}}, 12);
    const Problem problem(design.layout(), design.rows(), Method::Dense);
    const Vector theta = designs::some_theta(design.layout(), 1);
    const KenwardRoger one = sums(problem, theta), two = sums(problem, theta, 2);
    CHECK(one.P == two.P && one.Q == two.Q && one.T == two.T);
}

TEST("it can be interrupted, and tells its cost") {
    const Design design = designs::simulate(3000, 2, {{600, 1}, {550, 1}}, 13);
    const Problem problem(design.layout(), design.rows(), Method::Dense);
    const KenwardRogerCost cost = kenward_roger_cost(problem);
    CHECK(cost.bytes > 32.0 * 550 * 550 && cost.bytes < 64.0 * 550 * 550);
    CHECK(cost.operations > 5.0 * 550 * 550 * 550 && cost.operations < 10.0 * 550 * 550 * 550);
    Deviance deviance(problem, true);
    deviance.evaluate(designs::some_theta(design.layout(), 1), Coordinates::User);
    deviance.differentiate();
    int asked = 0;
    CHECK(!kenward_roger(deviance, [&] { return ++asked == 2; }));
    CHECK(asked == 2);
}
