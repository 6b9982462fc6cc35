%% Calls between two nodes on this machine, 64 in flight: far.sh runs it.
-module(far).
-behaviour(gen_server).
-export([serve/0, main/1]).
-export([init/1, handle_call/3, handle_cast/2]).

serve() ->
    {ok, _} = gen_server:start({local, echo}, ?MODULE, [], []),
    io:format("ready~n"),
    io:get_line(""), % until who started it is gone
    halt(0).

main([N0, Runs]) ->
    [N, R] = [list_to_integer(atom_to_list(X)) || X <- [N0, Runs]],
    pong = net_adm:ping(echo@localhost),
    [run(N) || _ <- lists:seq(1, R)],
    halt(0).

run(N) ->
    Self = self(),
    {Cpu0, _} = statistics(runtime),
    T0 = erlang:monotonic_time(nanosecond),
    [spawn(fun() -> calls(N div 64), Self ! over end) || _ <- lists:seq(1, 64)],
    [receive over -> ok end || _ <- lists:seq(1, 64)],
    T1 = erlang:monotonic_time(nanosecond),
    {Cpu1, _} = statistics(runtime),
    io:format("far-64\t~b\t~.6f\t~.6f\t0\t0~n",
              [N div 64 * 64, (T1 - T0) / 1.0e9, (Cpu1 - Cpu0) / 1000]).

calls(0) -> ok;
calls(N) -> N = gen_server:call({echo, echo@localhost}, N), calls(N - 1).

init(_) -> {ok, none}.
handle_call(Request, _, State) -> {reply, Request, State}.
handle_cast(_, State) -> {noreply, State}.
