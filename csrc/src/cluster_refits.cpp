#include "cluster_resampling.hpp"
#include "parallel.hpp"
#include "pymixed/refit.hpp"
#include "sorted_rows.hpp"

namespace pymixed {

namespace {

Random stream(const Draws& draws, Index i) {
    return Random(draws.seed, static_cast<std::uint64_t>(draws.first + i));
}

}  // namespace

Refits fit_clusters(const Problem& problem, const Rows& rows, const Clusters& clusters, bool reml, const Draws& draws,
                    const RefitOptions& options) {
    const ClusterResampling resampling(OwnedRows(rows, problem.kept(), {}), problem.layout(), clusters.codes,
                                       clusters.count);
    Refits refits(draws.count, problem, options.uncertainty);
    for_each_parallel(draws.count, options.n_threads, {options.monitor, draws.count}, [&] {
        return [&](Index i) {
            const ClusterResampling::Sample sample = resampling.draw(stream(draws, i));
            refits.status[i] = Status::RankDeficient;
            if (sample.rows.y.size() <= problem.p())
                return;
            const Problem drawn(sample.layout, sample.rows.view());
            if (drawn.p() < problem.p())
                return;
            Deviance deviance(drawn, reml);
            refits.set(i, fit(deviance, options.fit), deviance, sample.rows.total_weight(), drawn.kept());
        };
    });
    return refits;
}

Refits fit_clusters(const GeneralizedProblem& problem, const Rows& rows, const std::vector<ColumnView>& zero_inflation,
                    const Clusters& clusters, Index n_nodes, Information information, const Draws& draws,
                    const RefitOptions& options) {
    const ClusterResampling resampling(OwnedRows(rows, problem.linear().kept(), zero_inflation), problem.layout(),
                                       clusters.codes, clusters.count);
    Refits refits(draws.count, problem);
    for_each_parallel(draws.count, options.n_threads, {options.monitor, draws.count}, [&] {
        return [&](Index i) {
            const ClusterResampling::Sample sample = resampling.draw(stream(draws, i));
            refits.status[i] = Status::RankDeficient;
            if (sample.rows.y.size() <= problem.p())
                return;
            const GeneralizedProblem drawn(sample.layout, sample.rows.view(), problem.family().clone(),
                                           sample.rows.zero_inflation(), Method::Automatic, 0.0, problem.centred());
            if (drawn.p() < problem.p())
                return;
            GeneralizedDeviance deviance(drawn, n_nodes, information);
            deviance.set_response(drawn.rows().y);
            refits.set(i, fit(deviance, options.fit), deviance, drawn.linear().kept(), options.uncertainty);
        };
    });
    return refits;
}

}  // namespace pymixed
