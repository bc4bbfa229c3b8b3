#include "server/http_server.h"

#include <arpa/inet.h>
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
  auto got = Ask(server->port(), "GET /hello%20world?name=a+b%21 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_NE(got.find("200 OK"), std::string::npos);
  EXPECT_NE(got.find("hi a b!"), std::string::npos);
}

TEST(HttpServerTest, KeepsTheConnectionAlive) {
  auto server = Start();
  auto got = Ask(server->port(),
                 "POST /echo HTTP/1.1\r\nX-Mark: 1\r\nContent-Length: 2\r\n\r\nabPOST /echo HTTP/1.1\r\nX-Mark: "
                 "2\r\nContent-Length: 2\r\nConnection: close\r\n\r\ncd");
  EXPECT_NE(got.find("ab1"), std::string::npos);
  EXPECT_NE(got.find("cd2"), std::string::npos);
}

TEST(HttpServerTest, RefusesWhatItDoesNotKnow) {
  HttpOptions options;
  options.max_body_bytes = 10;
  auto server = Start(options);
  int port = server->port();
  EXPECT_NE(Ask(port, "GET /none HTTP/1.1\r\nConnection: close\r\n\r\n").find("404"), std::string::npos);
  EXPECT_NE(Ask(port, "GET /echo HTTP/1.1\r\nConnection: close\r\n\r\n").find("405"), std::string::npos);
  EXPECT_NE(Ask(port, "POST /echo HTTP/1.1\r\nContent-Length: 11\r\n\r\n01234567890").find("413"), std::string::npos);
  EXPECT_NE(Ask(port, "nonsense\r\n\r\n").find("400"), std::string::npos);
  auto thrown = Ask(port, "GET /throw HTTP/1.1\r\nConnection: close\r\n\r\n");
  EXPECT_NE(thrown.find("500"), std::string::npos);
  EXPECT_EQ(thrown.find("secret detail"), std::string::npos);
  EXPECT_EQ(Ask(port, "HEAD /hello%20world?name=x HTTP/1.1\r\nConnection: close\r\n\r\n").find("hi x"),
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

TEST(HttpServerTest, StopsWithIdleAndBusyClients) {
  auto server = Start();
  Client idle(server->port());
  std::atomic<int> answered = 0;
  std::vector<std::thread> clients;
  for (int i = 0; i < 4; ++i) {
    clients.emplace_back([&, port = server->port()] {
      for (int k = 0; k < 25; ++k) {
        if (Ask(port, "GET /hello%20world?name=x HTTP/1.1\r\nConnection: close\r\n\r\n").find("hi x") !=
            std::string::npos)
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
