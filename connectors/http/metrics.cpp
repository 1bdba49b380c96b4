#include "connectors/http/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <mutex>
#include <sstream>

namespace tidings::http {

void Counter::add(double n) { counter_->Increment(n); }
void Gauge::set(double value) { gauge_->Set(value); }
void Gauge::add(double n) { gauge_->Increment(n); }
void Histogram::observe(double value) { histogram_->Observe(value); }

namespace {

struct Callback {
    const void* owner;
    Metrics::Kind kind;
    std::string name, help;
    Metrics::Labels labels;
    std::function<double()> value;
};

prometheus::ClientMetric sample(const Callback& callback) {
    prometheus::ClientMetric metric;
    for (const auto& [name, value] : callback.labels) metric.label.push_back({name, value});
    if (callback.kind == Metrics::Kind::gauge) {
        metric.gauge.value = callback.value();
    } else {
        metric.counter.value = callback.value();
    }
    return metric;
}

}  // namespace

struct Metrics::State {
    prometheus::Registry registry;
    mutable std::mutex mutex;  ///< callbacks, and held while they run
    std::vector<Callback> callbacks;
};

Metrics::Metrics() : state_(std::make_unique<State>()) {}
Metrics::~Metrics() = default;

Counter Metrics::counter(const std::string& name, const std::string& help, const Labels& labels) {
    auto& family = prometheus::BuildCounter().Name(name).Help(help).Register(state_->registry);
    return Counter(family.Add(labels));
}

Gauge Metrics::gauge(const std::string& name, const std::string& help, const Labels& labels) {
    auto& family = prometheus::BuildGauge().Name(name).Help(help).Register(state_->registry);
    return Gauge(family.Add(labels));
}

Histogram Metrics::histogram(const std::string& name, const std::string& help, const Labels& labels,
                             const std::vector<double>& bounds) {
    auto& family = prometheus::BuildHistogram().Name(name).Help(help).Register(state_->registry);
    return Histogram(family.Add(labels, bounds));
}

void Metrics::callback(const void* owner, Kind kind, const std::string& name,
                       const std::string& help, const Labels& labels,
                       std::function<double()> value) {
    const std::lock_guard lock(state_->mutex);
    state_->callbacks.push_back({owner, kind, name, help, labels, std::move(value)});
}

void Metrics::remove_callbacks(const void* owner) {
    const std::lock_guard lock(state_->mutex);
    std::erase_if(state_->callbacks,
                  [owner](const Callback& callback) { return callback.owner == owner; });
}

std::string Metrics::render() const {
    std::vector<prometheus::MetricFamily> families = state_->registry.Collect();
    {
        const std::lock_guard lock(state_->mutex);
        for (const Callback& callback : state_->callbacks) {
            auto family =
                std::find_if(families.begin(), families.end(),
                             [&callback](const auto& one) { return one.name == callback.name; });
            if (family == families.end()) {
                const auto type = callback.kind == Kind::gauge ? prometheus::MetricType::Gauge
                                                               : prometheus::MetricType::Counter;
                families.push_back({callback.name, callback.help, type, {}});
                family = std::prev(families.end());
            }
            family->metric.push_back(sample(callback));
        }
    }
    std::ostringstream out;
    prometheus::TextSerializer().Serialize(out, families);
    return out.str();
}

}  // namespace tidings::http
