// The process's metrics in Prometheus' text format. Owns the registry; what it hands out lives as
// long as it does. Thread-safe.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace prometheus {
class Counter;
class Gauge;
class Histogram;
}  // namespace prometheus

namespace tidings::http {

class Counter {
public:
    explicit Counter(prometheus::Counter& counter) : counter_(&counter) {}
    void add(double n = 1);

private:
    prometheus::Counter* counter_;
};

class Gauge {
public:
    explicit Gauge(prometheus::Gauge& gauge) : gauge_(&gauge) {}
    void set(double value);
    void add(double n);

private:
    prometheus::Gauge* gauge_;
};

class Histogram {
public:
    explicit Histogram(prometheus::Histogram& histogram) : histogram_(&histogram) {}
    void observe(double value);

private:
    prometheus::Histogram* histogram_;
};

class Metrics {
public:
    using Labels = std::map<std::string, std::string>;

    Metrics();
    ~Metrics();
    Metrics(const Metrics&) = delete;
    Metrics& operator=(const Metrics&) = delete;

    /// The same name and labels give the same metric. Names as Prometheus wants them,
    /// "tidings_http_requests_total".
    Counter counter(const std::string& name, const std::string& help, const Labels& labels);
    Gauge gauge(const std::string& name, const std::string& help, const Labels& labels);
    /// `bounds`: upper bounds of the buckets, ascending.
    Histogram histogram(const std::string& name, const std::string& help, const Labels& labels,
                        const std::vector<double>& bounds);

    enum class Kind { gauge, counter };
    /// A value asked for at each scrape, on the thread that scrapes. What `value` uses must outlive
    /// this object or be removed with remove_callbacks(owner).
    void callback(const void* owner, Kind kind, const std::string& name, const std::string& help,
                  const Labels& labels, std::function<double()> value);
    /// After it returns none of `owner`'s callbacks runs any more.
    void remove_callbacks(const void* owner);

    /// Everything, as text/plain; version=0.0.4.
    std::string render() const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace tidings::http
