// The work of tests/bench/actors in CAF 0.17: one line per run, as there.
// bench_caf [--row NAME] [--n N] [--runs R]; no supervisors in CAF, no restart.
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <map>
#include <string>
#include <sys/resource.h>
#include <unistd.h>
#include <vector>

#include <caf/all.hpp>

using namespace caf;

namespace {

using tick = atom_constant<atom("tick")>;
using ack = atom_constant<atom("ack")>;
using go = atom_constant<atom("go")>;
using over = atom_constant<atom("over")>;
using ping_a = atom_constant<atom("ping")>;
using pong_a = atom_constant<atom("pong")>;
using meet_a = atom_constant<atom("meet")>;
using faded = atom_constant<atom("faded")>;
using credit = atom_constant<atom("credit")>;
using debit = atom_constant<atom("debit")>;
using debited = atom_constant<atom("debited")>;
using fire = atom_constant<atom("fire")>;
using next_a = atom_constant<atom("next")>;

constexpr uint64_t batch = 1000, window = 64;

double resident() {
    unsigned long pages = 0, ignored;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file != nullptr) {
        if (fscanf(file, "%lu %lu", &ignored, &pages) != 2)
            pages = 0;
        fclose(file);
    }
    return double(pages) * double(sysconf(_SC_PAGESIZE));
}

uint64_t now_ns() {
    return uint64_t(std::chrono::duration_cast<std::chrono::nanoseconds>(
                        std::chrono::steady_clock::now().time_since_epoch())
                        .count());
}

uint32_t next_random(uint32_t &state) {
    state = state * 1664525u + 1013904223u;
    return state >> 8;
}

// Waits for `count` times over, then lets the main thread go on.
behavior latch(event_based_actor *self, std::shared_ptr<uint64_t> left,
               actor tell) {
    return {[=](over) {
        if (--*left == 0) {
            self->send(tell, over::value);
            self->quit();
        }
    }};
}

actor make_latch(actor_system &system, uint64_t count, const actor &tell) {
    return system.spawn(latch, std::make_shared<uint64_t>(count), tell);
}

// -- messages --

struct pair_state {
    uint64_t left = 0, open = 0, in_batch = 0;
    actor other;
};

behavior sink(stateful_actor<pair_state> *self, actor root, uint64_t n) {
    self->state.left = n;
    return {[=](tick) {
        auto &s = self->state;
        s.left--;
        if (++s.in_batch == batch || s.left == 0) {
            s.in_batch = 0;
            self->send(actor_cast<actor>(self->current_sender()), ack::value);
        }
        if (s.left == 0) {
            self->send(root, over::value);
            self->quit();
        }
    }};
}

behavior source(stateful_actor<pair_state> *self, actor root, uint64_t n) {
    self->state.left = n;
    self->state.other = self->spawn(sink, root, n);
    self->send(self, go::value);
    auto send_batch = [=] {
        auto &s = self->state;
        if (s.left == 0 || s.open >= window)
            return;
        for (uint64_t i = 0; i < batch && s.left > 0; i++, s.left--)
            self->send(s.other, tick::value);
        s.open++;
        if (s.open < window)
            self->send(self, go::value);
    };
    return {[=](go) { send_batch(); },
            [=](ack) {
                self->state.open--;
                if (self->state.left == 0 && self->state.open == 0)
                    self->quit();
                send_batch();
            }};
}

behavior pong(event_based_actor *) {
    return {[](ping_a) { return pong_a::value; }};
}

behavior ping(stateful_actor<pair_state> *self, actor root, uint64_t n) {
    self->state.left = n;
    self->state.other = self->spawn(pong);
    self->send(self, pong_a::value);
    return {[=](pong_a) {
        auto &s = self->state;
        if (s.left-- == 0) {
            self->send(root, over::value);
            self->send_exit(s.other, exit_reason::user_shutdown);
            self->quit();
        } else {
            self->send(s.other, ping_a::value);
        }
    }};
}

behavior ring_node(stateful_actor<pair_state> *self, actor root, actor other) {
    self->state.other = other;
    return {[=](next_a, actor next) { self->state.other = next; },
            [=](uint64_t token) {
                if (token == 0)
                    self->send(root, over::value);
                else
                    self->send(self->state.other, token - 1);
            }};
}

behavior counter(stateful_actor<pair_state> *self) {
    return {[=](tick) { self->state.left++; },
            [=](go) { return self->state.left; }};
}

behavior counting(stateful_actor<pair_state> *self, actor root, uint64_t n) {
    self->state.other = self->spawn(counter);
    self->state.left = n;
    self->send(self, go::value);
    return {[=](go) {
                auto &s = self->state;
                for (uint64_t i = 0; i < batch && s.left > 0; i++, s.left--)
                    self->send(s.other, tick::value);
                if (s.left > 0)
                    self->send(self, go::value);
                else
                    self->send(s.other, go::value);
            },
            [=](uint64_t total) {
                if (total != n)
                    abort();
                self->send(root, over::value);
                self->send_exit(self->state.other, exit_reason::user_shutdown);
                self->quit();
            }};
}

// -- after Savina --

// Started by the main thread and counted without messages: with a parent or a
// latch that gets a million messages it takes quadratic time.
std::atomic<uint64_t> lives;
behavior short_lived(event_based_actor *self, actor main) {
    return {[=](tick) {
        if (--lives == 0)
            self->send(main, over::value);
        self->quit();
    }};
}

behavior worker(stateful_actor<pair_state> *self, actor root, uint64_t n) {
    self->state.left = n;
    return {[=](tick) {
        if (--self->state.left == 0) {
            self->send(root, over::value);
            self->quit();
        }
    }};
}

struct throughput_state {
    std::vector<actor> workers;
    uint64_t rounds = 0;
};
behavior throughput(stateful_actor<throughput_state> *self, actor root,
                    uint64_t n) {
    self->state.rounds = n / 60;
    for (int i = 0; i < 60; i++)
        self->state.workers.push_back(self->spawn(worker, root, n / 60));
    self->send(self, go::value);
    return {[=](go) {
        auto &s = self->state;
        for (int k = 0; k < 16 && s.rounds > 0; k++, s.rounds--)
            for (auto &w : s.workers)
                self->send(w, tick::value);
        if (s.rounds > 0)
            self->send(self, go::value);
        else
            self->quit();
    }};
}

uint32_t complement(uint32_t a, uint32_t b) {
    return a == b ? a : 3 - a - b;
}

struct chameneo_state {
    uint32_t color = 0;
};
behavior chameneo(stateful_actor<chameneo_state> *self, actor mall,
                  uint32_t color) {
    self->state.color = color;
    self->send(mall, meet_a::value, color);
    return {[=](meet_a, const actor &other, uint32_t theirs) {
                auto &s = self->state;
                s.color = complement(s.color, theirs);
                self->send(other, pong_a::value, s.color);
                self->send(mall, meet_a::value, s.color);
            },
            [=](pong_a, uint32_t theirs) {
                auto &s = self->state;
                s.color = complement(s.color, theirs);
                self->send(mall, meet_a::value, s.color);
            },
            [=](faded) { self->quit(); }};
}

struct mall_state {
    uint64_t meetings = 0;
    int gone = 0;
    actor waiting;
    uint32_t color = 0;
};
behavior mall(stateful_actor<mall_state> *self, actor root, uint64_t n) {
    self->state.meetings = n;
    for (uint32_t i = 0; i < 100; i++)
        self->spawn(chameneo, actor{self}, i % 3);
    return {[=](meet_a, uint32_t color) {
        auto &s = self->state;
        auto from = actor_cast<actor>(self->current_sender());
        if (s.meetings == 0) {
            self->send(from, faded::value);
            if (++s.gone == 100) {
                self->send(root, over::value);
                self->quit();
            }
        } else if (!s.waiting) {
            s.waiting = from;
            s.color = color;
        } else {
            s.meetings--;
            self->send(from, meet_a::value, s.waiting, s.color);
            s.waiting = nullptr;
        }
    }};
}

using actors = std::vector<actor>;
struct big_state {
    uint64_t left = 0;
    uint32_t random = 0;
};
behavior big(stateful_actor<big_state> *self, actor root, uint64_t n,
             uint32_t seed, std::shared_ptr<actors> all) {
    self->state.left = n;
    self->state.random = seed;
    auto step = [=] {
        auto &s = self->state;
        if (s.left-- == 0)
            self->send(root, over::value);
        else
            self->send((*all)[next_random(s.random) % 120], ping_a::value);
    };
    return {[=](ping_a) {
                self->send(actor_cast<actor>(self->current_sender()),
                           pong_a::value);
            },
            [=](pong_a) { step(); }, [=](go) { step(); }};
}

struct account_state {
    double balance = 1e9;
};
behavior account(stateful_actor<account_state> *self, actor teller) {
    return {[=](credit, const actor &dest, double amount) {
                self->state.balance -= amount;
                self->send(dest, debit::value, amount);
            },
            [=](debit, double amount) {
                self->state.balance += amount;
                self->send(actor_cast<actor>(self->current_sender()),
                           debited::value);
            },
            [=](debited) { self->send(teller, over::value); }};
}

struct teller_state {
    actors accounts;
    uint64_t to_start = 0, to_end = 0;
    uint32_t random = 1;
};
behavior teller(stateful_actor<teller_state> *self, actor root, uint64_t n) {
    auto &s = self->state;
    s.to_start = s.to_end = n;
    for (int i = 0; i < 1000; i++)
        s.accounts.push_back(self->spawn(account, actor{self}));
    self->send(self, go::value);
    return {[=](go) {
                auto &t = self->state;
                for (uint64_t i = 0; i < batch && t.to_start > 0;
                     i++, t.to_start--) {
                    auto dest = t.accounts[next_random(t.random) % 1000];
                    double amount = double(next_random(t.random) % 1000);
                    self->send(t.accounts[next_random(t.random) % 1000],
                               credit::value, dest, amount);
                }
                if (t.to_start > 0)
                    self->send(self, go::value);
            },
            [=](over) {
                auto &t = self->state;
                if (--t.to_end == 0) {
                    for (auto &a : t.accounts)
                        self->send_exit(a, exit_reason::user_shutdown);
                    t.accounts.clear();
                    self->send(root, over::value);
                    self->quit();
                }
            }};
}

// -- calls, life, timers --

behavior server(event_based_actor *) {
    return {[](uint64_t x) { return x; }};
}
void call_again(stateful_actor<pair_state> *self, actor root) {
    auto &s = self->state;
    if (s.left == 0) {
        self->send(root, over::value);
        self->send_exit(s.other, exit_reason::user_shutdown);
        self->quit();
        return;
    }
    self->request(s.other, infinite, s.left).then([=](uint64_t x) {
        if (x != self->state.left)
            abort();
        self->state.left--;
        call_again(self, root);
    });
}
behavior client(stateful_actor<pair_state> *self, actor root, uint64_t n) {
    self->state.left = n;
    self->state.other = self->spawn(server);
    self->send(self, go::value);
    return {[=](go) { call_again(self, root); }};
}

behavior idle(event_based_actor *) {
    return {[](tick) {}};
}

struct timers_state {
    uint64_t left = 0, out = 100;
    uint32_t random = 0;
    uint64_t due[100];
};
std::atomic<uint32_t> late[100001];
void timer_again(stateful_actor<timers_state> *self, uint32_t slot) {
    auto &s = self->state;
    auto ms = 1 + next_random(s.random) % 10;
    s.due[slot] = now_ns() + uint64_t(ms) * 1000000;
    self->delayed_send(self, std::chrono::milliseconds(ms), fire::value, slot);
}
behavior timers(stateful_actor<timers_state> *self, actor root, uint64_t n,
                uint32_t seed) {
    self->state.left = n - 100;
    self->state.random = seed;
    for (uint32_t i = 0; i < 100; i++)
        timer_again(self, i);
    return {[=](fire, uint32_t slot) {
        auto &s = self->state;
        auto now = now_ns();
        auto us = now > s.due[slot] ? (now - s.due[slot]) / 1000 : 0;
        late[us < 100000 ? us : 100000]++;
        if (s.left > 0) {
            s.left--;
            timer_again(self, slot);
        } else if (--s.out == 0) {
            self->send(root, over::value);
            self->quit();
        }
    }};
}

double cpu_seconds() {
    rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

struct outcome {
    double bytes = 0, late_us = 0;
    double seconds = 0;
};

outcome work(actor_system &system, const std::string &row, uint64_t n) {
    outcome out;
    scoped_actor self{system};
    actor me = self;
    uint64_t began = now_ns();
    actors keep;
    auto pairs = [&](uint64_t count, auto fn) {
        auto l = make_latch(system, count, me);
        for (uint64_t i = 0; i < count; i++)
            system.spawn(fn, l, n / count);
    };
    if (row == "send-1")
        pairs(1, source);
    else if (row == "send-100")
        pairs(100, source);
    else if (row == "pingpong-1")
        pairs(1, ping);
    else if (row == "pingpong-500")
        pairs(500, ping);
    else if (row == "ring-1000") {
        auto last = system.spawn(ring_node, me, me);
        keep.push_back(last);
        auto next = last;
        for (int i = 1; i < 1000; i++)
            keep.push_back(next = system.spawn(ring_node, me, next));
        self->send(last, next_a::value, next);
        self->send(next, n);
    } else if (row == "counting")
        system.spawn(counting, me, n);
    else if (row == "fork-create") {
        lives = n;
        for (uint64_t i = 0; i < n; i++)
            anon_send(system.spawn(short_lived, me), tick::value);
    } else if (row == "fork-throughput")
        system.spawn(throughput, make_latch(system, 60, me), n);
    else if (row == "chameneos")
        system.spawn(mall, me, n);
    else if (row == "big") {
        auto l = make_latch(system, 120, me);
        auto all = std::make_shared<actors>();
        for (uint32_t i = 0; i < 120; i++)
            all->push_back(system.spawn(big, l, n / 120, i + 1, all));
        keep = *all;
        for (auto &a : keep)
            self->send(a, go::value);
    } else if (row == "bank")
        system.spawn(teller, me, n);
    else if (row == "call-64")
        pairs(64, client);
    else if (row == "spawn") {
        double before = resident();
        keep.reserve(n);
        for (uint64_t i = 0; i < n; i++)
            keep.push_back(system.spawn(idle));
        out.seconds = double(now_ns() - began) / 1e9;
        out.bytes = (resident() - before) / double(n);
        self->send(me, over::value);
    } else {
        for (auto &l : late)
            l = 0;
        auto l = make_latch(system, 200, me);
        for (uint32_t i = 0; i < 200; i++)
            system.spawn(timers, l, n / 200, i + 1);
    }
    self->receive([](over) {});
    if (out.seconds == 0)
        out.seconds = double(now_ns() - began) / 1e9;
    if (row == "timer") {
        uint64_t seen = 0, all = 0;
        for (auto &l : late)
            all += l;
        for (int i = 0; i <= 100000 && seen * 100 < all * 99; i++) {
            seen += late[i];
            out.late_us = i;
        }
    }
    for (auto &a : keep)
        self->send_exit(a, exit_reason::user_shutdown);
    return out;
}

} // namespace

int main(int argc, char **argv) {
    const std::vector<std::pair<std::string, uint64_t>> rows = {
        {"send-1", 10000000},     {"send-100", 10000000},
        {"pingpong-1", 2000000},  {"pingpong-500", 5000000},
        {"ring-1000", 5000000},   {"counting", 1000000},
        {"fork-create", 1000000}, {"fork-throughput", 6000000},
        {"chameneos", 1000000},   {"big", 2400000},
        {"bank", 1000000},        {"call-64", 2000000},
        {"spawn", 1000000},       {"timer", 3000000}};
    std::string only;
    uint64_t n = 0;
    int runs = 1;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--row") == 0)
            only = argv[i + 1];
        else if (strcmp(argv[i], "--n") == 0)
            n = strtoull(argv[i + 1], nullptr, 10);
        else if (strcmp(argv[i], "--runs") == 0)
            runs = atoi(argv[i + 1]);
    }
    for (auto &row : rows) {
        if (!only.empty() && only != row.first)
            continue;
        uint64_t many = n != 0 ? n : row.second;
        double factor = row.first.compare(0, 8, "pingpong") == 0 ? 2 : 1;
        for (int r = 0; r < runs; r++) {
            actor_system_config config;
            actor_system system{config};
            double cpu = cpu_seconds();
            outcome out = work(system, row.first, many);
            cpu = cpu_seconds() - cpu;
            printf("%s\t%.0f\t%.6f\t%.6f\t%.0f\t%.0f\n", row.first.c_str(),
                   factor * double(many), out.seconds, cpu, out.bytes,
                   out.late_us);
            fflush(stdout);
            system.await_actors_before_shutdown(false);
        }
    }
    return 0;
}
