#include "tail.hpp"

#include <Eigen/OrderingMethods>
#include <Eigen/SparseCore>
#include <algorithm>
#include <numeric>
#include <stdexcept>

namespace pymixed {

namespace {

/// A dense flop runs this much faster than one of the sparse factorisation and its selected inverse.
constexpr double dense_advantage = 40.0;

/// Columns of the strict lower block triangle.
using Graph = std::vector<std::vector<std::int32_t>>;

/// Collects the rows of a column below its diagonal, each once.
class ColumnUnion {
 public:
    explicit ColumnUnion(Index n) : seen_(n, -1) {}
    void open(std::int32_t column) {
        column_ = column;
        rows_.clear();
    }
    void add(const std::vector<std::int32_t>& rows) {
        for (const std::int32_t i : rows) {
            if (i <= column_ || seen_[i] == column_)
                continue;
            seen_[i] = column_;
            rows_.push_back(i);
        }
    }
    const std::vector<std::int32_t>& rows() const { return rows_; }

 private:
    std::vector<std::int32_t> seen_, rows_;
    std::int32_t column_ = -1;
};

/// Pattern of the Schur complement over blocks in the order given; empty where it is too full to be worth a sparse
/// factor (more than `most` entries).
Graph schur_graph(const CrossProducts& products, const std::vector<std::vector<Index>>& block_of, Index n_blocks,
                  Index most) {
    const auto& factors = products.layout().factors();
    Graph graph(n_blocks);
    Index entries = 0;
    const auto add = [&](Index i, Index j) {
        graph[std::min(i, j)].push_back(static_cast<std::int32_t>(std::max(i, j)));
    };
    for (const CouplingProducts& coupling : products.couplings()) {
        if (coupling.a == 0)
            continue;
        for (Index g = 0; g < factors[coupling.a].n_levels; ++g)
            for (Index i = coupling.start[g]; i < coupling.start[g + 1]; ++i)
                add(block_of[coupling.a][g], block_of[coupling.b][coupling.level[i]]);
    }
    // the blocks that couple to a level of the leading factor are joined with one another
    std::vector<std::vector<std::int32_t>> levels_of(n_blocks);
    std::vector<std::vector<std::int32_t>> blocks_of(factors[0].n_levels);
    for (const CouplingProducts& coupling : products.couplings()) {
        if (coupling.a != 0)
            continue;
        for (Index g = 0; g < factors[0].n_levels; ++g)
            for (Index i = coupling.start[g]; i < coupling.start[g + 1]; ++i) {
                const Index block = block_of[coupling.b][coupling.level[i]];
                blocks_of[g].push_back(static_cast<std::int32_t>(block));
                levels_of[block].push_back(static_cast<std::int32_t>(g));
            }
    }
    ColumnUnion column(n_blocks);
    for (std::int32_t j = 0; j < n_blocks; ++j) {
        column.open(j);
        column.add(graph[j]);
        for (const std::int32_t g : levels_of[j])
            column.add(blocks_of[g]);
        entries += static_cast<Index>(column.rows().size());
        if (entries > most)
            return {};
        graph[j] = column.rows();
    }
    return graph;
}

std::vector<Index> minimum_degree(const Graph& graph) {
    const int n = static_cast<int>(graph.size());
    Eigen::SparseMatrix<double, Eigen::ColMajor, int> lower(n, n);
    std::vector<Eigen::Triplet<double, int>> entries;
    for (int j = 0; j < n; ++j) {
        entries.emplace_back(j, j, 1.0);
        for (const std::int32_t i : graph[j]) {
            entries.emplace_back(i, j, 1.0);
            entries.emplace_back(j, i, 1.0);
        }
    }
    lower.setFromTriplets(entries.begin(), entries.end());
    Eigen::PermutationMatrix<Eigen::Dynamic, Eigen::Dynamic, int> order;
    Eigen::AMDOrdering<int>()(lower, order);
    return {order.indices().data(), order.indices().data() + n};
}

/// Fill of the Cholesky factor: columns of L by merging each column into its parent (elimination tree).
Graph symbolic_factor(const Graph& graph, const std::vector<Index>& order) {
    const Index n = static_cast<Index>(graph.size());
    std::vector<std::int32_t> position(n);
    for (Index k = 0; k < n; ++k)
        position[order[k]] = static_cast<std::int32_t>(k);
    Graph L(n);
    for (Index j = 0; j < n; ++j)
        for (const std::int32_t i : graph[j]) {
            const auto [low, high] = std::minmax(position[i], position[j]);
            L[low].push_back(high);
        }
    std::vector<std::vector<std::int32_t>> children(n);
    ColumnUnion column(n);
    for (std::int32_t j = 0; j < n; ++j) {
        column.open(j);
        column.add(L[j]);
        for (const std::int32_t child : children[j])
            column.add(L[child]);
        L[j] = column.rows();
        std::sort(L[j].begin(), L[j].end());
        if (!L[j].empty())
            children[L[j].front()].push_back(j);
    }
    return L;
}

}  // namespace

Tail::Tail(const CrossProducts& products, Method method, double memory_limit) {
    order_blocks(products, method);
    if (memory_limit > 0.0 && workspace_bytes() > memory_limit)
        throw MemoryLimit(workspace_bytes(), memory_limit);
    fill_couplings(products);
    fill_trailing(products);
}

Tail::Tail(const Tail& analysed, const CrossProducts& products)
    : block_factor(analysed.block_factor),
      block_start(analysed.block_start),
      block_of(analysed.block_of),
      scalar(analysed.scalar),
      below_start(analysed.below_start),
      below(analysed.below),
      pattern(analysed.pattern),
      dense_flops(analysed.dense_flops),
      sparse_flops(analysed.sparse_flops) {
    fill_couplings(products);
    fill_trailing(products);
}

double Tail::workspace_bytes() const {
    // S0 and S; the other arrays of a workspace grow with the levels and the couplings alone, as the data do
    const double q_tail = static_cast<double>(block_start.back());
    return 16.0 * (dense() ? q_tail * q_tail : static_cast<double>(pattern.row.size()));
}

void Tail::order_blocks(const CrossProducts& products, Method method) {
    const auto& factors = products.layout().factors();
    Index count = 0, q_tail = 0;
    for (std::size_t f = 1; f < factors.size(); ++f) {
        count += factors[f].n_levels;
        q_tail += factors[f].size();
    }
    std::vector<Index> order(count);
    std::iota(order.begin(), order.end(), Index{0});
    lay_out(products, order);

    const double q = static_cast<double>(q_tail);
    dense_flops = q * q * q / 3.0;
    sparse_flops = -1.0;
    constexpr double small = 150.0;  // where a dense factor costs microseconds
    if (method == Method::Dense || (method == Method::Automatic && q <= small))
        return;

    const double full = static_cast<double>(count) * static_cast<double>(count) / 2.0;
    const Graph graph =
        schur_graph(products, block_of, count, static_cast<Index>(method == Method::Sparse ? full + 1.0 : 0.25 * full));
    if (graph.empty())
        return;
    order = minimum_degree(graph);
    const Graph L = symbolic_factor(graph, order);
    const std::vector<std::int32_t> natural_factor = block_factor;
    const auto n_cols = [&](Index position) {
        return static_cast<double>(factors[natural_factor[order[position]]].n_cols);
    };
    sparse_flops = 0.0;
    for (Index j = 0; j < count; ++j) {
        double height = n_cols(j);
        for (const std::int32_t i : L[j])
            height += n_cols(i);
        sparse_flops += n_cols(j) * height * height;
    }
    if (method == Method::Automatic && sparse_flops * dense_advantage > dense_flops)
        return;

    lay_out(products, order);
    below_start.assign(1, 0);
    pattern.start.assign(1, 0);
    for (Index j = 0; j < count; ++j) {
        below.insert(below.end(), L[j].begin(), L[j].end());
        below_start.push_back(static_cast<Index>(below.size()));
        for (Index first = block_start[j]; first < block_start[j + 1]; ++first) {
            for (Index i = first; i < block_start[j + 1]; ++i)
                pattern.row.push_back(static_cast<std::int32_t>(i));
            for (const std::int32_t block : L[j])
                for (Index i = block_start[block]; i < block_start[block + 1]; ++i)
                    pattern.row.push_back(static_cast<std::int32_t>(i));
            pattern.start.push_back(static_cast<Index>(pattern.row.size()));
        }
    }
}

/// Blocks in the order given; `order` numbers the levels of the tail factors one factor after the other.
void Tail::lay_out(const CrossProducts& products, const std::vector<Index>& order) {
    const auto& factors = products.layout().factors();
    std::vector<std::int32_t> factor_of;
    std::vector<Index> level_of;
    block_of.assign(factors.size(), {});
    for (std::size_t f = 1; f < factors.size(); ++f) {
        block_of[f].resize(factors[f].n_levels);
        scalar = scalar && factors[f].n_cols == 1;
        for (Index g = 0; g < factors[f].n_levels; ++g) {
            factor_of.push_back(static_cast<std::int32_t>(f));
            level_of.push_back(g);
        }
    }
    block_factor.clear();
    block_start.assign(1, 0);
    for (const Index node : order) {
        block_of[factor_of[node]][level_of[node]] = static_cast<Index>(block_factor.size());
        block_factor.push_back(factor_of[node]);
        block_start.push_back(block_start.back() + factors[factor_of[node]].n_cols);
    }
}

void Tail::fill_couplings(const CrossProducts& products) {
    const auto& factors = products.layout().factors();
    const Index c1 = factors[0].n_cols, q_tail = block_start.back();
    coupling_start.assign(1, 0);
    std::vector<Index> count(q_tail + 1, 0);
    struct Cell {
        Index row, n_cols;
        const double* block;
    };
    std::vector<Cell> cells;
    for (Index g = 0; g < factors[0].n_levels; ++g) {
        cells.clear();
        for (const CouplingProducts& coupling : products.couplings()) {
            if (coupling.a != 0)
                continue;
            const Index c = factors[coupling.b].n_cols;
            for (Index i = coupling.start[g]; i < coupling.start[g + 1]; ++i)
                cells.push_back(
                    {block_start[block_of[coupling.b][coupling.level[i]]], c, coupling.block.data() + i * c1 * c});
        }
        if (!dense())
            std::sort(cells.begin(), cells.end(), [](const Cell& x, const Cell& y) { return x.row < y.row; });
        for (const Cell& cell : cells)
            for (Index j = 0; j < cell.n_cols; ++j) {
                coupling_row.push_back(static_cast<std::int32_t>(cell.row + j));
                ++count[cell.row + j + 1];
                for (Index i = 0; i < c1; ++i)
                    values.coupling.push_back(cell.block[i * cell.n_cols + j]);
            }
        coupling_start.push_back(static_cast<Index>(coupling_row.size()));
    }
    std::partial_sum(count.begin(), count.end(), count.begin());
    column_start = count;
    column_level.resize(coupling_row.size());
    for (Index g = 0; g < factors[0].n_levels; ++g)
        for (Index i = coupling_start[g]; i < coupling_start[g + 1]; ++i)
            column_level[count[coupling_row[i]]++] = static_cast<std::int32_t>(g);
}

void Tail::fill_trailing(const CrossProducts& products) {
    const auto& factors = products.layout().factors();
    const Index q_tail = q(), P = products.p() + 1;
    struct Entry {
        std::int32_t row, column;
        double value;
    };
    std::vector<Entry> entries;
    const auto add = [&](Index i, Index j, double value) {
        entries.push_back(
            {static_cast<std::int32_t>(std::max(i, j)), static_cast<std::int32_t>(std::min(i, j)), value});
    };
    B2.resize(q_tail, P);
    for (std::size_t f = 1; f < factors.size(); ++f) {
        const Index c = factors[f].n_cols;
        const FactorProducts& sums = products.factor(f);
        for (Index g = 0; g < factors[f].n_levels; ++g) {
            const Index first = block_start[block_of[f][g]];
            B2.middleRows(first, c) = ConstRowMatrixMap(sums.ZtXy.data() + g * c * P, c, P);
            for (Index i = 0; i < c; ++i)
                for (Index j = 0; j <= i; ++j)
                    add(first + i, first + j, sums.ZtZ[g * packed(c, 0) + packed(i, j)]);
        }
    }
    for (const CouplingProducts& coupling : products.couplings()) {
        if (coupling.a == 0)
            continue;
        const Index ca = factors[coupling.a].n_cols, cb = factors[coupling.b].n_cols;
        for (Index g = 0; g < factors[coupling.a].n_levels; ++g)
            for (Index k = coupling.start[g]; k < coupling.start[g + 1]; ++k) {
                const Index row = block_start[block_of[coupling.a][g]];
                const Index column = block_start[block_of[coupling.b][coupling.level[k]]];
                for (Index i = 0; i < ca; ++i)
                    for (Index j = 0; j < cb; ++j)
                        add(row + i, column + j, coupling.block[(k * ca + i) * cb + j]);
            }
    }
    A22_start.assign(q_tail + 1, 0);
    for (const Entry& entry : entries)
        ++A22_start[entry.column + 1];
    std::partial_sum(A22_start.begin(), A22_start.end(), A22_start.begin());
    A22_row.resize(entries.size());
    values.A22.resize(entries.size());
    std::vector<Index> next(A22_start.begin(), A22_start.end() - 1);
    for (const Entry& entry : entries) {
        const Index position = next[entry.column]++;
        A22_position.push_back(position);
        A22_row[position] = entry.row;
        values.A22[position] = entry.value;
    }
}

}  // namespace pymixed
