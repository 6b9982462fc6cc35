%% The work of tests/bench/actors in Erlang/OTP: one line per run, as there.
%% erlc bench.erl && erl -noshell -s bench main ROW N RUNS
-module(bench).
-behaviour(gen_server).
-export([main/1, main/0]).
-export([init/1, handle_call/3, handle_cast/2]).
-export([victim/1, supervisor/1]).

-define(BATCH, 1000).
-define(WINDOW, 64).

main() -> main([]).

main(Arguments) ->
    ok = logger:set_primary_config(level, none),
    {Rows, N, Runs} = options(Arguments),
    [run(Row, n(Row, N)) || Row <- Rows, _ <- lists:seq(1, Runs)],
    halt(0).

options([]) -> {rows(), 0, 1};
options([Row]) -> options([Row, '0', '1']);
options([Row, N, Runs]) ->
    Rows = case Row of all -> rows(); _ -> [Row] end,
    {Rows, list_to_integer(atom_to_list(N)),
     list_to_integer(atom_to_list(Runs))}.

rows() ->
    ['send-1', 'send-100', 'pingpong-1', 'pingpong-500', 'ring-1000',
     counting, 'fork-create', 'fork-throughput', chameneos, big, bank,
     'call-64', spawn, restart, timer].

n(Row, 0) ->
    maps:get(Row,
             #{'send-1' => 10000000, 'send-100' => 10000000,
               'pingpong-1' => 2000000, 'pingpong-500' => 5000000,
               'ring-1000' => 5000000, counting => 1000000,
               'fork-create' => 1000000, 'fork-throughput' => 6000000,
               chameneos => 1000000, big => 2400000, bank => 1000000,
               'call-64' => 2000000, spawn => 1000000, restart => 30000,
               timer => 3000000});
n(_, N) -> N.

run(Row, N) ->
    Self = self(),
    {Cpu0, _} = statistics(runtime),
    T0 = erlang:monotonic_time(nanosecond),
    Pid = spawn_opt(fun() -> Self ! {done, row(Row, N)} end,
                    [{message_queue_data, off_heap}]),
    Ref = monitor(process, Pid),
    {Extra, T1} =
        receive
            {done, Result} -> {Result, erlang:monotonic_time(nanosecond)};
            {'DOWN', Ref, _, _, Why} -> error(Why)
        end,
    {Cpu1, _} = statistics(runtime),
    {Bytes, Late} = case Extra of {B, L} -> {B, L}; _ -> {0, 0} end,
    io:format("~s\t~b\t~.6f\t~.6f\t~b\t~b~n",
              [Row, N * factor(Row), (T1 - T0) / 1.0e9, (Cpu1 - Cpu0) / 1000,
               Bytes, Late]),
    erlang:garbage_collect().

factor('pingpong-1') -> 2;
factor('pingpong-500') -> 2;
factor(_) -> 1.

%% -- messages --

row('send-1', N) -> pairs(1, N, fun source/2);
row('send-100', N) -> pairs(100, N, fun source/2);
row('pingpong-1', N) -> pairs(1, N, fun ping/2);
row('pingpong-500', N) -> pairs(500, N, fun ping/2);
row('ring-1000', N) ->
    Self = self(),
    Last = spawn(fun() -> receive {next, Next} -> ring(Next, Self) end end),
    First = lists:foldl(fun(_, Next) -> spawn(fun() -> ring(Next, Self) end) end,
                        Last, lists:seq(1, 999)),
    Last ! {next, First},
    First ! N,
    wait(1);
row(counting, N) ->
    Counter = spawn(fun() -> counter(0) end),
    count(Counter, N),
    Counter ! {get, self()},
    receive N -> ok end;

%% -- after Savina --

row('fork-create', N) ->
    Self = self(),
    fork(N, Self),
    wait(N);
row('fork-throughput', N) ->
    Self = self(),
    Workers = [spawn(fun() -> worker(Self, N div 60) end) || _ <- lists:seq(1, 60)],
    rounds(N div 60, Workers),
    wait(60);
row(chameneos, N) ->
    Self = self(),
    [spawn(fun() -> chameneo(Self, C rem 3) end) || C <- lists:seq(0, 99)],
    mall(N, none, 100);
row(big, N) ->
    Self = self(),
    All = [spawn(fun() -> big_wait(Self, N div 120, I) end)
           || I <- lists:seq(1, 120)],
    Tuple = list_to_tuple(All),
    [P ! {go, Tuple} || P <- All],
    wait(120);
row(bank, N) ->
    Self = self(),
    Accounts = list_to_tuple([spawn(fun() -> account(Self, 1.0e9) end)
                              || _ <- lists:seq(1, 1000)]),
    teller(N, Accounts, 1),
    wait(N);

%% -- life --

row('call-64', N) ->
    Self = self(),
    [spawn(fun() -> client(Self, N div 64) end) || _ <- lists:seq(1, 64)],
    wait(64);
row(spawn, N) ->
    Self = self(),
    erlang:garbage_collect(),
    Before = erlang:memory(total),
    Counter = counters:new(1, [atomics]),
    idle_all(N, Self, Counter),
    receive all_born -> ok end,
    After = erlang:memory(total),
    {(After - Before) div N, 0};
row(restart, N) ->
    register(restart_root, self()),
    {ok, Sup} = supervisor:start_link({local, restarter}, ?MODULE, supervisor),
    restarts(N),
    unlink(Sup),
    exit(Sup, kill),
    unregister(restart_root);
row(timer, N) ->
    Self = self(),
    Late = counters:new(100001, [write_concurrency]),
    [spawn(fun() -> timers(Self, N div 200, Late) end) || _ <- lists:seq(1, 200)],
    wait(200),
    {0, percentile(Late, N)}.

wait(0) -> ok;
wait(N) -> receive over -> wait(N - 1) end.

pairs(Count, N, Kind) ->
    Self = self(),
    [spawn(fun() -> Kind(Self, N div Count) end) || _ <- lists:seq(1, Count)],
    wait(Count).

source(Root, N) ->
    Self = self(),
    Sink = spawn(fun() -> sink(Root, Self, N, 0) end),
    source(Sink, N, 0).
source(_, 0, _) -> ok;
source(Sink, N, ?WINDOW) -> receive ack -> source(Sink, N, ?WINDOW - 1) end;
source(Sink, N, Open) ->
    Left = batch(Sink, N, ?BATCH),
    receive ack -> source(Sink, Left, Open) after 0 -> source(Sink, Left, Open + 1) end.
batch(_, 0, _) -> 0;
batch(_, N, 0) -> N;
batch(Sink, N, B) -> Sink ! tick, batch(Sink, N - 1, B - 1).

sink(Root, _, 0, _) -> Root ! over;
sink(Root, Source, N, ?BATCH - 1) ->
    receive tick -> Source ! ack, sink(Root, Source, N - 1, 0) end;
sink(Root, Source, N, I) -> receive tick -> sink(Root, Source, N - 1, I + 1) end.

ping(Root, N) ->
    Pong = spawn(fun pong/0),
    ping(Root, Pong, self(), N),
    exit(Pong, kill).
ping(Root, _, _, 0) -> Root ! over;
ping(Root, Pong, Self, N) ->
    Pong ! {ping, Self},
    receive pong -> ping(Root, Pong, Self, N - 1) end.
pong() -> receive {ping, From} -> From ! pong, pong() end.

ring(Next, Root) ->
    receive
        0 -> Root ! over;
        N -> Next ! N - 1, ring(Next, Root)
    end.

counter(N) ->
    receive
        tick -> counter(N + 1);
        {get, From} -> From ! N
    end.
count(_, 0) -> ok;
count(Counter, N) -> Counter ! tick, count(Counter, N - 1).

fork(0, _) -> ok;
fork(N, Root) ->
    Pid = spawn(fun() -> receive {work, From} -> From ! over end end),
    Pid ! {work, Root},
    fork(N - 1, Root).

worker(Root, 0) -> Root ! over;
worker(Root, N) -> receive work -> worker(Root, N - 1) end.
rounds(0, _) -> ok;
rounds(N, Workers) -> [W ! work || W <- Workers], rounds(N - 1, Workers).

complement(A, A) -> A;
complement(A, B) -> 3 - A - B.
chameneo(Mall, Color) ->
    Mall ! {meet, self(), Color},
    receive
        {meet, Other, Theirs} ->
            New = complement(Color, Theirs),
            Other ! {pong, New},
            chameneo(Mall, New);
        {pong, Theirs} -> chameneo(Mall, complement(Color, Theirs));
        faded -> ok
    end.
mall(0, _, 0) -> ok;
mall(0, W, Left) -> receive {meet, From, _} -> From ! faded, mall(0, W, Left - 1) end;
mall(N, none, L) -> receive {meet, From, C} -> mall(N, {From, C}, L) end;
mall(N, {Other, C}, L) ->
    receive {meet, From, _} -> From ! {meet, Other, C}, mall(N - 1, none, L) end.

random(S) ->
    Next = (S * 1664525 + 1013904223) band 16#ffffffff,
    {Next bsr 8, Next}.

big_wait(Root, N, Seed) ->
    receive {go, All} -> big_ping(All, Seed, Root, N) end.
big_ping(All, Seed, Root, N) ->
    {R, Next} = random(Seed),
    element(R rem 120 + 1, All) ! {ping, self()},
    big(All, Next, Root, N).
big(All, Seed, Root, N) ->
    receive
        {ping, From} -> From ! pong, big(All, Seed, Root, N);
        pong when N =:= 0 -> Root ! over, big(All, Seed, Root, -1);
        pong -> big_ping(All, Seed, Root, N - 1)
    end.

account(Teller, Balance) ->
    receive
        {credit, Dest, Amount} ->
            Dest ! {debit, self(), Amount},
            account(Teller, Balance - Amount);
        {debit, From, Amount} -> From ! debited, account(Teller, Balance + Amount);
        debited -> Teller ! over, account(Teller, Balance)
    end.
teller(0, _, _) -> ok;
teller(N, Accounts, S0) ->
    {D, S1} = random(S0),
    {A, S2} = random(S1),
    {F, S3} = random(S2),
    element(F rem 1000 + 1, Accounts) !
        {credit, element(D rem 1000 + 1, Accounts), float(A rem 1000)},
    teller(N - 1, Accounts, S3).

client(Root, N) ->
    {ok, Server} = gen_server:start_link(?MODULE, server, []),
    calls(Server, N),
    Root ! over.
calls(_, 0) -> ok;
calls(Server, N) -> N = gen_server:call(Server, N), calls(Server, N - 1).

handle_call(Request, _, State) -> {reply, Request, State}.
handle_cast(_, State) -> {noreply, State}.

idle_all(0, _, _) -> ok;
idle_all(N, Root, Counter) ->
    idle_one(N, Root, Counter),
    idle_all(N - 1, Root, Counter).
idle_one(N, Root, Counter) ->
    spawn(fun() ->
                  counters:add(Counter, 1, 1),
                  case N of
                      1 -> Root ! all_born;
                      _ -> ok
                  end,
                  receive never -> ok end
          end).

init(server) -> {ok, none};
init(supervisor) ->
    {ok, {#{strategy => one_for_one, intensity => 1000000, period => 1},
          [#{id => victim, start => {?MODULE, victim, [x]}}]}}.
supervisor(X) -> {ok, X}.
victim(_) ->
    proc_lib:start_link(erlang, apply, [fun() ->
        proc_lib:init_ack({ok, self()}),
        restart_root ! {up, self()},
        receive go -> exit(crash) end
    end, []]).
restarts(N) ->
    receive
        {up, _} when N =:= 0 -> ok;
        {up, Pid} -> Pid ! go, restarts(N - 1)
    end.

timers(Root, N, Late) ->
    {S, Due} = lists:foldl(fun(I, {S0, D}) ->
                                   {At, S1} = timer_set(I, S0),
                                   {S1, D#{I => At}}
                           end, {erlang:unique_integer([positive]), #{}},
                           lists:seq(1, 100)),
    timers(Root, N - 100, 100, S, Due, Late).
timers(Root, _, 0, _, _, _) -> Root ! over;
timers(Root, N, Out, S0, Due, Late) ->
    receive
        {fire, I} ->
            Us = (erlang:monotonic_time(nanosecond) - maps:get(I, Due)) div 1000,
            counters:add(Late, min(max(Us, 0), 100000) + 1, 1),
            case N > 0 of
                true ->
                    {At, S1} = timer_set(I, S0),
                    timers(Root, N - 1, Out, S1, Due#{I := At}, Late);
                false -> timers(Root, N, Out - 1, S0, Due, Late)
            end
    end.
timer_set(I, S0) ->
    {R, S1} = random(S0),
    Ms = 1 + R rem 10,
    At = erlang:monotonic_time(nanosecond) + Ms * 1000000,
    erlang:send_after(Ms, self(), {fire, I}),
    {At, S1}.
percentile(Late, N) -> percentile(Late, 1, 0, N * 99 div 100).
percentile(_, 100001, _, _) -> 100000;
percentile(Late, I, Seen, Want) ->
    case Seen + counters:get(Late, I) of
        All when All >= Want -> I - 1;
        All -> percentile(Late, I + 1, All, Want)
    end.
