// Many threads, one problem: a server that fits the same design to responses as requests bring them.
//
// The design is analysed once. LinearRefits shares it, const, between all threads; what a fit writes to belongs to its
// thread. A request is a batch of responses, a reply their estimates. Here clients and network are a queue.

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <mutex>
#include <queue>
#include <random>
#include <thread>
#include <vector>

#include <pymixed/models.hpp>

#include "sleepstudy.h"

/// Responses, one column of n_rows each, and where their fits go.
struct Request {
    pymixed::Matrix responses;
    std::promise<pymixed::Refits> reply;
};

/// First come, first served; closed when nothing more comes.
class Requests {
 public:
    std::future<pymixed::Refits> send(pymixed::Matrix responses) {
        Request request{std::move(responses), {}};
        std::future<pymixed::Refits> reply = request.reply.get_future();
        const std::lock_guard<std::mutex> lock(mutex_);
        waiting_.push(std::move(request));
        changed_.notify_one();
        return reply;
    }
    void close() {
        const std::lock_guard<std::mutex> lock(mutex_);
        closed_ = true;
        changed_.notify_all();
    }
    /// False when there is none and will be none.
    bool take(Request& request) {
        std::unique_lock<std::mutex> lock(mutex_);
        changed_.wait(lock, [&] { return closed_ || !waiting_.empty(); });
        if (waiting_.empty())
            return false;
        request = std::move(waiting_.front());
        waiting_.pop();
        return true;
    }

 private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::queue<Request> waiting_;
    bool closed_ = false;
};

/// What a thread of the server does.
void serve(const pymixed::LinearRefits& design, Requests& requests) {
    Request request;
    while (requests.take(request)) {
        try {
            const pymixed::Responses batch{request.responses.data(), nullptr, nullptr, request.responses.cols()};
            request.reply.set_value(design.fit_columns(batch, {}));
        } catch (...) {
            request.reply.set_exception(std::current_exception());
        }
    }
}

int main(int argc, char** argv) {
    const int n_threads = argc > 1 ? std::atoi(argv[1]) : 4, n_requests = 50, batch = 100;

    std::vector<double> days(n_rows);
    std::vector<std::int32_t> subject(n_rows);
    for (int i = 0; i < n_rows; ++i) {
        days[i] = i % n_days;
        subject[i] = i / n_days;
    }
    const pymixed::ColumnView one, slope{days.data()};
    pymixed::Rows rows;
    rows.n = n_rows;
    rows.y = {reaction};
    rows.X = {one, slope};
    rows.Z = {one, slope};
    rows.codes = {subject.data()};
    const auto problem = std::make_shared<const pymixed::Problem>(pymixed::RandomEffects({n_subjects}, {{0, 2}}), rows);
    const pymixed::LinearRefits design(problem, rows, /*reml=*/true);  // copies the rows

    Requests requests;
    std::vector<std::thread> server;
    for (int t = 0; t < n_threads; ++t)
        server.emplace_back(serve, std::cref(design), std::ref(requests));

    const auto start = std::chrono::steady_clock::now();
    std::mt19937_64 bits(1);
    std::vector<std::future<pymixed::Refits>> replies;
    for (int k = 0; k < n_requests; ++k) {
        pymixed::Matrix Y(n_rows, batch);
        for (int j = 0; j < batch; ++j)
            for (int i = 0; i < n_rows; ++i)
                Y(i, j) = reaction[i] + (k + j == 0 ? 0.0 : 20.0 * (static_cast<double>(bits() >> 11) * 0x1p-53 - 0.5));
        replies.push_back(requests.send(std::move(Y)));
    }
    requests.close();
    int fitted = 0;
    for (int k = 0; k < n_requests; ++k) {
        const pymixed::Refits fits = replies[k].get();
        for (const pymixed::Status status : fits.status)
            fitted += status == pymixed::Status::Success;
        if (k == 0)
            std::printf("The study itself: Days %.3f\n", fits.beta(0, 1));
    }
    for (std::thread& thread : server)
        thread.join();
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    std::printf("%d of %d responses fitted by %d threads, %.0f a second\n", fitted, n_requests * batch, n_threads,
                fitted / seconds);
    return fitted == n_requests * batch ? 0 : 1;
}
