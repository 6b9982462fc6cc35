%% ets beside the tuple space: insert and take by key with a million present, in
%% one process, and through a gen_server with 64 callers. Prints NAME TAB RATE.
-module(beside).
-behaviour(gen_server).
-export([main/0, init/1, handle_call/3, handle_cast/2]).

main() ->
    N = 1000000,
    T = ets:new(t, [set, public]),
    fill(T, N),
    print("ets", pairs(T, N, N)),
    {ok, Pid} = gen_server:start(?MODULE, T, []),
    print("gen_server", calls(Pid, 64, 10000)),
    halt(0).

print(Name, Rate) -> io:format("~s\t~b~n", [Name, round(Rate)]).

fill(_, 0) -> ok;
fill(T, N) -> ets:insert(T, {N, order, 12, pending}), fill(T, N - 1).

pairs(T, N, Present) ->
    {Us, ok} = timer:tc(fun() -> pair(T, N, Present) end),
    N * 1.0e6 / Us.

pair(_, 0, _) -> ok;
pair(T, N, Present) ->
    Key = Present + N,
    ets:insert(T, {Key, order, 12, pending}),
    [_] = ets:take(T, Key),
    pair(T, N - 1, Present).

calls(Pid, Callers, Each) ->
    Self = self(),
    {Us, ok} = timer:tc(fun() ->
        Ps = [spawn_link(fun() -> caller(Pid, C * 10000000, Each), Self ! done end)
              || C <- lists:seq(1, Callers)],
        [receive done -> ok end || _ <- Ps],
        ok
    end),
    Callers * Each * 2 * 1.0e6 / Us.

caller(_, _, 0) -> ok;
caller(Pid, Base, N) ->
    true = gen_server:call(Pid, {write, {Base + N, order, 12, pending}}, infinity),
    [_] = gen_server:call(Pid, {take, Base + N}, infinity),
    caller(Pid, Base, N - 1).

init(T) -> {ok, T}.
handle_call({write, Tuple}, _, T) -> {reply, ets:insert(T, Tuple), T};
handle_call({take, Key}, _, T) -> {reply, ets:take(T, Key), T}.
handle_cast(_, T) -> {noreply, T}.
