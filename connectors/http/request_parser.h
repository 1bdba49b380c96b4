// Beast's HTTP/1 parser, writing straight into a Request that is reused from exchange to exchange.
// Included only by connection.h.
#pragma once

#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/verb.hpp>
#include <string>
#include <utility>
#include <vector>

#include "connectors/http/message.h"

namespace tidings::http {

/// Strings of earlier requests' headers, so that a connection in steady state allocates none.
using HeaderPool = std::vector<std::pair<std::string, std::string>>;

class RequestParser final : public boost::beast::http::basic_parser<true> {
public:
    /// All outlive the parser. Body bytes are appended to *`sink`.
    RequestParser(Request& request, std::string& target, HeaderPool& pool, std::string*& sink)
        : request_(request), target_(target), pool_(pool), sink_(sink) {}

    /// 10 or 11, once the request line is parsed.
    int version() const { return version_; }

private:
    using error_code = boost::beast::error_code;
    using string_view = boost::beast::string_view;
    using verb = boost::beast::http::verb;
    using field = boost::beast::http::field;

    void on_request_impl(verb, string_view method, string_view target, int version,
                         error_code& status) override {
        request_.method.assign(method.data(), method.size());
        target_.assign(target.data(), target.size());
        version_ = version;
        status = {};
    }
    void on_response_impl(int, string_view, int, error_code& status) override { status = {}; }

    void on_field_impl(field, string_view name, string_view value, error_code& status) override {
        status = {};
        if (in_body_) return;  // trailers: nothing that we answer depends on them
        if (pool_.empty()) {
            request_.headers.emplace_back();
        } else {
            request_.headers.push_back(std::move(pool_.back()));
            pool_.pop_back();
        }
        auto& [key, text] = request_.headers.back();
        key.resize(name.size());
        for (std::size_t i = 0; i < name.size(); ++i) {
            key[i] = name[i] >= 'A' && name[i] <= 'Z' ? static_cast<char>(name[i] + 32) : name[i];
        }
        text.assign(value.data(), value.size());
    }
    void on_header_impl(error_code& status) override {
        in_body_ = true;
        status = {};
    }
    void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code& status) override {
        status = {};
    }
    std::size_t on_body_impl(string_view body, error_code& status) override {
        sink_->append(body.data(), body.size());
        status = {};
        return body.size();
    }
    void on_chunk_header_impl(std::uint64_t, string_view, error_code& status) override {
        status = {};
    }
    std::size_t on_chunk_body_impl(std::uint64_t, string_view body, error_code& status) override {
        sink_->append(body.data(), body.size());
        status = {};
        return body.size();
    }
    void on_finish_impl(error_code& status) override { status = {}; }

    Request& request_;
    std::string& target_;
    HeaderPool& pool_;
    std::string*& sink_;
    int version_ = 0;
    bool in_body_ = false;
};

}  // namespace tidings::http
