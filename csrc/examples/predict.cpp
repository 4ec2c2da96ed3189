// What a C++ program finds in a model file that Python wrote (solution.save): example_predict model.pmx
//
// Without a file it says how to call it. Predictions: SavedModel::linear_predictor, mean and prediction_variances.

#include <cmath>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>

#include <pymixed/saved_model.hpp>

int main(int argc, char** argv) {
    if (argc != 2) {
        std::printf("usage: predict FILE\n");
        return 0;
    }
    std::ifstream file(argv[1], std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), {}};
    try {
        const auto model = pymixed::SavedModel::read(bytes.data(), bytes.size());
        std::printf("%s\n", model.linear() ? "linear" : (model.family() + ", link " + model.link()).c_str());
        for (pymixed::Index j = 0; j < model.coefficients().size(); ++j)
            std::printf("%-24s %12.5g %12.5g\n", model.coefficient_names()[j].c_str(), model.coefficients()[j],
                        std::sqrt(model.covariance()(j, j)));
        for (std::size_t f = 0; f < model.factors().size(); ++f)
            std::printf("%-24s %12zu levels\n", model.factors()[f].c_str(), model.levels(f).size());
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s: %s\n", argv[1], error.what());
        return 1;
    }
}
