#pragma once
// Independent pieces of work over threads.

#include <algorithm>
#include <atomic>
#include <exception>
#include <functional>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "pymixed/types.hpp"

namespace pymixed {

/// Who is told how far the work is.
struct Monitor {
    const std::function<bool(Index done, Index count)>& tell;  ///< false stops; empty: nobody
    Index count;                                               ///< what there is to do in all
    Index piece = 1;                                           ///< and in a call of work(); in the last one maybe less
};

/// Calls work(i) for every i below `count`, `work` being what make_worker() gives each thread: its workspace. Who does
/// which is not determined, so work(i) must depend on i alone. The first exception ends all and is thrown again. Where
/// the system gives no more threads, those that there are do it.
template <class MakeWorker>
void for_each_parallel(Index count, int n_threads, const Monitor& monitor, MakeWorker&& make_worker) {
    std::atomic<Index> next{0};
    std::exception_ptr error;
    std::mutex mutex;
    Index done = 0;
    bool stopped = false;
    const auto tell = [&] {
        const std::lock_guard<std::mutex> lock(mutex);
        ++done;
        if (stopped || monitor.tell(std::min(done * monitor.piece, monitor.count), monitor.count))
            return;
        stopped = true;
        next = count;
    };
    const auto loop = [&] {
        try {
            auto&& work = make_worker();
            for (Index i = next++; i < count; i = next++) {
                work(i);
                if (monitor.tell)
                    tell();
            }
        } catch (...) {
            const std::lock_guard<std::mutex> lock(mutex);
            error = std::current_exception();
            next = count;
        }
    };
    std::vector<std::thread> others;
    others.reserve(std::max<Index>(std::min<Index>(n_threads, count), 1));
    try {
        while (others.size() + 1 < others.capacity())
            others.emplace_back(loop);
    } catch (const std::system_error&) {
    }
    loop();
    for (std::thread& thread : others)
        thread.join();
    if (error)
        std::rethrow_exception(error);
}

}  // namespace pymixed
