#include "apps/direct_client.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <cctype>
#include <optional>

#include "connectors/http/router.h"

namespace tidings::apps {

namespace {

constexpr std::size_t kCallPieceBytes = 64 << 10;

/// A body in memory, read as one from a socket is.
class Pieces final : public http::BodyStream {
public:
    explicit Pieces(const std::string& body) : body_(body) {}
    http::Task<Result<std::optional<std::string>>> read() override {
        if (at_ == body_.size()) co_return std::optional<std::string>();
        std::optional<std::string> piece = body_.substr(at_, kCallPieceBytes);
        at_ += piece->size();
        co_return piece;
    }

private:
    const std::string& body_;
    std::size_t at_ = 0;
};

http::Task<Result<HttpResponse>> exchange(const http::Router& router, http::Request& request,
                                          std::string target) {
    http::Response response = co_await router.dispatch(request, target);
    HttpResponse answer{response.status, std::move(response.headers), std::move(response.body)};
    while (response.chunks) {
        Result<std::optional<std::string>> piece = co_await response.chunks();
        if (!piece) co_return piece.error();
        if (!*piece) break;
        answer.body += **piece;
    }
    co_return answer;
}

}  // namespace

Result<HttpResponse> DirectClient::request(std::string_view method, const std::string& target,
                                           const Headers& headers, std::string body) {
    http::Request request;
    request.method = method;
    request.own = true;
    request.body = std::move(body);
    Pieces pieces(request.body);
    if (!request.body.empty()) request.stream = &pieces;
    bool typed = request.body.empty();
    for (const auto& [name, value] : headers) {
        std::string lower = name;
        std::transform(lower.begin(), lower.end(), lower.begin(),
                       [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
        typed = typed || lower == "content-type";
        request.headers.emplace_back(std::move(lower), value);
    }
    if (!typed) request.headers.emplace_back("content-type", "application/json");

    boost::asio::io_context context(1);
    Result<HttpResponse> answer = Error{ErrorCode::io, "the request was not answered"};
    boost::asio::co_spawn(
        context, exchange(router_, request, target),
        [&answer](const std::exception_ptr& failure, Result<HttpResponse> result) {
            if (failure) std::rethrow_exception(failure);
            answer = std::move(result);
        });
    context.run();
    return answer;
}

}  // namespace tidings::apps
