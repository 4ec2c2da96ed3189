// Fuzzing of the C interface: an input is a program of calls, a byte per call and bytes for its arguments, valid ones
// and all kinds of others. What a host promises is kept (arrays hold what is said of them), so that the sanitizers
// answer for the library. Besides: no call has a defect of the library as its error, what fails leaves a message and no
// handle, and results fill what their sizes say.

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "pymixed.h"

namespace {

constexpr int64_t most_rows = 24, most_columns = 4;
constexpr int most_fits = 6;  // in one program

void expect(bool right) {
    if (!right)
        std::abort();
}

int32_t checked(int32_t error) {
    expect(error >= PYMIXED_OK && error < PYMIXED_INTERNAL_ERROR);
    expect(error == PYMIXED_OK || *pymixed_last_error() != '\0');
    return error;
}

/// Bytes in turn; zeros where there are no more.
class Input {
 public:
    Input(const uint8_t* bytes, std::size_t size) : at_(bytes), end_(bytes + size) {}

    bool ended() const { return at_ == end_; }
    uint8_t byte() { return ended() ? 0 : *at_++; }
    bool rarely() { return byte() >= 240; }
    template <class T>
    T any_of(std::initializer_list<T> values) {
        return values.begin()[byte() % values.size()];
    }
    /// A small number, or one that is out of every range.
    int64_t integer() {
        const auto small = static_cast<int8_t>(byte());
        return small != -128 ? small % 8
                             : any_of<int64_t>({std::numeric_limits<int64_t>::max(),
                                                std::numeric_limits<int64_t>::min(), int64_t{1} << 31, 1000});
    }
    double real() {
        const uint8_t kind = byte();
        return kind < 200
                   ? (kind - 100) / 32.0
                   : any_of({std::nan(""), std::numeric_limits<double>::infinity(),
                             -std::numeric_limits<double>::infinity(), 1e308, -1e308, 1e-308, 5e-324, 1e16, -0.0});
    }

 private:
    const uint8_t *at_, *end_;
};

/// A handle, made anew by make(pymixed_x** out).
template <class Handle, void (*release)(Handle*)>
struct Owned {
    Handle* handle = nullptr;

    Owned() = default;
    Owned(const Owned&) = delete;
    ~Owned() { release(handle); }
    template <class Make>
    void remake(Make&& make) {
        Handle* made = reinterpret_cast<Handle*>(this);  // to be overwritten
        const int32_t error = checked(make(&made));
        expect((error == PYMIXED_OK) == (made != nullptr));
        release(handle);
        handle = made;
    }
};

/// Arrays that a host lends.
struct Arrays {
    std::vector<double> values, proportions, weights;
    std::vector<int32_t> codes[2];

    explicit Arrays(unsigned seed) {
        std::minstd_rand random(seed + 1);
        for (int64_t i = 0; i < most_rows * most_columns; ++i) {
            values.push_back(static_cast<double>(random() % 4096) / 1024.0 - 2.0);
            proportions.push_back(static_cast<double>(random() % 3) / 2.0);
            weights.push_back(static_cast<double>(1 + random() % 4));
        }
        for (int64_t i = 0; i < most_rows; ++i)
            for (int f = 0; f < 2; ++f)
                codes[f].push_back(static_cast<int32_t>(random() % (f == 0 ? 5 : 3)));
    }
};

/// All handles and the calls on them.
class Host {
 public:
    explicit Host(Input& input) : input_(input), arrays_(input.byte()), rows_{1 + input.byte() % most_rows, most_rows} {
        for (int i = 0; i < 2; ++i)
            data_[i].remake([&](pymixed_data** out) { return pymixed_data_new(rows_[i], out); });
        if (input_.rarely())  // else the first is complete
            return;
        pymixed_data* data = data_[0].handle;
        const int64_t n = rows_[0];
        checked(pymixed_data_set_response(data, arrays_.proportions.data(), n));
        checked(pymixed_data_add_fixed(data, nullptr, n));
        checked(pymixed_data_add_fixed(data, arrays_.values.data(), n));
        checked(pymixed_data_add_factor(data, arrays_.codes[0].data(), n, 5));
        checked(pymixed_data_add_term(data, 0, PYMIXED_UNSTRUCTURED));
        checked(pymixed_data_add_term_columns(data, nullptr, n));
    }

    void call() {
        switch (input_.byte() % 11) {
            case 0:
            case 1:
            case 2:
                return change_data();
            case 3:
                return change_options();
            case 4:
            case 5:
                return fit();
            case 6:
                return sum();
            case 7:
                return read();
            case 8:
                return predict();
            case 9:
                return ask_model();
            default:
                spoil();
        }
    }

 private:
    pymixed_data* some_data(int* which = nullptr) {
        const int i = input_.byte() % 2;
        if (which != nullptr)
            *which = i;
        return input_.rarely() ? nullptr : data_[i].handle;
    }
    const pymixed_options* some_options() { return input_.byte() % 2 == 0 ? nullptr : options_.handle; }
    /// A size that the arrays have, or that is refused.
    int64_t size_of(int64_t n) {
        return input_.rarely() ? input_.any_of<int64_t>({0, -n, n + (n > 1), std::numeric_limits<int64_t>::min()}) : n;
    }
    const double* numbers(int64_t* size, int64_t n) {
        *size = size_of(n * (1 + input_.byte() % most_columns));
        return input_.any_of<const double*>(
            {arrays_.values.data(), arrays_.proportions.data(), arrays_.weights.data(), nullptr});
    }

    void change_data() {
        int which = 0;
        pymixed_data* data = some_data(&which);
        int64_t n = rows_[which], size = 0;
        switch (input_.byte() % 10) {
            case 0:
                n = input_.rarely() ? input_.any_of<int64_t>({0, -1, std::numeric_limits<int64_t>::min()})
                                    : 1 + input_.byte() % most_rows;
                data_[which].remake([&](pymixed_data** out) { return pymixed_data_new(n, out); });
                rows_[which] = n > 0 ? n : 1;
                break;
            case 1:
                checked(pymixed_data_set_response(data, numbers(&size, n), size_of(n)));
                break;
            case 2:
                checked(pymixed_data_set_weights(data, numbers(&size, n), size_of(n)));
                break;
            case 3:
                checked(pymixed_data_set_offset(data, numbers(&size, n), size_of(n)));
                break;
            case 4: {
                const double* columns = numbers(&size, n);
                checked(pymixed_data_add_fixed(data, columns, size));
                break;
            }
            case 5: {
                const int32_t* codes = arrays_.codes[input_.byte() % 2].data();
                const int64_t n_levels = input_.rarely() ? input_.integer() : 5;
                checked(pymixed_data_add_factor(data, input_.rarely() ? nullptr : codes, size_of(n),
                                                n_levels < 1000 ? n_levels : -1));
                break;
            }
            case 6:
                checked(pymixed_data_add_term(data, input_.integer(), static_cast<int32_t>(input_.integer())));
                break;
            case 7: {
                const double* columns = numbers(&size, n);
                checked(pymixed_data_add_term_columns(data, columns, size));
                break;
            }
            case 8: {
                const char* distribution = input_.any_of<const char*>(
                    {"binomial", "poisson", "negative_binomial", "negative_binomial1", "gamma", "inverse_gaussian",
                     "beta", "gaussian", "student_t", "tweedie", "", nullptr});
                const char* link = input_.any_of<const char*>({"logit", "probit", "cloglog", "cauchit", "log", "sqrt",
                                                               "inverse", "inverse_squared", "identity", "", nullptr});
                const double shape = input_.byte() % 2 == 0 ? std::nan("") : input_.real();
                checked(pymixed_data_set_family(data, distribution, link, shape, input_.real()));
                break;
            }
            default: {
                const double* columns = numbers(&size, n);
                checked(pymixed_data_add_zero_inflation(data, columns, size));
            }
        }
    }

    void change_options() {
        if (options_.handle == nullptr || input_.rarely())
            options_.remake(pymixed_options_new);
        pymixed_options* options = input_.rarely() ? nullptr : options_.handle;
        switch (input_.byte() % 10) {
            case 0:
                checked(pymixed_options_set_reml(options, static_cast<int32_t>(input_.integer())));
                break;
            case 1:
                checked(pymixed_options_set_tolerance(options, input_.real()));
                break;
            case 2:
                checked(pymixed_options_set_max_evaluations(options, input_.integer()));
                break;
            case 3:  // as many threads as may be asked for are not started
                checked(pymixed_options_set_threads(options, input_.byte() % 4));
                break;
            case 4:
                checked(pymixed_options_set_nodes(options, input_.integer() % 8));
                break;
            case 5:
                checked(pymixed_options_set_information(options, static_cast<int32_t>(input_.integer())));
                break;
            case 6:
                checked(pymixed_options_set_hessian(options, static_cast<int32_t>(input_.integer())));
                break;
            case 7: {
                std::vector<double> start(input_.byte() % 6);
                for (double& value : start)
                    value = input_.real();
                checked(pymixed_options_set_start(options, start.empty() ? nullptr : start.data(),
                                                  static_cast<int64_t>(start.size())));
                break;
            }
            case 8:
                checked(pymixed_options_set_memory_limit(options, 1e4 * input_.real()));
                break;
            default:
                stop_after_ = input_.byte();
                checked(pymixed_options_set_callback(
                    options,
                    [](void* user, int64_t done, int64_t, double) {
                        return static_cast<int32_t>(done > *static_cast<uint8_t*>(user));
                    },
                    &stop_after_));
        }
    }

    void fit() {
        if (n_fits_++ >= most_fits)
            return;
        int which = 0;
        const pymixed_data* data = some_data(&which);
        const pymixed_options* options = some_options();
        switch (input_.byte() % 5) {
            case 0:
                problem_.remake([&](auto out) { return pymixed_problem_from_data(data, options, out); });
                break;
            case 1:
                fit_.remake([&](auto out) { return pymixed_fit_from_problem(problem_.handle, options, out); });
                break;
            case 2:
                fit_.remake([&](auto out) { return pymixed_fit_from_products(products_.handle, options, out); });
                break;
            case 3: {
                int64_t size = 0;
                const double* responses = numbers(&size, rows_[which]);
                const double* weights = input_.byte() % 2 == 0 ? nullptr : arrays_.weights.data();
                const double* offset = input_.byte() % 2 == 0 ? nullptr : arrays_.values.data();
                refits_.remake([&](auto out) {
                    return pymixed_refits_from_data(data, options, responses, weights, offset, size, out);
                });
                break;
            }
            default:
                fit_.remake([&](auto out) { return pymixed_fit_from_data(data, options, out); });
        }
    }

    void sum() {
        const pymixed_data* data = some_data();
        int64_t n_rows = 0;
        switch (input_.byte() % 4) {
            case 0:
                products_.remake([&](auto out) { return pymixed_products_from_data(data, out); });
                break;
            case 1:
                checked(pymixed_products_add(products_.handle, data));
                break;
            case 2:  // with itself now and then
                checked(pymixed_products_merge(products_.handle, products_.handle));
                break;
            default:
                checked(pymixed_products_rows(products_.handle, &n_rows));
        }
    }

    /// get() fills an array of just the numbers of size(), and refuses one of fewer.
    template <class Size, class Get>
    void read_numbers(Size&& size, Get&& get) {
        int64_t n_rows = -1, n_columns = -1;
        if (checked(size(&n_rows, &n_columns)) != PYMIXED_OK)
            return;
        expect(n_rows >= 0 && n_columns >= 0);
        std::vector<double> values(static_cast<std::size_t>(n_rows * n_columns) + 1);
        const auto capacity = static_cast<int64_t>(values.size()) - 1;
        const std::unique_ptr<double[]> exact(new double[static_cast<std::size_t>(capacity)]);
        expect(checked(get(exact.get(), capacity)) == PYMIXED_OK);
        expect(checked(get(exact.get(), capacity - 1)) == PYMIXED_INVALID_ARGUMENT);
        expect(checked(get(nullptr, capacity)) == PYMIXED_INVALID_ARGUMENT);
    }

    void read() {
        const int32_t quantity = input_.byte() % 24 - 1;
        const int64_t index = input_.rarely() ? input_.integer() : 0;
        read_numbers([&](auto... out) { return pymixed_fit_size(fit_.handle, quantity, index, out...); },
                     [&](auto... out) { return pymixed_fit_get(fit_.handle, quantity, index, out...); });
        read_numbers([&](auto... out) { return pymixed_refits_size(refits_.handle, quantity, out...); },
                     [&](auto... out) { return pymixed_refits_get(refits_.handle, quantity, out...); });
        read_numbers([&](auto... out) { return pymixed_model_size(model_.handle, quantity, index, out...); },
                     [&](auto... out) { return pymixed_model_get(model_.handle, quantity, index, out...); });
    }

    static const std::vector<std::string>& model_files() {
        static const std::vector<std::string> files = [] {
            std::vector<std::string> out;
            for (const char* name : {"0.1.0-slope.pmx", "0.1.0-counts.pmx"}) {
                std::ifstream file(std::string(PYMIXED_MODEL_FILES "/") + name, std::ios::binary);
                out.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
                expect(!out.back().empty());
            }
            return out;
        }();
        return files;
    }

    void predict() {
        if (model_.handle == nullptr || input_.rarely()) {
            const std::string& bytes = model_files()[input_.byte() % 2];
            const auto size = static_cast<int64_t>(bytes.size());
            const int64_t given = input_.rarely() ? input_.any_of<int64_t>({-1, 0, size - 1, 7}) : size;
            model_.remake([&](auto out) {
                return pymixed_model_from_bytes(input_.rarely() ? nullptr : bytes.data(), given, out);
            });
        }
        int which = 0;
        const pymixed_data* data = some_data(&which);
        std::vector<double> out(static_cast<std::size_t>(input_.rarely() ? 1 : most_rows));
        const auto capacity = static_cast<int64_t>(out.size());
        const double* zeta = input_.byte() % 2 == 0 ? nullptr : arrays_.values.data();
        checked(pymixed_model_linear_predictor(model_.handle, data, out.data(), capacity));
        checked(pymixed_model_variances(model_.handle, data, out.data(), capacity));
        checked(pymixed_model_mean(model_.handle, arrays_.values.data(), zeta, size_of(most_rows - 1), out.data(),
                                   capacity));
    }

    void ask_model() {
        const auto names = static_cast<int32_t>(input_.integer());
        const int64_t index = input_.integer(), position = input_.integer();
        int64_t count = 0, factor = 0;
        int32_t structure = 0, code = 0;
        const char *name = nullptr, *link = nullptr;
        const pymixed_model* model = model_.handle;
        if (checked(pymixed_model_names_size(model, names, index, &count)) == PYMIXED_OK)
            expect((checked(pymixed_model_name(model, names, index, position, &name)) == PYMIXED_OK) ==
                   (position >= 0 && position < count));
        if (name != nullptr)
            checked(pymixed_model_level_code(model, index, name, input_.rarely() ? nullptr : &code));
        checked(pymixed_model_family(model, &name, &link));
        checked(pymixed_model_terms(model, &count));
        checked(pymixed_model_term(model, index, &factor, &structure));
    }

    /// An array's number or code becomes another.
    void spoil() {
        const std::size_t i = input_.byte();
        if (input_.byte() % 4 == 0) {
            std::vector<int32_t>& codes = arrays_.codes[i % 2];
            codes[i % codes.size()] = static_cast<int32_t>(input_.integer());
        } else {
            std::vector<double>& values = *input_.any_of({&arrays_.values, &arrays_.proportions, &arrays_.weights});
            values[i % values.size()] = input_.real();
        }
    }

    Input& input_;
    Arrays arrays_;
    int64_t rows_[2];
    int n_fits_ = 0;
    uint8_t stop_after_ = 0;
    Owned<pymixed_data, pymixed_data_free> data_[2];
    Owned<pymixed_options, pymixed_options_free> options_;
    Owned<pymixed_problem, pymixed_problem_free> problem_;
    Owned<pymixed_fit, pymixed_fit_free> fit_;
    Owned<pymixed_refits, pymixed_refits_free> refits_;
    Owned<pymixed_products, pymixed_products_free> products_;
    Owned<pymixed_model, pymixed_model_free> model_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, std::size_t size) {
    Input input(bytes, size);
    Host host(input);
    for (int calls = 0; !input.ended() && calls < 100; ++calls)
        host.call();
    return 0;
}
