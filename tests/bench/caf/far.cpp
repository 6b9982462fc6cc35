// Calls between two CAF processes on this machine, 64 in flight: a line for
// each run. far CALLS RUNS; CPU is that of the calling process.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <signal.h>
#include <unistd.h>

#include <caf/all.hpp>
#include <caf/io/all.hpp>

using namespace caf;

namespace {

using over = atom_constant<atom("over")>;

struct client_state {
    uint64_t left = 0;
};

behavior server(event_based_actor *) {
    return {[](uint64_t x) { return x; }};
}

void call_again(stateful_actor<client_state> *self, actor echo, actor root) {
    if (self->state.left == 0) {
        self->send(root, over::value);
        self->quit();
        return;
    }
    self->request(echo, infinite, self->state.left).then([=](uint64_t x) {
        if (x != self->state.left)
            abort();
        self->state.left--;
        call_again(self, echo, root);
    });
}

behavior client(stateful_actor<client_state> *self, actor echo, actor root,
                uint64_t n) {
    self->state.left = n;
    call_again(self, echo, root);
    return {[](over) {}};
}

double cpu_seconds() {
    rusage u;
    getrusage(RUSAGE_SELF, &u);
    return double(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           double(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

double now() {
    return std::chrono::duration<double>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

int serve(int say) {
    actor_system_config config;
    config.load<io::middleman>();
    actor_system system{config};
    auto port = system.middleman().publish(system.spawn(server), 0,
                                           "127.0.0.1");
    if (!port)
        return 1;
    uint16_t number = *port;
    if (write(say, &number, sizeof number) != sizeof number)
        return 1;
    pause(); // until who started it ends it
    return 0;
}

int run(uint16_t port, uint64_t n, int runs) {
    actor_system_config config;
    config.load<io::middleman>();
    actor_system system{config};
    auto echo = system.middleman().remote_actor("127.0.0.1", port);
    if (!echo)
        return 1;
    for (int r = 0; r < runs; r++) {
        scoped_actor self{system};
        actor me = self;
        double cpu = cpu_seconds(), began = now();
        for (int i = 0; i < 64; i++)
            system.spawn(client, *echo, me, n / 64);
        for (int i = 0; i < 64; i++)
            self->receive([](over) {});
        printf("far-64\t%lu\t%.6f\t%.6f\t0\t0\n",
               (unsigned long)(n / 64 * 64), now() - began,
               cpu_seconds() - cpu);
        fflush(stdout);
    }
    return 0;
}

} // namespace

int main(int argc, char **argv) {
    int pipes[2];
    uint16_t port = 0;
    if (argc != 3 || pipe(pipes) != 0)
        return 2;
    pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        _exit(serve(pipes[1]));
    }
    if (read(pipes[0], &port, sizeof port) != sizeof port)
        return 1;
    int status = run(port, strtoull(argv[1], nullptr, 10), atoi(argv[2]));
    kill(child, SIGKILL);
    fflush(stdout);
    _exit(status);
}
