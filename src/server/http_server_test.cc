#include "server/http_server.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <stdexcept>
#include <thread>

namespace quern::server {
namespace {

// A client that sends bytes as they are, so that broken requests can be sent too.
class Client {
 public:
  explicit Client(int port) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<uint16_t>(port));
    inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
    connected_ = connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0;
  }
  ~Client() { close(fd_); }
  bool connected() const { return connected_; }
  void Send(const std::string& text) {
    EXPECT_EQ(send(fd_, text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
  }
  std::string ReadAll() {
    std::string out;
    char buffer[4096];
    for (ssize_t n; (n = recv(fd_, buffer, sizeof buffer, 0)) > 0;) out.append(buffer, static_cast<size_t>(n));
    return out;
  }

 private:
  int fd_;
  bool connected_ = false;
};

std::unique_ptr<HttpServer> Start(HttpOptions options = {}) {
  std::vector<HttpServer::Route> routes = {
      {"GET", "/hello world",
       [](const HttpRequest& r) { return HttpResponse{200, "text/plain", "hi " + r.query.at("name")}; }},
      {"POST", "/echo",
       [](const HttpRequest& r) { return HttpResponse{201, "text/plain", r.body + r.headers.at("x-mark")}; }},
      {"GET", "/throw", [](const HttpRequest&) -> HttpResponse { throw std::runtime_error("secret detail"); }},
  };
  auto server = HttpServer::Start(options, std::move(routes));
  EXPECT_TRUE(server) << server.error().ToString();
  return *std::move(server);
}

std::string Ask(int port, const std::string& request) {
  Client client(port);
  client.Send(request);
  return client.ReadAll();
}

TEST(HttpServerTest, AnswersAndDecodes) {
  auto server = Start();
  auto got =
      Ask(server->port(), "GET /hello%20world?name=a+b%21 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  EXPECT_NE(got.find("200 OK"), std::string::npos);
  EXPECT_NE(got.find("hi a b!"), std::string::npos);
}

TEST(HttpServerTest, KeepsTheConnectionAlive) {
  auto server = Start();
  auto got = Ask(server->port(),
                 "POST /echo HTTP/1.1\r\nHost: localhost\r\nX-Mark: 1\r\nContent-Length: 2\r\n\r\nabPOST /echo "
                 "HTTP/1.1\r\nHost: localhost\r\nX-Mark: "
                 "2\r\nContent-Length: 2\r\nConnection: close\r\n\r\ncd");
  EXPECT_NE(got.find("ab1"), std::string::npos);
  EXPECT_NE(got.find("cd2"), std::string::npos);
}

TEST(HttpServerTest, RefusesWhatItDoesNotKnow) {
  HttpOptions options;
  options.max_body_bytes = 10;
  auto server = Start(options);
  int port = server->port();
  EXPECT_NE(Ask(port, "GET /none HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").find("404"),
            std::string::npos);
  EXPECT_NE(Ask(port, "GET /echo HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").find("405"),
            std::string::npos);
  EXPECT_NE(Ask(port, "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 11\r\n\r\n01234567890").find("413"),
            std::string::npos);
  EXPECT_NE(Ask(port, "nonsense\r\n\r\n").find("400"), std::string::npos);
  auto thrown = Ask(port, "GET /throw HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  EXPECT_NE(thrown.find("500"), std::string::npos);
  EXPECT_EQ(thrown.find("secret detail"), std::string::npos);
  EXPECT_EQ(
      Ask(port, "HEAD /hello%20world?name=x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").find("hi x"),
      std::string::npos);
}

TEST(HttpServerTest, ListensOnLoopbackOnlyUnlessAllowed) {
  HttpOptions options;
  options.address = "0.0.0.0";
  auto refused = HttpServer::Start(options, {});
  ASSERT_FALSE(refused);
  EXPECT_FALSE(refused.error().hint().empty());
  options.allow_remote = true;
  EXPECT_TRUE(HttpServer::Start(options, {}));
}

TEST(HttpServerTest, ATakenPortIsAnError) {
  auto server = Start();
  HttpOptions options;
  options.port = server->port();
  auto second = HttpServer::Start(options, {});
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().message().find(std::to_string(server->port())), std::string::npos);
}

TEST(HttpServerTest, AnswersToItsOwnNamesOnly) {
  auto server = Start();
  auto ask = [&](const std::string& headers) {
    return Ask(server->port(), "GET /hello%20world?name=x HTTP/1.1\r\n" + headers + "Connection: close\r\n\r\n");
  };
  for (const auto* host : {"localhost", "LOCALHOST:1", "127.0.0.1", "127.0.0.1:8470", "[::1]:8470", "localhost."})
    EXPECT_NE(ask(fmt::format("Host: {}\r\n", host)).find("200 OK"), std::string::npos) << host;
  for (const auto* host : {"evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1", "[::2]",
                           "::1", "127.0.0.1@evil.example", "127.0.0.1:x", "", "[::1", "localhost:80:80", "0x7f.1"})
    EXPECT_NE(ask(fmt::format("Host: {}\r\n", host)).find("403"), std::string::npos) << host;
  EXPECT_NE(ask("").find("400"), std::string::npos);
  EXPECT_NE(ask("Host: localhost\r\nHost: localhost\r\n").find("400"), std::string::npos);
  EXPECT_TRUE(IsOwnHost("10.1.2.3:80", "10.1.2.3"));
  EXPECT_FALSE(IsOwnHost("10.1.2.4:80", "10.1.2.3"));
  EXPECT_TRUE(IsOwnHost("[fd00::1]", "fd00:0::1"));
}

TEST(HttpServerTest, RoutesBelowAPathAndSegments) {
  std::vector<HttpServer::Route> routes;
  auto say = [](std::string what) {
    return [what](const HttpRequest& r) {
      std::string segments;
      for (const auto& segment : r.segments) segments += "<" + segment + ">";
      return HttpResponse{200, "text/plain", what + segments, {{"X-Mark", "1"}}};
    };
  };
  for (const auto* path : {"/a/*", "/a/b/*", "/a/exact"}) routes.push_back({"GET", path, say(path)});
  auto server = *HttpServer::Start({}, std::move(routes));
  auto ask = [&](const std::string& what) {
    return Ask(server->port(), what + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  };
  EXPECT_NE(ask("GET /a/x%2F..%2Fy/z").find("/a/*<a><x/../y><z>"), std::string::npos);
  EXPECT_NE(ask("GET /a/b/c").find("/a/b/*<a><b><c>"), std::string::npos);
  EXPECT_NE(ask("GET /a/exact").find("/a/exact<a>"), std::string::npos);
  EXPECT_NE(ask("GET /ab").find("404"), std::string::npos);
  auto refused = ask("POST /a/x");
  EXPECT_NE(refused.find("405"), std::string::npos);
  EXPECT_NE(refused.find("Allow: GET, HEAD"), std::string::npos);
  auto head = ask("HEAD /a/x");
  EXPECT_NE(head.find("X-Mark: 1"), std::string::npos);
  EXPECT_NE(head.find("Content-Length: "), std::string::npos);
  EXPECT_TRUE(head.ends_with("\r\n\r\n"));
}

TEST(HttpServerTest, StopsWithIdleAndBusyClients) {
  auto server = Start();
  Client idle(server->port());
  std::atomic<int> answered = 0;
  std::vector<std::thread> clients;
  for (int i = 0; i < 4; ++i) {
    clients.emplace_back([&, port = server->port()] {
      for (int k = 0; k < 25; ++k) {
        if (Ask(port, "GET /hello%20world?name=x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                .find("hi x") != std::string::npos)
          ++answered;
      }
    });
  }
  for (auto& client : clients) client.join();
  EXPECT_EQ(answered, 100);
  server->Stop();
  EXPECT_EQ(idle.ReadAll(), "");
  EXPECT_FALSE(Client(server->port()).connected());
}

}  // namespace
}  // namespace quern::server
